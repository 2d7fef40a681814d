"""A posterior over sets of latents."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from onet.nn.attention import code_tokens
from onet.nn.code import Code, CodeKind
from onet.nn.latent_encoders._registry import LATENT_ENCODERS
from onet.nn.latent_set import LatentSet, Queries, numbers_of_a_latent


@LATENT_ENCODERS.register("point_set")
class PointSetLatentEncoder(nn.Module):
    """Mean and log standard deviation of a set of latents, one after the other in z.

    Latents attend to points with occupancies, and to the code of the observation if there is one.
    Source: Zhang et al., 3DShape2VecSet, SIGGRAPH 2023, section 5.2 (there the points are of the
    surface).

    Args:
        c_dim: numbers of the code, or of each latent of it; 0 without.
        z_dim: numbers of all latents together, a multiple of their number.
        latents: how many; the same as `model.decoder.latents`.
        hidden_dim, heads, layers, queries, memory_gib: as for the encoder `point_set`.

    Raises:
        ConfigError: sizes that do not fit together or into memory.
    """

    takes: ClassVar[frozenset[CodeKind]] = frozenset({"global", "set"})

    def __init__(
        self,
        c_dim: int,
        z_dim: int,
        latents: int = 512,
        hidden_dim: int = 512,
        heads: int = 8,
        layers: int = 0,
        queries: Queries = "learned",
        memory_gib: float | None = None,
    ) -> None:
        super().__init__()
        size = numbers_of_a_latent("model.encoder_latent", z_dim, latents)
        self.set = LatentSet(
            "model.encoder_latent", latents, hidden_dim, heads, layers, queries, memory_gib
        )
        self.fc_occupancy = nn.Linear(1, hidden_dim)
        self.fc_c = nn.Linear(c_dim, hidden_dim) if c_dim else None
        self.fc_mean = nn.Linear(hidden_dim, size)
        self.fc_logstd = nn.Linear(hidden_dim, size)

    def forward(
        self,
        points: Tensor,  # (B, T, 3) float32 in the unit frame
        occupancies: Tensor,  # (B, T) in [0, 1]
        c: Code,  # (B, C) or (B, M, C), ignored where C is 0
    ) -> tuple[Tensor, Tensor]:  # (B, z_dim) each
        more = None if self.fc_c is None else self.fc_c(code_tokens(c))
        latents = self.set(points, self.fc_occupancy(occupancies.unsqueeze(-1)), more)
        return self.fc_mean(latents).flatten(1), self.fc_logstd(latents).flatten(1)
