"""Where the sensor of a scan was: checked against the points that it saw."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.errors import DataError
from onet.geometry.copies import first_of_copies

_ROUND = 0.3
"""Length of the mean direction to the points below which they are all around: 0.5 is half of all
directions."""

_LOOKED_AT = 100  # different places; of more, as on a moving scanner, none is looked at
_SAMPLES = 100_000


def checked_sensors(
    given: ArrayLike,  # (3,), (1, 3) or (N, 3)
    points: NDArray[np.float64],  # (N, 3)
    name: str,
    notes: list[str],
) -> NDArray[np.float64] | None:
    """Return the place of the sensor for each point (N, 3), NaN where not known; None if nowhere.

    A sensor that the points lie all around stands inside of what it scanned: a wrong place, or a
    room seen from within, whose walls are no solid that was seen from outside. Such places are
    taken to be unknown, which `notes` says.

    Raises:
        DataError: another shape, not numbers, or one place that is not finite.
    """
    tensor: Any = given
    try:
        array = np.asarray(tensor.detach().cpu() if hasattr(tensor, "detach") else tensor)
    except ValueError as error:
        raise DataError(f"{name}: sensors cannot be read as an array ({error})") from None
    if array.shape not in ((3,), (1, 3), points.shape) or array.dtype.kind not in "fiu":
        raise DataError(
            f"{name}: sensors of shape {array.shape} and type {array.dtype} for {len(points):,} "
            "points; give one place x, y, z, or one for each point"
        )
    places = np.broadcast_to(array.astype(np.float64), points.shape)
    known = np.atleast_1d(np.isfinite(places).all(axis=1))
    if array.shape != points.shape and not known.all():
        raise DataError(
            f"{name}: the sensor's place is NaN or infinite; correct it, or leave it out"
        )
    places = _without_surrounded(np.where(known[:, None], places, np.nan), points, known, notes)
    return places if np.isfinite(places).any() else None


def _without_surrounded(
    places: NDArray[np.float64],
    points: NDArray[np.float64],
    known: NDArray[np.bool_],
    notes: list[str],
) -> NDArray[np.float64]:
    rows = np.flatnonzero(known)
    different = rows[first_of_copies(places[rows])]
    if not 0 < len(different) <= _LOOKED_AT:
        return places
    some = rows[:: 1 + len(rows) // _SAMPLES]
    for place in places[different].copy():
        if _all_around(points[some[(places[some] == place).all(axis=1)]], place):
            own = rows[(places[rows] == place).all(axis=1)]
            where = ", ".join(f"{value:.6g}" for value in place)
            notes.append(
                f"the sensor at {where} stands amid the {len(own):,} points that it saw; not used, "
                "as solids are seen from outside"
            )
            places[own] = np.nan
    return places


def _all_around(points: NDArray[np.float64], place: NDArray[np.float64]) -> bool:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        ways = points - place
        ways /= np.abs(ways).max(axis=1, keepdims=True)
        ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    ways = ways[np.isfinite(ways).all(axis=1)]
    return bool(len(ways)) and float(np.linalg.norm(ways.mean(axis=0))) < _ROUND
