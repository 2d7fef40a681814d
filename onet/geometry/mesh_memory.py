"""Meshes as a user has them: files, and objects of whichever package."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.mesh_io import load_mesh
from onet.geometry.open3d_io import from_open3d

if TYPE_CHECKING:
    import trimesh

MeshLike = Any
"""A mesh file, or a mesh in memory that `take_mesh` takes."""


def take_mesh(given: MeshLike, name: str = "mesh") -> trimesh.Trimesh:
    """Return a `trimesh.Trimesh` of what a user has.

    Args:
        given: a mesh file; a mesh or a scene of trimesh (of a scene all meshes, where it places
            them); a triangle mesh of Open3D, of the old or the tensor kind; or a pair of vertices
            (V, 3) and faces (F, 3), arrays or tensors.
        name: what to call it in an error message.

    Returns:
        A mesh in the frame of what was given; the very same for one of trimesh.

    Raises:
        DataError: a file that cannot be read, something else, a scene without meshes, or faces that
            name vertices that are not there.
    """
    import trimesh

    if isinstance(given, str | os.PathLike):
        return load_mesh(given)
    if isinstance(given, trimesh.Trimesh):
        return given
    if isinstance(given, trimesh.Scene):
        if not any(isinstance(part, trimesh.Trimesh) for part in given.geometry.values()):
            raise DataError(f"{name}: the scene has no meshes; give one that has")
        return given.to_mesh()
    if isinstance(given, tuple | list) and len(given) == 2:
        return _of_arrays(given[0], given[1], name)
    if any(hasattr(given, key) for key in ("triangles", "triangle")):
        try:
            return from_open3d(given)
        except DataError as error:
            raise DataError(f"{name}{str(error).removeprefix('mesh')}") from None
    raise DataError(
        f"{name}: expected a mesh or a file, found {type(given).__name__}; give a file, a mesh of "
        "trimesh or Open3D, or a pair of vertices and faces"
    )


def _of_arrays(vertices: Any, faces: Any, name: str) -> trimesh.Trimesh:
    import trimesh

    points, triangles = _array(vertices, f"{name}: vertices"), _array(faces, f"{name}: faces")
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype.kind not in "iuf":
        raise DataError(f"{name}: expected vertices (V, 3), found {points.dtype} {points.shape}")
    if triangles.size == 0:
        triangles = np.zeros((0, 3), np.int64)
    if triangles.ndim != 2 or triangles.shape[1] != 3 or triangles.dtype.kind not in "iu":
        raise DataError(
            f"{name}: expected faces (F, 3) of whole numbers, found {triangles.dtype} "
            f"{triangles.shape}"
        )
    if triangles.size and not 0 <= triangles.min() <= triangles.max() < len(points):
        raise DataError(
            f"{name}: faces name vertices {triangles.min()} to {triangles.max()} of {len(points)}"
        )
    return trimesh.Trimesh(points.astype(np.float64), triangles.astype(np.int64), process=False)


def _array(given: Any, name: str) -> NDArray[Any]:
    if hasattr(given, "detach"):  # a torch tensor, on any device, of any floating type
        given = given.detach().cpu()
        if given.is_floating_point():
            given = given.double()
    try:
        return np.asarray(given)
    except ValueError as error:  # rows of several lengths
        raise DataError(f"{name}: are no array ({error})") from None
