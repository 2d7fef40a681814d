"""Unions and differences of random pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onet.data.solids import primitives as piece
from onet.data.solids.primitives import Random

if TYPE_CHECKING:
    from manifold3d import Manifold


def any_piece(random: Random, size: float, largest: float = 1.0) -> Manifold:
    """Return a random piece about the size `size`, centred on the origin, not turned."""
    x, y, z = size * np.exp(random.uniform(-1.2, 0, 3)) * largest
    sides = piece.segments(random)
    kind = random.integers(8)
    if kind == 0:
        return piece.box(x, y, z).translate([0, -y / 2, 0])
    if kind == 1:
        return piece.box(x, y, z, rounded=random.uniform(0.05, 0.4) * min(x, y, z)).translate(
            [0, -y / 2, 0]
        )
    if kind == 2:
        return piece.cylinder(y, x / 2, sides=sides).translate([0, -y / 2, 0])
    if kind == 3:
        top = x / 2 * random.choice([0, random.uniform(0, 1)])
        return piece.cylinder(y, x / 2, top, sides).translate([0, -y / 2, 0])
    if kind == 4:
        return piece.torus(size * 0.35, size * random.uniform(0.03, 0.15), max(12, sides))
    if kind == 5:
        return piece.ball(size / 2, sides).scale([x / size, y / size, z / size])
    if kind == 6:
        return piece.prism(random, y, size).translate([0, -y / 2, 0])
    path = piece.curve(random, int(random.integers(2, 5)), 10, size * 0.5)
    return piece.tube(path, size * random.uniform(0.02, 0.12))


def turned(random: Random, part: Manifold) -> Manifold:
    """Return a part turned by right angles, or, less often, anyhow."""
    if random.random() < 0.6:
        return part.rotate([90.0 * a for a in random.integers(0, 4, 3)])
    return part.rotate([float(a) for a in random.uniform(0, 360, 3)])


def csg(random: Random) -> Manifold:
    """Return a union of 1 to 5 pieces, less up to 4, in a cube of about the size 1."""
    solid = turned(random, any_piece(random, 1.0))
    for _ in range(random.integers(0, 5)):
        part = turned(random, any_piece(random, random.uniform(0.3, 1.0)))
        solid = solid + part.translate(list(_place(random, solid)))
    for _ in range(random.integers(0, 5) if random.random() < 0.7 else 0):
        part = turned(random, any_piece(random, random.uniform(0.2, 0.8)))
        rest = solid - part.translate(list(_place(random, solid)))
        if rest.volume() > 0.3 * solid.volume():
            solid = rest
    if random.random() < 0.25:
        solid = solid + solid.mirror([1, 0, 0])
    return solid


def _place(random: Random, solid: Manifold) -> np.ndarray:
    """Return a vertex of the solid, or a point between one and its middle."""
    vertices = solid.to_mesh().vert_properties[:, :3]
    vertex = vertices[random.integers(len(vertices))]
    middle = vertices.mean(axis=0)
    return (middle + (vertex - middle) * random.choice([1.0, random.random()])).astype(float)


def holed(random: Random) -> Manifold:
    """Return a block, plate or disc with rows of holes through it."""
    x, z = random.uniform(0.5, 1, 2)
    y = float(np.exp(random.uniform(np.log(0.03), np.log(0.6))))
    solid = piece.box(x, y, z) if random.random() < 0.6 else piece.cylinder(y, x / 2, sides=32)
    columns, rows = random.integers(1, 6, 2)
    radius = 0.5 * random.uniform(0.3, 0.8) * min(x / columns, z / rows)
    sides = int(random.choice([4, 6, 24]))
    drill = piece.cylinder(3, radius, sides=sides).translate([0, -1, 0])
    drills = [
        drill.translate([x * ((i + 0.5) / columns - 0.5), 0, z * ((j + 0.5) / rows - 0.5)])
        for i in range(columns)
        for j in range(rows)
    ]
    return solid - piece.union(drills)


def tubes(random: Random) -> Manifold:
    """Return tubes along curves, a coil, a knot or a lattice of rods."""
    kind = random.integers(4)
    radius = float(np.exp(random.uniform(np.log(0.012), np.log(0.08))))
    if kind == 0:
        count = random.integers(1, 5)
        return piece.union(
            [piece.tube(piece.curve(random, 4, 24), radius, 10) for _ in range(count)]
        )
    if kind == 1:
        turns, angles = random.uniform(1.5, 6), np.linspace(0, 1, 96)
        wide = random.uniform(0.15, 0.5) * (1 - random.uniform(0, 0.7) * angles)
        around = 2 * np.pi * turns * angles
        path = np.stack([wide * np.cos(around), angles, wide * np.sin(around)], axis=1)
        return piece.tube(path, min(radius, 0.3 / turns), 8)
    if kind == 2:
        p, q = [(2, 3), (3, 2), (2, 5), (3, 4)][random.integers(4)]
        angle = np.linspace(0, 2 * np.pi, 128)
        wide = 0.35 + 0.15 * np.cos(q * angle)
        path = np.stack(
            [wide * np.cos(p * angle), 0.15 * np.sin(q * angle), wide * np.sin(p * angle)], axis=1
        )
        return piece.tube(path, radius, 8)
    return lattice(random, radius / 2)


def lattice(random: Random, radius: float) -> Manifold:
    """Return rods along the edges of a grid of cells, some with diagonals."""
    counts = random.integers(1, 4, 3)
    size = random.uniform(0.4, 1.0, 3)
    axes = [np.linspace(0, s, n + 1) for s, n in zip(size, counts, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    slanted = random.random() < 0.4
    rods = []
    for index in np.ndindex(*grid.shape[:3]):
        steps = [(1, 0, 0), (0, 1, 0), (0, 0, 1), *([(1, 1, 0)] if slanted else [])]
        for step in steps:
            other = tuple(np.add(index, step))
            if all(o <= n for o, n in zip(other, counts, strict=True)):
                rods.append(piece.rod(grid[index], grid[other], radius, sides=6))
    joints = [piece.ball(1.3 * radius, 8).translate(list(p)) for p in grid.reshape(-1, 3)]
    return piece.union([*rods, *joints])
