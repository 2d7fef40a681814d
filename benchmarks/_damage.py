"""Damage to closed meshes, as the meshes of this world have it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import trimesh
from numpy.typing import NDArray

from onet.geometry.distance import TriangleTree
from onet.geometry.sampling import sample_surface
from onet.geometry.winding import winding_number


class Damaged(NamedTuple):
    """A soup and the closed mesh that it stands for, in the unit frame."""

    soup: trimesh.Trimesh
    truth: trimesh.Trimesh


def soup(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> trimesh.Trimesh:
    return trimesh.Trimesh(vertices, faces, process=False)


def _arrays(mesh: trimesh.Trimesh) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    return np.array(mesh.vertices), np.array(mesh.faces)


def _together(*meshes: trimesh.Trimesh) -> trimesh.Trimesh:
    return trimesh.util.concatenate(list(meshes))


def none(mesh: trimesh.Trimesh, rng: np.random.Generator) -> Damaged:
    return Damaged(mesh.copy(), mesh)


def double_shell(mesh: trimesh.Trimesh, rng: np.random.Generator) -> Damaged:
    """A second surface further in, looking inward, and the forty holes of `holes`.

    It is .012 further in, or a fifth of the thickness of thinner meshes.
    """
    vertices, faces = _arrays(mesh)
    depth = min(0.012, 0.2 * _thickness(mesh))
    inner = vertices - depth * np.asarray(mesh.vertex_normals)
    both = soup(
        np.concatenate([vertices, inner]),
        np.concatenate([faces, faces[:, ::-1] + len(vertices)]),
    )
    return Damaged(_with_holes(both, vertices, rng), mesh)


def _thickness(mesh: trimesh.Trimesh) -> float:
    """The way through a mesh, straight inward, that 95 % of its surface exceed."""
    from onet import _C

    points, normals, _ = sample_surface(mesh, 2000, np.random.default_rng(0))
    way, _ = _C.first_hits(
        np.ascontiguousarray(mesh.vertices, dtype=np.float64),
        np.ascontiguousarray(mesh.faces, dtype=np.int64),
        points,
        np.ascontiguousarray(-normals),
        1e-9,
    )
    return float(np.quantile(way[np.isfinite(way)], 0.05)) if np.isfinite(way).any() else 0.0


def holes(mesh: trimesh.Trimesh, rng: np.random.Generator) -> Damaged:
    """Faces are missing whose middles are within .015 of one of forty vertices."""
    return Damaged(_with_holes(mesh, np.asarray(mesh.vertices), rng), mesh)


def _with_holes(
    mesh: trimesh.Trimesh, at: NDArray[np.float64], rng: np.random.Generator
) -> trimesh.Trimesh:
    centres = at[rng.integers(len(at), size=40)]
    middles = mesh.triangles_center
    distance = np.linalg.norm(middles[:, None] - centres[None], axis=2).min(axis=1)
    kept = distance > 0.015
    return soup(np.asarray(mesh.vertices), np.asarray(mesh.faces)[kept]) if kept.any() else mesh


def flipped(mesh: trimesh.Trimesh, rng: np.random.Generator) -> Damaged:
    """15 % of the faces look inward."""
    vertices, faces = _arrays(mesh)
    wrong = rng.random(len(faces)) < 0.15
    faces[wrong] = faces[wrong, ::-1]
    return Damaged(soup(vertices, faces), mesh)


def inner_parts(mesh: trimesh.Trimesh, rng: np.random.Generator) -> Damaged:
    """A ball and a wall in the widest place inside."""
    low, high = mesh.bounds
    points = rng.uniform(low, high, (4000, 3))
    points = points[winding_number(mesh, points) > 0.5]
    if not len(points):
        return Damaged(mesh.copy(), mesh)
    distance = TriangleTree(mesh).closest(points)[1]
    centre, room = points[distance.argmax()], float(distance.max())
    ball = trimesh.creation.icosphere(2, 0.5 * room).apply_translation(centre)
    square = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * 0.6 * room + centre
    return Damaged(_together(mesh, ball, soup(square, np.array([[0, 1, 2], [0, 2, 3]]))), mesh)


def doubled(mesh: trimesh.Trimesh, rng: np.random.Generator) -> Damaged:
    """Half of the faces are there twice, some of them looking the other way; vertices repeat."""
    vertices, faces = _arrays(mesh)
    again = faces[rng.random(len(faces)) < 0.5]
    turned = rng.random(len(again)) < 0.5
    again[turned] = again[turned, ::-1]
    every = np.concatenate([faces, again])
    return Damaged(
        soup(vertices[every].reshape(-1, 3), np.arange(3 * len(every)).reshape(-1, 3)), mesh
    )


def overlapping(mesh: trimesh.Trimesh, rng: np.random.Generator) -> Damaged:
    """Two closed parts that overlap by .04, in place of one solid."""
    middle = float(mesh.bounds[:, 0].mean())
    low = _cut(mesh, (-1.0, 0.0, 0.0), -(middle + 0.02))
    high = _cut(mesh, (1.0, 0.0, 0.0), middle - 0.02)
    return Damaged(_together(low, high), mesh)


def missing_cap(mesh: trimesh.Trimesh, rng: np.random.Generator) -> Damaged:
    """The lowest .04 is cut off, and the cut stays open."""
    at = float(mesh.bounds[0, 1]) + 0.04
    cut = _cut(mesh, (0.0, 1.0, 0.0), at)
    vertices, faces = _arrays(cut)
    on_cut = (np.abs(vertices[faces][:, :, 1] - at) < 1e-6).all(axis=1)
    return Damaged(soup(vertices, faces[~on_cut]), cut)


def sheets(mesh: trimesh.Trimesh, rng: np.random.Generator) -> Damaged:
    """Five triangles without thickness stick out of the surface."""
    vertices = np.asarray(mesh.vertices)
    at = vertices[rng.integers(len(vertices), size=5)]
    corners = at[:, None] + rng.normal(0, 0.06, (5, 3, 3))
    return Damaged(_together(mesh, soup(corners.reshape(-1, 3), np.arange(15).reshape(5, 3))), mesh)


def noise(mesh: trimesh.Trimesh, rng: np.random.Generator) -> Damaged:
    """Every vertex is moved by .001 along each axis."""
    vertices, faces = _arrays(mesh)
    return Damaged(soup(vertices + rng.normal(0, 0.001, vertices.shape), faces), mesh)


def _cut(
    mesh: trimesh.Trimesh, normal: tuple[float, float, float], offset: float
) -> trimesh.Trimesh:
    """The closed part of a closed mesh where normal . x >= offset."""
    from manifold3d import Manifold, Mesh

    body = Manifold(Mesh(np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.uint32)))
    if body.is_empty():
        raise ValueError(f"manifold3d cannot cut it: {body.status()}")
    part = body.trim_by_plane(normal, offset).to_mesh()
    return soup(
        np.asarray(part.vert_properties[:, :3], np.float64), np.asarray(part.tri_verts, np.int64)
    )


DAMAGE: dict[str, Callable[[trimesh.Trimesh, np.random.Generator], Damaged]] = {
    "none": none,
    "double shell": double_shell,
    "holes": holes,
    "flipped": flipped,
    "inner parts": inner_parts,
    "doubled": doubled,
    "overlapping": overlapping,
    "missing cap": missing_cap,
    "sheets": sheets,
    "noise": noise,
}

DETERMINED = (
    "none",
    "double shell",
    "holes",
    "flipped",
    "inner parts",
    "doubled",
    "overlapping",
    "missing cap",
)
"""Damage that leaves the shape determined."""
