"""Where a gradient penalty is taken: real points, fake ones, between them, or towards an anchor.

The measures of [P] Table 1, on weighted points instead of samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onet.errors import ConfigError
from onet.gan_theory.games.game import Vector
from onet.registry import nearest

Points = NDArray  # (N, d)
Weighted = tuple[Points, Vector]  # points (N, d) and weights (N,) that add up to 1

MEASURES = ("real", "fake", "interpolated", "midpoint", "anchor")
NODES = 12  # Gauss-Legendre, along the segment between two points


def measure(name: str, real: Weighted, fake: Weighted, anchor: Points | None = None) -> Weighted:
    """Weighted points of a penalty measure.

    Args:
        name: of `MEASURES`; `interpolated` and `anchor` are uniform along segments, from real to
            fake points (drawn independently), and from one fixed point to fake ones.
        real: points and weights of the data.
        fake: points and weights of the generator.
        anchor: (d,), the fixed point of `anchor`; default the origin.

    Raises:
        ConfigError: an unknown name, or an anchor of another dimension.
    """
    if name not in MEASURES:
        raise ConfigError(f"unknown penalty measure {name!r}: {nearest(name, list(MEASURES))}")
    if name == "real":
        return real
    if name == "fake":
        return fake
    if name == "midpoint":
        return _between(real, fake, np.array([0.5]), np.ones(1))
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    nodes, weights = (nodes + 1) / 2, weights / 2
    if name == "interpolated":
        return _between(real, fake, nodes, weights)
    dimension = fake[0].shape[1]
    start = np.zeros((1, dimension))
    if anchor is not None:
        given = np.asarray(anchor, dtype=np.float64)
        if given.size != dimension:
            raise ConfigError(
                f"anchor: {given.size} numbers for points of {dimension}; give one for each"
            )
        start = given.reshape(1, dimension)
    return _between((start, np.ones(1)), fake, nodes, weights)


def _between(start: Weighted, end: Weighted, steps: Vector, step_weights: Vector) -> Weighted:
    a = steps[:, None, None, None]
    points = (1 - a) * start[0][None, :, None] + a * end[0][None, None]
    weights = np.einsum("s,i,j->sij", step_weights, start[1], end[1])
    return points.reshape(-1, points.shape[-1]), weights.ravel()
