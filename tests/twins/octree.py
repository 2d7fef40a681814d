"""Multiresolution isosurface extraction on a dense grid: which lattice points have to be known."""

from __future__ import annotations

import itertools

import numpy as np

Point = tuple[int, int, int]
_CORNERS = list(itertools.product((0, 1), repeat=3))


def mise(
    volume: np.ndarray,  # values at every point of the finest lattice
    levels: int,
    seeds: np.ndarray | None = None,  # (n, 3) finest cells
) -> set[Point]:
    """Least set of known points such that no coarse leaf has both signs in its closure."""
    inside = volume > 0
    known = np.zeros(volume.shape, dtype=bool)
    border = np.ones(volume.shape, dtype=bool)
    border[1:-1, 1:-1, 1:-1] = False  # beyond it everything is outside
    size = 2**levels
    finest = [n - 1 for n in volume.shape]
    leaves = {(*corner, size) for corner in itertools.product(*(range(0, n, size) for n in finest))}

    def split(leaf: tuple[int, int, int, int]) -> None:
        x, y, z, s = leaf
        leaves.remove(leaf)
        half = s // 2
        leaves.update((x + i * half, y + j * half, z + k * half, half) for i, j, k in _CORNERS)

    for seed in [] if seeds is None else seeds.tolist():
        if any(c < 0 or c >= n for c, n in zip(seed, finest, strict=True)):
            continue
        for level in range(levels):
            s = size >> level
            leaf = (*(c // s * s for c in seed), s)
            if leaf in leaves:
                split(leaf)
    while True:
        for x, y, z, s in leaves:
            known[x : x + s + 1 : s, y : y + s + 1 : s, z : z + s + 1 : s] = True
        positive = known & inside
        negative = known & ~inside | positive & border
        mixed = []
        for x, y, z, s in leaves:
            closure = np.s_[x : x + s + 1, y : y + s + 1, z : z + s + 1]
            if s > 1 and positive[closure].any() and negative[closure].any():
                mixed.append((x, y, z, s))
        if not mixed:
            return {(int(x), int(y), int(z)) for x, y, z in np.argwhere(known)}
        for leaf in mixed:
            split(leaf)
