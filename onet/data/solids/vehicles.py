"""What flies, swims and drives: lofted bodies with wings, masts and wheels."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from onet.data.solids import primitives as piece
from onet.data.solids.primitives import Random

if TYPE_CHECKING:
    from manifold3d import Manifold


def lofted(stations: ArrayLike, widths: ArrayLike, heights: ArrayLike, power: float) -> Manifold:
    """Return a body along z whose sections are superellipses: hulls of neighbours, in a union.

    Args:
        stations: (N,) places along z, ascending.
        widths, heights: (N,) half axes of the sections.
        power: of the superellipse; 2 is an ellipse, larger is boxy.
    """
    angle = 2 * np.pi * np.arange(20) / 20
    x = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / power)
    y = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (2 / power)
    rings = [
        np.stack([w * x, h * y, np.full_like(x, s)], axis=1)
        for s, w, h in zip(
            np.asarray(stations), np.asarray(widths), np.asarray(heights), strict=True
        )
    ]
    return piece.union([piece.hull(np.vstack(pair)) for pair in pairwise(rings)])


def wing(span: float, root: float, tip: float, sweep: float, thick: float) -> Manifold:
    """Return a wing along x from the origin: a flat body thinner toward the tip and the edges."""

    def section(x: float, chord: float, back: float, t: float) -> np.ndarray:
        z = np.array([0.5, 0.2, -0.15, -0.5, -0.15, 0.2]) * chord - back
        y = np.array([0.0, 0.5, 0.4, 0.0, -0.4, -0.5]) * t
        return np.stack([np.full(6, x), y, z], axis=1)

    inner = section(0, root, 0, thick)
    return piece.hull(np.vstack([inner, section(span, tip, sweep, 0.5 * thick)]))


def airplane(random: Random) -> Manifold:
    """Return an aeroplane: body, wings, tail, engines and propellers."""
    radius = float(random.uniform(0.035, 0.09))
    stations = np.linspace(-0.5, 0.5, 9)
    profile = np.array([0.25, 0.5, 0.7, 0.9, 1, 1, 0.95, 0.75, 0.15]) ** random.uniform(0.4, 1.3)
    tall = random.uniform(0.9, 1.4)
    power = float(random.choice([2, 2, 3]))
    parts = [lofted(stations, radius * profile, radius * tall * profile, power)]
    span, root = float(random.uniform(0.3, 0.6)), float(random.uniform(0.1, 0.3))
    sweep, thick = float(random.uniform(-0.05, 0.3)), float(random.uniform(0.015, 0.04))
    level = float(random.uniform(-0.7, 1.0)) * radius
    rise = float(random.uniform(-3, 8))
    main = wing(span, root, root * random.uniform(0.25, 1), sweep, thick).rotate([0, 0, rise])
    main = main.translate([0, level, float(random.uniform(-0.05, 0.12))])
    if random.random() < 0.6:  # engines or propellers on the wings
        pod = lofted([-0.08, 0.0, 0.08], [0.015, 0.03, 0.028], [0.015, 0.03, 0.028], 2)
        drop = float(random.choice([0.0, -0.04]))
        pod = pod + piece.box(0.012, 0.06, 0.06).translate([0, -0.01, 0])
        main = main + pod.translate([0.4 * span, level + drop, 0.05 - 0.3 * sweep])
    tail = wing(0.35 * span, 0.5 * root, 0.3 * root, 0.3 * sweep, thick)
    tail = tail.translate([0, 0.3 * radius, -0.43])
    parts += [main, main.mirror([1, 0, 0]), tail, tail.mirror([1, 0, 0])]
    fin = wing(0.4 * span, 0.5 * root, 0.25 * root, 0.4 * abs(sweep) + 0.05, thick)
    parts.append(fin.rotate([0, 0, 90]).translate([0, 0.2 * radius, -0.43]))
    if random.random() < 0.4:
        blade = piece.box(float(random.uniform(0.15, 0.3)), 0.02, 0.012).translate([0, -0.01, 0.5])
        parts += [blade, blade.rotate([0, 0, 90])]
    return piece.union(parts)


def ship(random: Random) -> Manifold:
    """Return a ship or boat: a hull, sometimes open, with houses, funnels, masts and sails."""
    wide, deep = float(random.uniform(0.06, 0.18)), float(random.uniform(0.05, 0.15))
    stations = np.linspace(-0.5, 0.5, 9)
    profile = np.array([0.7, 0.9, 1, 1, 1, 0.95, 0.8, 0.5, 0.05])
    body = lofted(stations, wide * profile, deep * (0.6 + 0.4 * profile), 2.5)
    body = body.trim_by_plane([0, -1, 0], 0.0)
    if random.random() < 0.4:
        body = body - body.scale([0.85, 0.85, 0.93]).translate([0, 0.01, 0])
        bench = piece.box(1.9 * wide, 0.02, 0.06).translate([0, -0.04, 0])
        return body + (bench ^ body.hull()) if random.random() < 0.7 else body
    parts, level = [body], -0.01
    for _ in range(random.integers(1, 4)):
        x, y, z = (
            2 * wide * random.uniform(0.4, 0.8),
            random.uniform(0.04, 0.1),
            random.uniform(0.1, 0.4),
        )
        parts.append(piece.box(x, y, z).translate([0, level, float(random.uniform(-0.2, 0.1))]))
        level += y - 0.005
    for _ in range(random.integers(0, 4)):
        at = float(random.uniform(-0.35, 0.35))
        tall, thick = float(random.uniform(0.2, 0.6)), float(random.uniform(0.007, 0.03))
        parts.append(piece.cylinder(tall + 0.05, thick, sides=10).translate([0, -0.05, at]))
        if random.random() < 0.4:
            sail = piece.box(float(random.uniform(0.15, 0.4)), 0.5 * tall, 0.014).translate(
                [0, 0.4 * tall, at]
            )
            parts.append(sail.rotate([0, float(random.uniform(-20, 20)), 0]))
    return piece.union(parts)


def car(random: Random) -> Manifold:
    """Return a car, truck, cart or railway carriage: body, cabin, wheels."""
    x, y = float(random.uniform(0.3, 0.5)), float(random.uniform(0.12, 0.3))
    rounded = float(random.choice([0.0, 0.03, 0.06]))
    body = piece.box(x, y, 1.0, rounded)
    tall, start, end = (
        random.uniform(0.1, 0.25),
        random.uniform(-0.5, -0.2),
        random.uniform(0.0, 0.45),
    )
    slope = float(random.uniform(0, 0.15))
    side = [(start, 0), (end, 0), (end - slope, tall), (start + slope, tall)]
    cabin = piece.outline(side).extrude(0.9 * x).translate([0, 0, -0.45 * x]).rotate([0, -90, 0])
    solid = body + cabin.translate([0, y - 0.005, 0])
    if random.random() < 0.3:  # open at the back, as a pick-up is
        solid = solid - piece.box(0.85 * x, y, 0.35).translate([0, 0.4 * y, float(start) + 0.05])
    radius, width = float(random.uniform(0.07, 0.13)), float(random.uniform(0.04, 0.1))
    wheel = piece.cylinder(width, radius, sides=20).rotate([0, 0, 90])
    axles = np.linspace(-0.33, 0.33, int(random.choice([2, 2, 2, 3, 4])))
    for axle in axles:
        arch = piece.cylinder(2, 1.15 * radius, sides=20).rotate([0, 0, 90]).translate([1, 0, axle])
        shaft = piece.cylinder(x, 0.02, sides=8).rotate([0, 0, 90]).translate([x / 2, 0, axle])
        keep = piece.box(x - 2 * width, 1, 3).translate([0, -0.5, 0])
        solid = (solid - (arch - keep)) + shaft
        for side_of in (-x / 2 + width, x / 2):
            solid = solid + wheel.translate([side_of, 0, axle])
    return solid


VEHICLES: dict[str, Callable[[Random], Manifold]] = {
    "airplane": airplane, "ship": ship, "car": car,
}  # fmt: skip
