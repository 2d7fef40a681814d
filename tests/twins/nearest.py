"""Nearest neighbours by comparing every query with every point."""

from __future__ import annotations

import numpy as np


def nearest(
    points: np.ndarray,  # (M, 3)
    queries: np.ndarray,  # (N, 3)
) -> tuple[np.ndarray, np.ndarray]:
    """Distances (N,) and indices (N,) of the nearest points, the smallest index among equals."""
    x, y, z = (queries[:, None] - points[None]).transpose(2, 0, 1)
    squares = x * x + y * y + z * z
    return np.sqrt(squares.min(axis=1)), squares.argmin(axis=1)
