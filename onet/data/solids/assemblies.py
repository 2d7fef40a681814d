"""Furniture and lamps: plates, legs, slats and cushions put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.data.solids import primitives as piece
from onet.data.solids.primitives import Random

if TYPE_CHECKING:
    from manifold3d import Manifold


def moved(place: ArrayLike, x: float, y: float, z: float) -> NDArray[np.float64]:
    """Return a place (3,) moved by that much."""
    return np.asarray(place, dtype=np.float64) + np.array([x, y, z])


def thin(random: Random, low: float = 0.012, high: float = 0.06) -> float:
    """Return a thickness, log-uniform."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def legs(random: Random, x: float, z: float, height: float) -> Manifold:
    """Return four legs under the corners of a rectangle x times z, or a foot in the middle."""
    width = thin(random, 0.015, 0.07)
    kind = random.integers(5)
    if kind == 4:
        foot = piece.cylinder(thin(random), 0.4 * min(x, z), sides=24)
        return foot + piece.cylinder(height, width, sides=16)
    splay = float(random.uniform(0, 0.12)) if random.random() < 0.4 else 0.0
    made = []
    for sx in (-1, 1):
        for sz in (-1, 1):
            at = np.array([sx * (x / 2 - width), 0, sz * (z / 2 - width)])
            foot = moved(at, sx * splay, 0, sz * splay)
            top = moved(at, 0, height, 0)
            if kind == 0:
                made.append(piece.box(width, height, width).translate(list(at)))
            else:
                thick = width / 2 * random.choice([1.0, 0.6])
                made.append(piece.rod(foot, top, thick, width / 2, sides=10 if kind > 1 else 4))
    if random.random() < 0.4:
        level, bar = float(random.uniform(0.15, 0.6)) * height, 0.6 * width
        inner = x - 2 * width, z - 2 * width
        made += [
            piece.box(inner[0] + width, bar, bar).translate([0, level, s * inner[1] / 2])
            for s in (-1, 1)
        ]
        made += [
            piece.box(bar, bar, inner[1] + width).translate([s * inner[0] / 2, level, 0])
            for s in (-1, 1)
        ]
    return piece.union(made)


def top_plate(random: Random, x: float, z: float, thick: float) -> Manifold:
    """Return the top of a table: square, rounded, round or many-cornered."""
    kind = random.integers(4)
    if kind == 0:
        return piece.box(x, thick, z)
    if kind == 1:
        return piece.box(x, thick, z, rounded=0.45 * thick)
    if kind == 2:
        return piece.cylinder(thick, 0.5, sides=32).scale([x, 1, z])
    return piece.cylinder(thick, 0.5, sides=int(random.choice([6, 8]))).scale([x, 1, z])


def table(random: Random) -> Manifold:
    """Return a table or desk, perhaps with an apron, drawers at a side or a lower shelf."""
    x, z = random.uniform(0.4, 1.0, 2)
    height, thick = float(random.uniform(0.25, 0.9)), thin(random)
    solid = top_plate(random, x, z, thick).translate([0, height, 0])
    inset = float(random.uniform(0.75, 0.98))
    solid = solid + legs(random, 0.85 * inset * x, 0.85 * inset * z, height + thick / 2)
    if random.random() < 0.4:
        apron = piece.box(0.8 * x, 0.1, 0.8 * z) - piece.box(0.8 * x - 0.04, 1, 0.8 * z - 0.04)
        solid = solid + apron.translate([0, height - 0.1 + thick / 4, 0])
    if random.random() < 0.25:
        solid = solid + piece.box(0.85 * x, thin(random), 0.8 * z).translate(
            [0, height * random.uniform(0.2, 0.5), 0]
        )
    if random.random() < 0.25:
        drawer = piece.box(0.3 * x, 0.7 * height, 0.8 * z)
        solid = solid + drawer.translate([0.3 * x, 0.3 * height + thick / 2, 0])
    return solid


