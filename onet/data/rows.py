"""Rows and bits of stored arrays at drawn places, which may lie in mapped memory."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray


def rows_at(
    points: NDArray[np.floating],  # (N, 3)
    index: NDArray[np.int64],  # (T,) in [0, N)
) -> NDArray[np.float32]:
    """Return the rows `index` of points, (T, 3) float32.

    Half precision, as stores have it, is read where it lies: many places of a large array are in
    no cache, and waiting for one after the other takes longer than all the rest of a sample.
    """
    if (
        points.dtype == np.float16
        and points.ndim == 2
        and points.shape[1] == 3
        and points.flags.c_contiguous
        and sys.byteorder == "little"
    ):
        from onet import _C

        return _C.half_rows(points.reshape(-1).view(np.uint8), index)
    return points.take(index, axis=0).astype(np.float32)


def bits_at(
    packed: NDArray[np.uint8],  # (ceil(count / 8),)
    count: int,
    index: NDArray[np.int64],  # (T,) in [0, count)
) -> NDArray[np.bool_]:
    """Return the bits `index` of `count` packed ones, the first in the highest place of a byte."""
    from onet import _C

    found: NDArray[Any] = _C.packed_bits(np.ascontiguousarray(packed), count, index)
    return found.view(np.bool_)
