"""Generalised winding number as the plain sum over all triangles."""

from __future__ import annotations

import numpy as np


def winding_number(
    triangles: np.ndarray,  # (F, 3, 3)
    points: np.ndarray,  # (P, 3)
) -> np.ndarray:
    """Sum (P,) of the signed solid angles over 4 pi (van Oosterom and Strackee 1983)."""
    a, b, c = np.moveaxis(triangles[:, None] - points[:, None], 2, 0)
    la, lb, lc = (np.linalg.norm(v, axis=-1) for v in (a, b, c))
    volume = (a * np.cross(b, c)).sum(axis=-1)
    rest = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    halves = np.where(volume == 0, 0, np.arctan2(volume, rest))
    return halves.sum(axis=0) / (2 * np.pi)
