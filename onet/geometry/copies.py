"""Points that are listed more than once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MIX = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # odd: no bit is lost


def first_of_copies(
    points: NDArray[np.float64],  # (N, 3)
) -> NDArray[np.bool_]:  # (N,)
    """Return which points are the first with their coordinates, which are compared exactly.

    Points are sorted by 64 bits made of their coordinates, which is several times faster than
    sorting rows; two different points with the same bits are told apart.
    """
    keys = _keys(points)
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.ones(len(points), dtype=np.bool_)
    again = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
    if not len(again):
        return first
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    run = starts[np.searchsorted(starts, again, side="right") - 1]
    same = (points[order[again]] == points[order[run]]).all(axis=1)
    first[order[again[same]]] = False
    return first


def _keys(points: NDArray[np.float64]) -> NDArray[np.uint64]:
    """64 bits for each point, equal for equal coordinates: -0 is 0."""
    bits = (np.ascontiguousarray(points, dtype=np.float64) + 0.0).view(np.uint64)
    keys = np.zeros(len(points), dtype=np.uint64)
    for axis, factor in enumerate(_MIX):
        keys = (keys ^ bits[:, axis]) * np.uint64(factor)
        keys ^= keys >> np.uint64(29)
    return keys
