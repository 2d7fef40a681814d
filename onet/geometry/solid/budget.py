"""Fewer faces for a solid, of which none crosses another."""

from __future__ import annotations

import logging

import trimesh

from onet.geometry.simplification import simplify
from onet.geometry.solid.crossings import crossing_faces

logger = logging.getLogger(__name__)

STEPS = (1.0, 1.25, 1.6, 2.5, 4.0)
"""Multiples of the budget that are tried until no face crosses another."""


def with_fewer_faces(mesh: trimesh.Trimesh, faces: int, threads: int = 0) -> trimesh.Trimesh:
    """Return the mesh with at most `faces` faces, or with as many as it takes not to cross.

    Args:
        mesh: closed, manifold, oriented, without crossing faces.
        faces: budget, at least 4.
        threads: 0 for all cores, or OMP_NUM_THREADS if that is set.
    """
    for step in STEPS:
        budget = int(step * faces)
        if budget >= len(mesh.faces):
            break
        fewer = simplify(mesh, budget)
        if not len(crossing_faces(fewer, threads)):
            if step > 1:
                logger.warning(
                    "%d faces remain of %d asked for: fewer would cross", len(fewer.faces), faces
                )
            return fewer
    if len(mesh.faces) > faces:
        logger.warning("all %d faces remain: fewer would cross", len(mesh.faces))
    return mesh
