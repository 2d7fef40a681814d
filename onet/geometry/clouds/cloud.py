"""A point cloud: positions, and normals and colours where they are known."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError

logger = logging.getLogger(__name__)

_ROWS = 1 << 16  # looked at together


@dataclass(frozen=True, eq=False)
class PointCloud:
    """Points with what a scanner or a program wrote about each of them.

    Attributes:
        points: (N, 3) float64 in the frame of the file, which may be far from its origin.
        normals: (N, 3) float64 of length 1, or 0 where the normal is not known; or None.
        colors: (N, 3) uint8 RGB, or None.
        sensors: (N, 3) float64, where the sensor was that saw the point, NaN where that is not
            known; or None.
    """

    points: NDArray[np.float64]
    normals: NDArray[np.float64] | None = None
    colors: NDArray[np.uint8] | None = None
    sensors: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.points)


def make_cloud(
    points: Any, normals: Any = None, colors: Any = None, name: str = "points", sensors: Any = None
) -> PointCloud:
    """Return a `PointCloud` of what was read or given.

    Normals are scaled to length 1. Colours may be integers of 8 or 16 bits, or floats in 0..1,
    0..255 or 0..65535. Normals or colours that cannot be such are left out with a warning.

    Raises:
        DataError: see `check_points`.
    """
    checked = check_points(points, name)
    return PointCloud(
        checked,
        _unit_normals(normals, len(checked), name),
        _eight_bit_colors(colors, len(checked), name),
        _places(sensors, len(checked), name),
    )


def without_gaps(
    points: NDArray[np.floating],  # (N, 3)
    normals: NDArray[Any] | None,
    colors: NDArray[Any] | None,
    name: str,
) -> tuple[NDArray[np.floating], NDArray[Any] | None, NDArray[Any] | None]:
    """Return rows whose points are finite, for formats with NaN where nothing was measured."""
    measured = np.isfinite(points).all(axis=1)
    missing = int(len(points) - np.count_nonzero(measured))
    if not missing or missing == len(points):
        return points, normals, colors
    logger.warning("%s: %d of %d points were not measured (NaN); left out", name, missing,
                   len(points))  # fmt: skip
    kept = [None if array is None else array[measured] for array in (normals, colors)]
    return points[measured], kept[0], kept[1]


def check_points(points: Any, source: str = "points") -> NDArray[np.float64]:
    """Return the points as a contiguous (N, 3) float64 array.

    Args:
        points: anything that `np.asarray` takes, torch CPU tensors included.
        source: what to call them in an error message, a file name for instance.

    Raises:
        DataError: no points, not numbers, a shape other than (N, 3), NaN or infinite values.
    """
    try:
        given = np.asarray(points)
    except Exception as error:  # rows of several lengths, tensors on other devices
        raise DataError(
            f"{source}: cannot be read as an array ({error}); give an array of shape (N, 3)"
        ) from error
    if given.size == 0:
        raise DataError(f"{source}: contains no points; give at least one")
    if given.dtype.kind not in "fiu":
        raise DataError(
            f"{source}: expected numbers, found {given.dtype}; give x, y, z for each point"
        )
    if given.ndim != 2 or given.shape[1] != 3:
        raise DataError(
            f"{source}: expected points of shape (N, 3), found {given.shape}; {_remedy(given)}"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        result = np.ascontiguousarray(given, dtype=np.float64)
    bad = int((~np.isfinite(result).all(axis=1)).sum())
    if np.ma.isMaskedArray(points):
        bad = max(bad, int(np.ma.getmaskarray(points).any(axis=1).sum()))
    if bad:
        raise DataError(
            f"{source}: {bad} of {len(result)} points are NaN or infinite; remove them first"
        )
    return result


def _remedy(given: NDArray[Any]) -> str:
    if given.ndim == 2 and given.shape[0] == 3:
        return "the points are its columns: transpose it, points.T"
    if given.ndim == 2 and given.shape[1] > 3:
        return "keep the first three columns: points[:, :3]"
    if given.ndim == 3 and given.shape[-1] == 3:
        one = given.shape[0] == 1
        return "give one cloud: points[0]" if one else "one row a point: points.reshape(-1, 3)"
    return "give x, y, z for each point"


def _unit_normals(normals: Any, count: int, name: str) -> NDArray[np.float64] | None:
    given = _three_columns(normals, count, "normals", name)
    if given is None:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        directions = given.astype(np.float64)
        largest = np.abs(directions).max(axis=1, keepdims=True)
        known = np.isfinite(largest[:, 0]) & (largest[:, 0] > 0)
        directions[~known] = 0
        directions[known] /= largest[known]  # so that squares neither overflow nor vanish
        directions[known] /= np.linalg.norm(directions[known], axis=1, keepdims=True)
    unknown = int(count - np.count_nonzero(known))
    if unknown == count:
        return None  # as writers do that have none
    if unknown:
        logger.warning("%s: %d of %d normals are zero or not finite; taken to be unknown", name,
                       unknown, count)  # fmt: skip
    return directions


def _eight_bit_colors(colors: Any, count: int, name: str) -> NDArray[np.uint8] | None:
    given = _three_columns(colors, count, "colours", name)
    if given is None or given.dtype == np.uint8:
        return given
    low, high = float(given.min()), float(given.max())
    if not (low >= 0 and high <= 65535):
        logger.warning("%s: colours reach from %g to %g, not 0 to 255; left out", name, low, high)
        return None
    real = given.dtype.kind == "f"
    top = 1 if real and high <= 1 else 255 if high <= 255 else 65535
    result = np.empty((count, 3), dtype=np.uint8)
    for start in range(0, count, _ROWS):
        rows = slice(start, start + _ROWS)
        result[rows] = np.round(given[rows].astype(np.float64) * (255 / top))
    return result


def _places(sensors: Any, count: int, name: str) -> NDArray[np.float64] | None:
    given = _three_columns(sensors, count, "places of sensors", name)
    if given is None:
        return None
    places = given.astype(np.float64)
    places[~np.isfinite(places).all(axis=1)] = np.nan
    return None if np.isnan(places).all() else places


def _three_columns(given: Any, count: int, what: str, name: str) -> NDArray[Any] | None:
    """What was given as (N, 3) numbers; None if nothing was, or with a warning if it is no such."""
    if given is None or np.size(given) == 0:
        return None
    array = np.asarray(given)
    if array.ndim == 2 and array.shape[0] == count and array.shape[1] > 3:
        array = array[:, :3]  # colours with alpha
    if array.shape != (count, 3) or array.dtype.kind not in "fiu":
        logger.warning("%s: %s of shape %s and type %s for %d points; left out", name, what,
                       array.shape, array.dtype, count)  # fmt: skip
        return None
    return array
