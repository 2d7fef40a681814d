"""Where a moving mesh is stretched: edges that become long, split."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SPLITS = {  # faces of a triangle 0 1 2 with middles 3 of 01, 4 of 12, 5 of 20, by what is split
    0: ((0, 1, 2),),
    1: ((0, 3, 2), (3, 1, 2)),
    2: ((1, 4, 0), (4, 2, 0)),
    4: ((2, 5, 1), (5, 0, 1)),
    3: ((3, 1, 4), (0, 3, 4), (0, 4, 2)),
    6: ((4, 2, 5), (1, 4, 5), (1, 5, 0)),
    5: ((5, 0, 3), (2, 5, 3), (2, 3, 1)),
    7: ((0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)),
}


def stretched_edges(
    vertices: NDArray[np.float64],  # (T, V, 3)
    faces: NDArray[np.int64],  # (F, 3)
    factor: float,
) -> NDArray[np.int64]:  # (E, 2)
    """Return edges that are at some time `factor` times as long as at first, and as most are."""
    edges = np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    lengths = np.stack([np.linalg.norm(v[edges[:, 0]] - v[edges[:, 1]], axis=1) for v in vertices])
    usual = np.median(lengths[0])
    longest = lengths.max(axis=0)
    return edges[
        (longest > factor * np.maximum(lengths[0], usual / 2)) & (longest > factor * usual)
    ]


def split_edges(
    faces: NDArray[np.int64],  # (F, 3)
    edges: NDArray[np.int64],  # (E, 2), each sorted
    count: int,
) -> NDArray[np.int64]:
    """Return faces in which edges are split: the middle of edge e is vertex `count + e`.

    Faces on both sides of an edge are split alike, so a closed mesh stays closed.
    """
    middle = {(int(a), int(b)): count + k for k, (a, b) in enumerate(edges)}
    result: list[tuple[int, ...]] = []
    for face in faces.tolist():
        pairs = [tuple(sorted((face[k], face[(k + 1) % 3]))) for k in range(3)]
        middles = [middle.get(pair, -1) for pair in pairs]
        corners = [*face, *middles]
        split = sum(1 << k for k in range(3) if middles[k] >= 0)
        result += [tuple(corners[i] for i in part) for part in _SPLITS[split]]
    return np.array(result, np.int64).reshape(-1, 3)
