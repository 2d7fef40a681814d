"""Borders in one plane, one within the other: the end of a thick wall, which a ring closes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Loop = NDArray[np.int64]  # (L,) vertices in the order in which a cap walks them

PLANE = 0.002
"""Borders in one plane are no further from it than this part of the diameter of the inner one."""

OPPOSITE = -0.99
"""Cosine of the angle between the normals of their caps, at most."""


def find_rings(vertices: NDArray[np.float64], loops: list[Loop]) -> list[tuple[int, ...]]:
    """Return the loops of each ring as places in `loops`: the outer one, and those within it.

    Args:
        vertices: (V, 3).
        loops: borders; a cap walks the outer one of a ring one way and the inner ones the other.
    """
    flat = [(place, _Plane(vertices[loop])) for place, loop in enumerate(loops)]
    flat = [(place, plane) for place, plane in flat if plane.flat]
    flat.sort(key=lambda item: item[1].area)
    within: dict[int, list[int]] = {}
    for number, (place, plane) in enumerate(flat):
        points = vertices[loops[place]]
        for outer, of_outer in flat[number + 1 :]:  # from the smallest one
            if of_outer.holds(vertices[loops[outer]], points, plane):
                within.setdefault(outer, []).append(place)
                break
    inner = {place for places in within.values() for place in places}
    return [(outer, *places) for outer, places in within.items() if outer not in inner]


def ring_cap(vertices: NDArray[np.float64], loops: list[Loop]) -> NDArray[np.int64]:
    """Triangles (C, 3) between the first loop and the others, which lie within it in one plane."""
    from mapbox_earcut import triangulate_float64

    plane = _Plane(vertices[loops[0]])
    every = np.concatenate(loops)
    flat = (vertices[every] - plane.middle) @ plane.axes.T / plane.size
    ends = np.cumsum([len(loop) for loop in loops]).astype(np.uint32)
    found = triangulate_float64(np.ascontiguousarray(flat), ends).astype(np.int64).reshape(-1, 3)
    a, b, c = np.moveaxis(flat[found], 1, 0)
    turned = (b - a)[:, 0] * (c - a)[:, 1] < (b - a)[:, 1] * (c - a)[:, 0]
    return every[np.where(turned[:, None], found[:, ::-1], found)]


class _Plane:
    """The plane that a loop (L, 3) lies in, nearly; its normal is that of a cap."""

    def __init__(self, points: NDArray[np.float64]) -> None:
        self.middle = points.mean(axis=0)
        around = points - self.middle
        normal = np.cross(around, np.roll(around, -1, axis=0)).sum(axis=0) / 2
        self.area = float(np.linalg.norm(normal))
        self.normal = normal / max(self.area, 1e-300)
        self.size = 2 * float(np.linalg.norm(around, axis=1).max())
        bent = float(np.abs(around @ self.normal).max())
        self.flat = self.area > 0 and bent <= PLANE * self.size

    @property
    def axes(self) -> NDArray[np.float64]:
        """(2, 3) axes in the plane, right-handed with its normal."""
        other = np.eye(3)[int(np.abs(self.normal).argmin())]
        first = np.cross(other, self.normal)
        first /= np.linalg.norm(first)
        return np.stack([first, np.cross(self.normal, first)])

    def holds(self, own: NDArray[np.float64], points: NDArray[np.float64], other: _Plane) -> bool:
        """Whether a loop (P, 3) with a plane of its own lies within a loop (L, 3) of this one.

        It has to lie in this plane and to be walked the other way.
        """
        if self.normal @ other.normal > OPPOSITE:
            return False
        if np.abs((points - self.middle) @ self.normal).max() > PLANE * other.size:
            return False
        around = own - points[0]
        after = np.roll(around, -1, axis=0)
        sine = np.cross(around, after) @ self.normal
        turn = np.arctan2(sine, np.einsum("ij,ij->i", around, after))
        return bool(abs(turn.sum()) > np.pi)
