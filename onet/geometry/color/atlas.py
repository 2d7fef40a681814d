"""Unfolding of surfaces: charts in the plane, packed into a square, by xatlas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError, MissingDependency

if TYPE_CHECKING:
    import trimesh

_LARGEST_CHART = 1 / 60  # of the area
_FACES_OF_CHART = 400  # about as many at most: charts of thousands take minutes to grow
_COST = 8.0  # of a chart; the default of 2 makes twice as many
_SMOOTHINGS = 10
_FLAT = 1e-3  # 1 - cosine between neighbours that make one plane
_BENT = 0.5  # cosine to the mean of a plane's normals that a face of a plane does not come below
_SHORT = 0.02  # of the extent: median edge of meshes whose roughness is not their shape
_SHRINKS = 1.6  # at most, by which xatlas' picture is larger than the size that it is asked for


@dataclass(frozen=True)
class Atlas:
    """Where the corners of a mesh's faces lie in the unit square.

    Attributes:
        uv: (W, 2) float64 in [0, 1], v upwards; at a seam a vertex of the mesh has several.
        faces: (F, 3) int64, indices into `uv`, in the order of the mesh's faces.
        source: (W,) int64, the vertex of the mesh that each is of.
        charts: their number.
    """

    uv: NDArray[np.float64]
    faces: NDArray[np.int64]
    source: NDArray[np.int64]
    charts: int


def unfold(
    mesh: trimesh.Trimesh,
    size: int,
    padding: int = 4,
) -> Atlas:
    """Return charts of all faces that overlap nowhere.

    Fine meshes are smoothed for it, which leaves them as they are: the charts of a rough surface
    are ten times as many and take five times as long. Faces without area have charts without area.

    Args:
        mesh: with faces, any frame.
        size: texels along the edge of the texture.
        padding: least number of texels between charts.

    Raises:
        DataError: no faces, vertices that are not finite, or nothing that has an area.
        MissingDependency: without xatlas.
    """
    import trimesh

    try:
        import xatlas
    except ImportError:
        raise MissingDependency("unfolding needs xatlas: pip install xatlas") from None
    vertices, area = _unit(mesh)
    charts = xatlas.ChartOptions()
    part = min(_LARGEST_CHART, _FACES_OF_CHART / len(mesh.faces))
    charts.max_cost, charts.max_chart_area = _COST, area * part
    pack = xatlas.PackOptions()
    pack.padding, pack.bilinear = int(np.ceil(padding * _SHRINKS)), True
    pack.resolution = size
    found: Any = xatlas.Atlas()
    apart, places = np.unique(vertices, axis=0, return_inverse=True)
    places = places.reshape(-1)  # vertices of one place are one, as they are to xatlas
    joined = trimesh.Trimesh(apart, places[mesh.faces], process=False)
    smooth = _smoothed(apart, joined)
    pieces = _pieces(smooth, joined)
    smooth = smooth[places]
    parts = [np.unique(mesh.faces[piece], return_inverse=True) for piece in pieces]
    for used, corners in parts:
        found.add_mesh(smooth[used].astype(np.float32), corners.reshape(-1, 3).astype(np.uint32))
    found.generate(charts, pack)
    faces = np.full((len(mesh.faces), 3), -1, dtype=np.int64)
    sources: list[NDArray[np.int64]] = []
    uvs: list[NDArray[np.float64]] = []
    for number, (piece, (used, _)) in enumerate(zip(pieces, parts, strict=True)):
        source, corners, uv = found.get_mesh(number)
        if found.atlas_count > 1 or len(corners) != len(piece):
            raise DataError(f"the mesh cannot be unfolded into {size} texels; give a larger size")
        faces[piece] = np.asarray(corners, dtype=np.int64) + sum(len(part) for part in sources)
        sources.append(used[source])
        uvs.append(uv)
    # The picture has about the size that was asked for, and is no square: one scale for both axes.
    texels = np.concatenate(uvs).astype(np.float64) * (found.width, found.height)
    return Atlas(
        texels / max(found.width, found.height),
        faces,
        np.concatenate(sources).astype(np.int64),
        int(found.chart_count),
    )


def _pieces(vertices: NDArray[np.float64], mesh: trimesh.Trimesh) -> list[NDArray[np.int64]]:
    """Return the numbers of the faces that may be in a chart together.

    xatlas takes for a plane what bends too little from face to face. A fine ball is all one plane
    to it, closed, on which it crashes or works for minutes. Such a surface is cut by the direction
    that its faces look in.
    """
    from scipy import sparse

    corners = vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), np.finfo(float).tiny)
    first, second = np.asarray(mesh.face_adjacency).reshape(-1, 2).T
    flat = (normals[first] * normals[second]).sum(axis=1) > 1 - _FLAT
    links = sparse.coo_array((flat[flat], (first[flat], second[flat])), shape=(len(normals),) * 2)
    planes = sparse.csgraph.connected_components(links, directed=False)[1]
    total = np.stack([np.bincount(planes, axis) for axis in normals.T], axis=1)
    mean = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), np.finfo(float).tiny)
    turned = (normals * mean[planes]).sum(axis=1) < _BENT
    bent = np.bincount(planes, turned & normals.any(axis=1)) > 0  # faces without area turn nowhere
    axis = np.abs(normals).argmax(axis=1)
    side = np.take_along_axis(normals, axis[:, None], 1)[:, 0] < 0
    kind = np.where(bent[planes], 1 + 2 * axis + side, 0)
    return [np.flatnonzero(kind == each) for each in np.unique(kind)]


def _unit(mesh: trimesh.Trimesh) -> tuple[NDArray[np.float64], float]:
    """Vertices in a cube of edge 1 around 0, and the area there."""
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    if not len(mesh.faces):
        raise DataError("the mesh has no faces; give one that has")
    if not np.isfinite(vertices).all():
        raise DataError("the mesh has vertices that are NaN or infinite; remove them")
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    extent = float((high - low).max())
    if not extent > 0:
        raise DataError("all vertices of the mesh coincide; export it again")
    unit = (vertices - low) / extent - 0.5
    corners = unit[np.asarray(mesh.faces)]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = float(np.linalg.norm(cross, axis=1).sum() / 2)
    if not area > 0:
        raise DataError("no face of the mesh has an area; export it again")
    return unit, area


def _smoothed(vertices: NDArray[np.float64], mesh: trimesh.Trimesh) -> NDArray[np.float64]:
    """Return vertices of a fine mesh moved towards their neighbours, by an edge at most."""
    from scipy import sparse

    edges = np.asarray(mesh.edges_unique)
    lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    if not np.median(lengths) < _SHORT:
        return vertices
    count = len(vertices)
    ends = np.concatenate([edges, edges[:, ::-1]])
    weights = sparse.coo_array((np.ones(len(ends)), ends.T), shape=(count, count)).tocsr()
    degree = np.maximum(np.bincount(ends[:, 0], minlength=count), 1)[:, None]
    reach = np.bincount(ends[:, 0], np.tile(lengths, 2), minlength=count)[:, None] / degree
    moved = vertices
    for _ in range(_SMOOTHINGS):
        moved = (moved + weights @ moved / degree) / 2
    step = np.where(weights.sum(axis=1)[:, None] > 0, moved - vertices, 0)
    length = np.linalg.norm(step, axis=1, keepdims=True)
    return vertices + step * np.minimum(1, reach / np.maximum(length, np.finfo(float).tiny))
