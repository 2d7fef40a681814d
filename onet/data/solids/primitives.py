"""Pieces to build solids of, as manifolds of `manifold3d`; y is up, and pieces stand on y = 0."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.errors import MissingDependency

if TYPE_CHECKING:
    from manifold3d import CrossSection, Manifold

Random = np.random.Generator


def library() -> Any:
    """Return the module `manifold3d`.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        import manifold3d
    except ImportError:
        raise MissingDependency("manifold3d is not installed: pip install 'onet[solids]'") from None
    return manifold3d


def union(parts: Sequence[Manifold]) -> Manifold:
    """Return what is in any of the parts."""
    manifold3d = library()
    return manifold3d.Manifold.batch_boolean(list(parts), manifold3d.OpType.Add)


def upright(part: Manifold) -> Manifold:
    """Return a piece that points along z turned to point along y."""
    return part.rotate([-90, 0, 0])


def segments(random: Random) -> int:
    """Return of how many sides a round piece is, coarse or fine."""
    return int(random.choice([6, 8, 12, 16, 24, 32, 48]))


def box(x: float, y: float, z: float, rounded: float = 0.0) -> Manifold:
    """Return a box that stands on the middle of its floor; with round edges of a radius."""
    manifold3d = library()
    if rounded <= 0:
        return manifold3d.Manifold.cube([x, y, z], True).translate([0, y / 2, 0])
    radius = min(rounded, 0.49 * min(x, y, z))
    ball = manifold3d.Manifold.sphere(radius, 12)
    inner = np.array([x, y, z]) / 2 - radius
    corners = [
        ball.translate(list(np.array([i, j, k]) * inner))
        for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)
    ]  # fmt: skip
    return manifold3d.Manifold.batch_hull(corners).translate([0, y / 2, 0])


def cylinder(height: float, radius: float, top: float = -1.0, sides: int = 24) -> Manifold:
    """Return an upright cylinder, or with another radius at the top the frustum of a cone."""
    top = radius if top < 0 else max(top, 1e-3)
    return upright(library().Manifold.cylinder(height, radius, top, sides))


def ball(radius: float, sides: int = 24) -> Manifold:
    """Return a ball round the origin."""
    return library().Manifold.sphere(radius, max(8, sides))


def torus(radius: float, tube: float, sides: int = 24, tube_sides: int = 12) -> Manifold:
    """Return a ring round the axis y, in the middle of it the origin."""
    circle = library().CrossSection.circle(tube, tube_sides).translate([radius, 0])
    return upright(circle.revolve(sides))


def revolved(profile: ArrayLike, sides: int) -> Manifold:
    """Return what a closed outline (N, 2) of distance from the axis and height sweeps round y."""
    return upright(outline(profile).revolve(sides))


def outline(points: ArrayLike) -> CrossSection:
    """Return the flat figure within a polygon (N, 2), whichever way it runs."""
    manifold3d = library()
    return manifold3d.CrossSection(
        [np.asarray(points, dtype=np.float64)], manifold3d.FillRule.NonZero
    )


def hull(points: ArrayLike) -> Manifold:
    """Return the convex hull of points (N, 3)."""
    return library().Manifold.hull_points(np.asarray(points, dtype=np.float64))


def rod(
    start: ArrayLike, end: ArrayLike, radius: float, top: float = -1.0, sides: int = 8
) -> Manifold:
    """Return a round bar from one point to another, thinner at the end if `top` says so."""
    start, end = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    length = float(np.linalg.norm(end - start))
    along = (end - start) / length
    other = np.eye(3)[np.argmin(np.abs(along))]
    across = np.cross(other, along)
    across /= np.linalg.norm(across)
    frame = np.stack([across, np.cross(along, across), along, start], axis=1)
    bar = library().Manifold.cylinder(length, radius, radius if top < 0 else top, sides)
    return bar.transform(frame)


def tube(path: NDArray[np.float64], radii: ArrayLike, sides: int = 8) -> Manifold:
    """Return a tube along a path (N, 3): the union of the hulls of neighbouring balls."""
    manifold3d = library()
    widths = np.broadcast_to(np.asarray(radii, dtype=float), len(path))
    balls = [
        manifold3d.Manifold.sphere(float(width), sides).translate(list(map(float, place)))
        for place, width in zip(path, widths, strict=True)
    ]
    return union([manifold3d.Manifold.batch_hull(list(pair)) for pair in pairwise(balls)])


def curve(random: Random, knots: int, points: int, size: float = 0.5) -> NDArray[np.float64]:
    """Return a smooth random path (points, 3) through knots in a cube of that half edge."""
    from scipy.interpolate import CubicSpline

    places = random.uniform(-size, size, (knots, 3))
    return CubicSpline(np.arange(knots), places)(np.linspace(0, knots - 1, points))


def polygon(random: Random) -> NDArray[np.float64]:
    """Return an outline (N, 2) about the size 1: regular, star, gear, L, U, T or ragged."""
    kind = random.integers(5)
    if kind == 0:
        count = int(random.choice([3, 4, 5, 6, 8, 24]))
        radii = np.full(count, 0.5)
    elif kind == 1:
        count = 2 * int(random.integers(4, 13))
        radii = np.where(np.arange(count) % 2, 0.5, random.uniform(0.2, 0.42))
    elif kind == 2:
        count = 4 * int(random.integers(5, 14))
        radii = np.where(np.arange(count) // 2 % 2, 0.5, random.uniform(0.35, 0.45))
    elif kind == 3:
        count = int(random.integers(7, 20))
        radii = random.uniform(0.25, 0.5, count)
    else:
        return letter(random)
    angles = 2 * np.pi * np.arange(count) / count
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def letter(random: Random) -> NDArray[np.float64]:
    """Return the outline of an L, T, U, or of the section of a girder, with arms of any width."""
    w, h = random.uniform(0.08, 0.35, 2)
    shapes = [
        [(0, 0), (1, 0), (1, h), (w, h), (w, 1), (0, 1)],
        [(0, 1 - h), (0.5 - w / 2, 1 - h), (0.5 - w / 2, 0), (0.5 + w / 2, 0),
         (0.5 + w / 2, 1 - h), (1, 1 - h), (1, 1), (0, 1)],
        [(0, 0), (1, 0), (1, 1), (1 - w, 1), (1 - w, h), (w, h), (w, 1), (0, 1)],
        [(0, 0), (1, 0), (1, h), (0.5 + w / 2, h), (0.5 + w / 2, 1 - h), (1, 1 - h), (1, 1), (0, 1),
         (0, 1 - h), (0.5 - w / 2, 1 - h), (0.5 - w / 2, h), (0, h)],
    ]  # fmt: skip
    return np.array(shapes[random.integers(len(shapes))], dtype=float) - 0.5


def prism(random: Random, height: float, size: float) -> Manifold:
    """Return an upright extrusion of a random outline, sometimes twisted or tapering."""
    figure = outline(polygon(random) * size)
    twisted = random.random() < 0.25
    twist, divisions = (float(random.uniform(-120, 120)), 12) if twisted else (0.0, 0)
    top = float(random.uniform(0.3, 1.1)) if random.random() < 0.3 else 1.0
    return upright(figure.extrude(height, divisions, twist, (top, top)))
