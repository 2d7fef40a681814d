"""Colours of a mesh on another one whose surface lies on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import trimesh

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
