"""What is drawn on pages and in the viewer: a surface or points, with colours and numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onet.geometry.normalization import UnitFrame

if TYPE_CHECKING:
    import trimesh

FACES = 12_000
"""Of a mesh on a page; larger ones are drawn coarser."""

POINTS = 20_000
"""Of a cloud on a page; of larger ones some are drawn."""

_NEARLY_ALL = 0.99
_CELLS = 192  # along the longest edge, at first
_COARSER = 0.8


@dataclass(frozen=True, eq=False)
class Shape:
    """A mesh or a cloud.

    Attributes:
        vertices: (V, 3) float64.
        faces: (F, 3) int64; none of a cloud.
        colors: (V, 3) uint8 RGB, or None.
        shades: numbers of vertices by name, (V,) each, NaN where not known.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    colors: NDArray[np.uint8] | None = None
    shades: dict[str, NDArray[np.floating]] = field(default_factory=dict)

    @classmethod
    def of_mesh(cls, mesh: trimesh.Trimesh) -> Shape:
        """Return the geometry of a mesh, without its colours."""
        return cls(np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64))

    @classmethod
    def of_points(
        cls,
        points: NDArray[np.floating],  # (N, 3)
        colors: NDArray[np.uint8] | None = None,  # (N, 3)
    ) -> Shape:
        """Return points as a shape."""
        return cls(np.asarray(points, np.float64), np.zeros((0, 3), np.int64), colors)

    @property
    def bounds(self) -> NDArray[np.float64]:
        """Corners (2, 3) of the box around all vertices."""
        corners: NDArray[np.float64] = np.stack([self.vertices.min(axis=0), self.vertices.max(0)])
        return corners

    def to_unit(self, frame: UnitFrame) -> Shape:
        """Return the same in a unit frame."""
        return replace(self, vertices=frame.to_unit(self.vertices))


def limit_of(
    values: NDArray[np.floating],  # (V,), NaN where not known
) -> float:
    """Return the number that gets the last colour: nearly all others are below."""
    known = values[np.isfinite(values)]
    if not len(known):
        return 1.0
    limit = float(np.quantile(known, _NEARLY_ALL))
    return limit if limit > 0 else max(float(known.max()), 0.0) or 1.0


def limits_of(shapes: Iterable[Shape]) -> dict[str, float]:
    """Return the number that gets the last colour in all shapes, by the name of the shade."""
    found: dict[str, list[NDArray[np.floating]]] = {}
    for shape in shapes:
        for name, values in shape.shades.items():
            found.setdefault(name, []).append(values)
    return {name: limit_of(np.concatenate(values)) for name, values in found.items()}


def frame_of(
    bounds: NDArray[np.floating],  # (2, 3)
) -> UnitFrame:
    """Return the frame in which a box has its middle at the origin and the longest edge 1."""
    extent = float((bounds[1] - bounds[0]).max())
    return UnitFrame(bounds.mean(axis=0), extent if extent > 0 else 1.0)


def for_display(shape: Shape, faces: int = FACES, points: int = POINTS) -> Shape:
    """Return the shape itself, or one of at most so many faces that looks like it from afar.

    Vertices in one cell of a lattice become one. That closes and opens what it likes: for pictures
    alone. Of a cloud every so many points are taken.
    """
    if not len(shape.faces):
        if len(shape.vertices) <= points:
            return shape
        return _taken(shape, np.linspace(0, len(shape.vertices) - 1, points).astype(np.int64))
    low = shape.vertices.min(axis=0)
    extent = float((shape.vertices.max(axis=0) - low).max())
    cells, coarse = float(_CELLS), shape
    while len(coarse.faces) > faces:
        coarse = _in_cells(shape, np.floor((shape.vertices - low) * (cells / extent)))
        cells *= _COARSER
    return coarse


def _taken(shape: Shape, which: NDArray[np.int64]) -> Shape:
    """Return some points of a cloud."""
    colors = None if shape.colors is None else shape.colors[which]
    shades = {name: values[which] for name, values in shape.shades.items()}
    return Shape(shape.vertices[which], shape.faces, colors, shades)


def _in_cells(
    shape: Shape,
    index: NDArray[np.floating],  # (V, 3), of the cell of each vertex
) -> Shape:
    """Return the shape with one vertex a cell, the mean of those in it."""
    _, cell, count = np.unique(
        index.astype(np.int64), axis=0, return_inverse=True, return_counts=True
    )
    cell = cell.reshape(-1)

    def mean(values: NDArray[np.generic]) -> NDArray[np.float64]:
        return np.bincount(cell, np.asarray(values, np.float64)) / count

    def means(columns: NDArray[np.generic]) -> NDArray[np.float64]:
        return np.stack([mean(columns[:, k]) for k in range(3)], axis=1)

    corners = cell[shape.faces]
    ordered = np.sort(corners, axis=1)
    kept = (ordered[:, 0] < ordered[:, 1]) & (ordered[:, 1] < ordered[:, 2])
    _, first = np.unique(ordered[kept], axis=0, return_index=True)  # each once, as it was turned
    colors = None if shape.colors is None else means(shape.colors).round().astype(np.uint8)
    shades: dict[str, NDArray[np.floating]] = {
        name: mean(values) for name, values in shape.shades.items()
    }
    return Shape(means(shape.vertices), corners[kept][first], colors, shades)
