"""Closest point on a triangle soup: the best of all feet on planes and on edges."""

from __future__ import annotations

import numpy as np


def closest_point(
    triangles: np.ndarray,  # (F, 3, 3)
    points: np.ndarray,  # (P, 3)
) -> tuple[np.ndarray, np.ndarray]:
    """Closest points (P, 3) and distances (P, F) to every triangle."""
    closest = np.empty((len(points), 3))
    distances = np.empty((len(points), len(triangles)))
    for i, p in enumerate(points):
        feet = [_foot(p, triangle) for triangle in triangles]
        distances[i] = [np.linalg.norm(p - foot) for foot in feet]
        closest[i] = feet[int(distances[i].argmin())]
    return closest, distances


def _foot(p: np.ndarray, triangle: np.ndarray) -> np.ndarray:
    candidates = [_foot_on_segment(p, triangle[i], triangle[i - 1]) for i in range(3)]
    edges = (triangle[1:] - triangle[0]).T  # (3, 2)
    lengths = np.linalg.norm(edges, axis=0)
    if np.linalg.norm(np.cross(*edges.T)) > 1e-12 * lengths.prod():
        v, w = np.linalg.lstsq(edges, p - triangle[0], rcond=None)[0]
        if v >= 0 and w >= 0 and v + w <= 1:
            candidates.append(triangle[0] + edges @ (v, w))
    return min(candidates, key=lambda q: float(np.linalg.norm(p - q)))


def _foot_on_segment(p: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    length2 = (b - a) @ (b - a)
    return a if length2 == 0 else a + np.clip((p - a) @ (b - a) / length2, 0, 1) * (b - a)
