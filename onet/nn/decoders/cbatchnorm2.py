"""The conditional batch norm decoder with any number of blocks."""

from __future__ import annotations

from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.decoders._registry import DECODERS
from onet.nn.decoders.folded import ResidualLayers
from onet.nn.decoders.residual import ResidualDecoder, added_code
from onet.nn.layers import (
    ConditionalBatchNorm,
    ConditionalResnetBlock,
    PointwiseConv,
    embed_points,
)


@DECODERS.register("cbatchnorm2")
class CBatchNorm2Decoder(ResidualDecoder):
    """As `cbatchnorm`, but with `n_blocks` blocks, and the latent code is added to the code.

    Source: published code of Occupancy Networks.
    """

    def __init__(
        self,
        c_dim: int,
        z_dim: int = 0,
        hidden_size: int = 256,
        n_blocks: int = 5,
        leaky: bool = False,
    ) -> None:
        super().__init__(leaky)
        if n_blocks < 0:
            raise ConfigError(f"model.decoder.n_blocks: {n_blocks}; give 0 or more")
        self.conv_p = PointwiseConv(3, hidden_size)
        self.blocks = nn.ModuleList(
            ConditionalResnetBlock(c_dim, hidden_size) for _ in range(n_blocks)
        )
        self.bn = ConditionalBatchNorm(c_dim, hidden_size)
        self.conv_out = PointwiseConv(hidden_size, 1)
        self.fc_z = nn.Linear(z_dim, c_dim) if z_dim else None

    def forward(
        self,
        points: Tensor,  # (B, T, 3) float32 in the unit frame
        z: Tensor | None,  # (B, Z), or None for a decoder without latent code
        c: Tensor,  # (B, C)
    ) -> Tensor:  # (B, T) logits
        net = embed_points(self.conv_p, points)
        if self.fc_z is not None:
            c = c + self.fc_z(z)
        for block in self.blocks:
            net = block(net, c)
        net = self.activation(self.bn(net, c), inplace=True)
        logits: Tensor = self.conv_out(net).squeeze(-1)
        return logits

    def layers(self, c: Tensor, z: Tensor | None) -> ResidualLayers:
        c = sum(added_code(self.fc_z, z), c)
        return ResidualLayers(self.conv_p, [], self.blocks, self.bn, self.conv_out, c)
