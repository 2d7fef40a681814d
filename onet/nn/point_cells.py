"""Features of cells from the points in them, as many as there are."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS_AT_ONCE = 1 << 16
"""Points seen at once where nothing is learned."""


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
        x = in_parts(lambda p: self.first(F.silu(self.embed(p))), points)
        x = self._with_neighbours(x, cells, torch.cat(pooled(x, cells, len(occupied))[:2], dim=1))
        mean, largest, number = pooled(x, cells, len(occupied))
        merged: Tensor = self.merge(torch.cat([mean, largest, number.log1p()], dim=1).to(x.dtype))
        return merged.new_zeros((count, merged.shape[1])).index_copy(0, occupied, merged)

    def _with_neighbours(self, x: Tensor, cells: Tensor, pooled: Tensor) -> Tensor:
        """Return what points are, who see those of their cell by what was pooled."""

        def second(x: Tensor, cells: Tensor) -> Tensor:
            around = pooled.index_select(0, cells).to(x.dtype)
            seen: Tensor = self.second(F.silu(self.mix(torch.cat([x, around], dim=1))))
            return seen

        return in_parts(second, x, cells)


def in_parts(function: Callable[..., Tensor], *given: Tensor) -> Tensor:
    """Return a function of all rows; where nothing is learned and on a processor, a part at a time:
    what is between stays small.
    """
    if torch.is_grad_enabled() or given[0].is_cuda or len(given[0]) <= ROWS_AT_ONCE:
        return function(*given)
    first, *others = zip(*(tensor.split(ROWS_AT_ONCE) for tensor in given), strict=True)
    begin = function(*first)
    out = begin.new_empty((len(given[0]), *begin.shape[1:]))
    out[: len(begin)] = begin
    for part, into in zip(others, out[len(begin) :].split(ROWS_AT_ONCE), strict=True):
        into.copy_(function(*part))
    return out


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
    return total.div_(number.clamp(min=1)), largest, number
