"""Vessels, shells, shades and frames: solids with thin walls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onet.data.solids import primitives as piece
from onet.data.solids.primitives import Random

if TYPE_CHECKING:
    from manifold3d import Manifold


def silhouette(random: Random, height: float) -> NDArray[np.float64]:
    """Return the outer line (N, 2) of a vessel from foot to rim: distance from the axis, height."""
    from scipy.interpolate import CubicSpline, PchipInterpolator

    knots = int(random.integers(2, 6))
    radii = np.exp(random.uniform(np.log(0.1), np.log(0.5), knots))
    at = np.linspace(0, 1, knots)
    smooth = CubicSpline if knots > 3 and random.random() < 0.5 else PchipInterpolator
    levels = np.linspace(0, 1, 20 if knots > 2 else 2)
    return np.stack([np.clip(smooth(at, radii)(levels), 0.05, 0.6), height * levels], axis=1)


def vessel(random: Random) -> Manifold:
    """Return a bottle, cup, bowl or vase, with walls and open at the top, or solid."""
    height = float(random.uniform(0.25, 1.2))
    outer = silhouette(random, height)
    wall = float(np.exp(random.uniform(np.log(0.012), np.log(0.06))))
    sides = int(random.choice([6, 12, 24, 32, 40]))
    solid = random.random() < 0.2
    if solid:
        profile = np.vstack([outer, np.array([[0, height], [0, 0]])])
    else:
        floor = wall * random.uniform(1, 2)
        inner = outer[outer[:, 1] > floor][::-1] - [wall, 0]
        inner[:, 0] = np.maximum(inner[:, 0], 0.01)
        ends = np.array([[inner[-1, 0], floor], [0, floor], [0, 0]])
        profile = np.vstack([outer, inner, ends])
    made = piece.revolved(profile, sides)
    for side in range(random.choice([0, 1, 2], p=[0.5, 0.35, 0.15])):
        made = made + _handle(random, outer, height, wall).rotate([0, 180.0 * side, 0])
    if random.random() < 0.2:
        made = made + piece.ball(0.06, 12).translate([0, height, 0]) + _lid(outer, height, sides)
    return made


def _handle(random: Random, outer: NDArray[np.float64], height: float, wall: float) -> Manifold:
    """Return a bow on the side of a vessel that does not reach into it."""
    low, high = np.sort(random.uniform(0.15, 0.95, 2)) * height
    if high - low < 0.2 * height:
        low, high = 0.3 * height, 0.8 * height
    radius = float(random.uniform(0.5, 1.0)) * max(wall, 0.02)
    ends = [float(np.interp(y, outer[:, 1], outer[:, 0])) for y in (low, high)]
    angle = np.linspace(0, np.pi, 14)
    reach = random.uniform(0.1, 0.25)
    base = np.interp(angle, [0, np.pi], ends)
    path = np.stack(
        [base + reach * np.sin(angle), (low + high) / 2 - (high - low) / 2 * np.cos(angle),
         np.zeros_like(angle)], axis=1,
    )  # fmt: skip
    return piece.tube(path, radius, 8)


def _lid(outer: NDArray[np.float64], height: float, sides: int) -> Manifold:
    return piece.cylinder(0.03, float(outer[-1, 0]) + 0.01, sides=sides).translate(
        [0, height - 0.01, 0]
    )


def crate(random: Random) -> Manifold:
    """Return an open or closed container with walls: a box, a tub or a tray, perhaps divided."""
    x, y, z = random.uniform(0.3, 1.0, 3) * [1, 0.8, 1]
    wall = float(np.exp(random.uniform(np.log(0.012), np.log(0.06))))
    rounded = float(random.uniform(0.05, 0.2)) if random.random() < 0.3 else 0.0
    solid = piece.box(x, y, z, rounded)
    solid = solid - piece.box(x - 2 * wall, y, z - 2 * wall, rounded).translate([0, wall, 0])
    if rounded:
        solid = solid.trim_by_plane([0, -1, 0], -y + 1.01 * rounded)
    for i in range(random.integers(0, 4)):
        side = piece.box(wall, 0.9 * y, z - wall).translate(
            [x * (random.random() - 0.5) * 0.9, 0, 0]
        )
        solid = solid + (side if i % 2 == 0 else side.rotate([0, 90, 0]).scale([x / z, 1, 1]))
    if random.random() < 0.3:  # windows in the sides
        hole = piece.box(0.5 * x, 0.4 * y, 3).translate([0, 0.35 * y, 0])
        solid = solid - hole
    return solid


def shell(random: Random) -> Manifold:
    """Return part of a hollow ball, cylinder or cone: a dome, helmet, shade or pipe."""
    sides = int(random.choice([16, 24, 32, 40]))
    wall = float(np.exp(random.uniform(np.log(0.012), np.log(0.06))))
    if random.random() < 0.5:
        stretch = list(random.uniform(0.5, 1.0, 3))
        solid = (piece.ball(0.5, sides) - piece.ball(0.5 - wall, sides)).scale(stretch)
        normal = random.normal(size=3)
        return solid.trim_by_plane(
            list(normal / np.linalg.norm(normal)), float(random.uniform(-0.3, 0.15))
        )
    bottom, top = random.uniform(0.15, 0.5, 2)
    height = float(random.uniform(0.2, 1.0))
    profile = [(bottom, 0), (top, height), (top - wall, height), (bottom - wall, 0)]
    return piece.revolved(profile, sides)


def frame(random: Random) -> Manifold:
    """Return a frame of bars with panes or slats: a picture, window, fence, ladder or grating."""
    x, y = random.uniform(0.4, 1.0, 2)
    bar, depth = np.exp(random.uniform(np.log(0.02), np.log(0.08), 2))
    solid = piece.box(x, y, depth) - piece.box(x - 2 * bar, y - 2 * bar, 1).translate([0, bar, 0])
    columns, rows = random.integers(0, 8), random.integers(0, 6)
    slat = bar * random.uniform(0.4, 1.0)
    for i in range(columns):
        place = (x - bar) * ((i + 1) / (columns + 1) - 0.5)
        solid = solid + piece.box(slat, y - bar, depth * 0.7).translate([place, bar / 2, 0])
    for j in range(rows):
        place = (y - bar) * (j + 1) / (rows + 1)
        solid = solid + piece.box(x - bar, slat, depth * 0.7).translate([0, place, 0])
    if random.random() < 0.4:
        solid = solid + piece.box(x - bar, y - bar, 0.25 * depth).translate([0, bar / 2, 0])
    if random.random() < 0.4:
        foot = piece.box(0.8 * bar, 0.05, 0.4).translate([x * 0.35, 0, 0])
        solid = solid + foot + foot.mirror([1, 0, 0])
    return solid
