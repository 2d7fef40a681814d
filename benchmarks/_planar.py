"""Distributions in the plane that generators of two numbers are tried on.

Each is a function (count, generator) -> points (count, 2). The first six are those that [M] table
8.1 names; their figure is all that says where they lie, so places and sizes are chosen here, within
about [-1, 1]^2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Distribution = Callable[[int, np.random.Generator], Points]


def gaussian(count: int, rng: np.random.Generator) -> Points:
    """N(0, 0.5^2 I)."""
    return 0.5 * rng.standard_normal((count, 2))


def line(count: int, rng: np.random.Generator) -> Points:
    """Uniform on the segment from (-1, -0.5) to (1, 0.5)."""
    return np.outer(rng.uniform(-1, 1, count), (1.0, 0.5))


def circle(count: int, rng: np.random.Generator) -> Points:
    """Uniform on the unit circle."""
    return _on_circle(rng.uniform(0, 2 * np.pi, count))


def four_lines(count: int, rng: np.random.Generator) -> Points:
    """Uniform on the sides of the square [-1, 1]^2 without the half of each at the corners."""
    turns = rng.integers(4, size=count) * np.pi / 2
    along = rng.uniform(-0.5, 0.5, count)
    return _on_circle(turns) + along[:, None] * _on_circle(turns + np.pi / 2)


def four_squares(count: int, rng: np.random.Generator) -> Points:
    """Uniform on four squares of side 0.5 with centres (+-0.75, +-0.75)."""
    centres = 0.75 * rng.choice([-1.0, 1.0], (count, 2))
    return centres + rng.uniform(-0.25, 0.25, (count, 2))


def eight(count: int, rng: np.random.Generator) -> Points:
    """Uniform on two circles of radius 0.5 that touch in the origin, one above the other."""
    above = rng.choice([-0.5, 0.5], count)
    points = 0.5 * _on_circle(rng.uniform(0, 2 * np.pi, count))
    return points + np.outer(above, (0.0, 1.0))


PLANAR: dict[str, Distribution] = {
    "gaussian": gaussian,
    "line": line,
    "circle": circle,
    "four lines": four_lines,
    "four squares": four_squares,
    "eight": eight,
}


def ring_centres(modes: int) -> Points:
    """Means (modes, 2) of `ring`, the first at (1, 0)."""
    return _on_circle(2 * np.pi * np.arange(modes) / modes)


def ring(count: int, rng: np.random.Generator, modes: int = 5, variance: float = 0.002) -> Points:
    """Equal Gaussians with means evenly on the unit circle; five of them in [S] appendix D."""
    means = ring_centres(modes)[rng.integers(modes, size=count)]
    return means + np.sqrt(variance) * rng.standard_normal((count, 2))


def _on_circle(angles: NDArray[np.floating]) -> Points:
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)
