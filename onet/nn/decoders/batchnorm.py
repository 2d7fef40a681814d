"""The decoder of the ablation without conditional batch normalisation."""

from __future__ import annotations

from torch import Tensor, nn

from onet.nn.decoders._registry import DECODERS
from onet.nn.decoders.folded import ResidualLayers
from onet.nn.decoders.residual import ResidualDecoder, added_code
from onet.nn.layers import (
    BatchNormResnetBlock,
    PointwiseConv,
    embed_points,
    over_points,
)


@DECODERS.register("batchnorm")
class BatchNormDecoder(ResidualDecoder):
    """Residual blocks with plain batch normalisation; the codes are added to the embedded points.

    In training mode a result depends on all query points of the batch. `leaky` concerns the last
    activation only, as published. Source: Occupancy Networks, ablation "no CBN".
    """

    def __init__(
        self, c_dim: int, z_dim: int = 0, hidden_size: int = 256, leaky: bool = False
    ) -> None:
        super().__init__(leaky)
        self.fc_z = nn.Linear(z_dim, hidden_size) if z_dim else None
        self.fc_c = nn.Linear(c_dim, hidden_size) if c_dim else None
        self.fc_p = PointwiseConv(3, hidden_size)
        self.block0 = BatchNormResnetBlock(hidden_size)
        self.block1 = BatchNormResnetBlock(hidden_size)
        self.block2 = BatchNormResnetBlock(hidden_size)
        self.block3 = BatchNormResnetBlock(hidden_size)
        self.block4 = BatchNormResnetBlock(hidden_size)
        self.bn = nn.BatchNorm1d(hidden_size)
        self.fc_out = PointwiseConv(hidden_size, 1)

    def forward(
        self,
        points: Tensor,  # (B, T, 3) float32 in the unit frame
        z: Tensor | None,  # (B, Z), or None for a decoder without latent code
        c: Tensor,  # (B, C), ignored where C is 0
    ) -> Tensor:  # (B, T) logits
        net = embed_points(self.fc_p, points)
        if self.fc_z is not None:
            net = net + self.fc_z(z).unsqueeze(1)
        if self.fc_c is not None:
            net = net + self.fc_c(c).unsqueeze(1)
        for block in (self.block0, self.block1, self.block2, self.block3, self.block4):
            net = block(net)
        net = self.activation(over_points(self.bn, net), inplace=True)
        logits: Tensor = self.fc_out(net).squeeze(-1)
        return logits

    def layers(self, c: Tensor, z: Tensor | None) -> ResidualLayers:
        added = added_code(self.fc_z, z) + added_code(self.fc_c, c)
        blocks = (self.block0, self.block1, self.block2, self.block3, self.block4)
        return ResidualLayers(self.fc_p, added, blocks, self.bn, self.fc_out, c)
