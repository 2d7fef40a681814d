"""Points that belong to no surface."""

from __future__ import annotations

import math

import numpy as np

from onet.data.transforms._registry import TRANSFORMS
from onet.data.transforms._transform import Cloud, Points, Transform
from onet.errors import ConfigError


@TRANSFORMS.register("outliers")
class Outliers(Transform):
    """Replace some of the points by others that are uniform in a box around the object.

    Args:
        share: of the points.
        extent: edge of the box, in units of the object's longest edge.
    """

    def __init__(self, share: float = 0.05, extent: float = 1.1) -> None:
        if not 0 <= share <= 1:
            raise ConfigError(
                f"data.input.transforms: outliers.share: {share}; "
                "give a share of the points, from 0 to 1"
            )
        if not (extent > 0 and math.isfinite(extent)):
            raise ConfigError(
                f"data.input.transforms: outliers.extent: {extent}; give the edge of a box, over 0"
            )
        self.share, self.extent = share, extent

    def __call__(self, points: Points, normals: Points | None, rng: np.random.Generator) -> Cloud:
        """Return as many points; normals of outliers have random directions."""
        chosen = rng.permutation(len(points))[: round(self.share * len(points))]
        points = points.copy()
        points[chosen] = rng.uniform(-self.extent / 2, self.extent / 2, (len(chosen), 3))
        if normals is not None:
            normals = normals.copy()
            drawn = rng.standard_normal((len(chosen), 3))
            normals[chosen] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        return points, normals
