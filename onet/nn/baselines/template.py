"""Template surfaces that networks deform: spheres and ellipsoids of even triangles, and patches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Template:
    """A triangle mesh.

    Attributes:
        vertices: (V, 3) float64.
        faces: (F, 3) int64, counter-clockwise from outside.
        parents: (N, 2) int64, for a subdivided one the ends of the edge that each of its last N
            vertices halves; (0, 2) for others.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    parents: NDArray[np.int64]

    @property
    def edges(self) -> NDArray[np.int64]:
        """(E, 2), each once, the smaller number first, sorted."""
        return edges_of(self.faces)


def edges_of(faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the edges (E, 2) of faces (F, 3), each once, the smaller number first, sorted."""
    pairs = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    return np.unique(pairs, axis=0)


def even_sphere(count: int) -> Template:
    """Return a unit sphere of `count` vertices on a spiral, joined by their convex hull.

    A closed surface of 2 `count` - 4 triangles.
    """
    from scipy.spatial import ConvexHull

    number = np.arange(count) + 0.5
    polar, turn = np.arccos(1 - 2 * number / count), math.pi * (1 + 5**0.5) * number
    flat = np.sin(polar)
    vertices = np.stack([np.cos(turn) * flat, np.sin(turn) * flat, np.cos(polar)], 1)
    faces = ConvexHull(vertices).simplices.astype(np.int64)
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inward = (normals * corners.mean(axis=1)).sum(axis=1) < 0
    faces[inward] = faces[inward][:, ::-1]
    first = faces.argmin(axis=1)[:, None]
    faces = np.take_along_axis(faces, (first + np.arange(3)) % 3, 1)
    return Template(vertices, faces[np.lexsort(faces.T[::-1])], np.empty((0, 2), np.int64))


def subdivided(template: Template) -> Template:
    """Return the template with every edge halved and every triangle made four."""
    edges, faces = template.edges, template.faces
    count = len(template.vertices)
    numbers = {(int(a), int(b)): count + i for i, (a, b) in enumerate(edges)}
    halves = np.array(
        [
            [numbers[min(f[k], f[k - 2]), max(f[k], f[k - 2])] for k in range(3)]
            for f in faces.tolist()
        ]
    )  # halves[:, k] lies between corners k and k + 1
    a, b, c = faces.T
    ab, bc, ca = halves.T
    parts = [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
    finer = np.concatenate([np.stack(part, 1) for part in parts])
    vertices = np.concatenate([template.vertices, template.vertices[edges].mean(axis=1)])
    return Template(vertices, finer, edges)


def ellipsoids(axes: tuple[float, float, float], count: int = 156) -> list[Template]:
    """Return an ellipsoid around the origin and twice its subdivision, with the given half axes.

    156 vertices give 618 and 2,466, as Pixel2Mesh has them.
    """
    coarse = even_sphere(count)
    first = Template(coarse.vertices * np.array(axes), coarse.faces, coarse.parents)
    second = subdivided(first)
    return [first, second, subdivided(second)]


def square(side: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return a unit square of `side` by `side` vertices (V, 2) and its triangles (F, 3)."""
    axis = np.linspace(0, 1, side)
    places = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).reshape(-1)
    lower = np.stack([corner, corner + side, corner + side + 1], 1)
    upper = np.stack([corner, corner + side + 1, corner + 1], 1)
    return places, np.concatenate([lower, upper]).astype(np.int64)
