"""Point-in-mesh by ray parity in exact integer arithmetic."""

from __future__ import annotations

import numpy as np


def _det(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return (a * np.cross(b, c)).sum(axis=-1)


def contains(
    triangles: np.ndarray,  # (F, 3, 3) integers, a closed surface
    points: np.ndarray,  # (P, 3) integers
) -> tuple[np.ndarray, np.ndarray]:
    """(inside, on the surface), each (P,) bool.

    The ray has the direction (n^2, n, 1) with n larger than any coefficient that a determinant
    could set against it, so it meets no edge and no vertex unless the point is collinear with it.
    """
    size = int(max(np.abs(triangles).max(), np.abs(points).max()))
    assert size <= 64, "products must fit into 64 bits"
    n = 2 * (2 * (2 * size) ** 2) + 1
    ray = np.array([n * n, n, 1], dtype=np.int64)
    inside = np.zeros(len(points), dtype=bool)
    on_surface = np.zeros(len(points), dtype=bool)
    for a, b, c in triangles.astype(np.int64):
        pa, pb, pc = a - points, b - points, c - points
        height = _det(pa, pb, pc)
        sides = np.sign([_det(pa, pb, ray), _det(pb, pc, ray), _det(pc, pa, ray)])
        through = (sides == sides[0]).all(axis=0) & (sides[0] != 0)
        inside ^= through & (np.sign(height) == sides[0])
        on_surface |= _touches(pa, pb, pc) & (height == 0)
    return inside, on_surface


def _touches(pa: np.ndarray, pb: np.ndarray, pc: np.ndarray) -> np.ndarray:
    """Whether the origin, coplanar with the triangles, lies in them; degenerate ones included."""
    normal = np.cross(pb - pa, pc - pa)
    if not normal.any():
        return _on_segment(pa, pb) | _on_segment(pb, pc) | _on_segment(pc, pa)
    sides = [(np.cross(p, q) * normal).sum(axis=-1) for p, q in ((pa, pb), (pb, pc), (pc, pa))]
    return np.all(np.array(sides) >= 0, axis=0)


def _on_segment(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return ~np.cross(p, q).any(axis=-1) & ((p * q).sum(axis=-1) <= 0)
