"""Geomview's OFF and its relatives (COFF, NOFF, STOFF, 4OFF, nOFF), text and binary."""

from __future__ import annotations

import contextlib
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.mesh_reading.files import MeshFiles, decoded, plain_text
from onet.geometry.mesh_reading.raw import (
    RawMesh,
    RawPoints,
    as_bytes,
    face_colors,
    from_polygons,
)

_KEYWORD = re.compile(rb"((?:ST|C|N|4|n)*)(?:OFF|off)(?=[\s\d]|$)")
_BINARY = re.compile(rb"(?:ST)?C?N?4?n?OFF[ \t]+BINARY[^\n]*\n")


@dataclass
class _Head:
    """What a text says before its faces.

    Attributes:
        kind: the letters before OFF.
        lines: all that is not blank, without comments.
        vertices: (N, 3).
        first: number of the line of the first vertex.
        behind: number of the line of the first face.
        faces: how many are declared.
    """

    kind: str
    lines: list[bytes]
    vertices: NDArray[np.float64]
    first: int
    behind: int
    faces: int

    def rows(self) -> list[list[bytes]]:
        """Return what follows the position of each vertex, without texture coordinates."""
        begin, drop = (4 if "4" in self.kind else 3), 2 * ("ST" in self.kind)
        cut = [line.split() for line in self.lines[self.first : self.behind]]
        return [row[begin : len(row) - drop] for row in cut]


def read_off(files: MeshFiles, colors: bool) -> RawMesh:
    """Read the polygons of an OFF file, and with `colors` those of its faces or else its vertices.

    Normals and texture coordinates are left out; four coordinates are divided by the last.

    Raises:
        DataError: another dimension than three, declared sizes that the file cannot hold, a number
            that is none, or a face that names no vertex.
    """
    if _BINARY.match(files.data):
        return _binary(files)
    with _damage(files):
        head = _head(files)
        corners, sizes, shades, at = _faces(head.lines, head.behind, head.faces, colors)
        if at < len(head.lines):
            raise ValueError(f"{len(head.lines) - at} lines more than declared")
        mesh, _, polygons = from_polygons(files, head.vertices, corners, sizes)
        if colors:
            mesh.colors = _face_shades(shades, polygons)
            if mesh.colors is None:
                table = _vertex_colors(head)
                mesh.colors = None if table is None else face_colors(table, mesh.faces)
        return mesh


def read_off_points(files: MeshFiles) -> RawPoints:
    """Read the vertices of an OFF file with their normals and colours.

    Raises:
        DataError: see `read_off`.
    """
    if _BINARY.match(files.data):
        return _binary_vertices(files)[0]
    with _damage(files):
        head = _head(files)
        return RawPoints(head.vertices, _normals(head), _vertex_colors(head))


@contextlib.contextmanager
def _damage(files: MeshFiles) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except (ValueError, IndexError, OverflowError) as error:
        raise files.error(f"is no OFF file, or damaged ({error}); export it again") from error


def _head(files: MeshFiles) -> _Head:
    text = plain_text(files.data)
    if b"#" in text:
        text = re.sub(rb"#[^\n]*", b"", text)
    text = text.lstrip()
    keyword = _KEYWORD.match(text)
    kind = decoded(keyword[1]) if keyword else ""
    text = text[keyword.end() :] if keyword else text
    lines = [line for line in text.split(b"\n") if line and not line.isspace()]
    if not lines:
        raise ValueError("without numbers")
    counts, at = _counts(lines, "n" in kind)
    if counts.pop(0) != 3:
        raise files.error("is not three-dimensional; export it with three coordinates a vertex")
    vertex_count, face_count, *_ = counts
    if vertex_count < 0 or face_count < 0 or vertex_count + face_count > len(files.data) // 2:
        raise files.error(
            f"declares {vertex_count} vertices and {face_count} faces, more than its "
            f"{len(files.data)} bytes can hold; the file is cut or damaged, export it again"
        )
    width = 4 if "4" in kind else 3
    numbers, behind = _vertices(lines, at, vertex_count, width)
    vertices = numbers.reshape(-1, width)
    if width == 4:
        with np.errstate(all="ignore"):  # what becomes infinite is refused later
            vertices = vertices[:, :3] / vertices[:, 3:]
    return _Head(kind, lines, vertices, at, behind, face_count)


def _counts(lines: list[bytes], any_dimension: bool) -> tuple[list[int], int]:
    """Return dimension and counts, on one line or several, and the line behind."""
    head: list[bytes] = []
    at = 0
    if any_dimension and len(lines[0].split()) == 1:  # the dimension has a line of its own
        head, at = lines[0].split(), 1
    elif not any_dimension:
        head = [b"3"]
    head += lines[at].split()
    at += 1
    while len(head) < 4 and len(lines[at - 1].split()) == 1:  # each number has
        head += lines[at].split()
        at += 1
    return [int(word) for word in head[:4]], at


def _normals_first(kind: str) -> bool:
    """Return whether normals stand before colours.

    Geomview says CNOFF and puts normals before colours; MeshLab says NCOFF and puts them behind.
    """
    return "C" not in kind or kind.index("C") < kind.index("N")


