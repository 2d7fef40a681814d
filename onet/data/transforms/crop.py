"""A part of the object."""

from __future__ import annotations

import numpy as np

from onet.data.transforms._registry import TRANSFORMS
from onet.data.transforms._transform import Cloud, Points, Transform, direction, kept
from onet.errors import ConfigError


@TRANSFORMS.register("crop")
class Crop(Transform):
    """What lies on one side of a plane of random direction.

    Args:
        least: smallest share of the points that stays; the share is uniform from there to 1.
    """

    def __init__(self, least: float = 0.5) -> None:
        if not 0 < least <= 1:
            raise ConfigError(
                f"data.input.transforms: crop.least: {least}; "
                "give a share of the points, over 0 and up to 1"
            )
        self.least = least

    def __call__(self, points: Points, normals: Points | None, rng: np.random.Generator) -> Cloud:
        """Return the points below the plane."""
        number = max(1, round(rng.uniform(self.least, 1) * len(points)))
        heights = points @ direction(rng)
        which = np.zeros(len(points), dtype=bool)
        which[np.argpartition(heights, number - 1)[:number]] = True
        return kept(points, normals, which)
