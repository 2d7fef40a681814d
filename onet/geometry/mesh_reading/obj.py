"""Wavefront OBJ: polygons, in double precision, with colours of vertices and materials."""

from __future__ import annotations

import io
import re
from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.mesh_reading.files import MeshFiles, decoded, logger, plain_text
from onet.geometry.mesh_reading.materials import Material, read_mtl
from onet.geometry.mesh_reading.raw import (
    UNPAINTED,
    RawMesh,
    RawPoints,
    as_bytes,
    face_colors,
    from_polygons,
)

_CONTINUED = re.compile(rb"(?m)^([ \t]*(?:v|vn|vt|vp|f|fo|l|p)[ \t][^#\n]*)\\[ \t]*\n")
_GEOMETRY = {b"v", b"vt", b"f", b"fo"}
_FREE_FORM = (b"surf", b"curv", b"cstype")


@dataclass
class Statements:
    """The statements of a file that matter, as flat arrays; indices count from 1."""

    positions: array[float] = field(default_factory=lambda: array("d"))
    colors: array[float] = field(default_factory=lambda: array("d"))
    textures: array[float] = field(default_factory=lambda: array("d"))
    corners: array[int] = field(default_factory=lambda: array("q"))
    corner_textures: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("q"))
    used: array[int] = field(default_factory=lambda: array("q"))
    materials: dict[str, int] = field(default_factory=dict)
    libraries: list[str] = field(default_factory=list)


def read_obj(files: MeshFiles, colors: bool) -> RawMesh:
    """Read the polygons (`f`, `fo`) of an OBJ file; lines, points and normals are left out.

    Vertices stay as they are listed, shared by all objects and groups. A weight after the
    coordinates, which concerns curves only, is left out; so is what follows three coordinates and
    three colours.

    Raises:
        DataError: a number that is none, a face that names no vertex, free-form surfaces.
    """
    found = statements(files, colors)
    vertices = np.array(found.positions).reshape(-1, 3)
    corners = np.array(found.corners, dtype=np.int64) - 1
    sizes = np.array(found.sizes, dtype=np.int64)
    mesh, places, polygons = from_polygons(files, vertices, corners, sizes, first=1)
    if colors:
        if len(found.colors):
            shades = as_bytes(np.array(found.colors).reshape(-1, 3))
            mesh.colors = face_colors(shades, mesh.faces)
        else:
            mesh.colors = _material_colors(files, found, places, polygons)
    return mesh


def read_obj_points(files: MeshFiles) -> RawPoints:
    """Read the lines `v` of an OBJ file, with the colours behind them.

    Normals are taken where the file has no faces and as many lines `vn` as `v`.

    Raises:
        DataError: a line `v` or `vn` with other than three numbers and more.
    """
    found, normals, faces = Statements(), array("d"), False
    for number, line in enumerate(_lines(files), 1):
        words = line.split()
        if not words or words[0] not in (b"v", b"vn", b"f"):
            continue
        if words[0] == b"f":
            faces = True
            continue
        try:
            words = line.partition(b"#")[0].split()
            if words[0] == b"v":
                _vertex(found, words, colors=True)
            else:
                normals.extend(map(float, words[1:4]))
        except ValueError as error:
            raise _wrong_line(files, number, line, error) from error
    points = np.array(found.positions).reshape(-1, 3)
    each = len(normals) == points.size and not faces
    return RawPoints(
        points,
        np.array(normals).reshape(-1, 3) if each else None,
        np.array(found.colors).reshape(-1, 3) if len(found.colors) else None,
    )


def _lines(files: MeshFiles) -> io.BytesIO:
    text = plain_text(files.data)
    return io.BytesIO(_unfolded(text) if b"\\" in text else text)


def _wrong_line(files: MeshFiles, number: int, line: bytes, error: Exception) -> DataError:
    return files.error(
        f"line {number}, {_excerpt(line)}: {error}; correct it, or export the file again "
        "as polygons with decimal points"
    )


