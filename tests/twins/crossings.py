"""Pairs of triangles that share points besides what they are joined at, in whole numbers."""

from __future__ import annotations

from itertools import combinations

import numpy as np


def crossings(vertices: np.ndarray, faces: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of faces; vertices are whole numbers, so that Python's are exact."""
    corners = [[[int(x) for x in vertices[v]] for v in face] for face in faces.tolist()]
    return [
        (i, j)
        for i, j in combinations(range(len(faces)), 2)
        if _cross(faces[i].tolist(), corners[i], faces[j].tolist(), corners[j])
    ]


def _cross(f: list[int], s: list, g: list[int], t: list) -> bool:
    common = [v for v in f if v in g]
    if not common:
        return any(_meets(e, t) for e in _edges(s)) or any(_meets(e, s) for e in _edges(t))
    own = [s[k] for k in range(3) if f[k] not in common]
    other = [t[k] for k in range(3) if g[k] not in common]
    if len(common) == 1:
        return _meets(own, t) or _meets(other, s)
    if len(common) == 3:
        return True
    a, b = (s[f.index(v)] for v in common)
    if _side(a, b, own[0], other[0]):
        return False
    return all(_turn(p, a, b, own[0]) * _turn(p, a, b, other[0]) >= 0 for p in _PLANES)


_PLANES = ((0, 1), (1, 2), (2, 0))


def _edges(t: list) -> list:
    return [[t[k], t[(k + 1) % 3]] for k in range(3)]


def _sign(x: int) -> int:
    return (x > 0) - (x < 0)


def _side(a: list, b: list, c: list, p: list) -> int:
    u, v, w = ([x - y for x, y in zip(q, p, strict=True)] for q in (a, b, c))
    return -_sign(
        u[2] * (v[0] * w[1] - v[1] * w[0])
        + v[2] * (w[0] * u[1] - w[1] * u[0])
        + w[2] * (u[0] * v[1] - u[1] * v[0])
    )


def _turn(plane: tuple[int, int], a: list, b: list, c: list) -> int:
    x, y = plane
    return _sign((a[x] - c[x]) * (b[y] - c[y]) - (a[y] - c[y]) * (b[x] - c[x]))


def _meets(edge: list, t: list) -> bool:
    p, q = edge
    above, below = _side(*t, p), _side(*t, q)
    if above * below > 0:
        return False
    if above == below == 0:
        if any(_turn(plane, *t) for plane in _PLANES):
            return all(_meets_flat(plane, p, q, t) for plane in _PLANES)
        return any(
            _side(p, q, *e) == 0 and all(_segments(plane, p, q, *e) for plane in _PLANES)
            for e in _edges(t)
        )
    sides = [_side(p, q, t[k], t[(k + 1) % 3]) for k in range(3)]
    return not (min(sides) < 0 < max(sides))


def _meets_flat(plane: tuple[int, int], p: list, q: list, t: list) -> bool:
    if _turn(plane, *t) and any(_holds(plane, t, point) for point in (p, q)):
        return True
    return any(_segments(plane, p, q, *edge) for edge in _edges(t))


def _holds(plane: tuple[int, int], t: list, p: list) -> bool:
    turns = [_turn(plane, t[k], t[(k + 1) % 3], p) for k in range(3)]
    return min(turns) >= 0 or max(turns) <= 0


def _segments(plane: tuple[int, int], a: list, b: list, c: list, d: list) -> bool:
    turns = (
        _turn(plane, a, b, c),
        _turn(plane, a, b, d),
        _turn(plane, c, d, a),
        _turn(plane, c, d, b),
    )
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    ends = ((turns[0], a, b, c), (turns[1], a, b, d), (turns[2], c, d, a), (turns[3], c, d, b))
    return any(
        turn == 0 and all(min(e[k], f[k]) <= point[k] <= max(e[k], f[k]) for k in plane)
        for turn, e, f, point in ends
    )
