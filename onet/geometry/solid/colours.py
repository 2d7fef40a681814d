"""Colours of a mesh on another one whose surface lies on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from onet.geometry.distance import TriangleTree


def with_colours_of(
    source: trimesh.Trimesh, mesh: trimesh.Trimesh, threads: int = 0
) -> trimesh.Trimesh:
    """Give a mesh the colours that another has at the closest points, if it has any.

    Colours of faces become colours of faces, those of vertices are interpolated; textures are left
    out.

    Args:
        source: with colours, in the same frame.
        mesh: gets them.
        threads: 0 for all cores, or OMP_NUM_THREADS if that is set.
    """
    visual: Any = source.visual
    if not visual.defined or visual.kind not in ("face", "vertex"):
        return mesh
    tree = TriangleTree(source)
    if visual.kind == "face":
        nearest = tree.closest(mesh.triangles_center, threads)[2]
        mesh.visual = trimesh.visual.ColorVisuals(mesh, face_colors=visual.face_colors[nearest])
        return mesh
    points, _, face = tree.closest(mesh.vertices, threads)
    weights = trimesh.triangles.points_to_barycentric(source.triangles[face], points)
    weights = np.where(np.isfinite(weights), weights, 1 / 3)  # of faces without area
    colours = np.asarray(visual.vertex_colors, dtype=np.float64)[source.faces[face]]
    mixed = np.einsum("nk,nkc->nc", weights, colours)
    mesh.visual = trimesh.visual.ColorVisuals(
        mesh, vertex_colors=np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    )
    return mesh


def seen_from_outside(
    solid: trimesh.Trimesh, colors: Callable[[NDArray[np.float64]], Any], step: float
) -> Callable[[NDArray[np.float64]], Any]:
    """Return a field of colour on a solid that asks another one a step further out.

    Of layers upon each other, as letters on a sign, the outermost is what is seen.

    Args:
        solid: where points are asked about.
        colors: function of points (N, 3) in the frame of the solid.
        step: how far further out, in the same units.
    """
    tree = TriangleTree(solid)
    normals = np.asarray(solid.face_normals, dtype=np.float64)

    def field(points: NDArray[np.float64]) -> Any:
        points = np.ascontiguousarray(points, dtype=np.float64)
        return colors(points + step * normals[tree.closest(points)[2]])

    return field
