"""Pictures of a surface in the colours of a field, without light."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onet.geometry.color.baking import ColorField

if TYPE_CHECKING:
    import trimesh

    from onet.geometry.cameras import Camera

Shown = tuple[NDArray[np.float64], NDArray[np.bool_]]


def surface_seen(mesh: trimesh.Trimesh, camera: Camera, size: int) -> Shown:
    """Return the points (S, S, 3) of the mesh that the centres of pixels show, and where (S, S).

    Args:
        mesh: in the frame of the camera's world, wholly in front of it.
        camera: of a picture of `size` pixels.
        size: pixels along an edge.

    Raises:
        ValueError: a vertex lies beside or behind the camera.
    """
    from onet import _C

    faces = np.ascontiguousarray(mesh.faces, dtype=np.int64)
    points = np.zeros((size, size, 3))
    if len(faces) == 0:
        return points, np.zeros((size, size), dtype=bool)
    pixels, depth = camera.project(mesh.vertices)
    if not depth.min() > 0:
        raise ValueError("the camera is inside the mesh's extent; move it back")
    # -1 / depth is linear in the picture
    _, face = _C.rasterize(np.column_stack([pixels, -1 / depth]), faces, size, size)
    shown = face >= 0
    rows, columns = np.nonzero(shown)
    through = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], -1)
    rays = through @ np.linalg.inv(camera.intrinsics).T @ camera.pose[:, :3]
    corners = np.asarray(mesh.vertices)[faces[face[shown]]]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    along = np.einsum("ij,ij->i", normals, rays)
    height = np.einsum("ij,ij->i", normals, corners[:, 0] - camera.centre)
    edgewise = np.abs(along) <= 1e-12 * np.linalg.norm(normals, axis=1)
    distance = height / np.where(edgewise, 1, along)
    found = camera.centre + distance[:, None] * rays
    points[shown] = np.where(edgewise[:, None], corners.mean(1), found)
    return points, shown


def picture_of(
    mesh: trimesh.Trimesh, color_field: ColorField, camera: Camera, size: int, ground: int = 255
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return a picture (S, S, 3) in the colours of a field, and where the object is (S, S).

    Args:
        mesh, camera, size: see `surface_seen`.
        color_field: of points in the frame of the mesh.
        ground: grey level where the object is not.
    """
    points, shown = surface_seen(mesh, camera, size)
    picture = np.full((size, size, 3), ground, dtype=np.uint8)
    if shown.any():
        colors = np.asarray(color_field(points[shown]), dtype=np.float64)
        picture[shown] = np.round(255 * np.clip(colors, 0, 1)).astype(np.uint8)
    return picture, shown
