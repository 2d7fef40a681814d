"""A soup of triangles as indices that say which of them are neighbours.

Files repeat vertices for every face or along seams, and repeat faces; here equal ones become one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Faces = NDArray[np.int64]  # (F, 3)

SEAM = 1e-6
"""Vertices of borders that are closer than this, in units of the longest edge, are one."""


def weld(
    vertices: NDArray[np.float64],  # (V, 3) in the unit frame
    faces: Faces,
) -> tuple[NDArray[np.int64], Faces]:
    """Give vertices at one place one index, and leave out what then is no triangle, or no new one.

    Returns:
        source (W,): one of the vertices at each place; faces (G, 3) that name these places.
    """
    places, first, place = np.unique(vertices + 0.0, axis=0, return_index=True, return_inverse=True)
    merged = _different(place.reshape(-1)[faces])
    border = np.unique(border_edges(merged))
    if len(border):
        group = _near(places, border)
        merged = _different(group[merged])
    used, compact = np.unique(merged, return_inverse=True)
    return first[used].astype(np.int64), compact.reshape(-1, 3).astype(np.int64)


def merge(
    vertices: NDArray[np.float64],  # (V, 3)
    faces: Faces,
) -> tuple[NDArray[np.float64], Faces]:
    """Give equal vertices one index; faces stay all, whatever becomes of them.

    Returns:
        vertices (W, 3), faces (F, 3).
    """
    places, place = np.unique(vertices + 0.0, axis=0, return_inverse=True)
    return places, np.ascontiguousarray(place.reshape(-1)[faces], dtype=np.int64)


def border_edges(faces: Faces) -> NDArray[np.int64]:
    """Edges (E, 2) that one face has for itself, walked as that face does."""
    edges = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2)
    size = int(faces.max(initial=0)) + 1
    key = edges.min(axis=1) * size + edges.max(axis=1)
    _, first, uses = np.unique(key, return_index=True, return_counts=True)
    return np.asarray(edges[first[uses == 1]])


def _near(places: NDArray[np.float64], border: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of every place the smallest index among those of its seam."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    pairs = cKDTree(places[border]).query_pairs(SEAM, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(border), len(border)))
    _, group = connected_components(graph, directed=False)
    _, some = np.unique(group, return_index=True)
    result = np.arange(len(places))
    result[border] = border[some[group]]
    return result


def _different(faces: Faces) -> Faces:
    """The faces with three different vertices, each once, in their order."""
    proper = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    faces = faces[proper]
    _, first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    return np.asarray(faces[np.sort(first)])
