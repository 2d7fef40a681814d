"""Polygons into triangles that use every corner: concave ones too, and ones with bridged holes."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

MOST_CORNERS = 20_000
"""Concave faces with more are refused: where they cross themselves, time grows with the square."""

_FLAT = 1e-12
"""Share of a polygon's area below which a triangle of a fan counts as having none."""


def cut_polygons(
    vertices: NDArray[np.float64], corners: NDArray[np.int64], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut polygons in space into triangles with the same orientation, in their order.

    A polygon is looked at along its mean normal. Where the fan around its first corner lies inside
    it, that is taken; a quadrilateral may take the other diagonal; any other is cut by its ears.
    No corner is left out, also where it lies on a straight edge, so that neighbours still meet.
    Corners that repeat the one before are dropped, except in triangles; polygons with fewer than
    three corners have no area and give nothing.

    Args:
        vertices: (N, 3).
        corners: (C,) vertex indices of all polygons, one after the other, all in 0..N-1.
        sizes: (P,) number of corners of each.

    Returns:
        (M, 3) places in `corners`; (M,) polygons of the triangles.

    Raises:
        ValueError: a concave polygon of more than `MOST_CORNERS` corners.
    """
    places = np.arange(len(corners))
    owners = np.repeat(np.arange(len(sizes)), sizes)
    if (sizes > 3).any():
        keep = (sizes[owners] <= 3) | (corners != corners[_next_corners(sizes)])
        places, owners = places[keep], owners[keep]
        sizes = np.bincount(owners, minlength=len(sizes))
    starts = np.cumsum(sizes) - sizes
    triangles, polygons = [np.zeros((0, 3), dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for size in np.flatnonzero(np.bincount(sizes)):
        if size < 3:
            continue
        chosen = np.flatnonzero(sizes == size)
        group = places[starts[chosen][:, None] + np.arange(size)]
        if size == 3:
            found, of = group, np.arange(len(group))
        else:
            found, of = _cut_equal(vertices, corners, group)
        triangles.append(found)
        polygons.append(chosen[of])
    if len(polygons) == 2:  # all of one size
        return triangles[1], polygons[1]
    owner = np.concatenate(polygons)
    order = np.argsort(owner, kind="stable")
    return np.concatenate(triangles)[order], owner[order]


def _next_corners(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each corner the place of the next one of its polygon."""
    following = np.arange(1, sizes.sum() + 1)
    full = sizes > 0
    ends = np.cumsum(sizes)[full]
    following[ends - 1] = ends - sizes[full]
    return following


def _cut_equal(
    vertices: NDArray[np.float64], corners: NDArray[np.int64], group: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut polygons of `n` corners; `group` (G, n) holds places in `corners`."""
    count, size = group.shape
    points = vertices[corners[group]]
    with np.errstate(all="ignore"):  # not finite: any cut will do, the mesh is refused later
        far = np.abs(points).max(axis=(1, 2))
        points = points - points[:, :1]
        across = np.cross(points[:, 1:-1], points[:, 2:])
        normals = across.sum(axis=1)
        areas = np.einsum("gik,gk->gi", across, normals)
        total = np.einsum("gk,gk->g", normals, normals)
        rounding = 8 * np.finfo(np.float64).eps * far * np.abs(points).max(axis=(1, 2))
        flat = _FLAT * total + rounding * np.sqrt(total)
        good = (areas > flat[:, None]).all(axis=1) | ~(total > 0) | ~np.isfinite(total)
    fan = np.stack([np.zeros(size - 2, dtype=np.int64), np.arange(1, size - 1), np.arange(2, size)])
    local = np.broadcast_to(fan.T, (count, size - 2, 3)).copy()
    if size == 4 and not good.all():
        other = _other_diagonal(points, areas, normals)
        local[other & ~good] = [[1, 2, 3], [1, 3, 0]]
        good |= other
    rest = np.flatnonzero(~good)
    whole = group[np.arange(count)[:, None, None], local].reshape(-1, 3)
    owner = np.repeat(np.arange(count), size - 2)
    if not len(rest):
        return whole, owner
    pieces, owners = [whole[np.repeat(good, size - 2)]], [owner[np.repeat(good, size - 2)]]
    for i in rest:
        found = _cut_by_ears(points[i], normals[i], float(flat[i]))
        pieces.append(group[i][local[i] if found is None else found])
        owners.append(np.full(len(pieces[-1]), i))
    return np.concatenate(pieces), np.concatenate(owners)


def _other_diagonal(
    points: NDArray[np.float64], areas: NDArray[np.float64], normals: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return for quadrilaterals whether the cut from corner 1 to 3 is better than from 0 to 2."""
    with np.errstate(all="ignore"):
        tips = points[:, 1:2]
        across = np.cross(points[:, [2, 3]] - tips, points[:, [3, 0]] - tips)
        others = np.einsum("gik,gk->gi", across, normals)
        return others.min(axis=1) > np.maximum(areas.min(axis=1), 0)


def _cut_by_ears(
    points: NDArray[np.float64], normal: NDArray[np.float64], flat: float
) -> NDArray[np.int64] | None:
    """Return the (M, 3) corners of the triangles of one polygon (n, 3), or None if none is found.

    A plane polygon is projected along an axis, which keeps corners on straight edges exactly there,
    and has the same ears. One that is not plane is seen along its mean normal.

    Args:
        points: corners, relative to one of them.
        normal: the cross product of the polygon, twice its area long.
        flat: triangles with a cross product times the length of `normal` of at most this are
            avoided.
    """
    if len(points) > MOST_CORNERS:
        raise ValueError(f"a concave face has {len(points)} corners, too many to be cut in time")
    length = float(np.linalg.norm(normal))
    planes = [np.delete(points, int(np.abs(normal).argmax()), axis=1)]
    plane = np.abs(points @ normal).max() <= 1e-6 * length * np.abs(points).max()
    if not plane:
        planes.insert(0, points @ _across(normal / length))
    cut = [_ears(flattened, flat / length) for flattened in planes]
    for found in cut:
        if len(found) == len(points) - 2:
            return found
    # A plane polygon may touch itself along a line, which has no area and is rightly left out.
    return cut[0] if plane and len(cut[0]) else None


def _across(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (3, 2) unit vectors across a unit normal and each other."""
    first = np.cross(normal, np.eye(3)[int(np.abs(normal).argmin())])
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(normal, first)], axis=1)


def _ears(points: NDArray[np.float64], flat: float) -> NDArray[np.int64]:
    """Return the (M, 3) corners of the triangles of a polygon (n, 2), oriented as it is."""
    from mapbox_earcut import triangulate_float64

    # Scaled by a power of two, which changes no digit, against underflow in tiny polygons.
    scaled = np.ldexp(points, -math.frexp(float(np.abs(points).max()))[1])
    ends = np.array([len(points)], dtype=np.uint32)
    found = triangulate_float64(np.ascontiguousarray(scaled), ends).astype(np.int64).reshape(-1, 3)
    x, y = points.T
    turn = np.sign(x @ np.roll(y, -1) - y @ np.roll(x, -1))
    u, v = points[found[:, 1]] - points[found[:, 0]], points[found[:, 2]] - points[found[:, 0]]
    areas = turn * (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    if areas.sum() < 0:
        found, areas = found[:, ::-1], -areas
    solid = found[areas > flat]
    if len(solid) == len(points) - 2:
        return solid
    mended = _with_left_out(solid, points)
    return mended if len(mended) == len(points) - 2 else found


def _with_left_out(triangles: NDArray[np.int64], points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Put corners on straight edges, which ear cutting leaves out, back into the triangles.

    An edge of a triangle that meets neither an edge of the polygon nor one of another triangle is
    replaced by the edges along it that do, by fanning its triangle from the corner opposite.
    """
    size = len(points)
    edges = {(t[k], t[k - 2]): t[k - 1] for t in triangles.tolist() for k in range(3)}
    outline = {(i, (i + 1) % size) for i in range(size)}
    unmet = {edge for edge in edges if edge not in outline and edge[::-1] not in edges}
    following: dict[int, list[int]] = {}
    for a, b in (outline - edges.keys()) | {edge[::-1] for edge in unmet}:
        following.setdefault(a, []).append(b)
    result = {tuple(t) for t in triangles.tolist()}
    for a, b in unmet:
        path = _path_along(a, b, following, points)
        if path is None:
            continue
        opposite = edges[a, b]
        owner = {(a, b, opposite), (b, opposite, a), (opposite, a, b)} & result
        if not owner:  # cut at another edge already: find the part that has this one now
            continue
        result -= owner
        result |= {(p, q, opposite) for p, q in pairwise(path)}
        for p, q in pairwise(path):
            edges[q, opposite] = p
            edges[opposite, p] = q
    return np.array(sorted(result), dtype=np.int64)


def _path_along(
    start: int, end: int, following: dict[int, list[int]], points: NDArray[np.float64]
) -> list[int] | None:
    """Return the corners from `start` to `end` that lie between them, or None."""
    line = points[end] - points[start]
    reach = float(line @ line)
    path, position = [start], 0.0
    while path[-1] != end:
        options = []
        for corner in following.get(path[-1], []):
            offset = points[corner] - points[start]
            along = float(offset @ line)
            apart = float(offset @ offset) * reach - along**2
            if corner not in path and apart <= 1e-12 * reach**2 and position <= along <= reach:
                options.append((along, corner))
        if not options:
            return None
        position, corner = min(options)
        path.append(corner)
    return path if len(path) > 2 else None
