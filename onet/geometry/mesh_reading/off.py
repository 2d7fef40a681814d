"""Geomview's OFF and its relatives (COFF, NOFF, STOFF, 4OFF, nOFF), text and binary."""

from __future__ import annotations

import re
from array import array

import numpy as np
from numpy.typing import NDArray

from onet.geometry.mesh_reading.files import MeshFiles, decoded, plain_text
from onet.geometry.mesh_reading.raw import RawMesh, as_bytes, face_colors, from_polygons

_KEYWORD = re.compile(rb"((?:ST|C|N|4|n)*)(?:OFF|off)(?=[\s\d]|$)")
_BINARY = re.compile(rb"(?:ST)?C?N?4?n?OFF[ \t]+BINARY[^\n]*\n")


def read_off(files: MeshFiles, colors: bool) -> RawMesh:
    """Read the polygons of an OFF file, and with `colors` those of its faces or else its vertices.

    Normals and texture coordinates are left out; four coordinates are divided by the last.

    Raises:
        DataError: another dimension than three, declared sizes that the file cannot hold, a number
            that is none, or a face that names no vertex.
    """
    if _BINARY.match(files.data):
        return _binary(files)
    text = plain_text(files.data)
    if b"#" in text:
        text = re.sub(rb"#[^\n]*", b"", text)
    text = text.lstrip()
    keyword = _KEYWORD.match(text)
    kind = decoded(keyword[1]) if keyword else ""
    text = text[keyword.end() :] if keyword else text
    lines = [line for line in text.split(b"\n") if line and not line.isspace()]
    try:
        return _read(files, lines, kind, colors)
    except (ValueError, IndexError, OverflowError) as error:
        raise files.error(
            f"cannot be read as a mesh: not an OFF file, or damaged ({error}); export it again"
        ) from error


def _read(files: MeshFiles, lines: list[bytes], kind: str, colors: bool) -> RawMesh:
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
    first = at
    numbers, behind = _vertices(lines, at, vertex_count, width)
    vertices = numbers.reshape(-1, width)
    if width == 4:
        with np.errstate(all="ignore"):  # what becomes infinite is refused later
            vertices = vertices[:, :3] / vertices[:, 3:]
    corners, sizes, shades, at = _faces(lines, behind, face_count, colors)
    if at < len(lines):
        raise ValueError(f"{len(lines) - at} lines more than declared")
    mesh, _, polygons = from_polygons(files, vertices, corners, sizes)
    if colors:
        mesh.colors = _face_shades(shades, polygons)
        if mesh.colors is None and "C" in kind:
            table = _shades([_color_words(line.split(), kind) for line in lines[first:behind]])
            mesh.colors = None if table is None else face_colors(table, mesh.faces)
    return mesh


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


def _color_words(row: list[bytes], kind: str) -> list[bytes]:
    """Return what of a vertex's line is its colour.

    Geomview says CNOFF and puts normals before colours; MeshLab says NCOFF and puts them behind.
    """
    rest = row[4 if "4" in kind else 3 : len(row) - 2 * ("ST" in kind)]
    if "N" not in kind:
        return rest
    return rest[:-3] if kind.index("N") < kind.index("C") else rest[3:]


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


def _binary(files: MeshFiles) -> RawMesh:
    """Read big-endian integers and single-precision numbers behind the keyword's line."""
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
    vertices = body[3:end].view(">f4").reshape(-1, width)[:, :3].astype(np.float64)
    rest = body[end:].tolist()
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
    return from_polygons(files, vertices, order, np.array(sizes, dtype=np.int64))[0]
