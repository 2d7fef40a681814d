"""Discriminators of shapes that are given as occupancies at points, by name.

A discriminator is a class `__init__(self, **options)` with `forward(points, occupancies) -> (B,)`
logits, above 0 for real, decorated with `@DISCRIMINATORS.register(name)`. It sees real and fake
occupancies at the same points, so that it cannot tell them by where they were asked for. None has
batch normalisation: see `onet.adversarial.penalties`.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.encoders.voxels import VoxelEncoder
from onet.nn.latent_encoders.pointnet import OccupancySetNetwork
from onet.registry import Registry

DISCRIMINATORS: Registry = Registry("discriminator")


@DISCRIMINATORS.register("occupancy_set")
class OccupancySetDiscriminator(OccupancySetNetwork):
    """The latent encoder's PointNet over points with occupancies, with one logit.

    The order of the points does not matter.

    Args:
        hidden_dim: features of a point.
        pooling: `mean` or `max` over the points. The mean changes little from one draw of points
            to the next, and has a gradient by each of them, so that the generator learns at all.
    """

    def __init__(self, hidden_dim: int = 128, pooling: Literal["max", "mean"] = "mean") -> None:
        super().__init__(0, hidden_dim, leaky=True, mean=pooling == "mean")
        self.fc_logit = nn.Linear(hidden_dim, 1)

    def forward(
        self,
        points: Tensor,  # (B, T, 3) float32 in the unit frame
        occupancies: Tensor,  # (B, T) about [0, 1]
    ) -> Tensor:  # (B,)
        # 2 o - 1: at 0 the first layer would not see the points that are outside
        features = self.features(points, 2 * occupancies - 1, points.new_empty(len(points), 0))
        logits: Tensor = self.fc_logit(features).squeeze(-1)
        return logits


@DISCRIMINATORS.register("grid")
class GridDiscriminator(nn.Module):
    """The voxel encoder's 3D CNN with one logit, on a grid that the points are sorted into.

    A cell holds the mean of 2 o - 1 over its points, 0 where it has none. Points outside the box
    count for the cell nearest to them. Any query points will do; where they are the centres of the
    cells, the grid is exact.

    Args:
        resolution: cells along an edge; a power of two, at least 16.
        padding: margin of the grid's box around the unit cube, both sides together.

    Raises:
        ConfigError: another resolution, or a negative padding.
    """

    def __init__(self, resolution: int = 16, padding: float = 0.1) -> None:
        super().__init__()
        if not padding >= 0:
            raise ConfigError(f"model.discriminator.padding: {padding}; give 0 or more")
        self.network = VoxelEncoder(1, resolution)
        self.padding = padding

    def forward(
        self,
        points: Tensor,  # (B, T, 3) float32 in the unit frame
        occupancies: Tensor,  # (B, T) about [0, 1]
    ) -> Tensor:  # (B,)
        logits: Tensor = self.network(self.grid(points, occupancies)).squeeze(-1)
        return logits

    def grid(self, points: Tensor, occupancies: Tensor) -> Tensor:
        """Means (B, R, R, R) of 2 o - 1 over the points in each cell, axes in the order x, y, z."""
        cells = self.network.resolution
        cell = ((points / (1 + self.padding) + 0.5) * cells).long().clamp(0, cells - 1)
        index = (cell[..., 0] * cells + cell[..., 1]) * cells + cell[..., 2]
        total = occupancies.new_zeros(len(points), cells**3)
        count = total.scatter_add(1, index, torch.ones_like(occupancies))
        total = total.scatter_add(1, index, 2 * occupancies - 1)
        return (total / count.clamp(min=1)).view(-1, cells, cells, cells)
