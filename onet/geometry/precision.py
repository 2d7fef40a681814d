"""What single precision has done to coordinates far from the origin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def single_precision_step(
    points: NDArray[np.float64],  # (N, 3)
) -> float:
    """Return the step to which points were rounded where they are farthest out.

    It is that of single precision if all coordinates are numbers that it has, else 0.
    """
    largest = float(np.abs(points).max(initial=0.0))
    if largest >= float(np.finfo(np.float32).max):
        return 0.0
    rounded = points.astype(np.float32)
    return float(np.spacing(np.float32(largest))) if (rounded == points).all() else 0.0
