"""The published decoder: residual blocks with conditional batch normalisation."""

from __future__ import annotations

from torch import Tensor, nn

from onet.nn.decoders._registry import DECODERS
from onet.nn.decoders.folded import ResidualLayers
from onet.nn.decoders.residual import ResidualDecoder, added_code
from onet.nn.layers import (
    ConditionalBatchNorm,
    ConditionalResnetBlock,
    PointwiseConv,
    embed_points,
)


@DECODERS.register("cbatchnorm")
class CBatchNormDecoder(ResidualDecoder):
    """Logit of occupancy at query points, from a code and optionally a latent code.

    Five residual blocks of `hidden_size` features. In training mode a result depends on all query
    points of the batch (see `ConditionalBatchNorm`). `leaky` concerns the last activation only, as
    published: the blocks have plain ReLUs. `dimensions` is 4 for points with a time. Source:
    Occupancy Networks, figure 2 of the supplementary material.
    """

    def __init__(
        self,
        c_dim: int,
        z_dim: int = 0,
        hidden_size: int = 256,
        leaky: bool = False,
        dimensions: int = 3,
    ) -> None:
        super().__init__(leaky)
        self.fc_p = PointwiseConv(dimensions, hidden_size)
        self.fc_z = nn.Linear(z_dim, hidden_size) if z_dim else None
        self.block0 = ConditionalResnetBlock(c_dim, hidden_size)
        self.block1 = ConditionalResnetBlock(c_dim, hidden_size)
        self.block2 = ConditionalResnetBlock(c_dim, hidden_size)
        self.block3 = ConditionalResnetBlock(c_dim, hidden_size)
        self.block4 = ConditionalResnetBlock(c_dim, hidden_size)
        self.bn = ConditionalBatchNorm(c_dim, hidden_size)
        self.fc_out = PointwiseConv(hidden_size, 1)

    def forward(
        self,
        points: Tensor,  # (B, T, 3) float32 in the unit frame
        z: Tensor | None,  # (B, Z), or None for a decoder without latent code
        c: Tensor,  # (B, C)
    ) -> Tensor:  # (B, T) logits
        net = embed_points(self.fc_p, points)
        if self.fc_z is not None:
            net = net + self.fc_z(z).unsqueeze(1)
        for block in (self.block0, self.block1, self.block2, self.block3, self.block4):
            net = block(net, c)
        net = self.activation(self.bn(net, c), inplace=True)
        logits: Tensor = self.fc_out(net).squeeze(-1)
        return logits

    def layers(self, c: Tensor, z: Tensor | None) -> ResidualLayers:
        added = added_code(self.fc_z, z)
        blocks = (self.block0, self.block1, self.block2, self.block3, self.block4)
        return ResidualLayers(self.fc_p, added, blocks, self.bn, self.fc_out, c)