def _vertex_colors(head: _Head) -> NDArray[np.uint8] | None:
    if "C" not in head.kind:
        return None
    rows = head.rows()
    if "N" in head.kind:
        rows = [row[3:] if _normals_first(head.kind) else row[:-3] for row in rows]
    return _shades(rows)


def _normals(head: _Head) -> NDArray[np.float64] | None:
    if "N" not in head.kind:
        return None
    rows = [row[:3] if _normals_first(head.kind) else row[-3:] for row in head.rows()]
    if any(len(row) != 3 for row in rows):
        return None
    return np.array([float(word) for row in rows for word in row]).reshape(-1, 3)


def _vertices(
    lines: list[bytes], at: int, count: int, width: int
) -> tuple[NDArray[np.float64], int]:
    """Return the coordinates, and the line behind; vertices may also share or span lines."""
    numbers = array("d")
    for line in lines[at : at + count]:
        numbers.extend(map(float, line.split()[:width]))
    if len(numbers) == count * width:
        return np.array(numbers), at + count
    words: list[bytes] = []
    while len(words) < count * width:
        words += lines[at].split()
        at += 1
    if len(words) > count * width:
        raise ValueError("the vertices are not one a line")
    return np.array([float(word) for word in words]), at


def _faces(
    lines: list[bytes], at: int, count: int, colors: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[list[bytes]], int]:
    """Return the corners, their number in each face, what follows them, and the line behind."""
    corners, sizes, shades = array("q"), array("q"), []
    for number in range(count):
        if at >= len(lines):
            raise ValueError(f"{count} faces are declared, but only {number} follow")
        words = lines[at].split()
        at += 1
        size = int(words[0])
        if size < 0:
            raise ValueError(f"a face has {size} corners")
        while len(words) <= size and at < len(lines):  # a long face may span lines
            words += lines[at].split()
            at += 1
        if len(words) <= size:
            raise ValueError(f"face {number} has fewer corners than it says")
        corners.extend(map(int, words[1 : size + 1]))
        sizes.append(size)
        if colors:
            shades.append(words[size + 1 :])
    return np.array(corners, dtype=np.int64), np.array(sizes, dtype=np.int64), shades, at


def _face_shades(
    shades: list[list[bytes]], polygons: NDArray[np.int64]
) -> NDArray[np.uint8] | None:
    table = _shades(shades)
    return None if table is None else table[polygons]


def _shades(rows: list[list[bytes]]) -> NDArray[np.uint8] | None:
    """Return (N, 4) colours from words: integers to 255 or fractions; None where there are none.

    One integer is an entry of a colour map that the file does not contain.
    """
    if not rows or any(len(row) not in (3, 4) for row in rows):
        return None
    words = [word for row in rows for word in row]
    whole = all(word.isdigit() for word in words)
    values = iter([float(word) for word in words])
    table = np.full((len(rows), 4), 255.0 if whole else 1.0)
    for row, out in zip(rows, table, strict=True):
        for k in range(len(row)):
            out[k] = next(values)
    return as_bytes(table.astype(np.int64) if whole and table.max() < 2**31 else table)


def _binary_vertices(files: MeshFiles) -> tuple[RawPoints, int, NDArray[np.int32]]:
    """Return the vertices, the number of faces and what follows, of big-endian numbers."""
    head = _BINARY.match(files.data)
    assert head is not None
    keyword = decoded(head[0]).split()[0]
    if keyword not in ("OFF", "COFF", "NOFF", "CNOFF"):
        raise files.error(f"binary {keyword} is not read; export it as text")
    body = np.frombuffer(
        files.data, ">i4", offset=head.end(), count=(len(files.data) - head.end()) // 4
    )
    if len(body) < 3:
        raise files.error("is cut in its header; export it again")
    vertex_count, face_count = int(body[0]), int(body[1])
    width = 3 + 3 * ("N" in keyword) + 4 * ("C" in keyword)
    needed = 3 + width * vertex_count + 2 * face_count
    if vertex_count < 0 or face_count < 0 or needed > len(body):
        raise files.error(
            f"declares {vertex_count} vertices and {face_count} faces, which take at least "
            f"{4 * needed} bytes, but has {4 * len(body)}; the file is cut, export it again"
        )
    end = 3 + width * vertex_count
    rows = body[3:end].view(">f4").reshape(-1, width).astype(np.float64)
    normals = rows[:, 3:6] if "N" in keyword else None
    points = RawPoints(rows[:, :3], normals, rows[:, -4:] if "C" in keyword else None)
    return points, face_count, body[end:]


def _binary(files: MeshFiles) -> RawMesh:
    """Read the faces behind the vertices; their colours are left out."""
    points, face_count, behind = _binary_vertices(files)
    rest = behind.tolist()
    corners, sizes, at = array("q"), array("q"), 0
    for number in range(face_count):
        size = rest[at] if at < len(rest) else -1
        if size < 0 or at + 1 + size >= len(rest):
            raise files.error(f"is cut or damaged in face {number}; export it again")
        corners.extend(rest[at + 1 : at + 1 + size])
        sizes.append(size)
        shades = rest[at + 1 + size]
        if not 0 <= shades <= 4:
            raise files.error(f"face {number} has {shades} colours; export it again")
        at += 2 + size + shades
    order = np.array(corners, dtype=np.int64)
    return from_polygons(files, points.points, order, np.array(sizes, dtype=np.int64))[0]
