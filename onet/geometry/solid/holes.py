"""Closes holes of a mesh: borders that run around, no wider than a stated size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onet.geometry.solid.cleaning import Faces, border_edges
from onet.geometry.solid.orientation import Patches, areas
from onet.geometry.solid.rings import find_rings, ring_cap

MOST = 64
"""Vertices of a border for which the cap of the least area is sought; longer ones are cut first."""

WIDEST = 0.3
"""Diameter of the widest holes that are closed by default, in units of the longest edge."""

EVEN = 1e-6
"""Weight of squared sides beside areas, and what an area is at least in their units."""

SHARE = 0.4
"""A cap of more than this part of the area of its patch would make a dish a solid."""

FLAT, FLAT_SHARE = 0.08, 0.45
"""Where a border is flat, up to this part of its diameter, and a cap not larger than this part of
the area of its patch, something was cut off: such ends are closed by default whatever their size.
"""

CURVED, CURVED_SHARE = 0.35, 0.3
"""Likewise where a border bends more, if the cap is smaller."""

PLANE, STEEP, MAIN = 0.01, 0.5, 0.5
"""A border that lies in a plane up to this part of its diameter, where this part of its length has
faces that stand at more than 45 degrees on that plane, is the end of a solid whose cap is missing,
however large the cap, if its patch has this part of the mesh's area and looks away from the cap.
"""


@dataclass(frozen=True)
class Hole:
    """A hole that was closed.

    Attributes:
        size: its diameter, in units of the longest edge.
        centre: (3,) in the frame of the vertices.
        vertices: of its border.
    """

    size: float
    centre: NDArray[np.float64]
    vertices: int


def close_holes(
    vertices: NDArray[np.float64], patches: Patches, largest: float | None
) -> tuple[Faces, list[Hole]]:
    """Caps (C, 3) for holes of at most the diameter `largest`, oriented like what is around them.

    Args:
        vertices: (V, 3) in the unit frame.
        patches: of the mesh.
        largest: diameter in units of the longest edge; None is `WIDEST`, and flat ends besides.
    """
    faces, found = [], []
    patch_area = np.bincount(patches.patch, areas(vertices, patches.faces))
    widest = WIDEST if largest is None else largest
    borders = border_loops(patches)
    rings, of_rings = _close_rings(vertices, [loop for loop, _ in borders], largest)
    for cap, hole in rings:
        faces.append(cap)
        found.append(hole)
    for place, (loop, patch) in enumerate(borders):
        if place in of_rings:
            continue
        points = vertices[loop]
        size = _diameter(points)
        bent = _thickness(points) / max(size, 1e-300)
        if size > widest and not (largest is None and bent <= CURVED):
            continue
        cap = loop[_cap(points)]
        share = areas(vertices, cap).sum() / max(patch_area[patch], 1e-300)
        flat = largest is None and bent <= FLAT
        if share > (SHARE if size <= widest else FLAT_SHARE if flat else CURVED_SHARE):
            main = patch_area[patch] >= MAIN * patch_area.sum()
            own = patches.faces[patches.patch == patch]
            if not (flat and main and _lost_its_cap(vertices, own, loop, cap)):
                continue
        faces.append(cap)
        found.append(Hole(size, points.mean(axis=0), len(loop)))
    return np.concatenate(faces) if faces else np.empty((0, 3), np.int64), found


def _close_rings(
    vertices: NDArray[np.float64], loops: list[NDArray[np.int64]], largest: float | None
) -> tuple[list[tuple[Faces, Hole]], set[int]]:
    """Caps of rings, and the places of the loops they close.

    The size of a ring is its width: four times its area by the length of its borders.
    """
    made: list[tuple[Faces, Hole]] = []
    closed: set[int] = set()
    for ring in find_rings(vertices, loops):
        borders = [loops[place] for place in ring]
        cap = ring_cap(vertices, borders)
        length = sum(_length(vertices[border]) for border in borders)
        width = 4 * float(areas(vertices, cap).sum()) / length
        if largest is None or width <= largest:
            points = vertices[np.concatenate(borders)]
            made.append((cap, Hole(width, points.mean(axis=0), len(points))))
            closed |= set(ring)
    return made, closed


def _length(points: NDArray[np.float64]) -> float:
    """Of a border (L, 3)."""
    return float(np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1).sum())


def _lost_its_cap(
    vertices: NDArray[np.float64], own: Faces, loop: NDArray[np.int64], cap: Faces
) -> bool:
    """Whether faces (F, 3) rise from a flat border and look away from a cap (C, 3) over it.

    A dish, a shield or an umbrella meets the plane of its border at a flat angle; the faces of what
    is seen from within look towards the cap.
    """
    points = vertices[loop]
    if _thickness(points) > PLANE * _diameter(points):
        return False
    a, b, c = np.moveaxis(vertices[np.concatenate([own, cap])] - points.mean(axis=0), 1, 0)
    if np.einsum("ij,ij->", a, np.cross(b, c)) <= 0:
        return False
    normal = np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0)
    normal /= max(float(np.linalg.norm(normal)), 1e-300)
    start, end = own.reshape(-1), np.roll(own, -1, axis=1).reshape(-1)
    size = int(own.max()) + 1
    walked = loop * size + np.roll(loop, -1)  # as the cap does; a face walks it the other way
    at = np.flatnonzero(np.isin(end * size + start, walked))
    length = np.linalg.norm(vertices[end[at]] - vertices[start[at]], axis=1)
    first, second, third = np.moveaxis(vertices[own[at // 3]], 1, 0)
    towards = np.cross(second - first, third - first)
    towards /= np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-300)
    steep = np.abs(towards @ normal) < np.sqrt(0.5)
    return bool(length[steep].sum() > STEEP * length.sum())


def wide_open(vertices: NDArray[np.float64], patches: Patches, largest: float) -> NDArray[np.bool_]:
    """(P,) which patches have an opening through which a ball of the diameter `largest` fits.

    That diameter is four times the area of a cap by the length of the border: a long crack is
    narrow, however far it goes.
    """
    result = np.zeros(len(patches.closed), dtype=bool)
    for loop, patch in border_loops(patches):
        points = vertices[loop]
        area = areas(vertices, loop[_cap(points)]).sum()
        result[patch] |= 4 * area > largest * _length(points)
    return result


def border_loops(patches: Patches) -> list[tuple[NDArray[np.int64], int]]:
    """Borders that run around, as vertices (L,) in the order in which a cap walks them.

    Where several pass through a vertex they are taken apart there. With each loop comes its patch.
    """
    edges = border_edges(patches.faces)
    if not len(edges):
        return []
    owner = _owners(patches, edges)
    leaving: dict[tuple[int, int], list[int]] = {}
    for (a, b), patch in zip(edges.tolist(), owner.tolist(), strict=True):
        leaving.setdefault((patch, b), []).append(a)  # a cap walks it the other way
    loops = []
    for patch, first in list(leaving):
        while leaving.get((patch, first)):
            path, at = [first], {first: 0}
            while True:
                onward = leaving.get((patch, path[-1]))
                if not onward:
                    break  # of a border that does not close
                vertex = onward.pop()
                if vertex in at:  # a loop: cut it off the path
                    loops.append((np.array(path[at[vertex] :], dtype=np.int64), patch))
                    for gone in path[at[vertex] + 1 :]:
                        del at[gone]
                    del path[at[vertex] + 1 :]
                    if len(path) == 1 and not leaving.get((patch, first)):
                        break
                    continue
                at[vertex] = len(path)
                path.append(vertex)
    return [(loop, patch) for loop, patch in loops if len(loop) >= 3]


def _owners(patches: Patches, edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """The patch of each border edge."""
    size = int(patches.faces.max()) + 1
    start, end = patches.faces.reshape(-1), np.roll(patches.faces, -1, axis=1).reshape(-1)
    key = start * size + end
    order = np.argsort(key, kind="stable")
    at = order[np.searchsorted(key, edges[:, 0] * size + edges[:, 1], sorter=order)]
    return np.asarray(patches.patch[at // 3])


def _diameter(points: NDArray[np.float64]) -> float:
    """The largest distance between two points (L, 3), from below within 1 % for long borders."""
    some = points[:: max(1, len(points) // 200)]
    return float(np.linalg.norm(some[:, None] - some[None], axis=-1).max())


def _thickness(points: NDArray[np.float64]) -> float:
    """Extent of points (L, 3) across the plane that fits them best."""
    centred = points - points.mean(axis=0)
    normal = np.linalg.svd(centred, full_matrices=False)[2][2]
    return float(np.ptp(centred @ normal))


def _cap(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Triangles (L - 2, 3) over a closed border (L, 3)."""
    done, waiting = [], [np.arange(len(points))]
    while waiting:
        loop = waiting.pop()
        if len(loop) <= MOST:
            done.append(loop[_least_area(points[loop])])
            continue
        low, high = _shortest_cut(points[loop])
        waiting += [loop[low : high + 1], np.concatenate([loop[high:], loop[: low + 1]])]
    return np.concatenate(done)


