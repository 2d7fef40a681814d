"""Parts of a surface with one material each, as readers hand them on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onet.geometry.color.textured import SurfaceMaterial


@dataclass(frozen=True, eq=False)
class TexturedPart:
    """Triangles with one material.

    Attributes:
        vertices: (N, 3) float64.
        faces: (M, 3) int64.
        material: of all faces.
        uv: (M, 3, 2) of the corners, v upwards, or None.
        light: (M, 3, 4) amounts of light and alpha of the corners, or None.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    material: SurfaceMaterial
    uv: NDArray[np.float64] | None = None
    light: NDArray[np.float64] | None = None
