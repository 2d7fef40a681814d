"""Which vertices of a mesh hang together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pieces_of_vertices(
    faces: NDArray[np.int64],  # (F, 3)
    count: int,
) -> NDArray[np.int64]:  # (V,)
    """Return a number from 0 on for each of `count` vertices: the same where edges lead."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(2 * len(faces), dtype=np.int8)
    rows, columns = np.r_[faces[:, 0], faces[:, 1]], np.r_[faces[:, 1], faces[:, 2]]
    graph = coo_matrix((ones, (rows, columns)), shape=(count, count))
    labels: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels
