"""Sharp edges and corners: one vertex a cell and sheet, placed by the planes that meet there.

Dual contouring (Ju et al., Dual Contouring of Hermite Data, 2002) on the dual of the marching cubes
surface (Nielson, Dual Marching Cubes, 2004). The polygons that marching cubes draws in the cells
form a closed surface, and so does its dual: one vertex for each polygon, one four-sided face for
each crossed lattice edge. Two polygons may share two sides, on a lattice square with four
crossings; the edge between their vertices would then have four faces. Such an edge gets a vertex of
its own, in the middle of the shared side, so the result is a manifold for every field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from onet.geometry.field_values import Field
from onet.geometry.mesh_lattice import MARGIN, MeshLattice
from onet.geometry.normals import vertex_normals
from onet.geometry.refinement import refine_roots

if TYPE_CHECKING:
    import trimesh

# Relative to the largest, an eigenvalue of the normals' sum of squares below this is rounding of
# a smooth surface; the vertex stays at the mean of the crossings in that direction. Planes that
# meet at 145 degrees still make an edge.
FLAT = 0.1

Faces = NDArray[np.int64]  # (F, 3)


def dual_contouring(
    mesh: trimesh.Trimesh,
    field: Field,
    *,
    batch_size: int = 65536,
) -> trimesh.Trimesh:
    """Return the surface that `mesh` approximates, with the sharp edges and corners of the field.

    Args:
        mesh: as `extract_mesh` or `refine_roots` returned it. Planes are only as good as their
            points, so if it is not refined yet, it is here.
        field: the one that it was extracted from. Its gradients are taken by its own
            `value_and_gradient`, or by central differences; see `value_and_gradient`.
        batch_size: most points handed to one call of `field`.

    Returns:
        New mesh in the same frame, closed, manifold and oriented, of the same topology, with about
        as many vertices and faces. Every vertex lies in the cell whose surface it stands for.
        Triangles may intersect where two sheets pass through one cell. Its metadata are those of
        the refined mesh and `dual_contouring`: `clamped` (vertices that were moved back to their
        cell), `split` (edges that got a vertex of their own) and `from_faces` (crossings whose
        plane is not the field's: on flat ends, or without a gradient).

    Raises:
        ValueError: the mesh is not one that `extract_mesh` made.
        FieldError: see `value_and_gradient`.
    """
    import trimesh

    lattice = MeshLattice.of(mesh)
    lattice.edges(np.asarray(mesh.vertices))  # refuses a mesh that was moved off them
    if "refinement" not in mesh.metadata:
        mesh = refine_roots(field, mesh, batch_size=batch_size)
    faces = np.asarray(mesh.faces, dtype=np.int64)
    crossings = lattice.coordinates(np.asarray(mesh.vertices))
    normals, from_faces = vertex_normals(field, mesh, batch_size=batch_size)
    flat = lattice.beyond(np.asarray(mesh.vertices))
    on_box = flat.any(axis=1)
    normals[on_box] = flat[on_box]

    loop_of, cell = polygons(crossings, faces)
    sides = _Sides.of(faces, loop_of)
    corners, clamped = _corners(sides, cell, crossings, normals, lattice)
    vertices, dual, split = _dual(sides, corners, crossings, normals)

    result = trimesh.Trimesh(lattice.origin + lattice.cell * vertices, dual, process=False)
    result.metadata.update(mesh.metadata)
    result.metadata["dual_contouring"] = {
        "clamped": clamped,
        "split": split,
        "from_faces": from_faces,
    }
    return result


def polygons(
    crossings: NDArray[np.float64],  # (V, 3) in lattice units
    faces: Faces,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the polygon that each triangle of marching cubes is cut from (F,); cells (P, 3).

    A triangle lies within one cell, on no side of it; the triangles of a polygon share edges there.
    """
    cells = np.floor(crossings[faces].mean(axis=1)).astype(np.int64)
    neighbour = _twins(faces[:, [0, 1, 2]].reshape(-1), faces[:, [1, 2, 0]].reshape(-1)) // 3
    face = np.repeat(np.arange(len(faces)), 3)
    joined = (cells[face] == cells[neighbour]).all(axis=1) & (face < neighbour)
    graph = coo_matrix(
        (np.ones(int(joined.sum()), np.bool_), (face[joined], neighbour[joined])),
        shape=(len(faces), len(faces)),
    )
    _, polygon_of = connected_components(graph, directed=False)
    _, some_face = np.unique(polygon_of, return_index=True)
    return polygon_of.astype(np.int64), cells[some_face]


class _Sides(NamedTuple):
    """Sides of all polygons, each walked as its polygon does; S of them."""

    start: NDArray[np.int64]  # (S,) crossing
    polygon: NDArray[np.int64]  # (S,)
    twin: NDArray[np.int64]  # (S,) the same side as the neighbour walks it
    turn: NDArray[np.int64]  # (S,) next side around `start`, counter-clockwise from outside

    @classmethod
    def of(cls, faces: Faces, polygon_of: NDArray[np.int64]) -> _Sides:
        start, end = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
        polygon = np.repeat(polygon_of, 3)
        outer = polygon != polygon[_twins(start, end)]
        start, end, polygon = start[outer], end[outer], polygon[outer]
        twin = _twins(start, end)
        # A polygon comes to a crossing once: the side before the one that leaves it.
        before = _find(_key(polygon, end), _key(polygon, start))
        return cls(start, polygon, twin, twin[before])


def _key(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    return first << 32 | second


def _find(keys: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where in `keys`, all different, each of `wanted` is."""
    order = np.argsort(keys)
    return order[np.searchsorted(keys, wanted, sorter=order)]


def _twins(start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """For directed edges of a closed oriented surface, those in the opposite direction."""
    return _find(_key(start, end), _key(end, start))


def _corners(
    sides: _Sides,
    cell: NDArray[np.int64],  # (P, 3)
    crossings: NDArray[np.float64],  # (V, 3)
    normals: NDArray[np.float64],  # (V, 3)
    lattice: MeshLattice,
) -> tuple[NDArray[np.float64], int]:
    """Return the points (P, 3) nearest to the planes of polygons' crossings; how many were moved.

    Least squares about the mean of the crossings; directions that the normals do not determine
    keep the mean.
    """

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:  # (S,) -> (P,)
        return np.bincount(sides.polygon, values, minlength=len(cell)).astype(np.float64)

    points, planes = crossings[sides.start], normals[sides.start]
    count = total(np.ones(len(points)))
    mean = np.stack([total(points[:, i]) / count for i in range(3)], axis=1)
    offset = np.einsum("ij,ij->i", planes, points - mean[sides.polygon])
    right = np.stack([total(planes[:, i] * offset) for i in range(3)], axis=1)
    squares = np.empty((len(cell), 3, 3))
    for i in range(3):
        for j in range(i + 1):
            squares[:, i, j] = squares[:, j, i] = total(planes[:, i] * planes[:, j])
    values, axes = np.linalg.eigh(squares)
    amount = np.einsum("pij,pi->pj", axes, right)
    known = values > FLAT * values[:, -1:]
    amount = np.where(known, amount / np.where(known, values, 1.0), 0.0)
    best = mean + np.einsum("pij,pj->pi", axes, amount)
    low = np.maximum(cell + MARGIN, -MARGIN)
    high = np.minimum(cell + 1 - MARGIN, lattice.resolution + MARGIN)
    inside: NDArray[np.float64] = np.minimum(np.maximum(best, low), high)
    return inside, int(np.count_nonzero((inside != best).any(axis=1)))


def _dual(
    sides: _Sides,
    corners: NDArray[np.float64],  # (P, 3)
    crossings: NDArray[np.float64],  # (V, 3)
    normals: NDArray[np.float64],  # (V, 3)
) -> tuple[NDArray[np.float64], Faces, int]:
    """Vertices and triangles of the dual surface, and the number of edges that were split."""
    first = _find(sides.start, np.arange(len(crossings))) if len(sides.start) else sides.start
    around = [first]
    for _ in range(3):
        around.append(sides.turn[around[-1]])
    ring = np.stack(around, axis=1)  # (V, 4) sides that leave a crossing; its polygons in order
    quad = sides.polygon[ring]

    # Side i + 1 of the ring separates polygons i and i + 1.
    pair = np.sort(np.stack([sides.polygon, sides.polygon[sides.twin]]), axis=0)
    _, which, uses = np.unique(_key(*pair), return_inverse=True, return_counts=True)
    twice = uses[which] > 2  # each side is walked by both of its polygons
    whole = ~twice[ring].any(axis=1)
    triangles = [_halves(quad[whole], corners, normals[whole])]
    vertices = [corners]

    # Around the other crossings, a fan to their polygons and to the middles of the shared sides.
    owner = np.flatnonzero(twice & (np.arange(len(twice)) < sides.twin))
    middle = np.full(len(twice), -1)
    middle[owner] = len(corners) + np.arange(len(owner))
    middle[sides.twin[owner]] = middle[owner]
    vertices.append((crossings[sides.start[owner]] + crossings[sides.start[sides.twin[owner]]]) / 2)
    hubs = np.flatnonzero(~whole)
    hub = len(corners) + len(owner) + np.arange(len(hubs))
    vertices.append(crossings[hubs])
    for i in range(4):
        here, there = quad[hubs, i], quad[hubs, (i + 1) % 4]
        between = middle[ring[hubs, (i + 1) % 4]]
        plain = between < 0
        triangles.append(np.stack([hub, here, there], axis=1)[plain])
        triangles.append(np.stack([hub, here, between], axis=1)[~plain])
        triangles.append(np.stack([hub, between, there], axis=1)[~plain])
    return np.concatenate(vertices), np.concatenate(triangles), len(owner)


def _halves(
    quad: NDArray[np.int64],  # (Q, 4)
    corners: NDArray[np.float64],  # (P, 3)
    normals: NDArray[np.float64],  # (Q, 3) of the surface in the middle
) -> Faces:
    """Two triangles a quad (2 Q, 3).

    Of the cuts that turn neither over, the one with the triangle that looks best along the normal:
    where a sharp edge crosses the quad, the cut runs along it, and the other triangle looks away.
    """
    cuts = np.array([[[0, 1, 2], [0, 2, 3]], [[1, 2, 3], [1, 3, 0]]])
    points = corners[quad][:, cuts]  # (Q, cut, half, corner, 3)
    looks = np.cross(points[..., 1, :] - points[..., 0, :], points[..., 2, :] - points[..., 0, :])
    length = np.linalg.norm(looks, axis=-1)
    along = np.einsum("qchi,qi->qch", looks, normals) / np.where(length > 0, length, 1.0)
    worst, best = along.min(axis=2), along.max(axis=2)
    cut = np.where(worst > 0, best, worst - 1).argmax(axis=1)
    return np.take_along_axis(quad[:, None], cuts[cut], axis=2).reshape(-1, 3)
