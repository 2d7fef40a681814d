"""What is known of a scan before it is reconstructed: checked, cleaned, and what was done to it."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.errors import DataError
from onet.geometry.clouds.cloud import PointCloud, make_cloud
from onet.geometry.copies import first_of_copies
from onet.geometry.far_parts import far_parts
from onet.geometry.normalization import UnitFrame
from onet.geometry.point_cloud_io import load_cloud, take_cloud
from onet.geometry.precision import single_precision_step
from onet.geometry.spacing import LocalSpacing
from onet.inference.scan_sensors import checked_sensors

logger = logging.getLogger(__name__)

FEWEST = 50
"""Points that a scan needs."""

_FLAT = 1e-3  # of the largest spread: points in a plane, or on a line
_THIN = 0.02  # of it: what is behind is unknown
_MOST = 0.999  # of the points decide: a stray one hides no plane, a cup on a table is seen
_COARSE = 1e-5  # of the extent: steps that could be wider than the spacing
_LARGEST = 1e70  # coordinates whose squares are still numbers


@dataclass(frozen=True, eq=False)
class ScanInput:
    """A scan that can be reconstructed.

    Attributes:
        points: (N, 3) float64, in the frame of the scan, all different.
        normals: (N, 3) float64 of length 1, or 0 where the normal is not known; or None.
        sensors: (N, 3) float64, where the sensor was that saw the point, NaN where it is not known;
            or None.
        colors: (N, 3) uint8 RGB, or None.
        name: what to call the scan in messages.
        notes: what was left out, and what is to be known of the result.
        groups: indices of the points of each part that lies far from the others; one for most
            scans. See `parts`.
    """

    points: NDArray[np.float64]
    normals: NDArray[np.float64] | None = None
    sensors: NDArray[np.float64] | None = None
    colors: NDArray[np.uint8] | None = None
    name: str = "points"
    notes: list[str] = field(default_factory=list)
    groups: list[NDArray[np.int64]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def frame(self) -> UnitFrame:
        """The frame in which the box of the points has centre 0 and longest edge 1."""
        return UnitFrame.of(self.points, self.name)

    @cached_property
    def spacing(self) -> LocalSpacing:
        """How far apart the points lie, in the frame of the scan."""
        unit = LocalSpacing.of(self.frame.to_unit(self.points))
        return LocalSpacing(self.frame.to_source(unit.places), unit.values * self.frame.scale)

    def directions(self) -> NDArray[np.float64] | None:
        """Return unit vectors (N, 3) from the points to their sensors, 0 where not known; or None.

        They are None where no sensor is known.
        """
        if self.sensors is None:
            return None
        ways = self.sensors - self.points
        largest = np.abs(ways).max(axis=1, keepdims=True)
        known = np.isfinite(largest[:, 0]) & (largest[:, 0] > 0)
        ways[~known] = 0
        ways[known] /= largest[known]
        ways[known] /= np.linalg.norm(ways[known], axis=1, keepdims=True)
        return ways

    def parts(self) -> list[ScanInput]:
        """Return the scan's parts that lie far apart, the largest first; most scans are one part.

        Each is best reconstructed by itself: cells as fine as its own points lie, and no space in
        between. The meshes together are that of the scan.
        """
        if len(self.groups) < 2:
            return [self]
        return [self._of(rows) for rows in self.groups]

    def _of(self, rows: NDArray[np.int64]) -> ScanInput:
        def chosen(array: Any) -> Any:
            return None if array is None else array[rows]

        return ScanInput(
            self.points[rows],
            chosen(self.normals),
            chosen(self.sensors),
            chosen(self.colors),
            self.name,
            self.notes,
        )


def clean_scan(
    points: Any,
    normals: ArrayLike | None = None,  # (N, 3)
    sensors: ArrayLike | None = None,  # (3,) or (N, 3)
    colors: ArrayLike | None = None,  # (N, 3) or (N, 4)
    name: str = "points",
) -> ScanInput:
    """Check a scan and leave out what is no part of it; what was done is logged and noted.

    Left out are copies of points and points astray (`onet.geometry.far_parts`). Normals of length 0
    count as not known, and so do sensors that the points are all around.

    Args:
        points: what `onet.geometry.point_cloud_io.take_cloud` takes, or the file of a cloud. Its
            normals, colours and sensors are used where none are given here. What was cleaned
            already is returned as it is.
        normals: outward, of any length.
        sensors: where the sensor was, for all points or for each; NaN where it is not known.
        colors: see `onet.geometry.clouds.cloud.make_cloud`.
        name: what to call the scan in messages.

    Raises:
        DataError: NaN among the points, fewer than `FEWEST` of them, all in a plane or on a line,
            or arrays that do not have one row for each point.
    """
    match points:
        case ScanInput():
            return points
        case str() | os.PathLike():
            name = str(points) if name == "points" else name
            cloud = load_cloud(Path(points))
        case _:
            cloud = take_cloud(points, name)
    notes: list[str] = []
    cloud = _completed(cloud, normals, colors, name, notes)
    given = cloud.sensors if sensors is None else sensors
    places = None if given is None else checked_sensors(given, cloud.points, name, notes)
    kept, groups = _kept(cloud.points, name, notes)

    def chosen(array: Any) -> Any:
        return array if array is None or kept is None else array[kept]

    scan = ScanInput(
        chosen(cloud.points),
        chosen(cloud.normals),
        chosen(places),
        chosen(cloud.colors),
        name,
        notes,
        groups,
    )
    _refuse_flat(scan)
    _note_rounding(scan)
    for note in notes:
        logger.warning("%s: %s", name, note)
    return scan


def _completed(
    cloud: PointCloud,
    normals: ArrayLike | None,
    colors: ArrayLike | None,
    name: str,
    notes: list[str],
) -> PointCloud:
    """The cloud with normals and colours that are given, and a note about unknown normals."""
    count = len(cloud)
    if normals is not None or colors is not None:
        given = make_cloud(
            cloud.points,
            None if normals is None else _rows(normals, count, "normals", name),
            None if colors is None else _rows(colors, count, "colors", name),
            name,
        )
        cloud = PointCloud(
            cloud.points,
            given.normals if normals is not None else cloud.normals,
            given.colors if colors is not None else cloud.colors,
            cloud.sensors,
        )
        if normals is not None and given.normals is None:
            notes.append("all normals have length 0 or are not finite; taken to be unknown")
    if cloud.normals is not None:
        unknown = count - int(np.count_nonzero(cloud.normals.any(axis=1)))
        if unknown:
            notes.append(
                f"{unknown:,} of {count:,} normals have length 0 or are not finite; taken to be "
                "unknown"
            )
    return cloud


def _rows(given: ArrayLike, count: int, what: str, name: str) -> NDArray[Any]:
    """An array with one row of three numbers, or of colours four, for each point."""
    tensor: Any = given
    try:
        array = np.asarray(tensor.detach().cpu() if hasattr(tensor, "detach") else tensor)
    except ValueError as error:
        raise DataError(f"{name}: {what} cannot be read as an array ({error})") from None
    widths = (3, 4) if what == "colors" else (3,)
    if array.ndim != 2 or array.shape[1] not in widths or array.shape[0] != count:
        raise DataError(
            f"{name}: {what} of shape {array.shape} for {count:,} points; give one row of three "
            "numbers for each point, or leave them out"
        )
    if array.dtype.kind not in "fiu":
        raise DataError(f"{name}: {what} are {array.dtype}, not numbers; leave them out")
    return array


def _kept(
    points: NDArray[np.float64], name: str, notes: list[str]
) -> tuple[NDArray[np.int64] | None, list[NDArray[np.int64]]]:
    """Indices of the points to use, None for all, and among those the ones of each part."""
    count = len(points)
    kept = np.flatnonzero(first_of_copies(points))
    if len(kept) < count:
        notes.append(f"{count - len(kept):,} of {count:,} points are copies of others; left out")
    _check_count(len(kept), name, notes)
    found = far_parts(points[kept])
    if len(found.astray):
        notes.append(_astray_note(points[kept], found.astray))
        stay = np.ones(len(kept), dtype=np.bool_)
        stay[found.astray] = False
        number = np.cumsum(stay) - 1
        kept = kept[stay]
        groups = [number[part] for part in found.parts]
        _check_count(len(kept), name, notes)
    else:
        groups = found.parts
    if not np.abs(points[kept]).max() < _LARGEST:
        raise DataError(f"{name}: coordinates beyond {_LARGEST:g}; export it in another unit")
    if len(groups) > 1:
        sizes = ", ".join(f"{len(part):,}" for part in groups)
        notes.append(
            f"has {len(groups)} parts far apart ({sizes} points), as of several scans in one file; "
            "each is reconstructed by itself"
        )
    return (None if len(kept) == count else kept), groups


def _check_count(count: int, name: str, notes: list[str]) -> None:
    if count < FEWEST:
        why = f" ({'; '.join(notes)})" if notes else ""
        raise DataError(
            f"{name}: {count} points{why}; at least {FEWEST} are needed: scan more densely, or "
            "sample points on the faces of a mesh"
        )


def _astray_note(points: NDArray[np.float64], astray: NDArray[np.int64]) -> str:
    stay = np.ones(len(points), dtype=np.bool_)
    stay[astray] = False
    with np.errstate(over="ignore"):
        low, high = points[stay].min(axis=0), points[stay].max(axis=0)
        away = np.abs(points[astray] - (low + high) / 2).max(axis=1)
        times = float(away.max() / (high - low).max()) if (high > low).any() else np.inf
    place = ", ".join(f"{value:.6g}" for value in points[astray[away.argmax()]])
    which = "1 point lies" if len(astray) == 1 else f"{len(astray):,} points lie"
    return (
        f"{which} far from all others, up to {times:.3g} times their extent (at {place}); left out"
    )


def _refuse_flat(scan: ScanInput) -> None:
    """Refuse points in a plane or on a line, and note what is nearly flat.

    Raises:
        DataError: every part of the scan is flat.
    """
    spreads = [_spread(part.frame.to_unit(part.points)) for part in scan.parts()]
    thickest = max(spreads, key=lambda spread: spread[2] / spread[0])
    if thickest[1] < _FLAT * thickest[0]:
        raise DataError(
            f"{scan.name}: all points lie on a line; a surface cannot be told from them, check the "
            "columns of the file"
        )
    if thickest[2] < _FLAT * thickest[0]:
        raise DataError(
            f"{scan.name}: all points lie in a plane, which bounds no solid; check the columns of "
            "the file, or scan from more sides"
        )
    if thickest[2] < _THIN * thickest[0]:
        scan.notes.append("the points are nearly flat; what lies behind them is a guess")


def _note_rounding(scan: ScanInput) -> None:
    """Note coordinates that single precision has rounded more coarsely than the points lie."""
    step = single_precision_step(scan.points)
    if step < _COARSE * scan.frame.scale or step < scan.spacing.typical / 2:
        return
    scan.notes.append(
        f"coordinates are rounded to steps of {step:.2g} (single precision far from the "
        f"origin), and points lie {scan.spacing.typical:.2g} apart; export it in double "
        "precision, or nearer to the origin"
    )


def _spread(
    points: NDArray[np.float64],  # (N, 3) in the unit frame
) -> tuple[float, float, float]:
    """How far most points reach from the middle along the main axes, the longest first."""
    rank = int(_MOST * (len(points) - 1))
    near = np.ones(len(points), dtype=np.bool_)
    for _ in range(2):  # the axes of all points, then of most of them
        _, axes = np.linalg.eigh(np.cov(points[near].T))
        along = points @ axes[:, ::-1]
        along = np.abs(along - np.median(along[near], axis=0))
        limits = np.partition(along, rank, axis=0)[rank]
        near = along[:, 2] <= limits[2]
    reach = np.sort(limits)[::-1]
    return float(reach[0]), float(reach[1]), float(reach[2])
