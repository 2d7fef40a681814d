"""Vertices as files will store them, so that what is decided about faces holds for the file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HARMLESS = 1e-3
"""Part of a length that counts by which single precision may move a vertex."""


def storable(
    vertices: NDArray[np.float64],
    length: float,
) -> NDArray[np.float64]:
    """Return vertices (V, 3) rounded to single precision, unless that would do harm.

    Args:
        vertices: in the frame of the file.
        length: that counts: of the cells of a lattice, or of edges.
    """
    furthest = float(np.abs(vertices).max(initial=0.0))
    with np.errstate(over="ignore", invalid="ignore"):
        apart = float(np.spacing(np.float32(furthest)))
    if not apart <= HARMLESS * length:
        return vertices
    tiny = float(np.finfo(np.float32).tiny)
    if tiny > HARMLESS * length:
        return vertices
    return vertices.astype(np.float32).astype(np.float64)
