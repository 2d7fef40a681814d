"""Scans in LAS, LAZ and E57, by the packages `laspy` and `pye57`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.archives import COMPRESSED_LIMIT
from onet.errors import DataError, MissingDependency
from onet.geometry.clouds.cloud import PointCloud, make_cloud, without_gaps
from onet.geometry.clouds.columns import find_columns

logger = logging.getLogger(__name__)

LAS_SUFFIXES = (".las", ".laz")
_POINTS = 1 << 20  # read at a time
_LAZ_RATIO = 64  # of the usual 5 to 20
_E57_DENSITY = 16  # points a byte
_E57_COLORS = ("colorRed", "colorGreen", "colorBlue")


def read_las(path: Path) -> PointCloud:
    """A `PointCloud` from LAS or LAZ: scale and offset applied in double precision.

    Points that are flagged as withheld are left out, with a warning.

    Raises:
        DataError: damaged, cut short, or packed more tightly than scans are.
        MissingDependency: without the package that reads it.
    """
    try:
        import laspy
    except ImportError:
        raise MissingDependency(
            f"{path}: {path.suffix} files need laspy: pip install 'onet[las]'"
        ) from None
    parts: list[tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]] = []
    with _foreign(path, "export it again, for instance with las2las"), laspy.open(path) as reader:
        _check_las_size(path, reader.header)
        if reader.header.are_points_compressed and not laspy.LazBackend.detect_available():
            raise MissingDependency(f"{path}: .laz files need lazrs: pip install 'onet[las]'")
        withheld = 0
        for chunk in reader.chunk_iterator(_POINTS):
            flags = np.asarray(chunk["withheld"]).astype(bool)
            withheld += int(flags.sum())
            parts.append(_las_chunk(chunk[~flags] if flags.any() else chunk))
        announced = reader.header.point_count
    read = sum(len(points) for points, _, _ in parts) + withheld
    if read < announced:
        raise DataError(f"{path}: announces {announced} points and has {read}; it is cut short")
    if withheld:
        logger.warning("%s: %d of %d points are flagged as withheld; left out", path, withheld,
                       read)  # fmt: skip
    if not parts:
        raise DataError(f"{path}: contains no points; give at least one")
    points, normals, colors = (_joined([part[i] for part in parts]) for i in range(3))
    return make_cloud(points, normals, colors, str(path))


def _las_chunk(
    chunk: Any,
) -> tuple[NDArray[np.float64], NDArray[Any] | None, NDArray[Any] | None]:
    names = [str(name) for name in chunk.point_format.dimension_names]
    points = np.stack([np.asarray(getattr(chunk, axis), np.float64) for axis in "xyz"], axis=1)
    normals = colors = None
    found = find_columns(["x", "y", "z", *(name for name in names if name not in "XYZ")], "LAS")
    if found is not None and found.normals is not None:
        others = [name for name in names if name not in "XYZ"]
        normals = np.stack([np.asarray(chunk[others[n - 3]]) for n in found.normals], axis=1)
    if {"red", "green", "blue"} <= {*names}:
        colors = np.stack([np.asarray(chunk[name]) for name in ("red", "green", "blue")], axis=1)
        colors = colors if colors.any() else None
    return points, normals, colors


def _check_las_size(path: Path, header: Any) -> None:
    size = path.stat().st_size
    declared = header.point_count * header.point_format.size
    if not header.are_points_compressed:
        there = size - header.offset_to_point_data
        if declared > there:
            raise DataError(
                f"{path}: declares {header.point_count} points, {declared} bytes, and holds "
                f"{max(there, 0)}; it is cut short or damaged"
            )
    elif declared > max(COMPRESSED_LIMIT, _LAZ_RATIO * size):
        raise DataError(
            f"{path}: {size} bytes declare {header.point_count} points, {declared} bytes unpacked; "
            "if that is meant, convert it to .las"
        )


def read_e57(path: Path) -> PointCloud:
    """A `PointCloud` from E57: all its scans, placed by their poses, spherical ones as x, y, z.

    Points that are marked as invalid are left out.

    Raises:
        DataError: damaged, no scans, or more points than the file can hold.
        MissingDependency: without the package that reads it.
    """
    try:
        import pye57
    except ImportError:
        raise MissingDependency(f"{path}: .e57 files need pye57: pip install 'onet[e57]'") from None
    points: list[NDArray[Any]] = []
    colors: list[NDArray[Any] | None] = []
    with _foreign(path, "export it again, or as .ply"), pye57.E57(str(path)) as file:
        size = path.stat().st_size
        count = sum(file.get_header(i).point_count for i in range(file.scan_count))
        if count > _E57_DENSITY * size:
            raise DataError(f"{path}: {size} bytes declare {count} points; it is damaged")
        for number in range(file.scan_count):
            if not (header := file.get_header(number)).point_count:
                continue
            scan = _e57_scan(path, file, number, {*header.point_fields})
            axes = ("cartesianX", "cartesianY", "cartesianZ")
            points.append(np.stack([scan[axis] for axis in axes], axis=1))
            painted = {*_E57_COLORS} <= {*scan}
            colors.append(np.stack([scan[c] for c in _E57_COLORS], axis=1) if painted else None)
    if not points:
        raise DataError(f"{path}: contains no points; export it again")
    joined = np.concatenate(points)
    return make_cloud(*without_gaps(joined, None, _joined(colors), str(path)), str(path))


def _e57_scan(path: Path, file: Any, number: int, fields: set[str]) -> dict[str, Any]:
    scan: dict[str, Any]
    if {*_E57_COLORS} <= fields:
        try:
            scan = file.read_scan(number, colors=True, ignore_missing_fields=True)
        except Exception as error:  # of colours that do not fit eight bits
            logger.warning("%s: the colours of scan %d cannot be read (%s); left out", path, number,
                           error)  # fmt: skip
        else:
            return scan
    scan = file.read_scan(number, ignore_missing_fields=True)
    return scan


def _joined(parts: list[Any]) -> Any:
    """Arrays one after the other; None if any part has none."""
    if any(part is None for part in parts):
        return None
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


@contextlib.contextmanager
def _foreign(path: Path, remedy: str) -> Iterator[None]:
    """Whatever a foreign reader raises, panics of Rust included, as a DataError."""
    try:
        yield
    except (DataError, MissingDependency, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise DataError(
            f"{path}: cannot be read ({type(error).__name__}: {error}); {remedy}"
        ) from error
