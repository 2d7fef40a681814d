"""Does a mesh have an inside? Answered from its shape, not from its indices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import trimesh

TOLERANCE = 1e-6
"""Vertices of borders that are closer than this, in units of the longest edge, are one."""


def open_edges(mesh: trimesh.Trimesh, tolerance: float = TOLERANCE) -> int:
    """Number of edges that an odd number of faces share, 0 where ray parity has a meaning.

    Unlike in `onet.geometry.topology`, vertices at one place are one vertex, as in files that
    repeat them for every face or along seams; and four faces may meet at an edge.

    Args:
        mesh: any frame; vertices of faces are finite.
        tolerance: width of the seams, in units of the longest edge of the mesh's bounding box, that
            count as closed: parts that were rounded differently.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    faces = np.asarray(mesh.faces, dtype=np.int64).reshape(-1, 3)
    odd = _odd_edges(faces)
    if not len(odd):
        return 0
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    border = np.unique(odd)
    used = vertices[np.unique(faces)]
    width = tolerance * float(np.ptp(used, axis=0).max())
    places, inverse = np.unique(vertices[border] + 0.0, axis=0, return_inverse=True)
    pairs = cKDTree(places).query_pairs(width, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(places), len(places)))
    _, group = connected_components(graph, directed=False)
    merged = np.arange(len(vertices))
    merged[border] = len(vertices) + group[inverse.reshape(-1)]
    return len(_odd_edges(merged[faces]))


def _odd_edges(
    faces: NDArray[np.int64],  # (F, 3)
) -> NDArray[np.int64]:  # (E, 2)
    ends = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    ends = ends[ends[:, 0] != ends[:, 1]]
    size = int(faces.max(initial=0)) + 1
    keys, uses = np.unique(ends[:, 0] * size + ends[:, 1], return_counts=True)
    odd = keys[uses % 2 == 1]
    return np.stack([odd // size, odd % size], axis=1)
