"""Calling a field and checking what it returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import FieldError

Field = Callable[[NDArray[np.float32]], Any]  # (N, 3) points -> (N,) values

# Range of values that single precision holds with room for their differences.
_TINY, _HUGE = 1e-30, 1e30


def evaluate_field(
    field: Field,
    points: NDArray[np.float32],  # (N, 3)
    threshold: float,
) -> NDArray[np.float32]:  # (N,)
    """Values relative to the threshold in single precision: positive exactly where inside.

    Infinite values keep their sign.

    Raises:
        FieldError: the field returned NaN, complex or non-numeric values or the wrong shape.
    """
    raw = field(points)
    if hasattr(raw, "detach"):  # a torch tensor, recognised without importing torch
        raw = raw.detach().cpu()
        raw = raw.double().numpy() if raw.is_floating_point() else raw.numpy()
    values = np.asarray(raw)
    if values.shape not in ((len(points),), (len(points), 1)):
        raise FieldError(
            f"the field returned shape {values.shape} for {len(points)} points; "
            f"it must return ({len(points)},), one value a point"
        )
    if values.dtype.kind not in "biuf":
        raise FieldError(f"the field returned {values.dtype} values; it must return real numbers")
    relative = values.reshape(-1).astype(np.float64) - threshold
    bad = np.isnan(relative)
    if bad.any():
        raise FieldError(
            f"the field returned NaN at {bad.sum()} of {len(points)} points, "
            f"first at {points[bad][0].tolist()}"
        )
    size = np.clip(np.abs(relative), _TINY, _HUGE)
    return np.where(relative > 0, size, -size).astype(np.float32)
