"""Calling a field and checking what it returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.errors import FieldError

if TYPE_CHECKING:
    import torch

Field = Callable[[NDArray[Any]], Any]  # (N, 3) points, float32 as a rule -> (N,) values

# Range of values that single precision holds with room for their differences.
_TINY, _HUGE = 1e-30, 1e30


def evaluate_field_on_device(
    field: Callable[[torch.Tensor], Any],
    points: torch.Tensor,  # (N, 3) float32 or float64 on a device
    level: float,
) -> torch.Tensor:  # (N,) float32 on that device
    """`evaluate_field` for a field of tensors: nothing leaves the device.

    Raises:
        FieldError: as there, or no tensor on the device of the points.
    """
    import torch

    raw = field(points)
    if not isinstance(raw, torch.Tensor) or raw.device != points.device:
        found = raw.device if isinstance(raw, torch.Tensor) else type(raw).__name__
        raise FieldError(
            f"the field returned {found} for points on {points.device}; it must return a tensor "
            "there, or extract with device=None"
        )
    if raw.shape not in ((len(points),), (len(points), 1)):
        raise FieldError(
            f"the field returned shape {tuple(raw.shape)} for {len(points)} points; "
            f"it must return ({len(points)},), one value a point"
        )
    if raw.is_complex():
        raise FieldError(f"the field returned {raw.dtype} values; it must return real numbers")
    relative = raw.detach().reshape(-1).double() - level
    bad = torch.isnan(relative)
    if bad.any():
        raise FieldError(
            f"the field returned NaN at {int(bad.sum())} of {len(points)} points, "
            f"first at {points[bad][0].tolist()}"
        )
    size = relative.abs().clamp(_TINY, _HUGE)
    return torch.where(relative > 0, size, -size).float()


def evaluate_field(
    field: Field,
    points: NDArray[np.floating],  # (N, 3)
    level: float,
) -> NDArray[np.float32]:  # (N,)
    """Values relative to the level in single precision: positive exactly where inside.

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
    relative = values.reshape(-1).astype(np.float64) - level
    bad = np.isnan(relative)
    if bad.any():
        raise FieldError(
            f"the field returned NaN at {bad.sum()} of {len(points)} points, "
            f"first at {points[bad][0].tolist()}"
        )
    size = np.clip(np.abs(relative), _TINY, _HUGE)
    return np.where(relative > 0, size, -size).astype(np.float32)


def evaluate_in_batches(
    field: Field,
    points: ArrayLike,  # (N, 3)
    level: float = 0.0,
    batch_size: int = 65536,
    dtype: type[np.floating] = np.float32,
) -> NDArray[np.float64]:  # (N,)
    """`field(points) - level`, rounded to single precision; never 0, which counts as outside.

    Points are handed to the field as `dtype`, in batches; errors are those of `extract_mesh`.
    """
    queries = np.ascontiguousarray(points, dtype=dtype)
    values = np.empty(len(queries))
    for start in range(0, len(queries), batch_size):
        part = slice(start, start + batch_size)
        values[part] = evaluate_field(field, queries[part], level)
    return values
