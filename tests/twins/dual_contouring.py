"""The vertex of one polygon by a general solver of least squares."""

from __future__ import annotations

import numpy as np


def corner(
    points: np.ndarray,  # (N, 3) of the polygon
    normals: np.ndarray,  # (N, 3) of the planes through them
    low: np.ndarray,
    high: np.ndarray,
    flat: float = 0.1,
) -> np.ndarray:
    mean = points.mean(axis=0)
    offsets = ((points - mean) * normals).sum(axis=1)
    # Eigenvalues of the sum of squares are the squares of the singular values.
    move = np.linalg.lstsq(normals, offsets, rcond=np.sqrt(flat))[0]
    return np.clip(mean + move, low, high)
