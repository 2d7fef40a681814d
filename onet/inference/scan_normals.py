"""Which side of a scan's points is outside: normals oriented by what a network makes of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.errors import DataError
from onet.inference.scan_frame_field import ScanFrameField


def oriented_normals(
    field: ScanFrameField,
    points: ArrayLike,  # (N, 3) in the frame of the scan
    normals: ArrayLike,  # (N, 3) of any sign
) -> NDArray[np.float64]:
    """Return normals (N, 3) turned to the side of each point that is less likely inside.

    Each point is judged by the logits a cell of the network away along its normal on both sides, so
    an error does not spread to the neighbours as it does where orientation is passed on from point
    to point.

    Args:
        field: of the scan, `onet.load("scan").field(points)`.
        points: of it, or near it.
        normals: as estimated from neighbours, of any length.

    Raises:
        DataError: there is not one normal for each point.
    """
    places, given = (np.asarray(values, dtype=np.float64) for values in (points, normals))
    if given.shape != places.shape:
        raise DataError(f"normals: shape {given.shape} for points {places.shape}; give one each")
    length = np.linalg.norm(given, axis=1, keepdims=True)
    away = field.cell * given / np.where(length > 0, length, 1)
    inward = field.logits(places + away) > field.logits(places - away)
    return np.where(inward[:, None], -given, given)
