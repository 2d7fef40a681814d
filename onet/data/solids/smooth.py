"""Bodies with smooth skins: level sets of functions, positive inside, in the box of the extraction.

Creatures, hands, heads, trees and statues are smooth unions of limbs; blobs, waves and shells are
level sets of random functions. Over all of them runs a relief, where chance says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import trimesh

Random = np.random.Generator
Points = NDArray[np.floating]
Field = Callable[[Points], NDArray[np.float64]]

BOX = 0.62
"""Half edge of the box that fields are looked at in."""


class Limbs:
    """A smooth union of round cones, each from a point and radius to another."""

    def __init__(self, blend: float) -> None:
        """Start without any; `blend` is how far limbs melt together."""
        self.blend = blend
        self._ends: list[NDArray[np.float64]] = []

    def add(self, start: ArrayLike, end: ArrayLike, first: float, last: float) -> None:
        """Add one limb."""
        limb = np.concatenate([np.asarray(start, float), np.asarray(end, float), [first, last]])
        self._ends.append(limb)

    def chain(self, path: ArrayLike, radii: ArrayLike) -> None:
        """Add limbs along a path (N, 3) with a radius at each point."""
        places, widths = np.asarray(path, float), np.asarray(radii, float)
        for i in range(len(places) - 1):
            self.add(places[i], places[i + 1], widths[i], widths[i + 1])

    def centred(self) -> Limbs:
        """Return the same in the middle of the box, as large as fits."""
        ends = np.array(self._ends)
        places, radii = ends[:, :6].reshape(-1, 3), ends[:, 6:].reshape(-1, 1)
        low, high = (places - radii).min(0), (places + radii).max(0)
        scale = 1.0 / (high - low).max()
        made = Limbs(self.blend * scale)
        shifted = (ends[:, :6] - np.tile((low + high) / 2, 2)) * scale
        made._ends = list(np.hstack([shifted, ends[:, 6:] * scale]))
        return made

    def __call__(self, points: Points) -> NDArray[np.float64]:
        """Return about how deep points (N, 3) lie inside, in lengths."""
        total = np.zeros(len(points))
        for limb in self._ends:
            start, axis = limb[:3], limb[3:6] - limb[:3]
            t = np.clip((points - start) @ axis / max(float(axis @ axis), 1e-12), 0, 1)
            apart = np.linalg.norm(points - start - t[:, None] * axis, axis=1)
            depth = limb[6] + (limb[7] - limb[6]) * t - apart
            total += np.exp(np.clip(depth / self.blend, -60, 60))
        return self.blend * np.log(np.maximum(total, 1e-30))


def waves(random: Random, count: int, shortest: float, longest: float) -> Field:
    """Return a random function of about the size 1, a sum of plane waves."""
    length = np.exp(random.uniform(np.log(shortest), np.log(longest), count))
    direction = random.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    frequency = 2 * np.pi * direction / length[:, None]
    phase, weight = random.uniform(0, 2 * np.pi, count), random.normal(size=count)
    weight = weight * length / np.sqrt((length**2).sum() / 2)
    return lambda points: np.sin(points @ frequency.T + phase) @ weight


def with_relief(random: Random, field: Field) -> Field:
    """Return a field whose surface is rough, with folds or bumps, or smooth as it was."""
    if random.random() < 0.5:
        return field
    height = float(np.exp(random.uniform(np.log(0.0015), np.log(0.01))))
    shortest = max(0.05, 6 * height)
    relief = waves(random, 12, shortest, 4 * shortest)
    ridged = random.random() < 0.3
    return lambda points: (
        field(points) + height * (1 - 2 * np.abs(relief(points)) if ridged else relief(points))
    )


def moved(place: ArrayLike, x: float, y: float, z: float) -> NDArray[np.float64]:
    """Return a place (3,) moved by that much."""
    return np.asarray(place, dtype=np.float64) + np.array([x, y, z])


def mirrored(side: float, place: ArrayLike) -> NDArray[np.float64]:
    """Return a place with its x on one side (1) or the other (-1)."""
    return np.asarray(place, float) * [side, 1, 1]


def _leg(
    random: Random, limbs: Limbs, hip: ArrayLike, step: float, height: float, w: float
) -> None:
    """Add a leg with a knee and a foot below a hip."""
    hip = np.asarray(hip, float)
    knee = moved(hip, 0, -0.5 * height, 0.15 * height + step)
    ankle = moved(hip, 0, -0.95 * height, step * 1.5)
    toe = moved(ankle, 0, -0.03 * height, random.uniform(0.08, 0.25) * height)
    limbs.chain([hip, knee, ankle, toe], [w, 0.75 * w, 0.5 * w, 0.45 * w])


def creature(random: Random) -> Field:
    """Return an animal: a trunk with neck and head, pairs of legs, ears or horns, tail, wings."""
    limbs = Limbs(float(random.uniform(0.012, 0.04)))
    length, girth = float(random.uniform(0.4, 0.8)), float(random.uniform(0.08, 0.22))
    height = float(random.uniform(0.2, 0.6))
    spine = np.linspace([0, 0, -length / 2], [0, 0, length / 2], 5)
    spine[:, 1] += random.uniform(-0.05, 0.08, 5)
    fat = girth * random.uniform(0.7, 1.1, 5)
    limbs.chain(spine, fat)
    neck = moved(spine[-1], 0, random.uniform(0.05, 0.4), random.uniform(0.05, 0.25))
    head = moved(
        neck, random.uniform(-0.05, 0.05), random.uniform(-0.08, 0.08), random.uniform(0.06, 0.25)
    )
    skull = girth * random.uniform(0.5, 0.95)
    limbs.chain(
        [spine[-1], neck, head], [0.8 * fat[-1], 0.8 * skull, skull * random.uniform(0.4, 0.9)]
    )
    pairs = int(random.choice([0, 1, 2, 2, 2, 3, 4]))
    width = girth * random.uniform(0.2, 0.45)
    for k in range(pairs):
        at = spine[0] + (spine[-1] - spine[0]) * (k / max(1, pairs - 1) if pairs > 1 else 0.4)
        for side in (-1.0, 1.0):
            hip = mirrored(side, moved(at, 0.75 * girth, -0.3 * girth, 0))
            _leg(random, limbs, hip, float(random.uniform(-0.1, 0.1)), height, width)
    _ornaments(random, limbs, neck, skull, spine, girth)
    return limbs.centred()


def _ornaments(
    random: Random,
    limbs: Limbs,
    head: NDArray[np.float64],
    skull: float,
    spine: NDArray[np.float64],
    girth: float,
) -> None:
    """Add ears or horns, a tail and wings or fins, each with some probability."""
    if random.random() < 0.75:
        up, out = random.uniform(0.5, 2.5) * skull, random.uniform(0.1, 1.2) * skull
        for side in (-1.0, 1.0):
            root = head + mirrored(side, [0.6 * skull, 0.6 * skull, 0])
            limbs.add(root, root + mirrored(side, [out, up, -0.3 * up]), 0.35 * skull, 0.12 * skull)
    if random.random() < 0.7:
        path = spine[0] + np.cumsum(
            np.vstack([np.zeros(3), random.normal([0, 0.02, -0.1], [0.03, 0.06, 0.03], (4, 3))]), 0
        )
        limbs.chain(path, np.linspace(random.uniform(0.2, 0.6), 0.1, 5) * girth)
    if random.random() < 0.3:
        reach, thick = random.uniform(0.3, 0.7), random.uniform(0.012, 0.03)
        for side in (-1.0, 1.0):
            for back in np.linspace(0, 0.25, 5):
                root = spine[3] + mirrored(side, [0.5 * girth, 0.5 * girth, -back])
                tip = root + mirrored(side, [reach * (1 - 2 * back), 0.3 * reach, -back])
                limbs.add(root, tip, 1.6 * thick, thick)


def figure(random: Random) -> Field:
    """Return a standing, sitting or moving person or toy, sometimes with a long garment."""
    limbs = Limbs(float(random.uniform(0.01, 0.03)))
    wide, fat = random.uniform(0.09, 0.16), random.uniform(0.07, 0.13)
    hips, chest = np.array([0, 0.45, 0]), np.array([0, 0.72, random.uniform(-0.03, 0.05)])
    limbs.chain([hips, (hips + chest) / 2, chest], [fat, 0.85 * fat, 1.05 * fat])
    skull = random.uniform(0.06, 0.14)
    neck, head = moved(chest, 0, fat + 0.03, 0), moved(chest, 0, fat + 0.03 + skull, 0.01)
    limbs.chain(
        [chest, neck, head, moved(head, 0, 0.5 * skull, 0)], [0.6 * fat, 0.04, skull, 0.9 * skull]
    )
    limbs.add(head, moved(head, 0, -0.1 * skull, 1.1 * skull), 0.3 * skull, 0.2 * skull)
    thick = random.uniform(0.025, 0.05)
    for side in (-1.0, 1.0):
        shoulder = chest + mirrored(side, [wide, 0.5 * fat, 0])
        elbow = shoulder + mirrored(side, random.normal([0.08, -0.12, 0.02], 0.09))
        hand = elbow + mirrored(side, random.normal([0.0, -0.1, 0.08], 0.1))
        limbs.chain([chest, shoulder, elbow, hand], [0.6 * fat, 1.2 * thick, thick, 0.8 * thick])
        limbs.add(hand, hand + random.normal(0, 0.03, 3), thick, 0.5 * thick)
        hip = hips + mirrored(side, [0.6 * wide, 0, 0])
        knee = hip + mirrored(side, random.normal([0.02, -0.22, 0.05], 0.06))
        foot = knee + random.normal([0, -0.22, -0.03], 0.04)
        limbs.chain([hip, knee, foot, moved(foot, 0, 0, 0.09)],
                    np.array([1.7, 1.2, 0.9, 0.8]) * thick)  # fmt: skip
    if random.random() < 0.35:
        limbs.chain([hips, np.array([0, 0.02, 0])], [1.1 * fat, random.uniform(1.0, 2.2) * fat])
    if random.random() < 0.3:
        limbs.add([0, -0.06, 0], [0, -0.03, 0], 0.2, 0.2)  # a base
    return limbs.centred()


def hand(random: Random) -> Field:
    """Return a hand: palm, wrist and fingers, stretched or bent."""
    limbs = Limbs(float(random.uniform(0.01, 0.02)))
    palm = random.uniform(0.04, 0.06)
    for x in np.linspace(-0.12, 0.12, 4):
        limbs.add([0.6 * x, 0.05, 0], [x, 0.3, 0], palm, 0.9 * palm)
    limbs.add([0, -0.25, 0], [0, 0.05, 0], random.uniform(0.06, 0.09), 0.07)
    for x, long in zip(np.linspace(-0.13, 0.13, 4), (0.2, 0.27, 0.28, 0.23), strict=True):
        bend = random.uniform(0, 1.2)
        at, path = np.array([x, 0.32, 0]), []
        for joint in range(4):
            path.append(at)
            angle = bend * joint / 2
            at = at + long / 3 * np.array([x * 0.6, np.cos(angle), np.sin(angle)])
        limbs.chain(path, [0.04, 0.036, 0.033, 0.028])
    out = random.uniform(0.1, 0.25)
    limbs.chain([[0.1, 0.05, 0.02], [0.1 + out, 0.18, 0.05], [0.12 + out, 0.3, 0.08]],
                [0.05, 0.042, 0.034])  # fmt: skip
    return limbs.centred()


def head(random: Random) -> Field:
    """Return a head or bust: skull, jaw, nose, brows, eyes, ears, neck, shoulders, hair or hat."""
    limbs = Limbs(float(random.uniform(0.012, 0.03)))
    skull = random.uniform(0.2, 0.26)
    limbs.add([0, 0.05, -0.05], [0, 0.02, 0.05], skull, 0.85 * skull)
    limbs.add([0, -0.05, 0.08], [0, random.uniform(-0.22, -0.12), 0.13], 0.16, 0.08)
    nose = random.uniform(0.02, 0.04)
    limbs.add([0, 0.07, 0.22], [0, -0.03, random.uniform(0.26, 0.34)], 0.6 * nose, nose)
    limbs.add([-0.05, -0.11, 0.2], [0.05, -0.11, 0.2], 0.02, 0.02)
    for side in (-1.0, 1.0):
        limbs.add(mirrored(side, [0.03, 0.1, 0.21]), mirrored(side, [0.12, 0.1, 0.17]), 0.025, 0.02)
        limbs.add(
            mirrored(side, [0.08, 0.05, 0.17]), mirrored(side, [0.08, 0.05, 0.18]), 0.03, 0.03
        )
        ear = mirrored(side, [skull, 0.0, -0.02])
        reach = random.uniform(0.03, 0.12)
        limbs.add(ear, ear + mirrored(side, [0.3 * reach, reach, -0.03]), 0.03, 0.025)
        if random.random() < 0.8:
            limbs.add([0, -0.42, -0.06], mirrored(side, [0.26, -0.47, -0.06]), 0.1, 0.07)
    limbs.add([0, -0.1, -0.04], [0, -0.42, -0.06], 0.12, random.uniform(0.1, 0.16))
    if random.random() < 0.4:
        top = random.uniform(0.2, 0.5)
        limbs.add([0, 0.15, -0.06], [0, top, -0.1], 0.9 * skull, random.uniform(0.08, 0.26))
    return limbs.centred()


def tree(random: Random) -> Field:
    """Return a trunk with branches that fork, or a coral or root."""
    limbs = Limbs(float(random.uniform(0.006, 0.015)))
    tips = [(np.zeros(3), np.array([0, 1.0, 0]), float(random.uniform(0.2, 0.4)), 0.06)]
    for _ in range(random.integers(2, 5)):
        following = []
        for start, way, length, radius in tips:
            end = start + way * length
            limbs.add(start, end, radius, 0.75 * radius)
            for _ in range(random.integers(1, 4)):
                turned = way + random.normal(0, 0.55, 3)
                turned /= np.linalg.norm(turned)
                following.append((end, turned, length * random.uniform(0.6, 0.95), 0.72 * radius))
        tips = following[:14]
    if random.random() < 0.4:  # leaves, as balls
        for start, _, length, _ in tips:
            limbs.add(start, start, 0.45 * length + 0.03, 0.45 * length + 0.03)
    return limbs.centred()


def blob(random: Random) -> Field:
    """Return metaballs in a cluster, or along a curve."""
    limbs = Limbs(float(random.uniform(0.02, 0.07)))
    for _ in range(random.integers(2, 10)):
        start = random.uniform(-0.3, 0.3, 3)
        end = start + random.normal(0, 0.1, 3) * (random.random() < 0.5)
        limbs.add(start, end, *random.uniform(0.05, 0.2, 2))
    return limbs.centred()


def stone(random: Random) -> Field:
    """Return an ellipsoid with random low and high bumps, cut by some planes."""
    axes = random.uniform(0.2, 0.48, 3)
    bumps = waves(random, 16, 0.25, 0.9)
    strength = random.uniform(0.02, 0.12)
    normals = random.normal(size=(random.integers(0, 8), 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    cuts = random.uniform(0.15, 0.4, len(normals))

    def field(points: Points) -> NDArray[np.float64]:
        depth = (1 - np.linalg.norm(points / axes, axis=1)) * axes.min() + strength * bumps(points)
        if len(normals):
            depth = np.minimum(depth, (cuts - points @ normals.T).min(axis=1))
        return depth

    return field


def wavy(random: Random) -> Field:
    """Return the part of a random level set that lies in a ball or box."""
    longest = random.uniform(0.5, 1.0)
    waving = waves(random, 10, 0.6 * longest, longest)
    level = random.uniform(-0.5, 0.5)
    boxed = random.random() < 0.4

    def field(points: Points) -> NDArray[np.float64]:
        size = np.abs(points).max(axis=1) if boxed else np.linalg.norm(points, axis=1)
        return np.minimum(0.48 - size, 0.15 * (waving(points) - level))

    return field


def sheet(random: Random) -> Field:
    """Return a curved wall of even thickness: the rind of another body, cut open."""
    inner = (stone, blob, wavy, creature)[random.integers(4)](random)
    thick = float(np.exp(random.uniform(np.log(0.012), np.log(0.04))))
    normal = random.normal(size=3)
    normal /= np.linalg.norm(normal)
    cut = random.uniform(-0.1, 0.2)

    def field(points: Points) -> NDArray[np.float64]:
        depth = inner(points)
        return np.minimum(np.minimum(depth, thick - depth), cut - points @ normal)

    return field


SMOOTH: dict[str, Callable[[Random], Field]] = {
    "creature": creature, "figure": figure, "hand": hand, "head": head, "tree": tree,
    "blob": blob, "stone": stone, "wavy": wavy, "sheet": sheet,
}  # fmt: skip


def skin(field: Field, resolution: int, faces: int) -> trimesh.Trimesh | None:
    """Return the surface of the largest part of a field, with at most `faces` faces if possible.

    None where the field is nowhere positive in the box.
    """
    from onet.geometry.extraction import extract_mesh
    from onet.geometry.simplification import simplify

    box = np.array([[-BOX] * 3, [BOX] * 3])
    mesh = extract_mesh(
        lambda points: np.minimum(field(points), 0.99 * BOX - np.abs(points).max(axis=1)),
        box, resolution, threads=1,
    )  # fmt: skip
    if len(mesh.faces) == 0:
        return None
    parts = mesh.split(only_watertight=False)
    if len(parts) > 1:
        mesh = max(parts, key=lambda part: abs(part.volume))
    return simplify(mesh, faces)