def chair(random: Random) -> Manifold:
    """Return a chair, stool or armchair; backs are boards, slats, rods or frames."""
    x, z = random.uniform(0.35, 0.6, 2)
    seat, thick = float(random.uniform(0.25, 0.5)), thin(random, 0.02, 0.12)
    rounded = 0.4 * thick if random.random() < 0.4 else 0.0
    plate = (
        piece.box(x, thick, z, rounded) if random.random() < 0.8 else top_plate(random, x, z, thick)
    )
    solid = plate.translate([0, seat, 0]) + legs(random, 0.92 * x, 0.92 * z, seat + thick / 2)
    if random.random() < 0.85:
        back = _back(random, x, float(random.uniform(0.3, 0.7)))
        lean = float(random.uniform(0, 15))
        solid = solid + back.rotate([-lean, 0, 0]).translate([0, seat + 0.3 * thick, -0.45 * z])
    if random.random() < 0.35:
        arm = piece.box(thin(random, 0.02, 0.06), 0.025, 0.9 * z).translate([x / 2, 0.2, 0])
        post = piece.rod([x / 2, -0.01, 0.35 * z], [x / 2, 0.21, 0.35 * z], 0.015)
        behind = piece.rod([x / 2, -0.01, -0.4 * z], [x / 2, 0.21, -0.4 * z], 0.015)
        arm = (arm + post + behind).translate([-0.02, seat + 0.5 * thick, 0])
        solid = solid + arm + arm.mirror([1, 0, 0])
    return solid


def _back(random: Random, x: float, height: float) -> Manifold:
    """Return the back of a chair, upright."""
    thick = thin(random, 0.015, 0.06)
    kind = random.integers(3)
    if kind == 0:
        return piece.box(x, height, thick, 0.3 * thick if random.random() < 0.5 else 0.0)
    post = piece.box(thick, height, thick).translate([x / 2 - thick / 2, 0, 0])
    rail = piece.box(x, 2 * thick, thick).translate([0, height - 2 * thick, 0])
    solid = post + post.mirror([1, 0, 0]) + rail
    count = int(random.integers(1, 7))
    if kind == 1:
        bars = [
            piece.box(x - thick, 0.4 * height / count, 0.6 * thick).translate(
                [0, height * (i + 0.7) / (count + 1), 0]
            )
            for i in range(count)
        ]
    else:
        bars = [
            piece.cylinder(height - thick, 0.4 * thick, sides=8).translate(
                [(x - thick) * ((i + 1) / (count + 1) - 0.5), 0, 0]
            )
            for i in range(count)
        ]
    return solid + piece.union(bars)


def shelf(random: Random) -> Manifold:
    """Return a shelf: sides, boards, sometimes a back, partitions and what stands on it."""
    x, y, z = random.uniform(0.3, 1.0), random.uniform(0.3, 1.0), random.uniform(0.12, 0.4)
    thick = thin(random, 0.012, 0.04)
    boards = int(random.integers(2, 7))
    side = piece.box(thick, y, z).translate([x / 2 - thick / 2, 0, 0])
    levels = [(y - thick) * i / (boards - 1) for i in range(boards)]
    parts = [side, side.mirror([1, 0, 0])]
    parts += [piece.box(x, thick, z).translate([0, level, 0]) for level in levels]
    if random.random() < 0.6:
        parts.append(piece.box(x, y, thick).translate([0, 0, -z / 2 + thick / 2]))
    for _ in range(random.integers(0, 3)):
        parts.append(piece.box(thick, y, z).translate([x * random.uniform(-0.4, 0.4), 0, 0]))
    for _ in range(random.integers(0, 8) if random.random() < 0.4 else 0):
        level = levels[random.integers(boards)] + thick / 2
        size = random.uniform(0.04, 0.15, 3)
        at = [float(random.uniform(-0.4, 0.4)) * x, level, float(random.uniform(-0.2, 0.2)) * z]
        parts.append(piece.box(*size).translate(at))
    return piece.union(parts)


