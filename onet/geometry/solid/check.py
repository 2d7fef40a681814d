"""What a mesh is like as a solid, without changing it: for those who print or simulate it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from onet.geometry.normalization import UnitFrame, without_loose_vertices
from onet.geometry.sampling import sample_surface, surface_area
from onet.geometry.solid.cleaning import border_edges, merge
from onet.geometry.solid.crossings import crossing_faces
from onet.geometry.topology import topology

SAMPLES = 20_000
OPPOSITE = 0.9
"""A wall's two sides look away from each other: the cosine between them is below minus this."""
PLACES = 5


@dataclass(frozen=True)
class MeshCheck:
    """A mesh as a solid. Lengths are in units of the file; places are of the first few.

    Vertices at one place count as one, as in files that repeat them.

    Attributes:
        faces, components: numbers.
        closed: every edge has exactly two faces.
        manifold: no edge has more, and the faces around each vertex form one fan.
        oriented: neighbours agree on the outside.
        outward: what is enclosed has a positive volume.
        crossings: pairs of faces that cross or touch besides where they are joined.
        crossing_places: middles of such faces.
        open_edges: edges with one face.
        open_places: middles of such edges.
        thinnest_wall: from points of the surface straight inward to the other side, the least; None
            if no ray met one. Said of meshes that are closed and oriented alone.
        thinnest_place: where.
        volume: enclosed; None unless closed and oriented.
        area: of all faces.
    """

    faces: int
    components: int
    closed: bool
    manifold: bool
    oriented: bool
    outward: bool
    crossings: int
    crossing_places: list[list[float]]
    open_edges: int
    open_places: list[list[float]]
    thinnest_wall: float | None
    thinnest_place: list[float] | None
    volume: float | None
    area: float

    @property
    def ok(self) -> bool:
        """Whether it bounds a solid, and no face crosses another."""
        return (
            self.closed and self.manifold and self.oriented and self.outward and not self.crossings
        )

    def as_dict(self) -> dict[str, Any]:
        """Return all attributes and `ok`, for JSON."""
        return {**asdict(self), "ok": self.ok}

    def row(self) -> dict[str, Any]:
        """Return what fits into a line of a table."""
        return {
            "faces": self.faces,
            "closed": self.closed,
            "manifold": self.manifold,
            "oriented": self.oriented,
            "outward": self.outward,
            "crossings": self.crossings,
            "open_edges": self.open_edges,
            "components": self.components,
            "thinnest_wall": None if self.thinnest_wall is None else f"{self.thinnest_wall:.4g}",
            "volume": None if self.volume is None else f"{self.volume:.6g}",
            "ok": self.ok,
        }


def check_mesh(mesh: trimesh.Trimesh, name: str = "mesh", threads: int = 0) -> MeshCheck:
    """Examine a mesh as a solid.

    Args:
        mesh: any frame.
        name: what to call it in an error message.
        threads: 0 for all cores, or OMP_NUM_THREADS if that is set.

    Raises:
        DataError: no faces, vertices of faces that are not finite, or no extent.
    """
    mesh = without_loose_vertices(mesh)
    frame = UnitFrame.of_mesh(mesh, name)
    vertices, faces = merge(frame.to_unit(mesh.vertices), np.asarray(mesh.faces, np.int64))
    unit = trimesh.Trimesh(vertices, faces, process=False)
    seen = topology(unit)
    pairs = crossing_faces(unit, threads)
    edges = border_edges(faces)
    bounds = seen.watertight and seen.oriented
    wall, place = _thinnest(unit, threads) if bounds else (None, None)
    return MeshCheck(
        faces=seen.faces,
        components=seen.components,
        closed=seen.watertight,
        manifold=seen.manifold,
        oriented=seen.oriented,
        outward=bounds and seen.outward,
        crossings=len(pairs),
        crossing_places=frame.to_source(vertices[faces[_first_few(pairs)]].mean(axis=1)).tolist(),
        open_edges=len(edges),
        open_places=frame.to_source(vertices[edges[:PLACES]].mean(axis=1)).tolist(),
        thinnest_wall=None if wall is None else wall * frame.scale,
        thinnest_place=None if place is None else frame.to_source(place).tolist(),
        volume=float(unit.volume) * frame.scale**3 if bounds else None,
        area=surface_area(unit) * frame.scale**2,
    )


def _first_few(pairs: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the first faces of pairs (N, 2) that cross others, each once, at most `PLACES`."""
    _, first = np.unique(pairs[:, 0], return_index=True)
    chosen: NDArray[np.integer] = pairs[np.sort(first)[:PLACES], 0]
    return chosen


def _thinnest(
    mesh: trimesh.Trimesh, threads: int
) -> tuple[float | None, NDArray[np.float64] | None]:
    """Return the least way through the solid, straight inward, and where it begins."""
    from onet import _C

    if not surface_area(mesh) > 0:
        return None, None
    vertices, faces = np.ascontiguousarray(mesh.vertices), np.ascontiguousarray(mesh.faces)
    points, normals, face = sample_surface(mesh, SAMPLES, np.random.default_rng(0))
    if mesh.volume < 0:
        normals = -normals
    through, met = _C.first_hits(
        vertices, faces, points, np.ascontiguousarray(-normals), 1e-9, threads
    )
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    looks = np.cross(b - a, c - a)
    looks /= np.maximum(np.linalg.norm(looks, axis=1, keepdims=True), 1e-300)
    across = np.einsum("ij,ij->i", looks[face], looks[met])
    wall = np.isfinite(through) & (met != face) & (across < -OPPOSITE)
    if not wall.any():
        return None, None
    at = int(np.where(wall, through, np.inf).argmin())
    return float(through[at]), points[at]
