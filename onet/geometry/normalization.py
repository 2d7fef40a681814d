"""The unit frame that all models work in, and the way back to the user's coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.errors import DataError

if TYPE_CHECKING:
    import trimesh


UNCERTAINTY = "uncertainty"
"""A vertex attribute that is a length, and so changes with the frame: `geometry.uncertainty`."""


@dataclass(frozen=True, eq=False)
class UnitFrame:
    """A similarity `source = unit * scale + loc` between the unit frame and the source frame.

    In the unit frame an object's bounding box is centred at 0 and its longest edge is 1 (the
    published convention of Occupancy Networks).

    Attributes:
        loc: (3,) float64, the centre of the bounding box in the source frame.
        scale: the longest edge of the bounding box, in source units.
    """

    loc: NDArray[np.float64]
    scale: float

    @classmethod
    def of(cls, points: ArrayLike, source: str = "points") -> UnitFrame:
        """Return the frame in which the box of `points` (N, 3) has centre 0 and longest edge 1.

        Args:
            points: (N, 3) points or vertices in the source frame.
            source: what to call them in an error message, a file name for instance.

        Raises:
            DataError: no points, a shape other than (N, 3), NaN or infinite values, or zero extent.
        """
        array = np.asarray(points, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != 3 or len(array) == 0:
            raise DataError(
                f"{source}: expected points of shape (N, 3) with N > 0, found {array.shape}; "
                "give x, y, z for each point"
            )
        if not np.isfinite(array).all():
            bad = int((~np.isfinite(array).all(axis=1)).sum())
            raise DataError(
                f"{source}: {bad} of {len(array)} points are NaN or infinite; remove them"
            )
        low, high = array.min(axis=0), array.max(axis=0)
        scale = float((high - low).max())
        if not scale > 0 or not np.isfinite(scale):
            raise DataError(
                f"{source}: the bounding box has extent {scale}; all points coincide or overflow; "
                "export the shape again, or give the frame of the object with its points"
            )
        return cls((low + high) / 2, scale)

    @classmethod
    def of_mesh(cls, mesh: trimesh.Trimesh, source: str = "mesh") -> UnitFrame:
        """Return the frame of a mesh by vertices that its faces use; see `of` and `used_vertices`.

        Raises:
            DataError: no faces, and as `of` says.
        """
        if len(mesh.faces) == 0:
            raise DataError(f"{source}: has no faces; export it as a surface")
        return cls.of(used_vertices(mesh), source)

    def to_unit(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points (..., 3) of the source frame in the unit frame, float64."""
        return (np.asarray(points, dtype=np.float64) - self.loc) / self.scale

    def to_source(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points (..., 3) of the unit frame in the source frame, float64."""
        return np.asarray(points, dtype=np.float64) * self.scale + self.loc

    def mesh_to_unit(self, mesh: trimesh.Trimesh) -> trimesh.Trimesh:
        """Return a copy of `mesh` (source frame) in the unit frame."""
        return _with_vertices(mesh, self.to_unit(mesh.vertices), 1 / self.scale)

    def mesh_to_source(self, mesh: trimesh.Trimesh) -> trimesh.Trimesh:
        """Return a copy of `mesh` (unit frame) in the source frame."""
        return _with_vertices(mesh, self.to_source(mesh.vertices), self.scale)

    def compose(self, inner: UnitFrame) -> UnitFrame:
        """Return the frame of an object normalised twice: by `self`, then by `inner`."""
        return UnitFrame(self.to_source(inner.loc), self.scale * inner.scale)


def used_vertices(mesh: trimesh.Trimesh) -> NDArray[np.float64]:
    """Vertices (U, 3) that a face names: what a mesh's size is measured by.

    The others are no part of the surface, wherever they are, NaN included.
    """
    faces = np.asarray(mesh.faces, dtype=np.int64).reshape(-1)
    vertices = np.asarray(mesh.vertices, dtype=np.float64).reshape(-1, 3)
    used = np.zeros(len(vertices), dtype=bool)
    used[faces] = True
    return vertices[used]


def without_loose_vertices(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """Return the mesh itself where faces use all its vertices, else a copy without the others."""
    if len(used_vertices(mesh)) == len(mesh.vertices):
        return mesh
    result = mesh.copy()
    result.remove_unreferenced_vertices()
    return result


def _with_vertices(
    mesh: trimesh.Trimesh, vertices: NDArray[np.float64], scale: float
) -> trimesh.Trimesh:
    result = mesh.copy()
    result.vertices = vertices
    if UNCERTAINTY in mesh.vertex_attributes:
        lengths = np.asarray(mesh.vertex_attributes[UNCERTAINTY])
        result.vertex_attributes[UNCERTAINTY] = (lengths * scale).astype(np.float32)
    if "normals" in mesh.metadata:  # trimesh forgets them; a similarity leaves them as they are
        result.vertex_normals = mesh.vertex_normals  # type: ignore[method-assign]
    return result
