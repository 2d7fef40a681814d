"""The lattice that an extraction works on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Cells of the base grid along the longest side, at least: a coarser one overlooks thin parts.
MIN_BASE = 32
# Along the shortest side, of boxes that are much longer than wide: at least so many base cells, and
# this part of `resolution` as finest cells, but no more than so many.
MIN_SHORT_BASE, SHORT_PART, MIN_SHORT = 4, 8, 16
# What that may cost: points of the base grid, and finest cells on half of the box's long sides.
MOST_BASE, MOST_SIDES = 2**22, 2**20
MOST_CELLS = 2**20 - 2  # along an axis, of the octree

# Cells by which single precision may move a point; where it is more, points are float64.
SINGLE = 1 / 1024
# The same of double precision, beyond which a box cannot be worked on.
DOUBLE = 1e-5


def point_dtype(furthest: float, cell: float) -> type[np.float32] | type[np.float64]:
    """Return the type of the points at which a field is asked on a lattice.

    Single precision as long as its numbers, at the coordinate `furthest` from 0, are no more than
    1/1024 of a cell apart; else double.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # beyond single precision altogether
        apart = float(np.spacing(np.float32(furthest)))
    return np.float32 if apart <= SINGLE * cell else np.float64


@dataclass(frozen=True)
class Lattice:
    """Cubic cells that cover a box, as `levels` halvings of a base grid.

    Attributes:
        origin: (3,) float64, its minimum corner.
        cell: edge of a finest cell, in units of the box.
        base: cells of the base grid along each axis.
        levels: number of halvings.
    """

    origin: NDArray[np.float64]
    cell: float
    base: tuple[int, int, int]
    levels: int

    @staticmethod
    def over(bounds: ArrayLike, resolution: int, base_resolution: int | None = None) -> Lattice:
        """Lattice over the box `bounds` (2, 3), at least `resolution` cells along its longest side.

        `base_resolution`: cells of the base grid there; by default the smallest number, from 32 on,
        that leaves `resolution` when doubled some times, so that 32 to 63 cells are left. The
        resolution is rounded up to a whole number of halvings. A shorter side is covered by whole
        base cells and centred on them.

        Of a box more than 8 times as long as it is wide the shortest side gets at least 4 base
        cells, by fewer halvings, and a resolution / 8 (but no more than 16) finest cells, by a
        higher resolution, where neither takes more than some millions of points.

        Raises:
            ValueError: anything that cannot be used.
        """
        box = np.asarray(bounds, dtype=np.float64)
        if box.shape != (2, 3) or not np.isfinite(box).all() or not (box[1] > box[0]).all():
            raise ValueError(
                f"bounds must be two finite corners, minimum first, of shape (2, 3); "
                f"got {box.tolist()}"
            )
        longest = {"resolution": resolution, "base_resolution": base_resolution}
        for name, value in longest.items():
            if value is not None and (value != int(value) or value < 1):
                raise ValueError(f"{name} is {value}; it must be a whole number, at least 1")
        extent = box[1] - box[0]
        if base_resolution is None:
            along, levels = _halvings(extent, _resolution_for(extent, int(resolution)))
        else:
            along = int(base_resolution)
            levels = max(0, (-(-int(resolution) // along) - 1).bit_length())
        cell = float(extent.max()) / (along * 2**levels)
        base = _base(extent, along)
        origin = box.mean(axis=0) - base * cell * 2**levels / 2
        _check_distance(box, cell)
        return Lattice(origin, cell, (int(base[0]), int(base[1]), int(base[2])), levels)

    @property
    def dtype(self) -> type[np.float32] | type[np.float64]:
        """Of the points at which a field is asked; see `point_dtype`."""
        return point_dtype(self._furthest, self.cell)

    @property
    def rounding(self) -> float:
        """Cells by which single precision may move a point of the lattice along an axis."""
        return float(np.spacing(np.float32(self._furthest))) / 2 / self.cell

    @property
    def _furthest(self) -> float:
        size = self.cell * 2**self.levels * np.array(self.base)
        return float(np.abs([self.origin, self.origin + size]).max())

    def positions_of(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (N, 3) of the frame of the box in units of finest cells from the origin."""
        return np.ascontiguousarray((points - self.origin) / self.cell)

    def cells_of(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return the different finest cells (M, 3) that contain points (N, 3) anywhere."""
        cells = np.clip(np.floor(self.positions_of(points)), -1, 2**20)
        return np.ascontiguousarray(np.unique(cells.astype(np.int32), axis=0))


def _base(extent: NDArray[np.float64], along: int) -> NDArray[np.int64]:
    """Base cells per axis, `along` the longest."""
    # The tolerance keeps a side that is a whole number of base cells from getting one more.
    return np.ceil(extent / (float(extent.max()) / along) - 1e-9).astype(np.int64)


def _resolution_for(extent: NDArray[np.float64], resolution: int) -> int:
    """`resolution`, or more where the shortest side would get next to no cells."""
    short, middle, longest = np.sort(extent)
    wanted = math.ceil(min(MIN_SHORT, resolution / SHORT_PART) * longest / short)
    affordable = math.floor(math.sqrt(MOST_SIDES * longest / (middle + short)))
    return max(resolution, min(wanted, affordable, MOST_CELLS // 2))


def _halvings(extent: NDArray[np.float64], resolution: int) -> tuple[int, int]:
    """Base cells along the longest side, and how often they are halved."""
    levels = max(0, (resolution // MIN_BASE).bit_length() - 1)
    along = -(-resolution // 2**levels)
    while levels > 0 and _base(extent, along).min() < MIN_SHORT_BASE:
        if math.prod((_base(extent, 2 * along) + 1).tolist()) > MOST_BASE:
            break
        along, levels = 2 * along, levels - 1
    return along, levels


def _check_distance(box: NDArray[np.float64], cell: float) -> None:
    furthest = float(np.abs(box).max())
    if np.spacing(furthest) > DOUBLE * cell:
        raise ValueError(
            f"bounds reach to {furthest:g} and a cell is {cell:g}: double precision cannot tell "
            "points of a cell apart there; move the field nearer to the origin, or take a lower "
            "resolution"
        )
