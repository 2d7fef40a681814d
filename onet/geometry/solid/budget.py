"""Fewer faces for a solid, of which none crosses another."""

from __future__ import annotations

import logging

import numpy as np
import trimesh
from numpy.typing import NDArray

from onet.geometry.mesh_writing import median_edge
from onet.geometry.simplification import simplify
from onet.geometry.solid.crossings import crossing_faces
from onet.geometry.solid.rounding import storable

logger = logging.getLogger(__name__)

ROUNDS = 6
"""Times that vertices around faces that crossed are fixed before a step is given up."""


def with_fewer_faces(mesh: trimesh.Trimesh, faces: int, threads: int = 0) -> trimesh.Trimesh:
    """Return the mesh with at most `faces` faces, or with as many as it takes not to cross.

    The faces are halved step by step. Where faces cross after a step, the vertices around them are
    fixed in it; while they are still small, few others are.

    Args:
        mesh: closed, manifold, oriented, without crossing faces.
        faces: budget, at least 4.
        threads: 0 for all cores, or OMP_NUM_THREADS if that is set.
    """
    edge = median_edge(mesh)
    while len(mesh.faces) > faces:
        fewer = _halved(mesh, max(faces, len(mesh.faces) // 2), edge, threads)
        if fewer is None or len(fewer.faces) > 0.98 * len(mesh.faces):
            logger.warning(
                "%d faces remain of %d asked for: fewer would cross", len(mesh.faces), faces
            )
            break
        mesh = fewer
    return mesh


def _halved(mesh: trimesh.Trimesh, faces: int, edge: float, threads: int) -> trimesh.Trimesh | None:
    """Return the mesh with about `faces` faces, of which none cross; None if that fails."""
    fixed = np.zeros(len(mesh.vertices), dtype=bool)
    for turn in range(ROUNDS):
        fewer = simplify(mesh, faces, fixed)
        fewer.vertices = storable(np.asarray(fewer.vertices), edge)
        pairs = crossing_faces(fewer, threads)
        if not len(pairs):
            return fewer
        fixed |= _around(mesh, fewer, pairs, 1.5**turn)
    return None


def _around(
    mesh: trimesh.Trimesh, fewer: trimesh.Trimesh, pairs: NDArray[np.int64], reach: float
) -> NDArray[np.bool_]:
    """Return the vertices (V,) of a mesh that lie around faces of a simplified one."""
    from scipy.spatial import cKDTree

    corners = np.asarray(fewer.vertices)[fewer.faces[np.unique(pairs)]]
    middle = corners.mean(axis=1)
    radius = reach * np.linalg.norm(corners - middle[:, None], axis=2).max(axis=1)
    tree = cKDTree(mesh.vertices)
    found = tree.query_ball_point(middle, radius)
    result = np.zeros(len(mesh.vertices), dtype=bool)
    result[np.concatenate([np.asarray(near, dtype=np.int64) for near in found])] = True
    result[tree.query(middle)[1]] = True
    return result
