"""What a PLY file holds, text or binary: its elements, with their properties as arrays."""

from __future__ import annotations

import io
import re
import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onet.geometry.mesh_reading.files import UTF8_MARK, MeshFiles

INDICES = ("vertex_indices", "vertex_index", "vertex_indexes", "indices")
"""Names of the lists of a face's corners."""

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1",
    "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "long": "i8", "int64": "i8", "ulong": "u8", "uint64": "u8",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8", "half": "f2", "float16": "f2",
}  # fmt: skip
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
_HEADER = re.compile(
    rb"ply[ \t]*(\r\n|\n|\r)(?:(.*?)\1)?[ \t]*end_header[ \t]*(?:\1|\r?\n)", re.DOTALL
)


@dataclass
class Property:
    """A column of an element: numbers, or with `counted_by` lists of numbers."""

    name: str
    kind: str  # numpy's code without the byte order
    counted_by: str | None = None  # of lists


@dataclass
class Element:
    """A kind of thing of which the file has `count`."""

    name: str
    count: int
    properties: list[Property] = field(default_factory=list)

    @property
    def least(self) -> int:
        """Bytes that one takes at least, in a binary file."""
        return sum(np.dtype(p.counted_by or p.kind).itemsize for p in self.properties)

    @property
    def plain(self) -> bool:
        """Whether it has no lists."""
        return not any(p.counted_by for p in self.properties)


@dataclass
class Lists:
    """Lists of all elements, one after the other, and the length of each."""

    values: NDArray[np.generic]
    sizes: NDArray[np.int64]


@dataclass
class Table:
    """All elements of a kind: an array, or lists, for each of its properties, in their order."""

    element: Element
    columns: Sequence[NDArray[np.generic] | Lists]

    def numbers(self, name: str) -> NDArray[np.generic] | None:
        """Return the first property of that name, in capitals or not; None if there is none."""
        return next((c for c in self._called(name) if not isinstance(c, Lists)), None)

    def lists(self, name: str) -> Lists | None:
        """Return the first list of that name; None if there is none."""
        return next((c for c in self._called(name) if isinstance(c, Lists)), None)

    def _called(self, name: str) -> list[NDArray[np.generic] | Lists]:
        pairs = zip(self.element.properties, self.columns, strict=True)
        return [column for p, column in pairs if p.name.lower() == name]


class PlyFile:
    """An open PLY file, of which the header has been read.

    Attributes:
        elements: what the header declares, which the file is long enough to hold.
    """

    def __init__(self, files: MeshFiles) -> None:
        """Read the header.

        Raises:
            DataError: it cannot be understood, or declares more than the file can hold.
        """
        self._files = files
        self._data = files.data
        if self._data.startswith(UTF8_MARK):
            self._data = self._data[len(UTF8_MARK) :]
        match = _HEADER.match(self._data[: 1 << 20])
        if match is None:
            raise files.error("has no PLY header (ply, format, ..., end_header); export it again")
        self._line_end, self._start = match[1], match.end()
        self._order, self.elements = _header(files, match[2] or b"")
        if not self._order:
            _drop_misplaced_list(self.elements)
        _check_sizes(files, self.elements, len(self._data) - self._start, bool(self._order))

    def tables(self, last: Element | None = None) -> dict[str, Table]:
        """Return the elements by their names in small letters.

        Args:
            last: the element behind which reading stops; None reads all.

        Raises:
            DataError: damaged, cut short, or with more than the header declares.
        """
        read = self._binary if self._order else self._text
        end = len(self.elements) if last is None else self.elements.index(last) + 1
        whole = not any(element.count for element in self.elements[end:])
        try:
            tables = read(self.elements[:end], whole)
        except (ValueError, OverflowError, struct.error) as error:
            raise self._files.error(f"cannot be read as PLY ({error}); export it again") from error
        return {table.element.name.lower(): table for table in tables}

    def _text(self, elements: list[Element], whole: bool) -> list[Table]:
        data = self._data
        if self._line_end == b"\r":
            data = data.replace(b"\r", b"\n")
        stream = io.BytesIO(data)
        stream.seek(self._start)
        try:
            return _text_tables(stream, elements, whole)
        except _WideLine as error:
            words = _Words(data[self._start :])
            try:  # several elements on a line, if that fits to the last number
                return _text_tables(words, self.elements, whole=True)[: len(elements)]
            except (ValueError, OverflowError):
                raise error from None

    def _binary(self, elements: list[Element], whole: bool) -> list[Table]:
        tables, start = [], self._start
        for element in elements:
            if element.plain:
                kind = np.dtype(
                    [(f"p{k}", self._order + p.kind) for k, p in enumerate(element.properties)]
                )
                end = start + element.count * kind.itemsize
                if end > len(self._data):
                    raise ValueError(f"is cut within the elements {element.name!r}")
                if kind.itemsize:
                    rows = np.frombuffer(self._data, kind, count=element.count, offset=start)
                else:
                    rows = np.zeros(0, kind)
                tables.append(
                    Table(element, [rows[f"p{k}"] for k in range(len(element.properties))])
                )
                start = end
            else:
                table, start = _binary_lists(self._data, element, self._order, start)
                tables.append(table)
        return tables


