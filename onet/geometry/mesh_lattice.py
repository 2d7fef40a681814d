"""The lattice that a mesh of `extract_mesh` was taken from, and where on it the vertices lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onet.geometry.lattice import point_dtype

if TYPE_CHECKING:
    import trimesh

# In cells. No vertex is nearer to a lattice point than MARGIN (kMargin of csrc/marching_cubes.h).
MARGIN = 1e-4
_ROUNDING = 1e-6  # of coordinates computed back from a mesh, near the origin


@dataclass(frozen=True, eq=False)
class MeshLattice:
    """Points `origin + cell * (i, j, k)` for 0 <= (i, j, k) <= resolution.

    Attributes:
        origin: (3,) float64, in the frame of the mesh.
        cell: edge of a cell in units of that frame.
        resolution: (3,) int64, cells per axis.
    """

    origin: NDArray[np.float64]
    cell: float
    resolution: NDArray[np.int64]

    @classmethod
    def of(cls, mesh: trimesh.Trimesh) -> MeshLattice:
        """Return the lattice noted in the metadata of a mesh that `extract_mesh` returned.

        Raises:
            ValueError: there is none.
        """
        told = mesh.metadata.get("extraction", {})
        if "lattice" not in told:
            raise ValueError("mesh.metadata names no lattice; give a mesh made by extract_mesh")
        return cls(
            np.asarray(told["lattice"]["origin"], dtype=np.float64),
            float(told["lattice"]["cell"]),
            np.asarray(told["resolution"], dtype=np.int64),
        )

    @property
    def dtype(self) -> type[np.float32] | type[np.float64]:
        """Of the points at which the field is asked: that of the extraction."""
        return point_dtype(self._furthest, self.cell)

    @property
    def _furthest(self) -> float:
        corners = [self.origin, self.origin + self.cell * self.resolution]
        return float(np.abs(corners).max())

    def points(self, indices: NDArray[np.int64]) -> NDArray[np.floating]:
        """Lattice points (N, 3), to the last bit those at which `extract_mesh` asks the field."""
        return (self.origin + self.cell * indices).astype(self.dtype)

    def coordinates(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (N, 3) of the mesh's frame in units of cells."""
        return (points - self.origin) / self.cell

    def edges(
        self, vertices: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return each vertex's lattice edge: lower end (V, 3), axis (V,), position in (0, 1) (V,).

        Raises:
            ValueError: a vertex lies on no lattice edge: the mesh was moved or simplified.
        """
        found = self.coordinates(vertices)
        whole = np.rint(found)
        off = np.abs(found - whole)
        axis = off.argmax(axis=1)
        rows = np.arange(len(found))
        along = found[rows, axis]
        off[rows, axis] = 0
        rounding = max(_ROUNDING, 4 * float(np.spacing(self._furthest)) / self.cell)
        if len(found) and off.max() > rounding:
            raise ValueError(
                f"{np.count_nonzero(off.max(axis=1) > rounding)} of {len(found)} vertices lie on "
                "no edge of the lattice; give the mesh as extract_mesh made it"
            )
        start = whole.astype(np.int64)
        start[rows, axis] = np.floor(along).astype(np.int64)
        return start, axis, along - start[rows, axis]

    def middles(self, vertices: NDArray[np.float64]) -> NDArray[np.float64]:
        """The middles (V, 3) of the lattice edges that vertices lie on; errors as of `edges`."""
        start, axis, _ = self.edges(vertices)
        middle = start.astype(np.float64)
        middle[np.arange(len(middle)), axis] += 0.5
        return np.asarray(self.origin + self.cell * middle)

    def beyond(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        """Sides of the box that points (N, 3) lie beyond: -1, 0 or 1 for each axis, (N, 3).

        Only the flat ends, where the object leaves the box, lie there: half a margin or more.
        """
        found = self.coordinates(points)
        low, high = found < -MARGIN / 2, found > self.resolution + MARGIN / 2
        return high.astype(np.int64) - low
