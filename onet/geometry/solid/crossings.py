"""Faces that cross others, and vertices moved towards their places so that none do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onet.geometry.solid.placement import ring

if TYPE_CHECKING:
    import trimesh

KEEP = 0.005
"""Part of the way to their places that vertices do not go: what lies behind each other stays so."""
LOYAL = 3
"""Rounds in which those vertices stay that matter more than their neighbours."""
ROUNDS = 200
"""Each takes some vertices back, so that there is an end: at the middles no face crosses another.
The most that was seen is 28.
"""


def crossing_faces(mesh: trimesh.Trimesh, threads: int = 0) -> NDArray[np.int64]:
    """Pairs (K, 2) of faces that cross or touch, besides at vertices and edges they share.

    Decided exactly (`csrc/crossings.h`). Vertices are shared where faces name the same one, so
    merge them first. Sorted.

    Args:
        mesh: any frame.
        threads: 0 for all cores, or OMP_NUM_THREADS if that is set.

    Raises:
        ValueError: vertices that are not finite or beyond 1e70.
    """
    return _pairs(np.asarray(mesh.vertices), np.asarray(mesh.faces), None, threads)


def move_without_crossing(
    start: NDArray[np.float64],  # (V, 3)
    target: NDArray[np.float64],  # (V, 3)
    plain: NDArray[np.float64],  # (V, 3)
    loyal: NDArray[np.bool_],  # (V,)
    middle: NDArray[np.float64],  # (V, 3), of a mesh without crossing faces
    faces: NDArray[np.int64],  # (F, 3)
    settle: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    threads: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Move vertices towards their targets, as far as no face crosses another.

    Every vertex goes all the way but for `KEEP`. Those of faces that cross then go to the plainer
    target instead, and after that back, more of them and further in each round, in the end to the
    start, and from there to the middle.

    Args:
        start, target, plain, middle, faces: see above.
        loyal: vertices that give way after their neighbours, corners for instance.
        settle: what becomes of points (V, 3) in the end, to another frame and rounded for instance;
            whether faces cross is asked of that.
        threads: 0 for all cores, or OMP_NUM_THREADS if that is set.

    Returns:
        points (V, 3), settled; the part of the way that was left (V,); pairs (K, 2) of faces that
        still cross, none if the middles have none.
    """
    left = np.full(len(start), KEEP)
    start, target = start.copy(), target.copy()
    around = ring(faces, len(start))
    wanted = None
    for turn in range(ROUNDS):
        points = settle(target + left[:, None] * (start - target))
        pairs = _pairs(points, faces, wanted, threads)
        if not len(pairs) or turn == ROUNDS - 1:
            break
        bad = np.zeros(len(start), dtype=bool)
        bad[faces[pairs].reshape(-1)] = True
        if turn >= 4:  # those next to them as well
            bad = (around @ bad) > 0
        simpler = bad & (target != plain).any(axis=1)
        if turn < LOYAL:
            bad &= ~loyal
            simpler &= ~loyal
        target[simpler] = plain[simpler]
        bad &= ~simpler
        back = bad & (left >= 1)
        start[back] = middle[back]
        left[bad] = np.minimum(1.0, left[bad] * 2.5 if turn < 12 else 1.0)
        touched = (bad | simpler)[faces].any(axis=1)
        touched[pairs.reshape(-1)] = True
        wanted = touched.astype(np.uint8)
    return points, left, pairs


def _pairs(
    vertices: NDArray[np.float64],
    faces: NDArray[np.int64],
    wanted: NDArray[np.uint8] | None,
    threads: int,
) -> NDArray[np.int64]:
    from onet import _C

    return _C.crossings(
        np.ascontiguousarray(vertices, dtype=np.float64),
        np.ascontiguousarray(faces, dtype=np.int64),
        wanted,
        threads,
    )
