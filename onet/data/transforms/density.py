"""Uneven density."""

from __future__ import annotations

import math

import numpy as np

from onet.data.transforms._registry import TRANSFORMS
from onet.data.transforms._transform import Cloud, Points, Transform, direction, kept
from onet.errors import ConfigError


@TRANSFORMS.register("density")
class Density(Transform):
    """Leave out points, more and more of them in a random direction.

    Args:
        ratio: of the density at one end of the object to that at the other.
    """

    def __init__(self, ratio: float = 10.0) -> None:
        if not (ratio >= 1 and math.isfinite(ratio)):
            raise ConfigError(
                f"data.input.transforms: density.ratio: {ratio}; "
                "give 1 or more, of the densities of both ends"
            )
        self.ratio = ratio

    def __call__(self, points: Points, normals: Points | None, rng: np.random.Generator) -> Cloud:
        """Return the points that stay; at the dense end all do."""
        heights = points @ direction(rng)
        heights -= heights.min()
        which = rng.random(len(points)) <= self.ratio ** -(heights / (heights.max() or 1.0))
        which[heights.argmin()] = True
        return kept(points, normals, which)