def cabinet(random: Random) -> Manifold:
    """Return a cabinet, chest or appliance: grooves between doors, handles, feet, a plinth."""
    x, y, z = random.uniform(0.3, 1.0, 3)
    solid = piece.box(x, y, z, 0.03 if random.random() < 0.2 else 0.0)
    columns, rows = random.integers(1, 4, 2)
    groove = float(random.uniform(0.006, 0.02))
    for i in range(1, columns):
        cut = piece.box(groove, 0.94 * y, 0.05).translate(
            [x * (i / columns - 0.5), 0.03 * y, z / 2]
        )
        solid = solid - cut
    for j in range(1, rows):
        solid = solid - piece.box(0.94 * x, groove, 0.05).translate([0, y * j / rows, z / 2])
    for i in range(columns):
        for j in range(rows):
            at = [x * ((i + 0.5) / columns - 0.5), y * (j + 0.6) / rows, z / 2 + 0.01]
            knob = piece.ball(0.02, 10) if columns > rows else piece.box(0.15, 0.02, 0.06)
            solid = solid + knob.translate(at)
    if random.random() < 0.5:
        solid = solid + legs(random, 0.95 * x, 0.95 * z, 0.15).translate([0, -0.13, 0])
    if random.random() < 0.3:
        solid = solid + piece.box(x + 0.06, thin(random), z + 0.06).translate([0, y - 0.005, 0])
    return solid


def sofa(random: Random) -> Manifold:
    """Return a sofa or bed: base, cushions, back and arms with round edges."""
    x, z = float(random.uniform(0.5, 1.0)), float(random.uniform(0.35, 0.6))
    seat, arm = float(random.uniform(0.12, 0.25)), float(random.uniform(0.05, 0.15))
    soft = float(random.uniform(0.01, 0.05))
    parts = [piece.box(x, seat, z, soft)]
    cushions = int(random.integers(1, 4))
    inner = x - 2 * arm
    for i in range(cushions):
        cushion = piece.box(0.97 * inner / cushions, 0.12, 0.9 * z, soft)
        parts.append(cushion.translate([inner * ((i + 0.5) / cushions - 0.5), seat - 0.02, 0.03]))
    if random.random() < 0.85:
        back = piece.box(
            x, float(random.uniform(0.3, 0.55)), float(random.uniform(0.06, 0.15)), soft
        )
        parts.append(back.translate([0, 0, -z / 2]))
    if random.random() < 0.7:
        side = piece.box(arm, seat + float(random.uniform(0.08, 0.2)), z, soft)
        side = side.translate([x / 2 - arm / 2, 0, 0])
        parts += [side, side.mirror([1, 0, 0])]
    if random.random() < 0.5:
        parts.append(legs(random, 0.9 * x, 0.9 * z, 0.1).translate([0, -0.08, 0]))
    return piece.union(parts)


def lamp(random: Random) -> Manifold:
    """Return a lamp: foot, rod or jointed arm, and a shade that is hollow."""
    height, wall = float(random.uniform(0.4, 1.0)), thin(random, 0.012, 0.03)
    radius = float(random.uniform(0.1, 0.25))
    solid = piece.cylinder(thin(random, 0.02, 0.06), float(random.uniform(0.1, 0.2)), sides=24)
    rod = thin(random, 0.01, 0.025)
    top = np.array([0.0, height, 0.0])
    if random.random() < 0.35:
        elbow = np.array([float(random.uniform(-0.3, 0)), 0.6 * height, 0])
        top = np.array([float(random.uniform(0.0, 0.3)), height, 0])
        solid = solid + piece.tube(np.stack([np.zeros(3), elbow, top]), rod, 10)
    else:
        solid = solid + piece.cylinder(height, rod, sides=12)
    tall, narrow = float(random.uniform(0.12, 0.35)), radius * float(random.uniform(0.2, 1.0))
    profile = [(radius, 0), (narrow, tall), (max(narrow - wall, 0.002), tall), (radius - wall, 0)]
    shade = piece.revolved(profile, 24)
    spokes = piece.box(2 * (radius + narrow) / 2 - wall, 0.02, 0.02).translate([0, tall / 2, 0])
    shade = shade + spokes + spokes.rotate([0, 90, 0])
    tilt = float(random.uniform(0, 50)) if random.random() < 0.3 else 0.0
    return solid + shade.translate([0, -tall / 2, 0]).rotate([0, 0, tilt]).translate(list(top))


FURNITURE: dict[str, Callable[[Random], Manifold]] = {
    "table": table, "chair": chair, "shelf": shelf, "cabinet": cabinet, "sofa": sofa, "lamp": lamp,
}  # fmt: skip
