"""Points as a set of latents.

Source: Zhang et al., 3DShape2VecSet, SIGGRAPH 2023, section 5.1.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.attention import AttentionBlock, PointEmbedding
from onet.nn.farthest_points import farthest_points
from onet.nn.memory import free_memory, gib

Queries = Literal["learned", "farthest"]

# Numbers of 4 bytes that are there at once, in widths, measured and rounded up: of a point with and
# without gradients, and of a latent in a block.
_OF_A_POINT, _OF_A_LATENT = {True: 6, False: 3}, 30
_WAVES = 2 * 51  # of a point, and their phases
_WEIGHTS = 4  # parameter, gradient and two moments of Adam


class LatentSet(nn.Module):
    """M queries attend to N points, then to one another.

    The result does not depend on the order of the points.

    Args:
        where: dotted path of the section, for messages.
        latents: how many.
        hidden_dim: width F.
        heads: of every attention, a divisor of the width.
        layers: blocks of self-attention.
        queries: `learned`, the same for all shapes, or `farthest`: embedded points that are spread
            over the cloud.
        memory_gib: what encoding may take; null for what is free.

    Raises:
        ConfigError: a size that is not positive, heads that do not divide the width, or more
            latents than memory is there for.
    """

    def __init__(
        self,
        where: str,
        latents: int,
        hidden_dim: int,
        heads: int,
        layers: int,
        queries: Queries,
        memory_gib: float | None,
    ) -> None:
        super().__init__()
        for key, value, least in (
            ("latents", latents, 1),
            ("hidden_dim", hidden_dim, 1),
            ("layers", layers, 0),
        ):
            if value < least:
                raise ConfigError(f"{where}.{key}: {value}; give at least {least}")
        self.where, self.latents, self.width = where, latents, hidden_dim
        self.memory_gib = memory_gib
        self._fits = 0.0  # bytes that were found to be there: what ran once runs again
        self.queries = None
        if queries == "learned":
            each = _WEIGHTS * 4 * hidden_dim
            room = free_memory(torch.device("cpu"), memory_gib)
            if latents * each > room:
                raise ConfigError(
                    f"{where}.latents: {latents:,} learned queries of {hidden_dim} numbers need "
                    f"{gib(latents * each)} to train and {gib(room)} are there; at most "
                    f"{int(room // each):,} fit"
                )
            self.queries = nn.Parameter(torch.randn(latents, hidden_dim))
        self.embedding = PointEmbedding(hidden_dim)
        self.gather = AttentionBlock(hidden_dim, heads, cross=True)
        self.layers = nn.ModuleList(AttentionBlock(hidden_dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden_dim)

    def forward(
        self,
        points: Tensor,  # (B, N, 3) float32 in the unit frame
        features: Tensor | None = None,  # (B, N, F) to add to the embedded points
        more: Tensor | None = None,  # (B, K, F) tokens to attend to besides
    ) -> Tensor:  # (B, M, F)
        """Return the latents.

        Raises:
            ConfigError: more points than memory is there for; the message says how many fit.
        """
        self._require_memory(points)
        tokens = self.embedding(points)
        if features is not None:
            tokens = tokens + features
        if self.queries is not None:
            latents = self.queries.expand(len(points), -1, -1)
        else:
            chosen = farthest_points(points, self.latents)
            latents = tokens.gather(1, chosen.unsqueeze(-1).expand(-1, -1, self.width))
        if more is not None:
            tokens = torch.cat([tokens, more.to(tokens.dtype)], 1)
        latents = self.gather(latents.to(tokens.dtype), tokens)
        for layer in self.layers:
            latents = layer(latents)
        normed: Tensor = self.norm(latents)
        return normed

    def _require_memory(self, points: Tensor) -> None:
        items, count = points.shape[:2]
        gradients = torch.is_grad_enabled()
        kept = 1 + len(self.layers) if gradients else 1
        of_point = 4 * (_OF_A_POINT[gradients] * self.width + _WAVES)
        of_latents = 4 * _OF_A_LATENT * self.width * kept * self.latents
        need = items * (count * of_point + of_latents)
        if need <= self._fits:
            return
        room = free_memory(points.device, self.memory_gib)
        if need > room:
            raise ConfigError(
                f"{self.where}: attention of {self.latents:,} latents to {count:,} points needs "
                f"about {gib(need)} for {items} shapes at once, and {gib(room)} are there; "
                + _remedy(room, items, of_point, of_latents, kept * self.latents)
            )
        self._fits = need


def numbers_of_a_latent(where: str, z_dim: int, latents: int | None) -> int:
    """How many numbers of z each latent has.

    Raises:
        ConfigError: the number of latents is missing or does not divide z.
    """
    if latents is None or latents < 1 or z_dim % latents:
        raise ConfigError(
            f"{where}.latents: {latents}; model.z_dim = {z_dim} numbers are those of all latents "
            "together: give a divisor, the same to encoder_latent and decoder"
        )
    return z_dim // latents


def _remedy(room: float, items: int, of_point: int, of_latents: int, latents: int) -> str:
    points = int((room / items - of_latents) // of_point)
    if points > 0:
        return f"at most {points:,} points fit: lower data.input.count or training.batch_size"
    fits = int(room / items * latents // of_latents)
    return f"at most {fits:,} latents fit: lower their number, the width or training.batch_size"
