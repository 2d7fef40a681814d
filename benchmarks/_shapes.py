"""Analytic fields of the benchmarks: points (N, 3) float32 to values (N,), positive inside.

All lie in the box [-0.55, 0.55]^3 except the gyroid, which is cut by a ball.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Shape = Callable[[np.ndarray], np.ndarray]  # (N, 3) -> (N,)


def sphere(points: np.ndarray) -> np.ndarray:
    """Ball of radius 0.4."""
    return 0.4 - np.sqrt(np.einsum("ij,ij->i", points, points))


def torus(points: np.ndarray) -> np.ndarray:
    """Torus around the z axis."""
    return 0.13 - np.hypot(np.hypot(points[:, 0], points[:, 1]) - 0.33, points[:, 2])


def chair(points: np.ndarray) -> np.ndarray:
    """Seat, four legs and a back of slats: a union of boxes."""
    legs = [
        ((sx * 0.22, -0.27, sz * 0.22), (0.023, 0.22, 0.023)) for sx in (-1, 1) for sz in (-1, 1)
    ]
    slats = [((x, 0.22, -0.227), (0.027, 0.24, 0.019)) for x in (-0.22, -0.11, 0.0, 0.11, 0.22)]
    parts = [((0.0, -0.03, 0.0), (0.26, 0.031, 0.26)), *legs, *slats]
    parts.append(((0.0, 0.43, -0.227), (0.26, 0.037, 0.024)))
    value = np.full(len(points), -np.inf, dtype=np.float32)
    for centre, half in parts:
        excess = np.abs(points - np.array(centre, np.float32)) - np.array(half, np.float32)
        outside = np.sqrt((np.maximum(excess, 0) ** 2).sum(axis=1))
        value = np.maximum(value, -outside - np.minimum(excess.max(axis=1), 0))
    return value


def plane(points: np.ndarray) -> np.ndarray:
    """Airplane: a long body, wings 0.024 thick at the root and 0.016 at the tips, a tail."""
    x, y, z = points.T  # x towards the nose, y to the left, z upwards
    body = 0.055 - np.hypot(np.hypot(y, z), np.maximum(np.abs(x) - 0.42, 0))
    span = np.abs(y)

    def wing(root: float, sweep: float, length: float, chord: float, high: float) -> np.ndarray:
        along = np.clip(span / length, 0, 1)
        half_chord = chord * (1 - 0.5 * along) / 2
        forward = np.abs(x - root + sweep * span) - half_chord
        thick = np.abs(z - high) - (0.012 - 0.004 * along)
        return -np.maximum(np.maximum(forward, thick), span - length)

    main = wing(root=0.08, sweep=0.35, length=0.48, chord=0.2, high=-0.01)
    tail = wing(root=-0.36, sweep=0.4, length=0.17, chord=0.1, high=0.01)
    fin = -np.maximum(
        np.maximum(np.abs(x + 0.34 + 0.5 * z) - 0.05, span - 0.008), np.abs(z - 0.09) - 0.09
    )
    return np.maximum(np.maximum(body, main), np.maximum(tail, fin))


def gyroid(points: np.ndarray) -> np.ndarray:
    """Sheet of high genus, cut by a ball of radius 0.5."""
    a, b, c = (22.0 * points).T
    wave = np.sin(a) * np.cos(b) + np.sin(b) * np.cos(c) + np.sin(c) * np.cos(a)
    ball = 0.5 - np.sqrt(np.einsum("ij,ij->i", points, points))
    return np.minimum(0.3 - np.abs(wave), 20 * ball)


def rod(points: np.ndarray) -> np.ndarray:
    """Cylinder along the x axis, 50 times as long as wide, with round ends."""
    beyond = np.maximum(np.abs(points[:, 0]) - 0.53, 0)
    return 0.01 - np.hypot(np.hypot(points[:, 1], points[:, 2]), beyond)


SHAPES: dict[str, Shape] = {
    "sphere": sphere,
    "torus": torus,
    "chair": chair,
    "plane": plane,
    "gyroid": gyroid,
    "rod": rod,
}
