"""How far apart the points of a cloud lie, here and there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onet.geometry.nearest import NearestNeighbors

NEIGHBORS = 12
"""Points that a spacing is measured by: enough for rows of a scanner that are ten times as far from
one another as the points in them."""

SAMPLES = 20_000
_SMOOTHED = 5


@dataclass(frozen=True, eq=False)
class LocalSpacing:
    """The spacing of a cloud at some of its points.

    Where so many points lie on a piece of surface as would lie on a square lattice, the spacing is
    the side of its cells.

    Attributes:
        places: (S, 3) points of the cloud.
        values: (S,) spacing there, in units of the cloud.
    """

    places: NDArray[np.float64]
    values: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        points: NDArray[np.float64],  # (N, 3), N > 1, copies left out
        samples: int = SAMPLES,
        seed: int = 0,
    ) -> LocalSpacing:
        """Measure the spacing at all points, or at so many that are chosen by `seed`."""
        from scipy.spatial import cKDTree

        from onet.machine import threads

        places = points
        if len(points) > samples:
            rng = np.random.default_rng(seed)
            places = points[np.sort(rng.choice(len(points), samples, replace=False))]
        near = min(NEIGHBORS, len(points) - 1)
        tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
        far = tree.query(places, [near + 1], workers=threads())[0][:, 0]
        values = far * math.sqrt(math.pi / near)
        smoothed = min(_SMOOTHED, len(places))
        _, beside = cKDTree(places).query(places, range(1, smoothed + 1), workers=threads())
        return cls(places, np.median(values[beside], axis=1))

    def at(
        self,
        queries: NDArray[np.float64],  # (Q, 3)
    ) -> NDArray[np.float64]:  # (Q,)
        """Return the spacing at the nearest of the places."""
        return self.values[NearestNeighbors(self.places).query(queries)[1]]

    @property
    def typical(self) -> float:
        """The median."""
        return float(np.median(self.values))
