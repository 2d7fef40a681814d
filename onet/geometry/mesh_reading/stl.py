"""STL, binary and text, with several solids too."""

from __future__ import annotations

import re
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from onet.geometry.mesh_reading.files import MeshFiles, plain_text
from onet.geometry.mesh_reading.raw import RawMesh, RawPoints, from_polygons

_HEADER = 84
_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_NAMES = re.compile(
    rb"(?im)^[ \t]*(?:end)?solid\b[^\n]*?"
    rb"(?=\bfacet\s+normal(?:\s+\S+){3}\s+outer\s+loop\s+vertex(?:\s+\S+){3}\s+vertex|$)"
)
"""What names a solid: the rest of a line, unless facets follow on it."""

_FACET_OR_END = re.compile(rb"(?i)\bfacet\s+normal\b|\bendsolid\b")
_FACET_END = re.compile(rb"(?i)endfacet")
_WORDS = re.compile(rb"(?i)\bvertex\s+(\S+)\s+(\S+)\s+(\S+)|\b(outer\s+loop|endloop)\b")


def read_stl(files: MeshFiles, colors: bool) -> RawMesh:
    """Read the facets of an STL file, three vertices each; normals and attributes are left out.

    Whether it is text is told by its content, as binary files may begin with `solid` too. Bytes
    behind the last binary facet are left out.

    Raises:
        DataError: fewer facets than the header declares, or a text that is cut.
    """
    data = files.data
    count = int.from_bytes(data[80:_HEADER], "little") if len(data) >= _HEADER else 0
    needed = _HEADER + count * _FACET.itemsize
    if len(data) == needed and count:
        return _binary(data, count)
    text = plain_text(data)
    begin = text[: 1 << 16]
    if _FACET_OR_END.search(begin) and (b"\0" not in begin or len(data) < needed):
        return _text(files, text)
    if len(data) < _HEADER:
        raise files.error(
            f"cannot be read as a mesh: {len(data)} bytes are no STL file; export it again"
        )
    if len(data) < needed:
        raise files.error(
            f"declares {count} facets, which take {needed} bytes, but has {len(data)}; "
            "the file is cut or no STL file, copy or export it again"
        )
    if not count and len(data) > _HEADER:
        raise files.error(
            f"declares no facets, but {len(data) - _HEADER} bytes follow; export it again"
        )
    return _binary(data, count)


def read_stl_points(files: MeshFiles) -> RawPoints:
    """Read the corners of the facets, three of each.

    Raises:
        DataError: see `read_stl`.
    """
    return RawPoints(read_stl(files, colors=False).vertices)


def _binary(data: bytes, count: int) -> RawMesh:
    facets = np.frombuffer(data, _FACET, count=count, offset=_HEADER)
    return _facets(facets["corners"].reshape(-1, 3).astype(np.float64))


def _facets(vertices: NDArray[np.float64]) -> RawMesh:
    return RawMesh(vertices, np.arange(len(vertices)).reshape(-1, 3))


def _text(files: MeshFiles, text: bytes) -> RawMesh:
    body = _NAMES.sub(b"", text)  # a name may be anything, `vertex 1 2 3` too
    numbers: list[NDArray[np.float64]] = []
    sizes: list[int] = []
    inside, corners = False, 0
    for part in _parts(body):
        regular = _regular(part)
        if regular is not None:
            numbers.append(regular)
            sizes += [3] * (len(regular) // 9)
            continue
        found = _WORDS.findall(part)
        try:
            words = chain.from_iterable(match[:3] for match in found if not match[3])
            values = np.fromiter(map(float, words), dtype=np.float64)
        except ValueError as error:
            raise files.error(f"a vertex is no number ({error}); export it again") from error
        numbers.append(values)
        for *_, loop in found:
            if not loop:
                corners += 1
                if not inside:
                    raise files.error("has a vertex outside of a loop; export it again")
                continue
            opens = loop[:1] in b"oO"
            if opens == inside:
                raise files.error("has a facet that is not closed; export it again")
            if not opens:
                sizes.append(corners)
            inside, corners = opens, 0
    if inside:
        raise files.error("ends within a facet; the file is cut, copy or export it again")
    vertices = np.concatenate(numbers).reshape(-1, 3)
    order = np.arange(len(vertices))
    return from_polygons(files, vertices, order, np.array(sizes, dtype=np.int64))[0]


def _regular(part: bytes) -> NDArray[np.float64] | None:
    """Return the numbers of facets that all have the usual 21 words, or None; this is quick."""
    words = part.split()
    marks = ((0, b"facet"), (5, b"outer"), (7, b"vertex"), (11, b"vertex"), (15, b"vertex"),
             (19, b"endloop"), (20, b"endfacet"))  # fmt: skip
    if len(words) % 21 or any({w.lower() for w in words[k::21]} - {mark} for k, mark in marks):
        return None
    columns = [words[k::21] for k in (8, 9, 10, 12, 13, 14, 16, 17, 18)]
    try:
        return np.array([[*map(float, column)] for column in columns]).T.reshape(-1)
    except ValueError:
        return None  # the reader of irregular facets says what is wrong


def _parts(body: bytes, size: int = 1 << 22) -> list[bytes]:
    """Cut a long text behind facets, so that its words need not be held all at once."""
    parts, start = [], 0
    while len(body) - start > size:
        match = _FACET_END.search(body, start + size)
        if match is None:
            break
        parts.append(body[start : match.end()])
        start = match.end()
    return [*parts, body[start:]]
