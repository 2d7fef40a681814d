"""Colours of a cloud on a surface beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.errors import DataError

NEIGHBORS = 8
_ROWS = 1 << 16
_UNSURE = 6.0  # levels of 255 that colours of one surface differ by anyway


class CloudColors:
    """The field of colour of a coloured cloud: in [0, 1], as pictures encode it.

    At a place it is the mean over the nearest points; the nearer ones weigh more, and those whose
    colour is unlike that of the others, as of a stray point or a reflection, weigh little or
    nothing.
    """

    def __init__(
        self,
        points: NDArray[np.float64],  # (N, 3), any frame
        colors: NDArray[np.uint8],  # (N, 3)
    ) -> None:
        """Build the search for nearest points.

        Raises:
            DataError: no points, or another number of colours.
        """
        from scipy.spatial import cKDTree

        if len(points) == 0 or np.shape(colors) != (len(points), 3):
            raise DataError(
                f"colours of shape {np.shape(colors)} for {len(points)} points; give one RGB for "
                "each point, and at least one point"
            )
        self._middle = points.mean(axis=0)
        self._tree = cKDTree(points - self._middle, balanced_tree=False, compact_nodes=False)
        self._colors = np.asarray(colors)

    def __call__(
        self,
        points: ArrayLike,  # (N, 3) in the frame of the cloud
    ) -> NDArray[np.float64]:  # (N, 3)
        """Return the colours at places."""
        from onet.machine import threads

        places = np.asarray(points, dtype=np.float64) - self._middle
        near = range(1, min(NEIGHBORS, len(self._colors)) + 1)
        result = np.empty((len(places), 3))
        for start in range(0, len(places), _ROWS):
            rows = slice(start, start + _ROWS)
            distances, indices = self._tree.query(places[rows], near, workers=threads())
            result[rows] = _mean_color(distances, self._colors[indices].astype(np.float64))
        return result / 255


def carry_colors(
    vertices: NDArray[np.float64],  # (V, 3)
    points: NDArray[np.float64],  # (N, 3) in the same frame
    colors: NDArray[np.uint8],  # (N, 3)
) -> NDArray[np.uint8]:  # (V, 3)
    """Return the colour of the points round each vertex; see `CloudColors`."""
    return np.round(CloudColors(points, colors)(vertices) * 255).astype(np.uint8)


def _mean_color(
    distances: NDArray[np.float64],  # (V, K), ascending
    colors: NDArray[np.float64],  # (V, K, 3)
) -> NDArray[np.float64]:  # (V, 3)
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
    mean: NDArray[np.float64] = np.einsum("vk,vkc->vc", weights, colors)
    return mean
