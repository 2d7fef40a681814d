"""Marching cubes from what happens on the faces of the cells, without a table of cases.

The surface meets every lattice square in segments that depend on the four values there alone, so
two cells agree on them. Within a cell the segments close to loops; each bounds a piece of surface.
"""

from __future__ import annotations

import itertools

import numpy as np

Corner = tuple[int, int, int]
Edge = tuple[Corner, int]  # lattice edge: its lower end and its axis


def lattice_edge(p: Corner, q: Corner) -> Edge:
    return min(p, q), next(axis for axis in range(3) if p[axis] != q[axis])


def cell_segments(volume: np.ndarray, cell: Corner) -> list[tuple[Edge, Edge]]:
    """Directed segments on the six squares of a cell; seen from outside the object is on the left.

    Inside corners that lie diagonally on a square are joined across it.
    """
    segments = []
    for axis, side in itertools.product(range(3), range(2)):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        ring: list[Corner] = []
        for du, dv in ((0, 0), (1, 0), (1, 1), (0, 1)):  # anticlockwise seen from +axis
            corner = list(cell)
            corner[axis] += side
            corner[u] += du
            corner[v] += dv
            ring.append((corner[0], corner[1], corner[2]))
        if side == 0:
            ring.reverse()
        solid = [volume[corner] > 0 for corner in ring]
        sides = [lattice_edge(ring[i], ring[(i + 1) % 4]) for i in range(4)]
        enter = [i for i in range(4) if not solid[i] and solid[(i + 1) % 4]]
        leave = [i for i in range(4) if solid[i] and not solid[(i + 1) % 4]]
        for i in enter:
            # The empty stretch that ends here began where the outline last left the object.
            back = next(k for k in (1, 2, 3) if (i - k) % 4 in leave)
            segments.append((sides[i], sides[(i - back) % 4]))
    return segments


def loops_of(segments: list[tuple[Edge, Edge]]) -> list[list[Edge]]:
    following = dict(segments)
    assert len(following) == len(segments)
    loops = []
    while following:
        start = next(iter(following))
        loop, edge = [], start
        while edge in following:
            loop.append(edge)
            edge = following.pop(edge)
        assert edge == start
        loops.append(loop)
    return loops


def marching_cubes(
    volume: np.ndarray, margin: float = 1e-4
) -> tuple[dict[Edge, np.ndarray], list[list[Edge]]]:
    """Vertices on lattice edges and the loops of all cells; beyond the volume all is outside."""
    padded = np.pad(np.clip(volume.astype(np.float64), -1e30, 1e30), 1, constant_values=-1.0)
    loops = []
    vertices: dict[Edge, np.ndarray] = {}
    nx, ny, nz = padded.shape
    for cell in itertools.product(range(nx - 1), range(ny - 1), range(nz - 1)):
        loops += loops_of(cell_segments(padded, cell))
    for edge in itertools.chain.from_iterable(loops):
        start, axis = edge
        step = np.eye(3, dtype=int)[axis]
        end = tuple(np.add(start, step))
        a, b = padded[start], padded[end]
        t = float(np.clip(a / (a - b), margin, 1 - margin))
        if start[axis] == 0:  # lies beyond the volume
            t = 1 - margin
        elif end[axis] == padded.shape[axis] - 1:
            t = margin
        vertices[edge] = np.array(start) - 1 + t * step
    return vertices, loops
