"""Parts of shapes as items of their own, for networks that will see scenes through windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onet.data.store import POINTCLOUD, POINTS, Item
from onet.errors import ConfigError, DataError
from onet.geometry.normalization import UnitFrame

HALF = 0.55  # of what a network sees of its frame: the unit cube and its padding
_ATTEMPTS = 100


@dataclass(frozen=True)
class Windows:
    """Random cubes around parts of shapes; each becomes a unit cube, as in `onet.inference.scene`.

    The logarithm of the edge is uniform. Each cube has a random point of the surface somewhere in
    it, so every window shows something.

    Args:
        edges: the shortest and the longest, in longest edges of the shape.

    Raises:
        ConfigError: edges out of order, or so short that few stored points lie in a window.
    """

    edges: tuple[float, float]

    def __post_init__(self) -> None:
        shortest, longest = self.edges
        if not 0.1 <= shortest <= longest:
            raise ConfigError(
                f"data.windows: edges {shortest} to {longest}; give the shortest, at least 0.1, "
                "then the longest, in longest edges of a shape"
            )

    def draw(
        self, item: Item, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """A window of an item.

        Returns:
            What is seen of the surface, (M, 3) with M at least 1; query points, (count, 3), uniform
            in [-0.55, 0.55]^3; their occupancies, (count,) in {0, 1}. Both kinds of points are in
            the frame of the window.

        Raises:
            DataError: the item's query points leave parts of their cube empty.
        """
        surface = item.points(POINTCLOUD)
        stored = item.points(POINTS)
        low, high = stored.min(axis=0), stored.max(axis=0)
        for _ in range(_ATTEMPTS):
            edge = float(np.exp(rng.uniform(*np.log(self.edges))))
            middle = surface[rng.integers(len(surface))] + edge * rng.uniform(-0.5, 0.5, 3)
            frame = UnitFrame(middle, edge)
            points = rng.uniform(-HALF, HALF, (count, 3))
            placed = frame.to_source(points)
            known = ((placed >= low) & (placed <= high)).all(axis=1)
            within = np.flatnonzero(_inside(stored, frame))
            if known.any() and not len(within):
                continue
            # Where the item has stored points they are taken; beyond them there is nothing.
            occupancies = np.zeros(count, dtype=np.float32)
            if known.any():
                chosen = within[rng.integers(len(within), size=int(known.sum()))]
                points[known] = frame.to_unit(stored[chosen])
                occupancies[known] = item.occupancies(chosen)
            seen = frame.to_unit(surface[_inside(surface, frame)])
            return seen.astype(np.float32), points.astype(np.float32), occupancies
        raise DataError(
            f"{item.name}: {_ATTEMPTS} windows without query points; give longer data.windows, or "
            "prepare more query points"
        )


def _inside(points: NDArray[np.floating], frame: UnitFrame) -> NDArray[np.bool_]:
    """Which points (N, 3) the window sees."""
    # In the stored precision: half of a half-precision spacing does not matter at a border.
    low, high = frame.to_source([-HALF] * 3), frame.to_source([HALF] * 3)
    low, high = low.astype(points.dtype), high.astype(points.dtype)
    return np.logical_and.reduce((points >= low) & (points <= high), axis=1)
