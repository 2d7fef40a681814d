"""Where vertices of the extracted surface belong: on the triangles, and on their sharp edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix

from onet.geometry.mesh_lattice import MeshLattice
from onet.geometry.solid.field import INSIDE, SolidField

SHARP = np.cos(np.deg2rad(25))
"""Faces whose normals differ by more than this make an edge."""
FLAT = 0.02
"""Directions in which normals' squares sum to less than this part of the most stay undetermined."""


@dataclass(frozen=True)
class Targets:
    """Where vertices belong.

    Attributes:
        points: (V, 3).
        plain: (V, 3) likewise, but for sharp ones the closest point of the triangles.
        sheet: (V,) whether it is the wall of a sheet.
        cap: (V,) whether it lies on no triangle but closes a hole.
        sharp: (V,) whether it was moved onto an edge or corner of the triangles.
        corner: (V,) whether it is the one that was moved to a corner.
    """

    points: NDArray[np.float64]
    plain: NDArray[np.float64]
    sheet: NDArray[np.bool_]
    cap: NDArray[np.bool_]
    sharp: NDArray[np.bool_]
    corner: NDArray[np.bool_]


def place(mesh: trimesh.Trimesh, field: SolidField, wall: float) -> Targets:
    """Find where each vertex of the extracted mesh belongs.

    Args:
        mesh: as `extract_mesh` made it of the field.
        field: of the solid.
        wall: thickness that sheets get, in units of the longest edge.
    """
    cell = MeshLattice.of(mesh).cell
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    closest, distance, face = field.tree.closest(vertices, field.threads)
    cap = distance > max(1.1 * field.offset, cell)
    sheet = _of_sheets(vertices, closest, face, ~cap & (distance > 0.25 * field.offset), field)
    points = closest.copy()
    snapped, sharp, corner = _onto_edges(mesh.faces, closest, field.normals[face], cap, cell, field)
    points[sharp] = snapped[sharp]
    away = vertices - closest
    length = np.linalg.norm(away, axis=1, keepdims=True)
    outward = away / np.where(length > 0, length, 1.0)
    points[sheet] = closest[sheet] + wall / 2 * outward[sheet]
    points[cap] = _caps(mesh, field, cap)
    sharp &= ~sheet & ~cap
    plain = np.where(sharp[:, None], closest, points)
    return Targets(points, plain, sheet, cap, sharp, corner & sharp)


def _of_sheets(
    vertices: NDArray[np.float64],
    closest: NDArray[np.float64],
    face: NDArray[np.int64],
    asked: NDArray[np.bool_],
    field: SolidField,
) -> NDArray[np.bool_]:
    """(V,) which of the vertices asked about lie outside, with nothing inside right behind."""
    chosen = np.flatnonzero(asked)
    chosen = chosen[~field.inside_of(closest[chosen], face[chosen])]
    chosen = chosen[field.winding(vertices[chosen]) <= INSIDE]
    result = np.zeros(len(vertices), dtype=bool)
    result[chosen] = True
    return result


def ring(faces: NDArray[np.int64], count: int) -> csr_matrix:
    """Matrix (V, V) with ones for vertices that share an edge, and on the diagonal."""
    start, end = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
    own = np.arange(count)
    rows, columns = np.concatenate([start, end, own]), np.concatenate([end, start, own])
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, count)).tocsr()
    graph.data[:] = 1.0
    return graph


