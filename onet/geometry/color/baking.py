"""Textures of fields of colour: unfold a mesh, ask for the colour of each texel, fill the rest."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import ConfigError, DataError
from onet.geometry.color.atlas import Atlas, unfold
from onet.geometry.color.baked import BakedMesh

if TYPE_CHECKING:
    import trimesh

logger = logging.getLogger(__name__)

ColorField = Callable[[NDArray[np.float64]], Any]
"""Of points (N, 3) in the frame of the mesh: colours (N, 3) in [0, 1], as pictures encode them."""

MOST_FACES = 200_000
"""Meshes with more are simplified before they are unfolded."""

LARGEST = 8192
_TILE = 1 << 16  # texels asked for together
_BORDER = 2  # texels outside of a chart that filters mix with those in it


def bake(
    mesh: trimesh.Trimesh,
    color_field: ColorField,
    size: int = 1024,
    *,
    padding: int = 4,
    max_faces: int = MOST_FACES,
) -> BakedMesh:
    """Return a mesh with a texture that shows a field of colour on its surface.

    Each texel gets the colour at its place of the surface; those two around a chart that of the
    surface continued, and all others that of the nearest one with a colour, so that neither filters
    nor smaller copies of the texture show an edge.

    Args:
        mesh: any frame. Its order of faces and its surface stay, unless it has too many faces.
        color_field: function of points (N, 3), float64 in the frame of the mesh, that returns
            colours (N, 3) in [0, 1], as pictures encode them (sRGB); an array or a tensor. It is
            asked for 65,536 points at a time.
        size: texels along the edge of the texture.
        padding: least number of texels between charts.
        max_faces: a mesh with more is simplified to as many, which the log and `report` tell.

    Returns:
        The mesh with its texture, to be written as GLB, OBJ or PLY by `save`.

    Raises:
        ConfigError: a size outside of 16..8192, a negative padding, or fewer than 4 faces.
        DataError: a mesh that cannot be unfolded, or colours that are none.
        MissingDependency: without xatlas.
    """
    check_size(size)
    if padding < 0 or max_faces < 4:
        raise ConfigError(
            f"bake: padding = {padding}, max_faces = {max_faces}; give a padding of 0 or more, and "
            "at least 4 faces"
        )
    start = time.perf_counter()
    before = len(mesh.faces)
    mesh = _fewer_faces(mesh, max_faces)
    unfolding = time.perf_counter()
    atlas = unfold(mesh, size, padding)
    unfolded = time.perf_counter()
    texture, covered = _painted(mesh, atlas, color_field, size)
    vertex_colors = np.concatenate(
        [_asked(color_field, rows) for rows in _tiles(np.asarray(mesh.vertices, dtype=np.float64))]
    )
    report = {
        "size": size,
        "charts": atlas.charts,
        "covered": covered,
        "faces_before": before,
        "faces": len(mesh.faces),
        "seconds_unfolding": round(unfolded - unfolding, 3),
        "seconds": round(time.perf_counter() - start, 3),
    }
    return BakedMesh(mesh, atlas, texture, vertex_colors, report)


def check_size(size: int) -> None:
    """See that a texture can have that many texels along its edge.

    Raises:
        ConfigError: it cannot.
    """
    if not 16 <= size <= LARGEST:
        raise ConfigError(f"texture: {size} texels along the edge; give 16 to {LARGEST}")


def _fewer_faces(mesh: trimesh.Trimesh, most: int) -> trimesh.Trimesh:
    if len(mesh.faces) <= most:
        return mesh
    from onet.geometry.simplification import simplify

    try:
        result = simplify(mesh, most)
    except ValueError as error:
        raise DataError(
            f"the mesh has {len(mesh.faces)} faces, more than {most}, and {error}; simplify it "
            "before, or allow more faces"
        ) from None
    logger.warning(
        "the mesh has %d faces and was simplified to %d before baking; allow more by max_faces",
        len(mesh.faces), len(result.faces),
    )  # fmt: skip
    return result


def _painted(
    mesh: trimesh.Trimesh, atlas: Atlas, color_field: ColorField, size: int
) -> tuple[NDArray[np.uint8], float]:
    """Return the texture (S, S, 3), the first row at the top, and the part that charts cover."""
    from scipy import ndimage

    plane = _Plane(mesh, atlas, size)
    texture = np.zeros((size, size, 3), dtype=np.uint8)
    inside = plane.face >= 0
    known = inside
    if not known.all():  # thin faces may hold no texel's middle: those near a corner count as well
        touched = inside.copy()
        column, row = np.clip(np.floor(plane.texels[:, :2]).astype(np.int64), 0, size - 1).T
        touched[row, column] = True
        square = np.ones((2 * _BORDER + 1,) * 2, dtype=np.bool_)
        known = ndimage.binary_dilation(touched, square)
    rows, columns = np.nonzero(known)
    flat = texture.reshape(-1, 3)
    for start in range(0, len(rows), _TILE):
        tile = slice(start, start + _TILE)
        places = plane.places(rows[tile], columns[tile])
        colors = _asked(color_field, places)
        flat[rows[tile] * size + columns[tile]] = np.round(255 * colors).astype(np.uint8)
    if not known.all():
        nearest = ndimage.distance_transform_edt(
            ~known, return_distances=False, return_indices=True
        )
        texture = texture[tuple(nearest)]
    return texture, round(float(inside.mean()), 4)


class _Plane:
    """The surface laid out in texels: the place in space of each."""

    def __init__(self, mesh: trimesh.Trimesh, atlas: Atlas, size: int) -> None:
        import trimesh

        from onet import _C
        from onet.geometry.distance import TriangleTree

        self.vertices = np.asarray(mesh.vertices, dtype=np.float64)
        self.faces = np.asarray(mesh.faces, dtype=np.int64)
        across = atlas.uv * size
        # x to the right, y downwards, as rows and columns of the picture count
        self.texels = np.column_stack([across[:, 0], size - across[:, 1], np.zeros(len(across))])
        self.corners = np.ascontiguousarray(atlas.faces)
        _, self.face = _C.rasterize(self.texels, self.corners, size, size)
        flat = trimesh.Trimesh(self.texels, self.corners, process=False)
        self._tree = TriangleTree(flat)
        self._reach = _BORDER * _texel(self.vertices[self.faces], self.texels[self.corners])

    def places(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> NDArray[np.float64]:  # (N, 3)
        """Return the places in space of texels' middles, beyond charts on the surface continued."""
        middles = np.column_stack([columns + 0.5, rows + 0.5, np.zeros(len(rows))])
        face = self.face[rows, columns].astype(np.int64)
        nearest = middles.copy()
        outside = np.flatnonzero(face < 0)
        if len(outside):
            nearest[outside], _, face[outside] = self._tree.closest(middles[outside])
        first, along = self._frame(face)
        corner = self.texels[self.corners[face, 0]]
        places = first + np.einsum("nij,nj->ni", along, (nearest - corner)[:, :2])
        if len(outside):
            beyond = (middles - nearest)[outside, :2]
            step = np.einsum("nij,nj->ni", along[outside], beyond)
            length = np.linalg.norm(step, axis=1, keepdims=True)
            step *= np.minimum(1, self._reach / np.maximum(length, np.finfo(float).tiny))
            places[outside] += step
        return places

    def _frame(self, face: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """First corners (N, 3) of faces, and how space (N, 3, 2) goes with texels; 0 if flat."""
        space = self.vertices[self.faces[face]]
        plane = self.texels[self.corners[face], :2]
        a, b = plane[:, 1] - plane[:, 0], plane[:, 2] - plane[:, 0]
        area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
        size = (a**2).sum(axis=1) + (b**2).sum(axis=1)
        good = np.abs(area) > 1e-9 * size
        scale = np.where(good, 1 / np.where(good, area, 1), 0)[:, None]
        u, v = space[:, 1] - space[:, 0], space[:, 2] - space[:, 0]
        along = np.stack(
            [(u * b[:, 1:2] - v * a[:, 1:2]) * scale, (v * a[:, :1] - u * b[:, :1]) * scale], axis=2
        )
        first = np.where(good[:, None], space[:, 0], space.mean(axis=1))
        return first, along


def _texel(space: NDArray[np.float64], plane: NDArray[np.float64]) -> float:
    """Return the side of a texel in space, from corners (F, 3, 3) there and in texels."""
    areas = [
        np.linalg.norm(np.cross(c[:, 1] - c[:, 0], c[:, 2] - c[:, 0]), axis=1).sum()
        for c in (space, plane)
    ]
    return float(np.sqrt(areas[0] / max(areas[1], np.finfo(float).tiny)))


def _tiles(points: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    for start in range(0, len(points), _TILE):
        yield points[start : start + _TILE]


def _asked(color_field: ColorField, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a field says of points, checked: (N, 3) in [0, 1]."""
    given = color_field(points)
    if hasattr(given, "detach"):
        given = given.detach().cpu()
    colors = np.asarray(given, dtype=np.float64)
    if colors.shape != (len(points), 3):
        raise DataError(
            f"the field of colour returned shape {colors.shape} for {len(points)} points; it has "
            "to return one RGB for each"
        )
    if not np.isfinite(colors).all() or colors.min() < -1e-3 or colors.max() > 1 + 1e-3:
        raise DataError(
            "the field of colour returned values that are NaN or outside of 0..1; scale them"
        )
    return np.clip(colors, 0, 1)
