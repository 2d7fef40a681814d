"""A decoder without normalisation, as published for unconditional models."""

from __future__ import annotations

from torch import Tensor, nn

from onet.nn.decoders._registry import DECODERS
from onet.nn.decoders.folded import ResidualLayers
from onet.nn.decoders.residual import ResidualDecoder, added_code
from onet.nn.layers import ResnetBlock, embed_points


@DECODERS.register("simple")
class SimpleDecoder(ResidualDecoder):
    """Five residual blocks; code and latent code are added to the embedded points.

    `leaky` concerns the last activation only, as published: the blocks have plain ReLUs.
    `dimensions` is 4 for points with a time. Source: published code of Occupancy Networks (decoder
    of the unconditional models).
    """

    def __init__(
        self,
        c_dim: int,
        z_dim: int = 0,
        hidden_size: int = 128,
        leaky: bool = False,
        dimensions: int = 3,
    ) -> None:
        super().__init__(leaky)
        self.fc_p = nn.Linear(dimensions, hidden_size)
        self.fc_z = nn.Linear(z_dim, hidden_size) if z_dim else None
        self.fc_c = nn.Linear(c_dim, hidden_size) if c_dim else None
        self.block0 = ResnetBlock(hidden_size, hidden_size)
        self.block1 = ResnetBlock(hidden_size, hidden_size)
        self.block2 = ResnetBlock(hidden_size, hidden_size)
        self.block3 = ResnetBlock(hidden_size, hidden_size)
        self.block4 = ResnetBlock(hidden_size, hidden_size)
        self.fc_out = nn.Linear(hidden_size, 1)

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
        logits: Tensor = self.fc_out(self.activation(net)).squeeze(-1)
        return logits

    def layers(self, c: Tensor, z: Tensor | None) -> ResidualLayers:
        added = added_code(self.fc_z, z) + added_code(self.fc_c, c)
        blocks = (self.block0, self.block1, self.block2, self.block3, self.block4)
        return ResidualLayers(self.fc_p, added, blocks, None, self.fc_out, c)
