"""A latent set from a point cloud."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from onet.nn.code import CodeKind, ObservationKind
from onet.nn.encoders._registry import ENCODERS
from onet.nn.latent_set import LatentSet, Queries


@ENCODERS.register("point_set")
class PointSetEncoder(nn.Module):
    """Latents that attend to the points and then to one another.

    Independent of the order of the points, for any number of them. Source: Zhang et al.,
    3DShape2VecSet, SIGGRAPH 2023, section 5.1 (there the self-attention belongs to the decoder;
    here it is done once for each cloud, since no latents are drawn between the two).

    Args:
        c_dim: numbers in each latent.
        latents: how many.
        hidden_dim: width of the layers.
        heads: of every attention, a divisor of the width.
        layers: blocks of self-attention.
        queries: `learned`, or `farthest`: embedded points that are spread over the cloud.
        memory_gib: what encoding may take; more points are refused. null for what is free.

    Raises:
        ConfigError: sizes that do not fit together or into memory.
    """

    observes: ClassVar[ObservationKind] = "points"
    makes: ClassVar[CodeKind] = "set"

    def __init__(
        self,
        c_dim: int,
        latents: int = 512,
        hidden_dim: int = 512,
        heads: int = 8,
        layers: int = 8,
        queries: Queries = "learned",
        memory_gib: float | None = None,
    ) -> None:
        super().__init__()
        self.set = LatentSet(
            "model.encoder", latents, hidden_dim, heads, layers, queries, memory_gib
        )
        self.fc_c = nn.Linear(hidden_dim, c_dim)

    def forward(
        self,
        inputs: Tensor,  # (B, N, 3) float32 in the unit frame
    ) -> Tensor:  # (B, M, c_dim)
        code: Tensor = self.fc_c(self.set(inputs))
        return code
