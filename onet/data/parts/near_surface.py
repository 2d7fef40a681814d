"""Labelled points of which half are near the surface."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from onet.data.item_writing import write_points
from onet.data.parts._part import Part, Shape
from onet.data.store_folder import NEAR_SURFACE
from onet.geometry.inside import contains
from onet.geometry.sampling import sample_box, sample_surface


@dataclass(frozen=True)
class NearSurface(Part):
    """Points like those of `points.npz`, but half of them near the surface.

    Attributes:
        noise: their standard deviation from it, in units of the longest edge; the thesis (its
            ablation study) says 0.1, the published script has 0.01 as its default.
        points: number of points; the first half is uniform in the padded cube.
        seed: of the draws.
    """

    name: ClassVar[str] = NEAR_SURFACE
    fields_of: ClassVar = {"noise": "near_surface", "points": "points", "seed": "seed"}

    noise: float
    points: int
    seed: int

    def write(self, folder: Path, shape: Shape) -> None:
        closed, rng = shape.require_closed(), shape.rng(self.seed, self.name)
        uniform = self.points // 2
        surface = sample_surface(closed.mesh, self.points - uniform, rng)[0]
        near = surface + self.noise * rng.standard_normal(surface.shape)
        box = sample_box(uniform, shape.padding, rng)
        points = np.concatenate([box, near]).astype(np.float16)
        occupancies = contains(closed.mesh, points.astype(np.float32))
        write_points(folder / self.name, points, occupancies, closed.frame)
