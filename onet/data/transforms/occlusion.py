"""What is seen from one side."""

from __future__ import annotations

import math

import numpy as np

from onet.data.transforms._registry import TRANSFORMS
from onet.data.transforms._transform import Cloud, Points, Transform, direction, kept
from onet.errors import ConfigError

_POINTS, _AREA = 12, 3.0  # of a cell, and of a surface in the unit frame, to guess widths by
_DEPTH = 2.0  # widths behind the nearest point: surfaces may be so steep


@TRANSFORMS.register("occlusion")
class Occlusion(Transform):
    """The points that are seen from far away in a random direction.

    The plane across the direction has square cells. In each cell the nearest point is seen, with
    those that lie at most two widths of a cell behind it.

    Args:
        width: of a cell, in units of the object's longest edge; null for one that holds about 12
            points of a surface, and so lets none through.
    """

    def __init__(self, width: float | None = None) -> None:
        if width is not None and not (width > 0 and math.isfinite(width)):
            raise ConfigError(
                f"data.input.transforms: occlusion.width: {width}; "
                "give the width of a cell, over 0, or null"
            )
        self.width = width

    def __call__(self, points: Points, normals: Points | None, rng: np.random.Generator) -> Cloud:
        """Return the points that are seen."""
        width = self.width or math.sqrt(_POINTS * _AREA / len(points))
        backward = direction(rng)
        across = np.linalg.svd(backward[None])[2][1:]  # (2, 3), at right angles to it
        places = np.floor(points @ across.T / width)  # (N, 2) column and row of cells
        _, cells = np.unique(places.view(np.complex128).reshape(-1), return_inverse=True)
        depths = points @ backward
        nearest = np.full(len(points), np.inf)
        np.minimum.at(nearest, cells, depths)
        return kept(points, normals, depths <= nearest[cells] + _DEPTH * width)
