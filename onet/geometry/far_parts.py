"""Parts of a point cloud that lie far apart: several scans in one file, and points gone astray."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onet.geometry.spacing import LocalSpacing

SMALLEST = 50
"""Points of a part; fewer that are far from all others are astray."""

_TAIL = 0.95  # of the points are near the middle
_JUMP = 3.0  # the next point is so many times as far from the middle: a gap
_ASTRAY = 2.0  # gap before a few points, in extents of the rest
_APART = 1.0  # gap between two parts, in extents of the larger
_SPARSE = 8.0  # spacing of a part, in that of the largest part, and ...
_SCATTERED = 0.05  # ... in its own extent: no surface
_BINS = 4096
_SAMPLES = 2000


@dataclass(frozen=True, eq=False)
class FarParts:
    """The parts of a cloud.

    Attributes:
        parts: indices of the points of each, ascending; the largest part first.
        astray: indices of points far from all parts, ascending.
    """

    parts: list[NDArray[np.int64]]
    astray: NDArray[np.int64]


def far_parts(
    points: NDArray[np.float64],  # (N, 3), N > 0, finite
) -> FarParts:
    """Divide a cloud where wide gaps are, which only points far from everything else cross.

    A part has at least `SMALLEST` points, lies farther from the others than it is long, and its
    points are no few that are scattered widely. All other points that lie farther
    away than twice the extent of the rest are astray: an error of the scanner or of a program that
    would make a box of kilometres round a chair. Points that are nearer stay where they are.
    """
    todo: list[NDArray[np.int64]] = [np.arange(len(points))]
    found: list[NDArray[np.int64]] = []
    astray: list[NDArray[np.int64]] = []
    while todo:
        part = todo.pop()
        near = _near_the_middle(points[part])
        pieces = [part[near], part[~near]] if not near.all() else _halves(points, part)
        if len(pieces) == 1:
            found.append(part)
            continue
        for piece in pieces:
            (todo if len(piece) >= min(SMALLEST, max(map(len, pieces))) else astray).append(piece)
    found.sort(key=len, reverse=True)
    parts = _as_dense(points, found, astray)
    return FarParts(parts, np.sort(np.concatenate([np.empty(0, np.int64), *astray])))


def _near_the_middle(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points are not beyond a gap that at most a twentieth of the points lie behind."""
    with np.errstate(over="ignore"):
        away = np.abs(points - np.median(points, axis=0)).max(axis=1)
    rank = int(_TAIL * (len(away) - 1))
    tail = np.sort(away[away >= np.partition(away, rank)[rank]])
    jumps = np.flatnonzero(tail[1:] > _JUMP * tail[:-1])
    if not len(jumps) or tail[jumps[0]] == 0:
        return np.ones(len(points), dtype=np.bool_)
    return away <= tail[jumps[0]]


def _halves(points: NDArray[np.float64], part: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The two sides of the widest gap along an axis; the part alone if it is not wide enough."""
    own = points[part]
    below = _below_widest_gap(own)
    if below is None:
        return [part]
    boxes = [(side.min(axis=0), side.max(axis=0)) for side in (own[below], own[~below])]
    gap = max(float((boxes[1][0] - boxes[0][1]).max()), float((boxes[0][0] - boxes[1][1]).max()))
    extent = max(float((high - low).max()) for low, high in boxes)
    few = min(np.count_nonzero(below), np.count_nonzero(~below)) < SMALLEST
    if gap <= (_ASTRAY if few else _APART) * extent:
        return [part]
    return [part[below], part[~below]]


def _below_widest_gap(points: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    """Which points are below the widest run of empty slabs along x, y or z; None without one."""
    widest, below = 0.0, None
    for axis in range(3):
        values = points[:, axis]
        low, high = float(values.min()), float(values.max())
        if not 0 < high - low < np.inf:
            continue
        bins = ((values - low) * (_BINS / (high - low))).astype(np.int64).clip(max=_BINS - 1)
        filled = np.flatnonzero(np.bincount(bins, minlength=_BINS))
        if len(filled) < 2:
            continue
        runs = np.diff(filled)
        k = int(runs.argmax())
        width = float(runs[k] - 1) * (high - low) / _BINS
        if width > widest:
            widest, below = width, bins <= filled[k]
    return below


def _as_dense(
    points: NDArray[np.float64],
    parts: list[NDArray[np.int64]],
    astray: list[NDArray[np.int64]],
) -> list[NDArray[np.int64]]:
    """The parts about as dense as the largest one; the others are added to those astray."""
    if len(parts) == 1:
        return parts
    measured = [_spacing(points[part]) for part in parts]
    kept = [
        spacing <= _SPARSE * measured[0][0] or spacing <= _SCATTERED * extent
        for spacing, extent in measured
    ]
    astray += [part for part, keep in zip(parts, kept, strict=True) if not keep]
    return [part for part, keep in zip(parts, kept, strict=True) if keep]


def _spacing(points: NDArray[np.float64]) -> tuple[float, float]:
    """The typical spacing and the longest side of the box."""
    low = points.min(axis=0)
    extent = float((points - low).max()) or 1.0
    return LocalSpacing.of((points - low) / extent, _SAMPLES).typical * extent, extent
