"""Random points on surfaces and in boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError

if TYPE_CHECKING:
    import trimesh


def surface_area(mesh: trimesh.Trimesh) -> float:
    """Area of all triangles; 0 for a mesh without faces."""
    from onet import _C

    return _C.surface_area(*_arrays(mesh))


def sample_surface(
    mesh: trimesh.Trimesh, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Points distributed uniformly over the area of `mesh`, in random order.

    Triangles without area are never chosen. For a given state of `rng` these are the points of
    `trimesh.sample.sample_surface`, up to rounding.

    Returns:
        points (count, 3) float64 in the frame of the mesh; normals (count, 3) float64, the unit
        normals of their faces; face_index (count,) int64.

    Raises:
        DataError: the mesh has no area.
    """
    from onet import _C

    area = surface_area(mesh)
    if not 0 < area < np.inf:
        raise DataError(
            f"mesh with {len(mesh.faces)} faces and area {area} has no area to sample; "
            "check its faces"
        )
    return _C.sample_surface(*_arrays(mesh), rng.random(count), rng.random(2 * count))


def sample_box(count: int, padding: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Points uniform in the padded unit cube, `[-(1 + padding) / 2, (1 + padding) / 2]^3`.

    Returns:
        (count, 3) float32 in the unit frame.
    """
    return ((rng.random((count, 3)) - 0.5) * (1 + padding)).astype(np.float32)


def _arrays(mesh: trimesh.Trimesh) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    vertices = np.ascontiguousarray(mesh.vertices, dtype=np.float64)
    return vertices.reshape(-1, 3), np.ascontiguousarray(mesh.faces, dtype=np.int64).reshape(-1, 3)
