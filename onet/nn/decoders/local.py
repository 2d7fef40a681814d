"""A small decoder on local features."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.code import Code, CodeKind, as_batch
from onet.nn.decoders._registry import DECODERS
from onet.nn.decoders.folded import ResidualLayers
from onet.nn.decoders.residual import ResidualDecoder, added_code
from onet.nn.layers import ResnetBlock, embed_points
from onet.nn.local_features import AXES, FeatureSampler, FeatureTable


@DECODERS.register("local")
class LocalDecoder(ResidualDecoder):
    """Logit of occupancy from the point, the features at its place, and maybe a latent code.

    Features are interpolated in every plane and grid of the code, and summed; a linear map of them
    is added before each residual block. Points outside the box [-0.55, 0.55]^3 see the features of
    its border. A latent code is added to the embedded points. Subclasses may look for features
    elsewhere.

    Source: Peng et al., Convolutional Occupancy Networks, ECCV 2020, section 3.2.

    Args:
        c_dim: features of the maps.
        z_dim: size of the latent code, or 0.
        hidden_size: features of the blocks.
        blocks: how many.
        leaky: the last activation is leaky.
        published: features are sampled where the published code does, for its weights.

    Raises:
        ConfigError: no features or no blocks.
    """

    takes: ClassVar[frozenset[CodeKind]] = frozenset({"maps"})
    beyond = 0  # features of a point that are not the code's

    def __init__(
        self,
        c_dim: int,
        z_dim: int = 0,
        hidden_size: int = 32,
        blocks: int = 5,
        leaky: bool = False,
        published: bool = False,
    ) -> None:
        super().__init__(leaky)
        self.published = published
        if c_dim < 1 or blocks < 1:
            raise ConfigError(
                f"model.decoder: {c_dim} local features (model.c_dim) and {blocks} blocks; give at "
                "least one of each"
            )
        self.fc_p = nn.Linear(3, hidden_size)
        self.fc_z = nn.Linear(z_dim, hidden_size) if z_dim else None
        size = c_dim + self.beyond
        self.fc_c = nn.ModuleList(nn.Linear(size, hidden_size) for _ in range(blocks))
        self.blocks = nn.ModuleList(ResnetBlock(hidden_size, hidden_size) for _ in range(blocks))
        self.fc_out = nn.Linear(hidden_size, 1)

    def forward(
        self,
        points: Tensor,  # (B, T, 3) float32 in the unit frame
        z: Tensor | None,  # (B, Z), or None for a decoder without latent code
        c: Code,  # see `sampler`
    ) -> Tensor:  # (B, T) logits
        features = self.sampler(c)(points)
        net = embed_points(self.fc_p, points)
        for added in self.added(c, z):
            net = net + added.unsqueeze(-2)
        for layer, block in zip(self.fc_c, self.blocks, strict=True):
            net = block(net + layer(features))
        logits: Tensor = self.fc_out(self.activation(net)).squeeze(-1)
        return logits

    def layers(self, c: Code, z: Tensor | None) -> ResidualLayers:
        local = self.sampler(as_batch(c)), self.fc_c
        added, weight = self.added(c, z), self.fc_out.weight
        return ResidualLayers(self.fc_p, added, self.blocks, None, self.fc_out, weight, local)

    def sampler(
        self,
        c: Code,  # (B, C, R, R) of planes, (B, C, R, R, R) of a grid, by their names
    ) -> FeatureSampler:
        """Return the features of the code by place.

        Raises:
            ConfigError: the encoder makes other codes than this decoder takes.
        """
        maps = {} if isinstance(c, Tensor) else {k: m for k, m in c.items() if k in AXES}
        if not maps:
            raise ConfigError(
                "model.decoder: 'local' needs maps of features; name an encoder that makes them, "
                "local_pointnet for instance"
            )
        return FeatureTable(maps, self.published)

    def added(
        self,
        c: Code,  # of a batch, or of one observation
        z: Tensor | None,  # (B, Z) or (Z,)
    ) -> list[Tensor]:
        """What codes add to the embedded points: (B, H) each, or (H,)."""
        return added_code(self.fc_z, z)
