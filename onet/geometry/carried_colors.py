"""Colours of a cloud on a surface beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEIGHBORS = 8
_ROWS = 1 << 16
_UNSURE = 6.0  # levels of 255 that colours of one surface differ by anyway


def carry_colors(
    vertices: NDArray[np.float64],  # (V, 3)
    points: NDArray[np.float64],  # (N, 3) in the same frame
    colors: NDArray[np.uint8],  # (N, 3)
) -> NDArray[np.uint8]:  # (V, 3)
    """Return the colour of the points round each vertex.

    It is the mean over the nearest points; the nearer ones weigh more, and those whose colour is
    unlike that of the others, as of a stray point or a reflection, weigh little or nothing.
    """
    from scipy.spatial import cKDTree

    from onet.machine import threads

    tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
    near = range(1, min(NEIGHBORS, len(points)) + 1)
    result = np.empty((len(vertices), 3), dtype=np.uint8)
    for start in range(0, len(vertices), _ROWS):
        rows = slice(start, start + _ROWS)
        distances, indices = tree.query(vertices[rows], near, workers=threads())
        result[rows] = _mean_color(distances, colors[indices].astype(np.float64))
    return result


def _mean_color(
    distances: NDArray[np.float64],  # (V, K), ascending
    colors: NDArray[np.float64],  # (V, K, 3)
) -> NDArray[np.uint8]:  # (V, 3)
    width = np.maximum(distances[:, distances.shape[1] // 2, None], np.finfo(float).tiny)
    nearness = np.exp(-((distances / width) ** 2))
    middle = np.median(colors, axis=1, keepdims=True)
    unlike = np.linalg.norm(colors - middle, axis=2)
    usual = 1.5 * np.median(unlike, axis=1, keepdims=True) + _UNSURE
    alike = np.clip(1 - (unlike / (3 * usual)) ** 2, 0, None) ** 2
    weights = nearness * alike
    total = weights.sum(axis=1, keepdims=True)
    weights = np.where(total > 0, weights, nearness)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.round((weights[:, :, None] * colors).sum(axis=1)).astype(np.uint8)
