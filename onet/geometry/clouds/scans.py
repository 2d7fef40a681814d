"""Scans in LAS, LAZ and E57, by the packages `laspy` and `pye57`."""

from __future__ import annotations

import contextlib
import logging
import struct
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
_MORE_LAYERS = {6: 0, 7: 1, 8: 2, 9: 1, 10: 3}  # by the point format: colour, infrared, waves
_VLR_BYTES, _EVLR_BYTES = 54, 60  # of the header of a variable-length record
_E57_PAGE = 1024
_E57_DENSITY = 16  # points a byte
_E57_COLORS = ("colorRed", "colorGreen", "colorBlue")


def read_las(path: Path) -> PointCloud:
    """Return a `PointCloud` from LAS or LAZ: scale and offset applied in double precision.

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
    _check_las_records(path)
    parts: list[tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]] = []
    serial = laspy.LazBackend.Lazrs  # takes no memory for whole chunks, of any declared size
    with (
        _foreign(path, "export it again, for instance with las2las"),
        laspy.open(path, laz_backend=serial if serial.is_available() else None) as reader,
    ):
        _check_las_size(path, reader.header)
        if reader.header.are_points_compressed:
            if not laspy.LazBackend.detect_available():
                raise MissingDependency(f"{path}: .laz files need lazrs: pip install 'onet[las]'")
            _check_layers(path, reader.header)
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


def _check_las_records(path: Path) -> None:
    """Refuse more variable-length records than the file can hold, which would be looked for."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(375)
    if head[:4] != b"LASF" or len(head) < 227:
        raise DataError(f"{path}: does not begin as LAS does; export it again")
    header_size, start, records = struct.unpack_from("<HII", head, 94)
    good = 227 <= header_size <= start <= size and records * _VLR_BYTES <= start - header_size
    if good and head[25] >= 4 and len(head) >= 255:
        first, extended = struct.unpack_from("<QI", head, 235)
        good = not extended or first + extended * _EVLR_BYTES <= size
    if not good:
        raise DataError(
            f"{path}: its header declares more records than the file holds; it is cut short or "
            "damaged, export it again"
        )


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
        return
    _check_chunk_table(path, header.offset_to_point_data, size)
    if declared > max(COMPRESSED_LIMIT, _LAZ_RATIO * size):
        raise DataError(
            f"{path}: {size} bytes declare {header.point_count} points, {declared} bytes unpacked; "
            "if that is meant, convert it to .las"
        )


def _check_chunk_table(path: Path, start: int, size: int) -> None:
    """Refuse a table of more chunks than the file has bytes, which its reader takes memory for."""
    with path.open("rb") as stream:
        stream.seek(start)
        (offset,) = struct.unpack("<q", stream.read(8).ljust(8, b"\0"))
        if offset == -1:  # as writers do that cannot go back: at the end
            stream.seek(max(size - 8, 0))
            (offset,) = struct.unpack("<q", stream.read(8).ljust(8, b"\0"))
        if not start <= offset <= size - 8:
            raise DataError(f"{path}: has no table of chunks; it is cut short, export it again")
        stream.seek(offset + 4)
        (chunks,) = struct.unpack("<I", stream.read(4))
    if chunks > size:
        raise DataError(f"{path}: {size} bytes declare {chunks} chunks; the file is damaged")


def _check_layers(path: Path, header: Any) -> None:
    """Refuse chunks of LAZ 1.4 whose layers declare more bytes than the file has.

    A chunk begins with a point, a count and the sizes of its layers, for which memory is taken.
    """
    if header.point_format.id < 6:
        return
    import lazrs

    layers = 9 + _MORE_LAYERS[header.point_format.id] + header.point_format.num_extra_bytes
    vlr = lazrs.LazVlr(header.vlrs.get("LasZipVlr")[0].record_data)
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(header.offset_to_point_data)
        chunks = lazrs.read_chunk_table(stream, vlr)
        if sum(points for points, _ in chunks) < header.point_count:
            raise DataError(f"{path}: its chunks hold fewer points than announced; it is damaged")
        offset = header.offset_to_point_data + 8
        for _ in chunks:
            stream.seek(offset + header.point_format.size + 4)
            sizes = np.frombuffer(stream.read(4 * layers), dtype="<u4")
            offset = stream.tell() + int(sizes.sum(dtype=np.int64))
            if offset > size:
                raise DataError(f"{path}: its chunks declare more bytes than the file has")


def read_e57(path: Path) -> PointCloud:
    """Return a `PointCloud` from E57: all scans, placed by their poses, spherical ones as x, y, z.

    Points that are marked as invalid are left out. The sensor of a scan that has a pose, or
    spherical coordinates or rows and columns as a scanner has them, is at the origin of the scan.

    Raises:
        DataError: damaged, no scans, or more points than the file can hold.
        MissingDependency: without the package that reads it.
    """
    try:
        import pye57
    except ImportError:
        raise MissingDependency(f"{path}: .e57 files need pye57: pip install 'onet[e57]'") from None
    _refuse_document_types(path)
    points: list[NDArray[Any]] = []
    colors: list[NDArray[Any] | None] = []
    sensors: list[NDArray[np.float64]] = []
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
            sensors.append(np.broadcast_to(_e57_sensor(header), points[-1].shape))
            painted = {*_E57_COLORS} <= {*scan}
            colors.append(np.stack([scan[c] for c in _E57_COLORS], axis=1) if painted else None)
    if not points:
        raise DataError(f"{path}: contains no points; export it again")
    joined = np.concatenate(points)
    places = np.concatenate(sensors)[np.isfinite(joined).all(axis=1)]
    measured = without_gaps(joined, None, _joined(colors), str(path))
    return make_cloud(*measured, str(path), places)


def _e57_sensor(header: Any) -> NDArray[np.float64]:
    """Place of the sensor (3,) of a scan; NaN where the scan is a mere list of points."""
    fields = {*header.point_fields}
    if header.has_pose() and (header.translation.any() or not _is_unturned(header.rotation)):
        return np.asarray(header.translation, dtype=np.float64)
    as_seen = {"sphericalRange", "rowIndex", "columnIndex"} & fields
    return np.zeros(3) if as_seen else np.full(3, np.nan)


def _is_unturned(rotation: Any) -> bool:
    return bool(np.allclose(np.abs(np.asarray(rotation)), [1, 0, 0, 0]))


def _refuse_document_types(path: Path) -> None:
    """Refuse XML with a document type, by which E57 would make its reader open other files.

    The file is in pages of 1024 bytes, of which the last four are a checksum.
    """
    with path.open("rb") as stream:
        head = stream.read(48)
        if head[:8] != b"ASTM-E57" or len(head) < 48:
            raise DataError(f"{path}: does not begin as E57 does; export it again")
        offset, length, page = struct.unpack_from("<QQQ", head, 24)
        if page != _E57_PAGE or offset + length > path.stat().st_size:
            raise DataError(f"{path}: declares more than it holds; it is cut short or damaged")
        stream.seek(offset - offset % page)
        content = stream.read(offset % page + length + 4 * (length // page + 2))
    pages = [content[at : at + page - 4] for at in range(0, len(content), page)]
    xml = b"".join(pages)[offset % page :][:length]
    declaration = xml[: xml.find(b"?>") + 2].lower()
    plain = b"encoding" not in declaration or b"utf-8" in declaration
    if not xml.startswith(b"<?xml") or not plain or b"<!DOCTYPE" in xml:
        raise DataError(
            f"{path}: its description is not plain XML in UTF-8, as E57 demands; export it again"
        )


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