def _header(files: MeshFiles, text: bytes) -> tuple[str, list[Element]]:
    """Return the byte order ('' for text) and the elements."""
    order, elements = None, []
    for line in text.decode("latin-1").splitlines():
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        try:
            if words[0] == "format":
                order = _ORDERS[words[1]]
            elif words[0] == "element":
                elements.append(Element(words[1], int(words[2])))
            elif words[0] == "property" and words[1] == "list":
                kind = _TYPES[words[3]]
                counted_by = _TYPES[words[2]]
                if counted_by[0] == "f":
                    raise ValueError
                elements[-1].properties.append(Property(words[4], kind, counted_by))
            elif words[0] == "property":
                elements[-1].properties.append(Property(words[2], _TYPES[words[1]]))
            else:
                raise ValueError
        except (ValueError, IndexError, KeyError) as error:
            raise files.error(
                f"has the header line {line[:60]!r}, which is not understood; export it again"
            ) from error
    if order is None:
        raise files.error("its header has no line 'format'; export it again")
    return order, elements


def _drop_misplaced_list(elements: list[Element]) -> None:
    """Take the list of faces off the vertices, where Blender 2.7 and 2.8 leave it without faces."""
    last = elements[-1] if elements else None
    if last is None or last.name != "vertex" or not last.properties:
        return
    if last.properties[-1].counted_by and last.properties[-1].name in INDICES:
        last.properties.pop()


def _check_sizes(files: MeshFiles, elements: list[Element], there: int, binary: bool) -> None:
    needed = 0
    if len({element.name.lower() for element in elements}) < len(elements):
        raise files.error("its header declares an element twice; export it again")
    for element in elements:
        if element.count < 0:
            raise files.error(f"declares {element.count} elements {element.name!r}")
        needed += element.count * (element.least if binary else 2 * len(element.properties))
        if needed > there + 1:  # the last number of a text needs no separator
            raise files.error(
                f"declares {element.count} elements {element.name!r}, which needs at least "
                f"{needed} bytes behind the header, but has {there}; the file is cut or damaged, "
                "copy or export it again"
            )


class _WideLine(ValueError):
    """A line with more numbers than the element that begins on it takes."""


class _Words:
    """The words of a text, given out like lines."""

    def __init__(self, text: bytes) -> None:
        self.words = iter(text.split())

    def readline(self) -> bytes:
        return next(self.words, b"")

    def read(self) -> bytes:
        return b" ".join(self.words)


def _text_tables(stream: io.BytesIO | _Words, elements: list[Element], whole: bool) -> list[Table]:
    tables = [_text_element(stream, element) for element in elements]
    more = len(stream.read().split()) if whole else 0
    if more:
        raise ValueError(f"has {more} numbers more than its header declares")
    return tables


def _text_element(stream: io.BytesIO | _Words, element: Element) -> Table:
    """Read one element a line, or of several lines that end with it."""
    properties = element.properties
    if not properties:
        return Table(element, [])
    if element.plain:
        numbers, width = array("d"), len(properties)
        for row in range(element.count):
            cells = _row(stream, element, row)
            while len(cells) < width:
                cells += _row(stream, element, row)
            _refuse_wide(element, row, cells, width)
            numbers.extend(map(float, cells))
        values = np.frombuffer(numbers, dtype=np.float64).reshape(-1, width)
        return Table(element, [_typed(values[:, k], p.kind) for k, p in enumerate(properties)])
    found = [array("d") for _ in properties]
    sizes: list[list[int]] = [[] for _ in properties]
    for row in range(element.count):
        cells, at = _row(stream, element, row), 0
        for k, p in enumerate(properties):
            size = 1
            if p.counted_by:
                while len(cells) <= at:
                    cells += _row(stream, element, row)
                size = int(cells[at])
                at += 1
                if size < 0:
                    raise ValueError(f"an element {element.name!r} has a list of {size}")
                sizes[k].append(size)
            while len(cells) < at + size:
                cells += _row(stream, element, row)
            found[k].extend(map(float, cells[at : at + size]))
            at += size
        _refuse_wide(element, row, cells, at)
    columns: list[NDArray[np.generic] | Lists] = []
    for p, numbers, lengths in zip(properties, found, sizes, strict=True):
        column = _typed(np.frombuffer(numbers, dtype=np.float64), p.kind)
        listed = Lists(column, np.array(lengths, dtype=np.int64))
        columns.append(listed if p.counted_by else column)
    return Table(element, columns)


def _row(stream: io.BytesIO | _Words, element: Element, row: int) -> list[bytes]:
    while line := stream.readline():
        if cells := line.split():
            return cells
    raise ValueError(f"ends within element {row} of {element.count} {element.name!r}")


def _refuse_wide(element: Element, row: int, cells: list[bytes], width: int) -> None:
    if len(cells) != width:
        raise _WideLine(
            f"element {row} of {element.name!r} has {len(cells)} numbers on its line, where the "
            f"header declares {width}"
        )


