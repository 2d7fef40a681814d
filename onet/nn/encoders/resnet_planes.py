"""Planes of local features, predicted from an image without knowing its camera."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.attention import AttentionBlock, PointEmbedding
from onet.nn.code import CodeKind
from onet.nn.encoders import ENCODERS
from onet.nn.encoders.resnet import Resnet18Features

PLANES = ("xz", "xy", "yz")


@ENCODERS.register("resnet18_planes")
class Resnet18PlanesEncoder(Resnet18Features):
    """Tokens of three planes attend to the picture's features and to one another.

    Each plane has `tokens` x `tokens` learned tokens. In `layers` rounds they attend to the last
    features of a ResNet-18, which carry their place in the picture, and then to all tokens of all
    planes. Transposed convolutions take each plane to its resolution. The decoder is `local`.

    Source: Hong et al., LRM, ICLR 2024, and Tochilkin et al., TripoSR, 2024, for the tokens of
    planes; their sizes are another order of magnitude.

    Args:
        c_dim: features of the planes.
        pretrained: weights of the ResNet, as for `resnet18`.
        plane_resolution: cells along an edge of a plane, `tokens` times a power of two.
        tokens: along an edge of a plane.
        hidden_dim: width of the tokens.
        heads: of every attention, a divisor of the width.
        layers: rounds.

    Raises:
        ConfigError: a resolution that is not a multiple by a power of two, or other sizes that do
            not fit.
    """

    makes: ClassVar[CodeKind] = "maps"

    def __init__(
        self,
        c_dim: int,
        pretrained: str | None = None,
        plane_resolution: int = 64,
        tokens: int = 16,
        hidden_dim: int = 256,
        heads: int = 8,
        layers: int = 4,
    ) -> None:
        super().__init__(pretrained)
        factor = plane_resolution // max(tokens, 1)
        if tokens < 1 or factor < 1 or factor * tokens != plane_resolution or factor & (factor - 1):
            raise ConfigError(
                f"model.encoder.plane_resolution: {plane_resolution} cells from {tokens} tokens "
                "along an edge; give tokens * 2, 4, 8 ... or as many as tokens"
            )
        if layers < 1:
            raise ConfigError(f"model.encoder.layers: {layers}; give at least 1")
        self.tokens = tokens
        self.planes = nn.Parameter(torch.randn(len(PLANES) * tokens**2, hidden_dim))
        self.fc_features = nn.Linear(self.features.out_features, hidden_dim)
        self.place = PointEmbedding(hidden_dim)
        self.to_picture = nn.ModuleList(
            AttentionBlock(hidden_dim, heads, cross=True) for _ in range(layers)
        )
        self.to_planes = nn.ModuleList(AttentionBlock(hidden_dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden_dim)
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(hidden_dim, hidden_dim, 4, stride=2, padding=1)
            for _ in range(factor.bit_length() - 1)
        )
        self.conv_out = nn.Conv2d(hidden_dim, c_dim, 3, padding=1)

    def forward(
        self,
        inputs: Tensor,  # (B, 3, H, W) float32 RGB in [0, 1]
    ) -> dict[str, Tensor]:  # (B, c_dim, R, R) by the names of the planes
        maps = self.maps(inputs)
        picture = self.fc_features(maps.flatten(2).transpose(1, 2))
        picture = picture + self.place(_places(maps)).to(picture.dtype)
        x = self.planes.to(picture.dtype).expand(len(inputs), -1, -1)
        for outward, inward in zip(self.to_picture, self.to_planes, strict=True):
            x = inward(outward(x, picture))
        x = self.norm(x).unflatten(1, (len(PLANES), self.tokens, self.tokens))
        net = x.flatten(0, 1).movedim(-1, 1)  # (3B, F, tokens, tokens)
        for layer in self.enlarge:
            net = F.gelu(layer(net))
        planes = self.conv_out(net).unflatten(0, (-1, len(PLANES)))
        return {name: planes[:, i] for i, name in enumerate(PLANES)}


def _places(
    maps: Tensor,  # (B, F, H, W)
) -> Tensor:  # (H * W, 3) column, row and 0, from -0.5 to 0.5
    height, width = maps.shape[2:]
    rows, columns = (
        (torch.arange(n, device=maps.device, dtype=torch.float32) + 0.5) / n - 0.5
        for n in (height, width)
    )
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1).flatten(0, 1)
    return F.pad(grid, (0, 1))
