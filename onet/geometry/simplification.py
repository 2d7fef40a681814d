"""Fewer faces for the same solid.

The libraries at hand collapse edges without asking whether the surface stays a surface: of noisy
networks' meshes they make open ones. Here that is refused, collapse by collapse, so a closed mesh
stays closed whatever the budget; how it works is told in `csrc/simplify.h`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onet.geometry.normalization import without_loose_vertices

if TYPE_CHECKING:
    import trimesh

logger = logging.getLogger(__name__)


def simplify(
    mesh: trimesh.Trimesh, faces: int, fixed: NDArray[np.bool_] | None = None
) -> trimesh.Trimesh:
    """Return the mesh with at most `faces` faces, closed, manifold and oriented as before.

    Components and handles stay too, and with them the four faces that the smallest component needs.
    What a component encloses, and all together, keeps its sign and at least a tenth of its size: a
    solid is never turned inside out. Where no further collapse is possible without that, without
    breaking the surface or turning a triangle over, more faces than asked for remain, and a warning
    is logged.

    Args:
        mesh: closed, manifold and consistently oriented, as `extract_mesh` returns it; any frame.
        faces: budget, at least 4. A mesh that has no more is returned as a copy.
        fixed: (V,) vertices that stay where they are; None fixes none.

    Returns:
        New mesh in the same frame, without normals or colours. Its metadata are those of `mesh` and
        `simplification`: faces `before`, `budget` and `after`.

    Raises:
        ValueError: a budget below 4, vertices that are not finite, or a mesh that is not closed,
            manifold and oriented; the message names an edge or vertex where it is not.
    """
    import trimesh

    from onet import _C

    if faces < 4:
        raise ValueError(f"faces is {faces}; a closed mesh has at least 4")
    if not np.isfinite(mesh.vertices).all():
        raise ValueError("mesh has vertices that are NaN or infinite; remove them first")
    if fixed is not None and np.shape(fixed) != (len(mesh.vertices),):
        raise ValueError(f"fixed has shape {np.shape(fixed)}; give one value a vertex")
    if fixed is not None:
        fixed = np.asarray(fixed)[_used(mesh)]
    mesh = without_loose_vertices(mesh)  # they would be part of the size that it is scaled by
    vertices = np.ascontiguousarray(mesh.vertices, dtype=np.float64)
    triangles = np.ascontiguousarray(mesh.faces, dtype=np.int64)
    kept = None if fixed is None else np.ascontiguousarray(fixed, dtype=np.uint8)
    if len(triangles) > faces:
        try:
            vertices, triangles = _C.simplify(vertices, triangles, faces, kept)
        except ValueError as error:
            raise ValueError(f"mesh cannot be simplified: {error}; close it first") from None
    if len(triangles) > faces:
        logger.warning(
            "%d faces remain of %d asked for: fewer would break the surface, or turn the solid or "
            "a part of it inside out", len(triangles), faces,
        )  # fmt: skip
    result = trimesh.Trimesh(vertices, triangles, process=False)
    result.metadata.update(mesh.metadata)
    result.metadata["simplification"] = {
        "before": len(mesh.faces),
        "budget": faces,
        "after": len(triangles),
    }
    return result


def _used(mesh: trimesh.Trimesh) -> NDArray[np.bool_]:
    used = np.zeros(len(mesh.vertices), dtype=bool)
    used[np.asarray(mesh.faces).reshape(-1)] = True
    return used
