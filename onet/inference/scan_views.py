"""What the network sees of a scan: all points in some orientations, and of dense scans fewer too.

The network looks as far as its coarsest cells reach, some hundreds of the finest ones. Where points
lie densely that is less than a thick or hollow object, whose inside it then takes for outside. So a
dense scan is seen at several densities: few points show what is solid, all of them the detail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from onet.nn.cell_size import cell_size, points_per_cell
from onet.training.scan_batches import random_rotation

MANY, VERY_MANY = 12_000, 60_000
"""Points above which a scan is seen from fewer sides: its detail makes up for it."""

COARSER = (60_000, 24_000)
"""Numbers of points that a scan of more than `VERY_MANY` is seen with as well."""

CROWDED, ROOMY = 2.0, 1.5
"""Mean number of points in the cells that hold any: above the first, which training knows nothing
of, points are left out at random until it is the second."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What one view shows.

    Attributes:
        rows: (M,) int64, of the points.
        cell: side of the finest cells, in the unit of the points.
        turn: (3, 3) rotation.
    """

    rows: Tensor
    cell: float
    turn: Tensor


def views_of(
    points: Tensor,  # (N, 3) float32, centred about where the coordinates are small
    cell: float,
    orientations: int | None = None,
) -> Iterator[Seen]:
    """Yield what the network is shown of a scan, the same for the same points.

    Args:
        points: the scan.
        cell: the side of cells that follows the spacing of its points, `cell_size(points)`.
        orientations: in how many all points are seen; 4, 2 or 1 by default, as points are many.
    """
    generator = torch.Generator().manual_seed(0)
    count = len(points)
    full = _orientations(count) if orientations is None else orientations
    turns = [torch.eye(3), *(random_rotation(generator) for _ in range(full - 1))]
    for turn in turns:
        yield Seen(_roomy(points, _shuffled(count, generator), cell), cell, turn)
    for fewer in COARSER if count > VERY_MANY else ():
        rows = _shuffled(count, generator)[:fewer]
        of_these = cell_size(points[rows])
        yield Seen(_roomy(points, rows, of_these), of_these, random_rotation(generator))


def _orientations(points: int) -> int:
    return 4 if points <= MANY else 2 if points <= VERY_MANY else 1


def _shuffled(count: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(count, generator=generator)


def _roomy(points: Tensor, rows: Tensor, cell: float) -> Tensor:
    """The first of the rows, so many that cells are not crowded; ascending."""
    rows = rows.to(points.device)
    if points_per_cell(points[rows], cell) > CROWDED:
        while points_per_cell(points[rows], cell) > ROOMY:
            rows = rows[: int(0.8 * len(rows))]
    return rows.sort().values
