"""PCD files of the Point Cloud Library: ASCII, binary and compressed."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError, MissingDependency
from onet.geometry.clouds.cloud import PointCloud, make_cloud, without_gaps
from onet.geometry.clouds.columns import find_columns

_LINES = 1000
_LINE_BYTES = 1 << 16
_KINDS = {"F": "f", "I": "i", "U": "u"}
_LZF_RATIO = 100  # a reference of 3 bytes gives 264


@dataclass
class _Header:
    names: list[str]
    dtype: np.dtype[Any]  # fields f0, f1, ... of one or several values
    points: int
    data: str


def read_pcd(path: Path) -> PointCloud:
    """Return a `PointCloud` from PCD; points that are NaN, which were not measured, are left out.

    The points stay in the frame of the sensor that the file lists them in (VIEWPOINT is not used).

    Raises:
        DataError: a broken header, no x, y, z, or another number of bytes than the header says.
        MissingDependency: compressed data without the package that unpacks it.
    """
    with path.open("rb") as stream:
        header = _read_header(path, stream)
        read = {"ascii": _ascii, "binary": _binary, "binary_compressed": _compressed}
        rows = read[header.data](path, stream, header)
    found = find_columns(header.names, str(path))
    if found is None:
        raise DataError(
            f"{path}: the fields {', '.join(header.names[:12])} have no x, y, z; export it again"
        )
    points, normals, colors = (
        None if numbers is None else np.stack([_values(rows, n) for n in numbers], axis=1)
        for numbers in (found.points, found.normals, found.colors)
    )
    if colors is None:
        colors = _packed_colors(rows, header.names)
    assert points is not None
    return make_cloud(*without_gaps(points, normals, colors, str(path)), str(path))


def _values(rows: NDArray[Any], number: int) -> NDArray[Any]:
    values = rows[f"f{number}"]
    return values if values.ndim == 1 else values[:, 0]


def _packed_colors(rows: NDArray[Any], names: list[str]) -> NDArray[np.uint8] | None:
    """Colours of the field `rgb` or `rgba`: 0xAARRGGBB, in the bits of a float or an integer."""
    number = next((i for i, name in enumerate(names) if name.lower() in ("rgb", "rgba")), None)
    if number is None:
        return None
    values = np.ascontiguousarray(_values(rows, number))
    if values.dtype.itemsize != 4:
        return None
    bits = values.view(np.uint32 if values.dtype.isnative else values.dtype.byteorder + "u4")
    return np.stack([(bits >> shift) & 255 for shift in (16, 8, 0)], axis=1).astype(np.uint8)


def _read_header(path: Path, stream: IO[bytes]) -> _Header:
    again = "export it again"
    fields: dict[str, list[str]] = {}
    for _ in range(_LINES):
        words = stream.readline(_LINE_BYTES).decode("latin-1").split()
        if words and words[0][0] != "#":
            fields[words[0].upper()] = words[1:]
        if "DATA" in fields:
            break
    names = fields.get("FIELDS", fields.get("COLUMNS", []))
    data = (fields.get("DATA") or ["none"])[0].lower()
    if not names or data not in ("ascii", "binary", "binary_compressed"):
        raise DataError(f"{path}: broken header, no FIELDS or no DATA of a known kind; {again}")
    ones = ["1"] * len(names)
    try:
        sizes = [int(word) for word in fields.get("SIZE", ["4"] * len(names))]
        counts = [int(word) for word in fields.get("COUNT", ones)]
        kinds = [_KINDS[word] for word in fields.get("TYPE", ["F"] * len(names))]
        width, height = (int(fields.get(key, ["1"])[0]) for key in ("WIDTH", "HEIGHT"))
        points = int(fields.get("POINTS", [str(width * height)])[0])
        good = len(sizes) == len(counts) == len(kinds) == len(names) and min(counts) >= 0
        good = good and max(counts) < 1 << 20 and {*sizes} <= {1, 2, 4, 8} and points >= 0
        layout = (
            [
                (f"f{i}", f"<{kinds[i]}{sizes[i]}", (counts[i],) if counts[i] != 1 else ())
                for i in range(len(names))
            ]
            if good
            else []
        )
        dtype = np.dtype(layout)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{path}: broken header, cannot make sense of {error}; {again}") from None
    if not good or dtype.itemsize == 0 or points >= 1 << 60:
        raise DataError(f"{path}: broken header, SIZE, TYPE, COUNT or POINTS do not fit; {again}")
    return _Header(names, dtype, points, data)


def _refuse_cut(path: Path, declared: int, there: int) -> None:
    if declared > there:
        raise DataError(
            f"{path}: declares {declared} bytes of points and holds {there}; it is cut short or "
            "damaged, export it again"
        )


def _rest(path: Path, stream: IO[bytes]) -> int:
    return path.stat().st_size - stream.tell()


def _binary(path: Path, stream: IO[bytes], header: _Header) -> NDArray[Any]:
    size = header.points * header.dtype.itemsize
    _refuse_cut(path, size, _rest(path, stream))
    return np.frombuffer(stream.read(size), dtype=header.dtype)


def _ascii(path: Path, stream: IO[bytes], header: _Header) -> NDArray[Any]:
    lengths = [int(np.prod(header.dtype[i].shape, dtype=int)) for i in range(len(header.names))]
    starts = np.cumsum([0, *lengths])
    kinds = [header.dtype[i].base for i in range(len(lengths))]
    packed = [i for i, name in enumerate(header.names) if name.lower() in ("rgb", "rgba")]
    taken = [i for i, length in enumerate(lengths) if length]
    numbers, read, whole = array("d"), 0, True
    while read < header.points and (line := stream.readline()):
        cells = line.split()
        if not cells:
            continue
        try:
            if len(cells) != starts[-1]:
                raise ValueError
            numbers.extend([float(cells[starts[i]]) for i in taken])
            whole = whole and all(cells[starts[i]].isdigit() for i in packed)
        except ValueError:
            raise DataError(
                f"{path}: point {read + 1} is {line[:60]!r}, expected {starts[-1]} numbers; "
                "export it again"
            ) from None
        read += 1
    if read < header.points:
        raise DataError(f"{path}: declares {header.points} points and has {read}; it is cut short")
    table = np.frombuffer(numbers, dtype=np.float64).reshape(read, len(taken))
    for i, kind in enumerate(kinds):
        if i in packed and whole and kind == np.dtype("<f4"):
            kinds[i] = np.dtype("<u4")  # written as the whole number that it stands for
        elif kind.kind == "f" and i not in packed:
            kinds[i] = np.dtype("f8")  # text can say more than single precision
    rows = np.zeros(read, dtype=[(f"f{i}", kinds[i]) for i in taken])
    with np.errstate(all="ignore"):  # of integers that do not fit their type
        for column, i in enumerate(taken):
            rows[f"f{i}"] = table[:, column]
    return rows


def _compressed(path: Path, stream: IO[bytes], header: _Header) -> NDArray[Any]:
    """Unpack, and put the values, which stand field by field, together again."""
    sizes = np.frombuffer(stream.read(8).ljust(8, b"\0"), dtype="<u4")
    packed, size = int(sizes[0]), int(sizes[1])
    _refuse_cut(path, packed, _rest(path, stream))
    expected = header.points * header.dtype.itemsize
    if size < expected or size > max(expected + 4096, 1) or size > _LZF_RATIO * packed:
        raise DataError(
            f"{path}: declares {expected} bytes of points and {size} unpacked from {packed}; it "
            "is damaged, export it again"
        )
    if not size:
        return np.zeros(0, dtype=header.dtype)
    try:
        import lzf
    except ImportError:
        raise MissingDependency(
            f"{path}: is compressed, which needs python-neo-lzf: pip install 'onet[pcd]' (or "
            "export it as binary or ASCII)"
        ) from None
    try:
        content = lzf.decompress(stream.read(packed), size)
    except ValueError:
        content = None
    if content is None or len(content) != size:
        raise DataError(f"{path}: the compressed points are damaged; export it again")
    rows, at = np.empty(header.points, dtype=header.dtype), 0
    for i in range(len(header.names)):
        kind = header.dtype[i]
        values = np.frombuffer(content, dtype=kind, count=header.points, offset=at)
        rows[f"f{i}"] = values
        at += kind.itemsize * header.points
    return rows
