"""Random points on surfaces and in boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError

if TYPE_CHECKING:
    import trimesh


def sample_surface(
    mesh: trimesh.Trimesh, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Points distributed uniformly over the area of `mesh`.

    Returns:
        points (count, 3) float64 in the frame of the mesh; normals (count, 3) float64, the unit
        normals of their faces; face_index (count,) int64.

    Raises:
        DataError: the mesh has no area.
    """
    from trimesh.sample import sample_surface as trimesh_sample_surface

    if not mesh.area > 0:
        raise DataError(f"mesh with {len(mesh.faces)} faces has no area to sample; check its faces")
    points, face_index = trimesh_sample_surface(mesh, count, seed=rng)
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces[face_index]], 1, 0)
    normals = np.cross(b - a, c - a)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(points), normals, np.asarray(face_index, dtype=np.int64)


def sample_box(count: int, padding: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Points uniform in the padded unit cube, `[-(1 + padding) / 2, (1 + padding) / 2]^3`.

    Returns:
        (count, 3) float32 in the unit frame.
    """
    return ((rng.random((count, 3)) - 0.5) * (1 + padding)).astype(np.float32)
