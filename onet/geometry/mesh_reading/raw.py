"""What a reader hands on: vertices, triangles, and colours where they were asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onet.geometry.mesh_reading.files import MeshFiles
from onet.geometry.mesh_reading.polygons import cut_polygons

UNPAINTED = np.array([184, 184, 184, 255], dtype=np.uint8)


@dataclass
class RawMesh:
    """Triangles as a file gives them.

    Attributes:
        vertices: (N, 3) float64.
        faces: (M, 3) int64, indices into `vertices`.
        colors: (M, 4) uint8, RGBA of the faces, or None where the file has none.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    colors: NDArray[np.uint8] | None = None


@dataclass
class RawPoints:
    """Points as a file gives them, faces or not.

    Attributes:
        points: (N, 3) float64.
        normals: (N, 3), or None where the file has none.
        colors: (N, 3) or (N, 4) integers or fractions as the file has them, or None.
    """

    points: NDArray[np.float64]
    normals: NDArray[np.generic] | None = None
    colors: NDArray[np.generic] | None = None


def from_polygons(
    files: MeshFiles,
    vertices: NDArray[np.float64],
    corners: NDArray[np.int64],
    sizes: NDArray[np.int64],
    first: int = 0,
) -> tuple[RawMesh, NDArray[np.int64], NDArray[np.int64]]:
    """Return the triangles of polygons, and whence they come.

    Args:
        files: named in errors.
        vertices: (N, 3).
        corners: (C,) vertex indices of all polygons, one after the other.
        sizes: (P,) number of corners of each.
        first: what the format calls the first vertex.

    Returns:
        The mesh without colours; (M, 3) places of the triangles' corners in `corners`; (M,)
        polygons of the triangles.

    Raises:
        DataError: a corner that names no vertex.
    """
    check_range(files, corners, len(vertices), first)
    places, polygons = cut_polygons(vertices, corners, sizes)
    return RawMesh(vertices, corners[places].reshape(-1, 3)), places, polygons


def check_range(files: MeshFiles, corners: NDArray[np.int64], count: int, first: int = 0) -> None:
    """Raise a DataError if a face names a vertex that is not there."""
    if len(corners) and (corners.min() < 0 or corners.max() >= count):
        wrong = corners[(corners < 0) | (corners >= count)][0]
        raise files.error(
            f"a face names the vertex {wrong + first}, outside {first}..{count - 1 + first}; "
            "the file is damaged, export it again"
        )


def joined(meshes: list[RawMesh]) -> RawMesh:
    """Return one mesh of all; parts without colours are grey where another part has any."""
    if len(meshes) == 1:
        return meshes[0]
    if not meshes:
        return RawMesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64))
    first = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    colors = None
    if any(mesh.colors is not None for mesh in meshes):
        colors = np.concatenate(
            [
                np.tile(UNPAINTED, (len(mesh.faces), 1)) if mesh.colors is None else mesh.colors
                for mesh in meshes
            ]
        )
    return RawMesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, first, strict=False)]),
        colors,
    )


def strip_triangles(count: int) -> NDArray[np.int64]:
    """Return the (count - 2, 3) places of the triangles of a strip; every second one is turned."""
    places = np.arange(max(count - 2, 0))[:, None] + np.arange(3)
    places[1::2, :2] = places[1::2, 1::-1]
    return places


def face_colors(vertex_colors: NDArray[np.uint8], faces: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the mean colour of the corners of each face; (N, 3) or (N, 4) become (M, 4)."""
    mean = vertex_colors[faces].mean(axis=1).astype(np.uint8)
    return mean if mean.shape[1] == 4 else np.pad(mean, ((0, 0), (0, 1)), constant_values=255)


def as_bytes(colors: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return colours as 0..255: integers as they are, floats times 255 unless they exceed 1."""
    values = np.nan_to_num(np.asarray(colors, dtype=np.float64))
    if np.asarray(colors).dtype.kind == "f" and not (values > 1).any():
        values = values * 255
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
