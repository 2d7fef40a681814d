"""A pyramid of sparse grids round the points of scans: which cells there are, and their neighbours.

Level 0 has cells of side 1, in units that the caller chooses (the spacing of the points); the cells
of each next level are twice as long. A level holds the cells with points in them and all that touch
these, so the parent of every cell is in the next level. Nothing here has weights or gradients.

Several scans make one pyramid: a cell's key holds the number of its scan, and scans do not touch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

AXIS_BITS = 17
"""Of a cell's coordinate within its key: cells are numbered from 0 to 2^17 - 1 along each axis."""

MOST_SCANS = 1 << (63 - 3 * AXIS_BITS)
LARGEST = 1 << AXIS_BITS

_Z, _Y, _X, _SCAN = 1, 1 << AXIS_BITS, 1 << 2 * AXIS_BITS, 1 << 3 * AXIS_BITS


@dataclass(frozen=True, eq=False)
class Level:
    """The cells of one level, in ascending order of their keys.

    Attributes:
        keys: (M,) int64, of the cells.
        neighbours: (M, 27) int32, rows of the 3 x 3 x 3 cells round each, itself in the middle; M
            where there is none.
        parents: (M,) int64, rows of the next level; empty for the last level.
    """

    keys: Tensor
    neighbours: Tensor
    parents: Tensor

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, eq=False)
class SparsePyramid:
    """The grids of some scans.

    Attributes:
        levels: the finest first.
        point_cells: (N,) int64, the row in level 0 of the cell that each point is in.
        local: (N, 3) float32, points relative to the centre of their cell, in [-0.5, 0.5].
    """

    levels: tuple[Level, ...]
    point_cells: Tensor
    local: Tensor


def pad_of(depth: int) -> int:
    """Return how many cells of level 0 points must keep from 0, for levels that grow by a cell."""
    return 2 << (depth - 1)


def build_pyramid(
    points: Tensor,  # (N, 3) float32 in cells of level 0, at least pad_of(depth) everywhere
    scans: Tensor,  # (N,) int64, which scan each is of, from 0 on
    depth: int,
) -> SparsePyramid:
    """Return the cells round the points on `depth` levels.

    Raises:
        ValueError: points too near to 0 or beyond the last cell, or too many scans.
    """
    cells = points.floor().long()
    if len(cells):
        low, high, count = int(cells.min()), int(cells.max()), int(scans.max()) + 1
        if low < pad_of(depth) or high + pad_of(depth) >= LARGEST or count > MOST_SCANS:
            raise ValueError(
                f"points in cells {low} to {high} of {count} scans; cells go from {pad_of(depth)} "
                f"to {LARGEST - 1 - pad_of(depth)}, scans to {MOST_SCANS}"
            )
    own = pack(cells, scans)
    occupied = torch.unique(own)
    keys = [_dilated(occupied)]
    for _ in range(depth - 1):
        occupied = torch.unique(_parent_keys(occupied))
        keys.append(_dilated(occupied))
    levels = []
    for k, here in enumerate(keys):
        last = k == depth - 1
        parents = here[:0] if last else torch.searchsorted(keys[k + 1], _parent_keys(here))
        levels.append(Level(here, neighbours_of(here), parents))
    local = points - (cells + 0.5)
    return SparsePyramid(tuple(levels), torch.searchsorted(keys[0], own), local)


def pack(
    cells: Tensor,  # (N, 3) int64
    scans: Tensor,  # (N,) int64
) -> Tensor:
    """Return the keys (N,) int64 of cells: neighbours along z follow one another."""
    return ((scans * LARGEST + cells[:, 0]) * LARGEST + cells[:, 1]) * LARGEST + cells[:, 2]


