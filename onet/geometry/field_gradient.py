"""Values and gradients of any field, by its own means or by central differences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.errors import FieldError
from onet.geometry.field_values import Field, evaluate_in_batches


def value_and_gradient(
    field: Field,
    points: ArrayLike,  # (N, 3)
    step: float,
    *,
    batch_size: int = 65536,
    dtype: type[np.floating] = np.float32,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values (N,) and gradients (N, 3) of a field, in its own frame.

    A field with a method `value_and_gradient(points) -> (values (N,), gradients (N, 3))` is asked
    by that. Any other is evaluated seven times a point: the gradient is the central difference over
    `step` to both sides, between the points that `dtype` can represent.

    Args:
        field: see `extract_mesh`; its method, if any, may return arrays or torch tensors.
        points: in the frame of the field.
        step: half the distance of the difference, in units of the frame. A small part of the
            lattice cell does: 1/32 of one is small against the features that the mesh shows, and
            large against the rounding of coordinates.
        batch_size: most points handed to one call.
        dtype: of the points handed on; see `onet.geometry.lattice.point_dtype`.

    Raises:
        FieldError: NaN, non-numeric values or the wrong shape.
        ValueError: a step that is not positive, or too small to change the coordinates.
    """
    queries = np.ascontiguousarray(points, dtype=dtype)
    method = getattr(field, "value_and_gradient", None)
    if method is None:
        values = evaluate_in_batches(field, queries, batch_size=batch_size, dtype=dtype)
        return values, _central_differences(field, queries, step, batch_size)
    values, gradients = np.empty(len(queries)), np.empty((len(queries), 3))
    for start in range(0, len(queries), batch_size):
        part = slice(start, start + batch_size)
        values[part], gradients[part] = _checked(method(queries[part]), len(queries[part]))
    return values, gradients


def _central_differences(
    field: Field, points: NDArray[np.floating], step: float, batch_size: int
) -> NDArray[np.float64]:
    if not (np.isfinite(step) and step > 0):
        raise ValueError(f"step is {step}; it must be a positive number")
    gradients = np.empty((len(points), 3))
    for axis in range(3):
        ahead, behind = points.copy(), points.copy()
        ahead[:, axis] += step
        behind[:, axis] -= step
        width = ahead[:, axis].astype(np.float64) - behind[:, axis]
        if len(points) and not width.min() > 0:
            raise ValueError(f"step is {step}; coordinates as large as these need a larger one")
        dtype = points.dtype.type
        difference = evaluate_in_batches(field, ahead, batch_size=batch_size, dtype=dtype)
        difference -= evaluate_in_batches(field, behind, batch_size=batch_size, dtype=dtype)
        gradients[:, axis] = difference / width
    return gradients


def _checked(answer: Any, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values, gradients = (
        np.asarray(part.detach().cpu() if hasattr(part, "detach") else part, dtype=np.float64)
        for part in answer
    )
    if values.shape not in ((count,), (count, 1)) or gradients.shape != (count, 3):
        raise FieldError(
            f"the field's value_and_gradient returned shapes {values.shape} and {gradients.shape} "
            f"for {count} points; it must return ({count},) and ({count}, 3)"
        )
    if not (np.isfinite(values).all() and np.isfinite(gradients).all()):
        raise FieldError("the field's value_and_gradient returned NaN or infinite numbers")
    return values.reshape(count), gradients
