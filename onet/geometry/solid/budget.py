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

ROUNDS = 8
"""Times that vertices around faces that crossed are fixed before all stay."""


def with_fewer_faces(mesh: trimesh.Trimesh, faces: int, threads: int = 0) -> trimesh.Trimesh:
    """Return the mesh with at most `faces` faces, or with as many as it takes not to cross.

    Where faces cross in the simplified mesh, the vertices around them are fixed and it is
    simplified again, until none do.

    Args:
        mesh: closed, manifold, oriented, without crossing faces.
        faces: budget, at least 4.
        threads: 0 for all cores, or OMP_NUM_THREADS if that is set.
    """
    if len(mesh.faces) <= faces:
        return mesh
    edge = median_edge(mesh)
    fixed = np.zeros(len(mesh.vertices), dtype=bool)
    for turn in range(ROUNDS):
        fewer = simplify(mesh, faces, fixed)
        fewer.vertices = storable(np.asarray(fewer.vertices), edge)
        pairs = crossing_faces(fewer, threads)
        if not len(pairs):
            return fewer
        fixed |= _around(mesh, fewer, pairs, 1.5**turn)
    logger.warning("all %d faces remain of %d asked for: fewer would cross", len(mesh.faces), faces)
    return mesh


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