def _caps(mesh: trimesh.Trimesh, field: SolidField, cap: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Points (C, 3) of lattice edges at which the winding number is a half."""
    lattice = MeshLattice.of(mesh)
    vertices = np.asarray(mesh.vertices)[cap]
    if not len(vertices):
        return vertices
    start, axis, _ = lattice.edges(vertices)
    end = start.copy()
    end[np.arange(len(end)), axis] += 1
    low, high = (lattice.points(i).astype(np.float64) for i in (start, end))
    first, second = field.winding(low) - INSIDE, field.winding(high) - INSIDE
    change = second - first
    part = np.clip(-first / np.where(change != 0, change, 1.0), 0.01, 0.99)
    part = np.where(first * second < 0, part, 0.5)
    return np.asarray(low + part[:, None] * (high - low))


def _onto_edges(
    faces: NDArray[np.int64],
    points: NDArray[np.float64],  # (V, 3) on the triangles
    normals: NDArray[np.float64],  # (V, 3)
    cap: NDArray[np.bool_],
    cell: float,
    field: SolidField,
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Move vertices between planes that differ to where these planes meet.

    A vertex is sharp where the normals around it differ; it goes to the least squares point of the
    planes around it, if that lies on the triangles as well.
    """
    around = ring(np.asarray(faces), len(points))
    sharp = _differing(around, normals) & ~cap
    chosen = np.flatnonzero(sharp)
    result = points.copy()
    if not len(chosen):
        return result, sharp, sharp
    planes = _Planes.of(points, normals)
    moved, _ = planes.meet(around[chosen], points[chosen])
    near, off, _ = field.tree.closest(moved, field.threads)
    step = np.linalg.norm(moved - points[chosen], axis=1)
    good = (off < 0.1 * cell) & (step < 1.5 * cell)
    result[chosen[good]] = near[good]
    sharp[chosen[~good]] = False
    corner = _onto_corners(result, np.flatnonzero(sharp), around, planes, cell, field)
    return result, sharp, corner


def _onto_corners(
    result: NDArray[np.float64],
    chosen: NDArray[np.int64],
    around: csr_matrix,
    planes: _Planes,
    cell: float,
    field: SolidField,
) -> NDArray[np.bool_]:
    """Move to each corner the vertex of an edge that is nearest to it; tells which (V,).

    Planes of three directions may not meet around any single vertex, but do so around two.
    """
    moved = np.zeros(len(result), dtype=bool)
    if not len(chosen):
        return moved
    wide = around[chosen] @ around
    wide.data[:] = 1.0
    corner, known = planes.meet(wide, result[chosen])
    way = np.linalg.norm(corner - result[chosen], axis=1)
    good = np.flatnonzero((known == 3) & (way < 2 * cell))
    off = field.tree.closest(np.ascontiguousarray(corner[good]), field.threads)[1]
    good = good[off < 0.02 * cell]
    good = good[np.argsort(way[good], kind="stable")]
    _, first = np.unique(np.rint(corner[good] / (0.25 * cell)), axis=0, return_index=True)
    result[chosen[good[first]]] = corner[good[first]]
    moved[chosen[good[first]]] = True
    return moved


class _Planes(NamedTuple):
    """Sums over vertices of normals, squared, and times their offsets, to meet planes by."""

    terms: NDArray[np.float64]  # (V, 12)

    @classmethod
    def of(cls, points: NDArray[np.float64], normals: NDArray[np.float64]) -> _Planes:
        offset = np.einsum("ij,ij->i", normals, points)
        squares = np.einsum("ni,nj->nij", normals, normals).reshape(-1, 9)
        return cls(np.concatenate([squares, normals * offset[:, None]], axis=1))

    def meet(
        self, chosen: csr_matrix, near: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Where planes meet, as near to points (N, 3) as they leave open; directions known (N,).

        Args:
            chosen: (N, V) of which vertices, for each point.
            near: the points.
        """
        sums = chosen @ self.terms
        squares = sums[:, :9].reshape(-1, 3, 3)
        right = sums[:, 9:] - np.einsum("nij,nj->ni", squares, near)
        values, vectors = np.linalg.eigh(squares)
        known = values > FLAT * values[:, -1:]
        inverse = np.where(known, 1 / np.where(known, values, 1.0), 0.0)
        step = np.einsum("nij,nj,nkj,nk->ni", vectors, inverse, vectors, right)
        return np.ascontiguousarray(near + step), known.sum(axis=1)


def _differing(around: csr_matrix, normals: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(V,) whether some normal around a vertex differs from its own, whatever their signs."""
    rows = np.repeat(np.arange(len(normals)), np.diff(around.indptr))
    along = np.abs(np.einsum("ij,ij->i", normals[rows], normals[around.indices]))
    return np.asarray(np.bincount(rows, along < SHARP, minlength=len(normals)) > 0)
