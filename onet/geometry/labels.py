"""What comes with points: occupancies and normals, checked, in one form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError

INSIDE = 0.5
"""The least probability that counts as inside, as in the published code."""


def as_occupancies(
    occupancies: Any, count: int | None = None, source: str = "occupancies"
) -> NDArray[np.bool_]:
    """Occupancies (N,) as booleans.

    Args:
        occupancies: (N,) booleans; numbers 0 and 1; probabilities in [0, 1], of which 1/2 and more
            are inside; or, if `count` is given, ((N + 7) / 8,) uint8, the packed bits of the
            published layout (`np.packbits`). An array or a torch tensor.
        count: N, of the points that they belong to.
        source: what to call them in an error message.

    Raises:
        DataError: another shape; values that are none of these: NaN, logits, other integers.
    """
    array = _array(occupancies, source)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{source}: expected numbers, found {array.dtype}; give 0 or 1 a point")
    if count is not None and _looks_packed(array, count):
        return _unpacked(array, count, source)
    if array.ndim != 1 or count not in (None, len(array)):
        wanted = "(N,)" if count is None else f"({count},)"
        raise DataError(
            f"{source}: expected shape {wanted}, one a point, found {array.shape} {array.dtype}"
        )
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind == "f":
        bad = int((~((array >= 0) & (array <= 1))).sum())
        hint = "give 0 and 1 or probabilities; take the sigmoid of logits"
    else:
        bad, hint = int(((array != 0) & (array != 1)).sum()), "give whole numbers as 0 and 1"
    if bad:
        raise DataError(f"{source}: {bad} of {len(array)} are NaN or not in [0, 1]; {hint}")
    return np.asarray(array >= INSIDE)


def as_normals(
    normals: Any, count: int | None = None, source: str = "normals"
) -> NDArray[np.float64]:
    """Normals (N, 3) of length 1, float64.

    Args:
        normals: (N, 3), of any length above 0. An array or a torch tensor.
        count: N, of the points that they belong to.
        source: what to call them in an error message.

    Raises:
        DataError: another shape, no numbers, or normals that are NaN, infinite or zero.
    """
    array = _array(normals, source)
    if array.ndim != 2 or array.shape[1] != 3 or count not in (None, len(array)):
        wanted = "(N, 3)" if count is None else f"({count}, 3)"
        raise DataError(f"{source}: expected shape {wanted}, one a point, found {array.shape}")
    if array.dtype.kind not in "iuf":
        raise DataError(f"{source}: expected numbers, found {array.dtype}")
    result = array.astype(np.float64)
    largest = np.abs(result).max(axis=1, keepdims=True, initial=0.0)
    bad = int((~((largest > 0) & (largest < np.inf))).sum())
    if bad:
        raise DataError(
            f"{source}: {bad} of {len(result)} are NaN, infinite or zero, and tell no direction; "
            "leave those points out or compute the normals again"
        )
    result /= largest  # squares of the very long and the very short would not be finite
    result /= np.linalg.norm(result, axis=1, keepdims=True)
    return result


def _looks_packed(array: NDArray[Any], count: int) -> bool:
    if array.dtype != np.uint8 or array.shape != ((count + 7) // 8,):
        return False
    return count != 1 or bool(array[0] > 1)  # of one point a byte of 0 or 1 is the value itself


def _unpacked(bits: NDArray[np.uint8], count: int, source: str) -> NDArray[np.bool_]:
    every = np.unpackbits(bits)
    if every[count:].any():
        raise DataError(
            f"{source}: {len(bits)} uint8 for {count} points look like packed bits, but bits "
            "behind the last point are set; give one value a point"
        )
    return every[:count].astype(bool)


def _array(values: Any, source: str) -> NDArray[Any]:
    if hasattr(values, "detach"):  # a torch tensor, on any device, of any floating type
        values = values.detach().cpu()
        if "bfloat16" in str(values.dtype):
            values = values.float()
    try:
        return np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise DataError(f"{source}: is no array ({error})") from None