def statements(files: MeshFiles, colors: bool) -> Statements:
    """Return what a file says, without checking which vertices it names."""
    found, material = Statements(), -1
    for number, line in enumerate(_lines(files), 1):
        words = line.split()
        if not words:
            continue
        keyword = words[0]
        if b"#" in line and keyword in _GEOMETRY:
            words = line.partition(b"#")[0].split()
        try:
            if keyword == b"v":
                _vertex(found, words, colors)
            elif keyword == b"f" or keyword == b"fo":
                if colors or b"-" in line:
                    _face(found, words, material)
                else:  # the usual one, read quickly
                    if b"/" in line:
                        words = [word.partition(b"/")[0] for word in words]
                    if len(words) > 3:
                        found.corners.extend(map(int, words[1:]))
                        found.sizes.append(len(words) - 1)
            elif keyword == b"vt" and colors:
                found.textures.extend((float(words[1]), float(words[2]) if words[2:] else 0.0))
            elif keyword == b"usemtl" and colors:
                name = decoded(line.split(None, 1)[1].strip()) if words[1:] else ""
                material = found.materials.setdefault(name, len(found.materials))
            elif keyword == b"mtllib" and words[1:]:
                found.libraries.append(decoded(line.split(None, 1)[1].strip()))
            elif keyword in _FREE_FORM or keyword == b"call":
                raise ValueError(f"{decoded(keyword)!r} (free-form surfaces) is not read")
        except (ValueError, IndexError, OverflowError) as error:
            raise _wrong_line(files, number, line, error) from error
    return found


def _unfolded(text: bytes) -> bytes:
    """Join lines that end in a backslash with the ones that follow."""
    while True:
        text, count = _CONTINUED.subn(rb"\1 ", text)
        if not count:
            return text


def _excerpt(line: bytes) -> str:
    text = decoded(line.strip())
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def _vertex(found: Statements, words: list[bytes], colors: bool) -> None:
    if len(words) < 4:
        raise ValueError("a vertex needs x, y and z")
    found.positions.extend(map(float, words[1:4]))
    if colors and (len(words) >= 7 or len(found.colors)):
        # Vertices before the first coloured one are white, and so are those without a colour.
        found.colors.extend([1.0] * (len(found.positions) - 3 - len(found.colors)))
        first = 5 if len(words) == 8 else 4  # a weight before the colour
        shade = words[first : first + 3]
        found.colors.extend(map(float, shade) if len(shade) == 3 else (1.0, 1.0, 1.0))


def _face(found: Statements, words: list[bytes], material: int) -> None:
    """Add a face with its textures; fewer than three corners have no area."""
    del words[0]
    if len(words) < 3:
        return
    known, coordinates = len(found.positions) // 3, len(found.textures) // 2
    for word in words:
        parts = word.split(b"/")
        index = int(parts[0])
        if index < -known:
            raise ValueError(f"a face names the vertex {index}, but {known} come before it")
        found.corners.append(index if index >= 0 else known + index + 1)
        texture = int(parts[1]) if len(parts) > 1 and parts[1] else 0
        found.corner_textures.append(texture if texture >= 0 else coordinates + texture + 1)
    found.sizes.append(len(words))
    found.used.append(material)


def _material_colors(
    files: MeshFiles, found: Statements, places: NDArray[np.int64], polygons: NDArray[np.int64]
) -> NDArray[np.uint8] | None:
    """Return the colours of the triangles by their materials, or None where there are none."""
    materials = material_libraries(files, found)
    if not materials:
        return None
    colors = np.tile(UNPAINTED, (len(places), 1))
    used = np.array(found.used, dtype=np.int64)[polygons]
    coordinates = np.array(found.textures).reshape(-1, 2)
    textures = np.array(found.corner_textures, dtype=np.int64)[places] - 1
    for name, number in found.materials.items():
        chosen = np.flatnonzero(used == number)
        if name not in materials or not len(chosen):
            continue
        corners = textures[chosen]
        there = len(coordinates) > 0 and (corners >= 0).all() and corners.max() < len(coordinates)
        middles = coordinates[corners].mean(axis=1) if there else None
        colors[chosen] = materials[name].shade(middles)
    return colors


def material_libraries(files: MeshFiles, found: Statements) -> dict[str, Material]:
    """Return the materials of all libraries that a file names."""
    materials: dict[str, Material] = {}
    for library in found.libraries:
        materials |= _library(files, library)
    return materials


def _library(files: MeshFiles, text: str) -> dict[str, Material]:
    """Read the libraries that a statement names: one whose name may have blanks, or several."""
    result: dict[str, Material] = {}
    for name in [text] if files.has(text) or " " not in text else text.split():
        try:
            result |= read_mtl(files, name)
        except DataError as error:  # colours alone are lost
            logger.warning("%s; its materials are left out", error)
    return result