def _shortest_cut(points: NDArray[np.float64]) -> tuple[int, int]:
    """Two places of a border between which a chord is short for what it cuts off."""
    count = len(points)
    step = max(1, count // 256)
    some = np.arange(0, count, step)
    chord = np.linalg.norm(points[some][:, None] - points[some][None], axis=-1)
    apart = np.abs(some[:, None] - some[None])
    apart = np.minimum(apart, count - apart)
    # At least a quarter of an even share on each side: the parts get shorter quickly.
    cost = np.where(apart >= max(2, count // 8), chord / np.maximum(apart, 1), np.inf)
    i, j = np.unravel_index(int(cost.argmin()), cost.shape)
    low, high = sorted((int(some[i]), int(some[j])))
    return low, high


def _least_area(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """The triangulation of the least area (Barequet and Sharir, 1995), by dynamic programming."""
    count = len(points)
    cost = np.zeros((count, count))
    apex = np.zeros((count, count), dtype=np.int64)
    for length in range(2, count):
        for i in range(count - length):
            j = i + length
            k = np.arange(i + 1, j)
            first, last = points[k] - points[i], points[k] - points[j]
            area = np.linalg.norm(np.cross(first, last), axis=1)
            sides = np.einsum("ij,ij->i", first, first) + np.einsum("ij,ij->i", last, last)
            # Of equal ones, as in a plane, those with short sides, and none without area.
            own = area + EVEN * sides + np.where(area > EVEN * sides, 0, sides)
            total = cost[i, k] + cost[k, j] + own
            best = int(total.argmin())
            cost[i, j], apex[i, j] = total[best], k[best]
    triangles, waiting = [], [(0, count - 1)]
    while waiting:
        i, j = waiting.pop()
        if j - i < 2:
            continue
        between = int(apex[i, j])
        triangles.append((i, between, j))
        waiting += [(i, between), (between, j)]
    return np.array(triangles, dtype=np.int64)
