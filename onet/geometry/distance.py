"""Closest points on a triangle mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.geometry.normalization import without_loose_vertices

if TYPE_CHECKING:
    import trimesh


class TriangleTree:
    """Bounding volume hierarchy over the triangles of a mesh, to ask for closest points."""

    def __init__(self, mesh: trimesh.Trimesh) -> None:
        """Vertices that no face uses do not matter.

        Raises:
            ValueError: a mesh without faces, or corners that are not finite or beyond 1e70.
        """
        from onet import _C

        mesh = without_loose_vertices(mesh)
        self._tree = _C.TriangleTree(
            np.ascontiguousarray(mesh.vertices, dtype=np.float64),
            np.ascontiguousarray(mesh.faces, dtype=np.int64),
        )

    def closest(
        self,
        points: ArrayLike,  # (N, 3) in the frame of the mesh
        threads: int = 0,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Closest surface points (N, 3), distances (N,) and the indices (N,) of their faces."""
        return self._tree.closest(np.ascontiguousarray(points, dtype=np.float64), threads)


def closest_point(
    mesh: trimesh.Trimesh,
    points: ArrayLike,  # (N, 3) in the frame of the mesh
    threads: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Closest surface points (N, 3), distances (N,), face indices (N,) for one set of queries."""
    return TriangleTree(mesh).closest(points, threads)
