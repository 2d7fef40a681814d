"""How long the cells of a scan's finest grid are: what follows the spacing of its points."""

from __future__ import annotations

import torch
from torch import Tensor

POINTS_PER_CELL = 1.3
"""Mean over the cells that hold any."""

FINEST, COARSEST = 1 / 320, 1 / 4
"""Of the extent: bounds of a cell."""


def cell_size(
    points: Tensor,  # (N, 3) float32, centred about where the coordinates are small
    wanted: float = POINTS_PER_CELL,
    finest: float = FINEST,
) -> float:
    """Return the side of cells of which those that hold points hold so many on average.

    Where noise is wider than the spacing, points fill space and not a surface, and the cells are
    larger. Not below `finest` of the extent, which is that of all but 1 % of the points.
    """
    extent = float(robust_extent(points))
    low, high = extent * finest, extent * COARSEST
    points = _without_copies(points, extent * finest / 16)
    if points_per_cell(points, low) >= wanted:
        return low
    for _ in range(7):  # to a hundredth of the ratio of both ends
        middle = (low * high) ** 0.5
        if points_per_cell(points, middle) < wanted:
            low = middle
        else:
            high = middle
    return (low * high) ** 0.5


def robust_extent(points: Tensor) -> Tensor:
    """Return the longest side of the box of all but about 1 % of the points."""
    rank = len(points) // 200
    ordered = points.sort(0).values
    return (ordered[len(points) - 1 - rank] - ordered[rank]).max()


def points_per_cell(
    points: Tensor,  # (N, 3)
    cell: float,
) -> float:
    """Return how many points lie in a cell of that side on average, of those that hold any."""
    return len(points) / len(torch.unique(_keys(points, cell)))


def _without_copies(points: Tensor, apart: float) -> Tensor:
    """One of the points in each cell of a very fine grid: copies say nothing about the spacing."""
    _, inverse = torch.unique(_keys(points, apart), return_inverse=True)
    first = inverse.new_full((int(inverse.max()) + 1,), len(points))
    order = torch.arange(len(points), device=points.device)
    return points[first.scatter_reduce(0, inverse, order, "amin")]


def _keys(points: Tensor, cell: float) -> Tensor:
    cells = (points / cell).floor().long() & 0xFFFFF
    return (cells[:, 0] << 40) | (cells[:, 1] << 20) | cells[:, 2]
