"""How well a voxel grid itself stands for a shape."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.metrics.scores import intersection_over_union


def voxel_iou(
    full: NDArray[np.bool_],  # (R, R, R)
    points: NDArray[np.floating],  # (N, 3) in the unit frame
    occupancies: ArrayLike,  # (N,) as `as_occupancies` takes them
) -> float:
    """IoU of a grid itself with labelled points, those outside its cube counted as empty.

    The baseline of voxel super-resolution (the row `Input` of table 11.4 of the thesis).
    """
    resolution = len(full)
    index = np.floor((np.asarray(points, dtype=np.float64) + 0.5) * resolution).astype(np.int64)
    within = ((index >= 0) & (index < resolution)).all(axis=1)
    filled = np.zeros(len(index), dtype=bool)
    filled[within] = full[tuple(index[within].T)]
    return intersection_over_union(filled, occupancies)
