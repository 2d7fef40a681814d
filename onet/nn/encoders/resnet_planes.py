"""Planes of local features, predicted from an image without knowing its camera."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.attention import AttentionBlock, PointEmbedding
from onet.nn.code import CodeKind
from onet.nn.encoders._registry import ENCODERS
from onet.nn.encoders.resnet import Resnet18Features
from onet.nn.memory import free_memory, gib

PLANES = ("xz", "xy", "yz")

# Numbers of 4 bytes that are there at once, in widths, measured and rounded up: of a token in each
# round that keeps its activations, and of a cell with and without gradients.
_OF_A_ROUND, _OF_A_CELL = 52, {True: 8, False: 4}


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
        memory_gib: what encoding may take; more tokens are refused. null for what is free.

    Raises:
        ConfigError: a resolution that is not a multiple by a power of two, or other sizes that do
            not fit, together or into memory.
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
        memory_gib: float | None = None,
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
        self.tokens, self.resolution, self.memory_gib = tokens, plane_resolution, memory_gib
        self._fits = 0.0  # bytes that were found to be there: what ran once runs again
        self.planes = nn.Parameter(torch.randn(len(PLANES) * tokens**2, hidden_dim))
        self.fc_features = nn.Linear(self.width, hidden_dim)
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
        self._require_memory(inputs)
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

    def _require_memory(self, inputs: Tensor) -> None:
        gradients = torch.is_grad_enabled()
        of_token = 20 + _OF_A_ROUND * len(self.to_planes) if gradients else 32
        of_cell = _OF_A_CELL[gradients] if self.resolution > self.tokens else 0
        numbers = of_token * self.tokens**2 + of_cell * self.resolution**2
        need = len(inputs) * 4 * len(PLANES) * self.norm.normalized_shape[0] * numbers
        if need <= self._fits:
            return
        room = free_memory(inputs.device, self.memory_gib)
        if need > room:
            raise ConfigError(
                f"model.encoder: attention of {len(PLANES)} x {self.tokens}^2 tokens, made into "
                f"planes of {self.resolution}^2 cells, needs about {gib(need)} for {len(inputs)} "
                f"pictures at once, and {gib(room)} are there; at most "
                f"{int(self.tokens * (room / need) ** 0.5)} tokens along an edge fit, with as "
                "many cells to each: lower tokens and plane_resolution, or training.batch_size"
            )
        self._fits = need


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