def corners(
    level: Level,
    places: Tensor,  # (Q, 3) float32 in cells of this level
    scans: Tensor,  # (Q,) int64
) -> tuple[Tensor, Tensor]:
    """Return the cells whose centres are round each place, and their trilinear weights.

    Returns:
        Rows (Q, 8) int64 of the level, M where there is no such cell, and weights (Q, 8) float32
        with sum 1, those of absent cells included.
    """
    shifted = places - 0.5
    base = shifted.floor()
    fraction = shifted - base
    first = pack(base.long(), scans)
    starts = torch.stack([first, first + _Y, first + _X, first + _X + _Y], dim=1)  # (Q, 4)
    rows = _rows_along_z(level.keys, starts, 2)  # (Q, 4, 2)
    wx, wy, wz = (torch.stack([1 - f, f], dim=1) for f in fraction.unbind(1))
    weights = wx[:, :, None, None] * wy[:, None, :, None] * wz[:, None, None, :]
    return rows.flatten(1), weights.flatten(1)


def dilated_cells(
    cells: Tensor,  # (N, 3) int64, at least 1
    scans: Tensor,  # (N,) int64
) -> Tensor:
    """Return the keys (M,) of the cells and of all that touch them, ascending."""
    return _dilated(torch.unique(pack(cells, scans)))


class SparseCells:
    """Features of the cells of all levels, looked up on the processor where nothing is learned.

    Args:
        levels: the finest first.
        features: (M or M + 1, C) float32 of the cells of each level, in their order.
    """

    def __init__(self, levels: Sequence[Level], features: Sequence[Tensor]) -> None:
        from onet import _C

        self._cells = _C.SparseCells(
            [level.keys.numpy() for level in levels], [f.numpy() for f in features], _X, _Y
        )

    def blend(
        self,
        queries: Tensor,  # (Q, 3) float32 in cells of the finest level
        scans: Tensor,  # (Q,) int64
    ) -> Tensor:  # (Q, C)
        """Return the features between the cells, those of coarser levels where finer ones end."""
        found = self._cells.blend(
            queries.contiguous().numpy(), (scans * _SCAN).numpy(), torch.get_num_threads()
        )
        return torch.from_numpy(found)


def _parent_keys(keys: Tensor) -> Tensor:
    mask = LARGEST - 1
    x, y, z = (keys >> 2 * AXIS_BITS) & mask, (keys >> AXIS_BITS) & mask, keys & mask
    scan = keys >> 3 * AXIS_BITS
    return (((scan << AXIS_BITS | x >> 1) << AXIS_BITS) | y >> 1) << AXIS_BITS | z >> 1


def _dilated(keys: Tensor) -> Tensor:
    """The cells and all that touch them; ascending."""
    for step in (_Z, _Y, _X):
        keys = torch.unique(torch.cat([keys - step, keys, keys + step]))
    return keys


def neighbours_of(keys: Tensor) -> Tensor:
    """Return the rows (M, 27) int32 of the cells round each of ascending keys (M,); M for none."""
    if keys.is_cuda:
        return searched_neighbours(keys)
    from onet import _C

    return torch.from_numpy(_C.cell_neighbours(keys.numpy(), _X, _Y, torch.get_num_threads()))


def searched_neighbours(keys: Tensor) -> Tensor:
    """Return the same by binary search, on any device."""
    steps = [_X * dx + _Y * dy - _Z for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    offsets = torch.tensor(steps, device=keys.device)
    return _rows_along_z(keys, keys[:, None] + offsets, 3).flatten(1).int()


def _rows_along_z(
    keys: Tensor,  # (M,) ascending
    starts: Tensor,  # (Q, R) keys
    length: int,
) -> Tensor:
    """Rows (Q, R, length) of the cells start, start + 1 ...: one search for each run of them."""
    count = len(keys)
    row = torch.searchsorted(keys, starts)
    found = []
    for wanted in (starts + z for z in range(length)):
        here = torch.gather(keys, 0, row.clamp(max=count - 1).flatten()).view_as(row)
        there = (row < count) & (here == wanted)
        found.append(torch.where(there, row, count))
        row = row + there
    return torch.stack(found, dim=-1)
