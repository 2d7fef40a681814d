"""The points of an item, written as the published layout has them: half precision, packed bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from onet.errors import DataError
from onet.files import replacing
from onet.geometry.labels import as_occupancies
from onet.geometry.normalization import UnitFrame


def write_points(
    path: Path,
    points: ArrayLike,  # (N, 3) in the unit frame
    occupancies: ArrayLike,  # (N,) bool
    frame: UnitFrame,
) -> None:
    """Write `points.npz` atomically: points in float16, occupancies as packed bits.

    Labels have to belong to the rounded points: pass points that float16 represents exactly.

    Raises:
        DataError: points that float16 would move, lengths that differ, or values that are no
            occupancies.
    """
    exact, bits = np.asarray(points), as_occupancies(occupancies, source=f"{path}: 'occupancies'")
    rounded = exact.astype(np.float16)
    if not np.array_equal(rounded, exact):
        raise DataError(f"{path}: 'points' are not float16 numbers; round before labelling")
    if rounded.ndim != 2 or rounded.shape[1] != 3 or bits.shape != rounded.shape[:1]:
        raise DataError(
            f"{path}: 'points' {rounded.shape} and 'occupancies' {bits.shape} do not fit; "
            "expected (N, 3) and (N,)"
        )
    _write(path, frame, points=rounded, occupancies=np.packbits(bits))


def write_pointcloud(
    path: Path,
    points: ArrayLike,  # (M, 3) in the unit frame
    normals: ArrayLike,  # (M, 3) unit
    frame: UnitFrame,
) -> None:
    """Write `pointcloud.npz` atomically: surface points and normals in float16.

    Raises:
        DataError: shapes that differ or are not (M, 3).
    """
    positions, directions = np.asarray(points), np.asarray(normals)
    if positions.ndim != 2 or positions.shape[1] != 3 or directions.shape != positions.shape:
        raise DataError(
            f"{path}: 'points' {positions.shape} and 'normals' {directions.shape} do not fit; "
            "expected (M, 3) twice"
        )
    _write(
        path,
        frame,
        points=positions.astype(np.float16),
        normals=directions.astype(np.float16),
    )


def _write(path: Path, frame: UnitFrame, **arrays: Any) -> None:
    arrays |= {"loc": frame.loc, "scale": np.float64(frame.scale)}
    with replacing(path) as temporary:
        np.savez(temporary, **arrays)
