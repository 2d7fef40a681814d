"""The vertices of PLY files: any order and type of properties, ASCII and binary, extra elements."""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.clouds.cloud import PointCloud, make_cloud
from onet.geometry.clouds.columns import Columns, find_columns

_HEADER_LIMIT = 1 << 20
_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
    **{"int64": "i8", "uint64": "u8", "float16": "f2", "half": "f2"},
}
_STRUCT = {
    **{"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q"},
    **{"f2": "e", "f4": "f", "f8": "d"},
}
_FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass
class _Element:
    name: str
    count: int
    properties: list[tuple[str, str, str | None]]  # name, type, type of the count of a list

    def scalar(self) -> bool:
        return all(length is None for _, _, length in self.properties)

    def names(self) -> list[str]:
        return ["" if length else name for name, _, length in self.properties]


def read_ply_cloud(path: Path) -> PointCloud:
    """A `PointCloud` of the vertices of a PLY file, faces or not.

    Raises:
        DataError: a broken header, no element with x, y and z, or a file that is cut short.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        order, elements = _header(path, stream)
        element, found = _vertices(path, elements)
        for other in elements[: elements.index(element)]:
            _skip(path, stream, other, order)
        if order:
            rows = _binary_rows(path, stream, element, order, size)
        else:
            rows = _text_rows(path, stream, element, found)
    return make_cloud(
        _triple(rows, element, found.points),
        _triple(rows, element, found.normals),
        _triple(rows, element, found.colors),
        str(path),
    )


def _vertices(path: Path, elements: list[_Element]) -> tuple[_Element, Columns]:
    """The element `vertex`, or else the first one with x, y and z, and where they are in it."""
    named = [element for element in elements if element.name.lower() in ("vertex", "vertices")]
    for element in named or elements:
        found = find_columns(element.names(), f"{path}: element {element.name!r}")
        if found is not None:
            return element, found
    raise DataError(f"{path}: has no vertices with x, y and z; export it again")


def _triple(
    rows: NDArray[Any], element: _Element, numbers: tuple[int, int, int] | None
) -> NDArray[Any] | None:
    """Three properties (N, 3) of rows, of the declared type."""
    if numbers is None:
        return None
    result = np.stack([rows[f"p{number}"] for number in numbers], axis=1)
    kinds = {_TYPES[element.properties[number][1]] for number in numbers}
    if kinds == {"u1"} and result.dtype.kind == "f" and ((result >= 0) & (result <= 255)).all():
        return result.astype(np.uint8)  # which text does not say
    return result


def _header(path: Path, stream: IO[bytes]) -> tuple[str, list[_Element]]:
    """The byte order (empty: text) and the elements; the stream is left at the data."""
    again = "export it again"
    if stream.read(3) != b"ply":
        raise DataError(f"{path}: does not begin with 'ply'; {again}")
    left, order = _HEADER_LIMIT, None
    elements: list[_Element] = []
    for raw in _header_lines(stream):
        left -= len(raw)
        words = raw.decode("latin-1").split()
        match words[:1]:
            case [] | ["comment"] | ["obj_info"]:
                pass
            case ["end_header"]:
                if order is None:
                    raise DataError(f"{path}: the header has no line 'format'; {again}")
                return order, elements
            case ["format"] if len(words) > 1 and words[1] in _FORMATS:
                order = _FORMATS[words[1]]
            case ["element"] if len(words) == 3 and words[2].isdecimal():
                elements.append(_Element(words[1], int(words[2][:18]), []))
            case ["property"] if elements and (made := _property(words)) is not None:
                elements[-1].properties.append(made)
            case _:
                raise DataError(
                    f"{path}: the header has the line {' '.join(words)[:80]!r}; {again}"
                )
        if left < 0:
            break
    raise DataError(f"{path}: the header has no end; {again}")


def _header_lines(stream: IO[bytes]) -> Any:
    """Lines that end with \\n, \\r\\n or \\r."""
    line, first = bytearray(), True
    while byte := stream.read(1):
        if byte not in b"\r\n":
            line += byte
            if len(line) > _HEADER_LIMIT:
                return
            continue
        if byte == b"\r":
            mark = stream.tell()
            if stream.read(1) != b"\n":
                stream.seek(mark)
        if not (first and not line):
            yield bytes(line)
        line.clear()
        first = False
    yield bytes(line)


def _property(words: list[str]) -> tuple[str, str, str | None] | None:
    if len(words) == 3 and words[1] in _TYPES:
        return words[2], words[1], None
    if len(words) == 5 and words[1] == "list" and {words[2], words[3]} <= {*_TYPES}:
        return words[4], words[3], words[2]
    return None


def _skip(path: Path, stream: IO[bytes], element: _Element, order: str) -> None:
    if not element.properties:
        return
    if not order:
        read = 0
        while read < element.count and (line := stream.readline()):
            read += bool(line.strip())
    elif element.scalar():
        stream.seek(element.count * _dtype(element, order).itemsize, 1)
    else:
        for _ in range(element.count):
            _row(path, stream, element, order)


def _dtype(element: _Element, order: str) -> np.dtype[Any]:
    fields = [(f"p{i}", order + _TYPES[kind]) for i, (_, kind, _) in enumerate(element.properties)]
    return np.dtype(fields)


def _row(path: Path, stream: IO[bytes], element: _Element, order: str) -> list[float]:
    """The scalars of one row of an element with lists; 0 for the lists."""
    row: list[float] = []
    for _, kind, length in element.properties:
        if length is None:
            row.append(_scalar(path, stream, order, kind))
            continue
        count = int(_scalar(path, stream, order, length))
        if count < 0:
            raise DataError(f"{path}: a list of {count} values; the file is damaged")
        stream.seek(count * np.dtype(_TYPES[kind]).itemsize, 1)
        row.append(0)
    return row


def _scalar(path: Path, stream: IO[bytes], order: str, kind: str) -> float:
    code = _STRUCT[_TYPES[kind]]
    data = stream.read(struct.calcsize(order + code))
    if len(data) < struct.calcsize(order + code):
        raise DataError(f"{path}: ends before all its elements; it is cut short, export it again")
    value: float = struct.unpack(order + code, data)[0]
    return value


def _binary_rows(
    path: Path, stream: IO[bytes], element: _Element, order: str, size: int
) -> NDArray[Any]:
    dtype = _dtype(element, order)
    if not element.scalar():
        rows = [tuple(_row(path, stream, element, order)) for _ in range(element.count)]
        return np.array(rows, dtype=dtype)
    declared, there = element.count * dtype.itemsize, max(size - stream.tell(), 0)
    if declared > there:
        raise DataError(
            f"{path}: declares {element.count} of {element.name!r}, {declared} bytes, and holds "
            f"{there}; it is cut short or damaged, export it again"
        )
    return np.frombuffer(stream.read(declared), dtype=dtype)


def _text_rows(path: Path, stream: IO[bytes], element: _Element, found: Columns) -> NDArray[Any]:
    used = (*found.points, *(found.normals or ()), *(found.colors or ()))
    numbers, read = array("d"), 0
    while read < element.count and (line := stream.readline()):
        cells = line.split()
        if not cells:
            continue
        try:
            if not element.scalar():
                cells = _without_lists(cells, element)
            numbers.extend([float(cells[number]) for number in used])
        except (ValueError, IndexError):
            raise DataError(
                f"{path}: {element.name} {read + 1} is {line[:60]!r}, which does not fit the "
                "header; export it again"
            ) from None
        read += 1
    if read < element.count:
        raise DataError(
            f"{path}: declares {element.count} of {element.name!r} and has {read}; it is cut "
            "short, export it again"
        )
    table = np.frombuffer(numbers, dtype=np.float64).reshape(-1, len(used))
    fields = np.dtype([(f"p{number}", "f8") for number in dict.fromkeys(used)])
    rows = np.empty(len(table), dtype=fields)
    for place, number in enumerate(used):
        rows[f"p{number}"] = table[:, place]
    return rows


def _without_lists(cells: list[bytes], element: _Element) -> list[bytes]:
    scalars, at = [], 0
    for _, _, length in element.properties:
        scalars.append(cells[at])
        at += 1 if length is None else 1 + int(cells[at])
    return scalars