def _typed(numbers: NDArray[np.float64], kind: str) -> NDArray[np.generic]:
    """Return whole numbers of text in their declared type, where they are such and fit."""
    if kind[0] == "f" or not len(numbers):
        return numbers  # text has the precision that it is written with
    with np.errstate(invalid="ignore"):
        whole = bool((numbers == np.round(numbers)).all())
    limits = np.iinfo(kind)
    fits = whole and numbers.min() >= limits.min and numbers.max() <= min(limits.max, 2**53)
    return numbers.astype(kind) if fits else numbers


def _binary_lists(data: bytes, element: Element, order: str, start: int) -> tuple[Table, int]:
    """Read elements with lists: first where each property starts, then all numbers at once."""
    count, properties = element.count, element.properties
    lists = [k for k, p in enumerate(properties) if p.counted_by]
    sizes = np.zeros((len(lists), count), dtype=np.int64)
    starts, end = _walk(data, element, order, start, sizes)
    raw = np.frombuffer(data, dtype=np.uint8)
    columns: list[NDArray[np.generic] | Lists] = []
    offset, seen = starts, 0
    for p in properties:
        width = np.dtype(p.kind).itemsize
        if not p.counted_by:
            columns.append(_gather(raw, offset, width).view(order + p.kind))
            offset = offset + width
            continue
        offset = offset + np.dtype(p.counted_by).itemsize
        lengths = sizes[seen] * width
        values = _gather_runs(raw, offset, lengths).view(order + p.kind)
        columns.append(Lists(values, sizes[seen]))
        offset = offset + lengths
        seen += 1
    return Table(element, columns), end


def _walk(
    data: bytes, element: Element, order: str, start: int, sizes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], int]:
    """Fill in the sizes of the lists; returns where each element starts, and the end of all.

    Elements as large as the first, of which there are often only such, are found at once.
    """
    steps: list[tuple[int, struct.Struct, int]] = []  # bytes before a list, its count, its numbers
    skip = 0
    codes = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q"}
    for p in element.properties:
        width = np.dtype(p.kind).itemsize
        if p.counted_by:
            steps.append((skip, struct.Struct((order or "<") + codes[p.counted_by]), width))
            skip = 0
        else:
            skip += width
    starts = np.zeros(element.count, dtype=np.int64)
    done, at = _alike(data, element, order, start, sizes, starts, steps, skip)
    total = len(data)
    for row in range(done, element.count):
        starts[row] = at
        for k, (before, reader, width) in enumerate(steps):
            at += before
            if at + reader.size > total:
                raise ValueError(f"is cut within element {row} of {element.name!r}")
            (size,) = reader.unpack_from(data, at)
            if size < 0:
                raise ValueError(f"element {row} of {element.name!r} has a list of {size}")
            sizes[k, row] = size
            at += reader.size + size * width
        at += skip
        if at > total:
            raise ValueError(f"is cut within element {row} of {element.name!r}")
    return starts, at


def _alike(
    data: bytes,
    element: Element,
    order: str,
    start: int,
    sizes: NDArray[np.int64],
    starts: NDArray[np.int64],
    steps: list[tuple[int, struct.Struct, int]],
    skip: int,
) -> tuple[int, int]:
    """Fill in the leading elements that are as large as the first; returns how many, and where
    they end."""
    at, places, first = start, [], []
    for before, reader, width in steps:
        at += before
        if at + reader.size > len(data):
            return 0, start
        (size,) = reader.unpack_from(data, at)
        places.append(at - start)
        first.append(size)
        at += reader.size + max(size, 0) * width
    step = at + skip - start
    fit = min(element.count, (len(data) - start) // step)
    if min(first) < 0 or fit < 1:
        return 0, start
    raw = np.frombuffer(data, dtype=np.uint8, offset=start, count=fit * step).reshape(fit, step)
    same = np.ones(fit, dtype=bool)
    for offset, size, (_, reader, _) in zip(places, first, steps, strict=True):
        pattern = np.frombuffer(reader.pack(size), dtype=np.uint8)
        same &= (raw[:, offset : offset + reader.size] == pattern).all(axis=1)
    count = fit if same.all() else int(same.argmin())
    sizes[:, :count] = np.array(first)[:, None]
    starts[:count] = start + step * np.arange(count)
    return count, start + step * count


def _gather(raw: NDArray[np.uint8], starts: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
    """Return the `width` bytes at each start, one after the other."""
    steps = np.diff(starts)
    if len(steps) and steps[0] > 0 and (steps == steps[0]).all():
        rows = np.lib.stride_tricks.as_strided(
            raw[starts[0] :], (len(starts), width), (int(steps[0]), 1), writeable=False
        )
        return np.ascontiguousarray(rows).reshape(-1)
    return raw[starts[:, None] + np.arange(width)].reshape(-1)


def _gather_runs(
    raw: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Return the bytes of runs of different lengths, one after the other."""
    if len(lengths) and (lengths == lengths[0]).all():
        return _gather(raw, starts, int(lengths[0]))
    offsets = np.cumsum(lengths) - lengths
    return raw[np.repeat(starts - offsets, lengths) + np.arange(lengths.sum())]
