"""PLY as a mesh: polygons and triangle strips, in the precision of the file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onet.geometry.mesh_reading.files import MeshFiles
from onet.geometry.mesh_reading.ply_file import INDICES, Lists, PlyFile, Table
from onet.geometry.mesh_reading.raw import (
    RawMesh,
    as_bytes,
    face_colors,
    from_polygons,
    joined,
    strip_triangles,
)


def read_ply(files: MeshFiles, colors: bool) -> RawMesh:
    """Read the faces and triangle strips of a PLY file, and with `colors` those of its faces, or
    else of its vertices.

    Raises:
        DataError: see `PlyFile`; also a face that names no vertex, no coordinates, or range grids
            in place of faces.
    """
    tables = PlyFile(files).tables()
    points = tables.get("vertex", tables.get("vertices"))
    axes = [None if points is None else points.numbers(axis) for axis in "xyz"]
    if points is None or any(axis is None for axis in axes):
        raise files.error("its vertices have no properties x, y, z; export it again")
    vertices = np.stack([np.asarray(axis, dtype=np.float64) for axis in axes], axis=1)
    parts = [
        part
        for name, reader in (("face", _faces), ("faces", _faces), ("tristrips", _strips))
        if name in tables and (part := reader(files, vertices, tables[name], colors)) is not None
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


def _index_lists(table: Table) -> Lists | None:
    return next((found for name in INDICES if (found := table.lists(name)) is not None), None)


def _faces(
    files: MeshFiles, vertices: NDArray[np.float64], table: Table, colors: bool
) -> RawMesh | None:
    listed = _index_lists(table)
    if listed is None:
        if names := [p.name for p in table.element.properties]:
            raise files.error(
                f"its faces have no list {INDICES[0]!r} (found: {', '.join(names)}); "
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
    files: MeshFiles, vertices: NDArray[np.float64], table: Table, colors: bool
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


def _colors(table: Table) -> NDArray[np.uint8] | None:
    """Return (N, 3) or (N, 4) colours of vertices or faces, or None without."""
    for names in (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue")):
        found = [table.numbers(name) for name in (*names, "alpha")]
        channels = [channel for channel in found if channel is not None]
        if all(channel is not None for channel in found[:3]):
            return np.stack([as_bytes(channel) for channel in channels], axis=1)
    return None
