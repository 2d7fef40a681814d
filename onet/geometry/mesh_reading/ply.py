"""PLY, text and binary: polygons and triangle strips, in the precision of the file."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onet.geometry.mesh_reading.files import MeshFiles
from onet.geometry.mesh_reading.raw import (
    RawMesh,
    as_bytes,
    face_colors,
    from_polygons,
    joined,
    strip_triangles,
)

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1",
    "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "long": "i8", "int64": "i8", "ulong": "u8", "uint64": "u8",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
_INDICES = ("vertex_indices", "vertex_index", "vertex_indexes", "indices")
_HEADER = re.compile(
    rb"ply[ \t]*(\r\n|\n|\r)(?:(.*?)\1)?[ \t]*end_header[ \t]*(?:\1|\r?\n)", re.DOTALL
)


@dataclass
class _Property:
    name: str
    kind: str  # numpy's code without the byte order
    counted_by: str | None = None  # of lists


@dataclass
class _Element:
    name: str
    count: int
    properties: list[_Property] = field(default_factory=list)

    @property
    def least(self) -> int:
        """Bytes that one takes at least, in a binary file."""
        return sum(np.dtype(p.counted_by or p.kind).itemsize for p in self.properties)


@dataclass
class _Lists:
    """Lists of all elements, one after the other, and the length of each."""

    values: NDArray[np.generic]
    sizes: NDArray[np.int64]


_Table = dict[str, "NDArray[np.generic] | _Lists"]


def read_ply(files: MeshFiles, colors: bool) -> RawMesh:
    """Read the faces and triangle strips of a PLY file, and with `colors` those of its faces, or
    else of its vertices.

    Raises:
        DataError: a header that cannot be understood, declared sizes that the file cannot hold, a
            face that names no vertex, no coordinates, or range grids in place of faces.
    """
    elements, order, start = _header(files)
    try:
        tables = (
            _text(files, elements, start) if not order else _binary(files, elements, order, start)
        )
    except (ValueError, OverflowError, struct.error) as error:
        raise files.error(f"cannot be read as a mesh ({error}); export it again") from error
    points = tables.get("vertex", {})
    axes = [points.get(axis) for axis in "xyz"]
    if any(axis is None or isinstance(axis, _Lists) for axis in axes):
        raise files.error("its vertices have no properties x, y, z; export it again")
    vertices = np.stack([np.asarray(axis, dtype=np.float64) for axis in axes], axis=1)
    parts = [
        part
        for name, reader in (("face", _faces), ("tristrips", _strips))
        if (part := reader(files, vertices, tables.get(name, {}), colors)) is not None
    ]
    if not any(len(part.faces) for part in parts) and "range_grid" in tables:
        raise files.error(
            "is a range scan: its points are in a grid, without faces; make a surface of it first"
        )
    mesh = parts[0] if len(parts) == 1 else joined(parts)
    if len(parts) > 1:  # which use the same vertices
        mesh.vertices, mesh.faces = vertices, mesh.faces % max(len(vertices), 1)
    shades = _colors(points) if colors and mesh.colors is None else None
    if shades is not None:
        mesh.colors = face_colors(shades, mesh.faces)
    return mesh


def _header(files: MeshFiles) -> tuple[list[_Element], str, int]:
    """Return the elements, the byte order ('' for text) and where the content starts."""
    match = _HEADER.match(files.data[: 1 << 20])
    if match is None:
        raise files.error("cannot be read as a mesh: has no PLY header; export it again")
    order, elements = None, []
    for line in (match[2] or b"").decode("latin-1").splitlines():
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        try:
            if words[0] == "format":
                order = _ORDERS[words[1]]
            elif words[0] == "element":
                elements.append(_Element(words[1], int(words[2])))
            elif words[0] == "property" and words[1] == "list":
                kind = _TYPES[words[3]]
                counted_by = _TYPES[words[2]]
                if counted_by[0] == "f":
                    raise ValueError
                elements[-1].properties.append(_Property(words[4], kind, counted_by))
            elif words[0] == "property":
                elements[-1].properties.append(_Property(words[2], _TYPES[words[1]]))
            else:
                raise ValueError
        except (ValueError, IndexError, KeyError) as error:
            raise files.error(
                f"has the header line {line[:60]!r}, which is not understood; export it again"
            ) from error
    if order is None:
        raise files.error("its header has no line 'format'; export it again")
    _check_sizes(files, elements, len(files.data) - match.end(), binary=bool(order))
    return elements, order, match.end()


def _check_sizes(files: MeshFiles, elements: list[_Element], there: int, binary: bool) -> None:
    needed = 0
    if len({element.name for element in elements}) < len(elements):
        raise files.error("its header declares an element twice; export it again")
    for element in elements:
        if element.count < 0:
            raise files.error(f"declares {element.count} elements {element.name!r}")
        names = [p.name for p in element.properties]
        if len({*names}) < len(names):
            raise files.error(f"declares a property of {element.name!r} twice; export it again")
        needed += element.count * (element.least if binary else 2 * len(names))
        if needed > there + 1:  # the last number of a text needs no separator
            raise files.error(
                f"declares {element.count} elements {element.name!r}, which needs at least "
                f"{needed} bytes behind the header, but has {there}; the file is cut or damaged, "
                "copy or export it again"
            )


def _text(files: MeshFiles, elements: list[_Element], start: int) -> dict[str, _Table]:
    words = files.data[start:].split()
    at, tables = 0, {}
    for element in elements:
        table, at = _text_element(words, at, element)
        tables[element.name] = table
    if at < len(words):
        raise files.error(
            f"has {len(words) - at} numbers more than its header declares; correct the header, or "
            "export it again"
        )
    return tables


def _text_element(words: list[bytes], at: int, element: _Element) -> tuple[_Table, int]:
    properties = element.properties
    if not any(p.counted_by for p in properties):
        end = at + element.count * len(properties)
        if end > len(words):
            raise ValueError(f"ends within the elements {element.name!r}")
        return {p.name: _numbers(words[at + k : end : len(properties)], p.kind)
                for k, p in enumerate(properties)}, end  # fmt: skip
    found: list[list[bytes]] = [[] for _ in properties]
    sizes: list[list[int]] = [[] for _ in properties]
    for _ in range(element.count):
        for k, p in enumerate(properties):
            if at >= len(words):
                raise ValueError(f"ends within the elements {element.name!r}")
            size = 1
            if p.counted_by:
                size = int(words[at])
                at += 1
                if size < 0 or at + size > len(words):
                    raise ValueError(f"an element {element.name!r} has a list of {size}")
                sizes[k].append(size)
            found[k] += words[at : at + size]
            at += size
    table: _Table = {}
    for p, text, lengths in zip(properties, found, sizes, strict=True):
        values = _numbers(text, p.kind)
        listed = _Lists(values, np.array(lengths, dtype=np.int64))
        table[p.name] = listed if p.counted_by else values
    return table, at


def _numbers(words: list[bytes], kind: str) -> NDArray[np.generic]:
    numbers = np.fromiter(map(float, words), dtype=np.float64, count=len(words))
    if kind[0] == "f":
        return numbers  # text has the precision that it is written with
    if not (numbers == np.round(numbers)).all() or (np.abs(numbers) > 2**53).any():
        raise ValueError("a number that has to be whole is not")
    return numbers.astype(np.int64)


def _binary(
    files: MeshFiles, elements: list[_Element], order: str, start: int
) -> dict[str, _Table]:
    tables: dict[str, _Table] = {}
    for element in elements:
        if not any(p.counted_by for p in element.properties):
            kind = np.dtype([(p.name, order + p.kind) for p in element.properties])
            end = start + element.count * kind.itemsize
            if end > len(files.data):
                raise ValueError(f"is cut within the elements {element.name!r}")
            rows = np.frombuffer(files.data[start:end] if element.properties else b"", kind)
            tables[element.name] = {p.name: rows[p.name] for p in element.properties}
            start = end
        else:
            tables[element.name], start = _binary_lists(files.data, element, order, start)
    return tables


def _binary_lists(data: bytes, element: _Element, order: str, start: int) -> tuple[_Table, int]:
    """Read elements with lists: first where each property starts, then all numbers at once."""
    count, properties = element.count, element.properties
    lists = [k for k, p in enumerate(properties) if p.counted_by]
    sizes = np.zeros((len(lists), count), dtype=np.int64)
    starts, end = _walk(data, element, order, start, sizes)
    raw = np.frombuffer(data, dtype=np.uint8)
    table: _Table = {}
    place, seen = starts, 0
    for p in properties:
        width = np.dtype(p.kind).itemsize
        if not p.counted_by:
            table[p.name] = _gather(raw, place, width).view(order + p.kind)
            place = place + width
            continue
        place = place + np.dtype(p.counted_by).itemsize
        lengths = sizes[seen] * width
        values = _gather_runs(raw, place, lengths).view(order + p.kind)
        table[p.name] = _Lists(values, sizes[seen])
        place = place + lengths
        seen += 1
    return table, end


def _walk(
    data: bytes, element: _Element, order: str, start: int, sizes: NDArray[np.int64]
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
    element: _Element,
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
    for place, size, (_, reader, _) in zip(places, first, steps, strict=True):
        pattern = np.frombuffer(reader.pack(size), dtype=np.uint8)
        same &= (raw[:, place : place + reader.size] == pattern).all(axis=1)
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


def _index_lists(table: _Table) -> _Lists | None:
    for name in _INDICES:
        listed = table.get(name)
        if isinstance(listed, _Lists):
            return listed
    return None


def _faces(
    files: MeshFiles, vertices: NDArray[np.float64], table: _Table, colors: bool
) -> RawMesh | None:
    listed = _index_lists(table)
    if listed is None:
        if table:
            raise files.error(
                f"its faces have no list {_INDICES[0]!r} (found: {', '.join(table)}); "
                "export it again"
            )
        return None
    mesh, _, polygons = from_polygons(files, vertices, _whole(files, listed.values), listed.sizes)
    shades = _colors(table) if colors else None
    if shades is not None:
        mesh.colors = np.pad(shades, ((0, 0), (0, 4 - shades.shape[1])), constant_values=255)[
            polygons
        ]
    return mesh


def _whole(files: MeshFiles, values: NDArray[np.generic]) -> NDArray[np.int64]:
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64)
    if values.dtype.kind == "f" and not (whole == values).all():
        raise files.error("a face names a vertex by a fraction; export it again")
    return whole


def _strips(
    files: MeshFiles, vertices: NDArray[np.float64], table: _Table, colors: bool
) -> RawMesh | None:
    """Return the triangles of strips, which -1 ends; ones with a repeated corner are left out."""
    listed = _index_lists(table)
    if listed is None:
        return None
    values = _whole(files, listed.values)
    if values.size and values.max() == 2**32 - 1:
        values = np.where(values == 2**32 - 1, -1, values)  # -1 of an unsigned type
    ends = np.cumsum(listed.sizes)[:-1]
    faces = [np.zeros((0, 3), dtype=np.int64)]
    for whole in np.split(values, ends):
        for strip in np.split(whole, np.flatnonzero(whole == -1)):
            strip = strip[1:] if len(strip) and strip[0] == -1 else strip
            faces.append(strip[strip_triangles(len(strip))])
    corners = np.concatenate(faces)
    a, b, c = corners.T
    corners = corners[(a != b) & (b != c) & (c != a)]
    sizes = np.full(len(corners), 3)
    return from_polygons(files, vertices, corners.reshape(-1), sizes)[0]


def _colors(table: _Table) -> NDArray[np.uint8] | None:
    """Return (N, 3) or (N, 4) colours of vertices or faces, or None without."""
    for names in (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue")):
        channels = [table.get(name) for name in (*names, "alpha")]
        plain = [c for c in channels if c is not None and not isinstance(c, _Lists)]
        if all(table.get(name) is not None for name in names) and len(plain) >= 3:
            return np.stack([as_bytes(channel) for channel in plain], axis=1)
    return None
