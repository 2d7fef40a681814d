"""Features of cells from the points in them, as many as there are."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PointCells(nn.Module):
    """What lies in each cell: means and maxima over its points, which see those of the first round.

    A cell without points has zeros.

    Args:
        in_features: numbers a point has.
        features: numbers a cell gets.
    """

    def __init__(self, in_features: int, features: int) -> None:
        super().__init__()
        self.embed = nn.Linear(in_features, 2 * features)
        self.first = nn.Linear(2 * features, features)
        self.mix = nn.Linear(3 * features, 2 * features)
        self.second = nn.Linear(2 * features, features)
        self.merge = nn.Linear(2 * features + 1, features)

    def forward(
        self,
        points: Tensor,  # (N, in_features)
        cells: Tensor,  # (N,) int64, the cell that each point is in
        count: int,
    ) -> Tensor:  # (count, features)
        occupied, cells = torch.unique(cells, return_inverse=True)
        x = self.first(F.silu(self.embed(points)))
        mean, largest, number = pooled(x, cells, len(occupied))
        around = torch.cat([mean, largest], dim=1).index_select(0, cells)
        x = self.second(F.silu(self.mix(torch.cat([x, around.to(x.dtype)], dim=1))))
        mean, largest, number = pooled(x, cells, len(occupied))
        merged: Tensor = self.merge(torch.cat([mean, largest, number.log1p()], dim=1).to(x.dtype))
        return merged.new_zeros((count, merged.shape[1])).index_copy(0, occupied, merged)


def pooled(
    x: Tensor,  # (N, F)
    cells: Tensor,  # (N,) int64
    count: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and maximum (count, F) over the points of each cell, float32, 0 for none; and
    how many (count, 1) these are.
    """
    x = x.float()
    number = torch.bincount(cells, minlength=count)[:, None].float()
    total = x.new_zeros((count, x.shape[1])).index_add(0, cells, x)
    largest = x.new_zeros((count, x.shape[1])).scatter_reduce(
        0, cells[:, None].expand_as(x), x, "amax", include_self=False
    )
    return total / number.clamp(min=1), largest, number
