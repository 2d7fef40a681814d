"""Noise of measurement."""

from __future__ import annotations

import math

import numpy as np

from onet.data.transforms._registry import TRANSFORMS
from onet.data.transforms._transform import Cloud, Points, Transform
from onet.errors import ConfigError


@TRANSFORMS.register("noise")
class Noise(Transform):
    """Gaussian noise, independent for each point.

    Args:
        deviation: its standard deviation along each axis, in units of the object's longest edge.
        normal: move points along their normals only.
    """

    def __init__(self, deviation: float = 0.005, normal: bool = False) -> None:
        if not (deviation >= 0 and math.isfinite(deviation)):
            raise ConfigError(
                f"data.input.transforms: noise.deviation: {deviation}; "
                "give a standard deviation, 0 or more"
            )
        self.deviation, self.needs_normals = deviation, normal

    def __call__(self, points: Points, normals: Points | None, rng: np.random.Generator) -> Cloud:
        """Return as many points, moved."""
        if self.needs_normals and normals is not None:
            steps = rng.standard_normal((len(points), 1), dtype=np.float32) * normals
        else:
            steps = rng.standard_normal(points.shape, dtype=np.float32)
        return points + np.float32(self.deviation) * steps, normals
