"""The lattice that an extraction works on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Cells of the base grid along the longest side, at least: a coarser one overlooks thin parts.
MIN_BASE = 32


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
        resolution = int(resolution)
        if base_resolution is None:
            levels = max(0, (resolution // MIN_BASE).bit_length() - 1)
            along = -(-resolution // 2**levels)
        else:
            along = int(base_resolution)
            levels = max(0, (-(-resolution // along) - 1).bit_length())
        extent = box[1] - box[0]
        cell = float(extent.max()) / (along * 2**levels)
        # The tolerance keeps a side that is a whole number of base cells from getting one more.
        base = np.ceil(extent / (cell * 2**levels) - 1e-9).astype(int)
        origin = box.mean(axis=0) - base * cell * 2**levels / 2
        return Lattice(origin, cell, (int(base[0]), int(base[1]), int(base[2])), levels)

    def positions_of(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (N, 3) of the frame of the box in units of finest cells from the origin."""
        return np.ascontiguousarray((points - self.origin) / self.cell)

    def cells_of(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        """The different finest cells (M, 3) that contain points (N, 3), in the box or out of it."""
        cells = np.clip(np.floor(self.positions_of(points)), -1, 2**20)
        return np.ascontiguousarray(np.unique(cells.astype(np.int32), axis=0))
