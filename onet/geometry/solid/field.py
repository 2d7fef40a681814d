"""The field of a solid: positive inside, with the exact distance to the triangles as its size.

The sign is that of the winding number of faces that look outward. Where a solid is thinner than the
lattice can see, and along sheets, which have no inside at all, the surface lies `offset` off the
triangles; it is moved back later. Nothing else is moved outward, so narrow gaps stay open.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from onet.geometry.distance import TriangleTree
from onet.geometry.solid.cleaning import Faces
from onet.geometry.solid.seen import PIXELS, VIEWS
from onet.geometry.watertight import sphere_directions
from onet.geometry.winding import WindingTree

INSIDE = 0.5
"""Winding number from which on a point is inside."""
ROUGH, FINE = 1.2, 3.0
"""Accuracy of winding numbers, and of those that are nearer to `INSIDE` than `DOUBT`."""
DOUBT = 0.3
SEEN = 5
"""Views that see a point in front of a face of a solid, from which on it is outside."""
DEPTH = 1e-4
"""A solid that is thinner than this, in units of the longest edge, is a sheet."""


class SolidField:
    """A callable as `onet.extract_mesh` takes it.

    Attributes:
        tree: of all triangles that the surface lies on.
        normals: (F, 3) of these triangles; 0 for those without area.
        offset: see the module.
    """

    def __init__(
        self,
        vertices: NDArray[np.float64],  # (V, 3) in the unit frame
        solid: Faces,
        sheets: Faces,
        offset: float,
        probe: float,
        walls: bool = True,
        threads: int = 0,
    ) -> None:
        """Take faces of solids, looking outward, and of sheets.

        Args:
            probe: how far behind a face a solid is looked for; without it is thin there.
            walls: whether sheets become walls; otherwise they vanish.
            threads: 0 for all cores, or OMP_NUM_THREADS if that is set.
        """
        every = np.concatenate([solid, sheets])
        self.vertices, self.faces = vertices, every
        self.tree = TriangleTree(trimesh.Trimesh(vertices, every, process=False))
        self._winding = WindingTree(trimesh.Trimesh(vertices, solid, process=False))
        self._solid_faces = len(solid)
        self.offset, self.probe, self.walls, self.threads = offset, probe, walls, threads
        a, b, c = np.moveaxis(vertices[every], 1, 0)
        normals = np.cross(b - a, c - a)
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        self.normals = normals / np.where(length > 0, length, 1.0)

    def winding(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Winding number (N,) of the faces of solids about points (N, 3)."""
        if not self._solid_faces or not len(points):
            return np.zeros(len(points))
        rough = self._winding.winding_number(points, ROUGH, self.threads)
        close = np.flatnonzero(np.abs(rough - INSIDE) < DOUBT)
        rough[close] = self._winding.winding_number(points[close], FINE, self.threads)
        return rough

    def inside(
        self,
        points: NDArray[np.float64],
        closest: NDArray[np.float64],
        face: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Whether (N,) points (N, 3) are inside, by the winding number and by what views see.

        Open surfaces that lie on one another have winding numbers above `INSIDE` in front of their
        faces, too. What several views see there is outside.

        Args:
            points: asked about.
            closest: (N, 3) of the triangles, and
            face: (N,) which they are of.
        """
        result: NDArray[np.bool_] = self.winding(points) > INSIDE
        before = np.einsum("ij,ij->i", points - closest, self.normals[face]) > 0
        doubtful = np.flatnonzero(result & before & (face < self._solid_faces))
        if len(doubtful):
            seen = self._views.count(np.ascontiguousarray(points[doubtful]), self.threads)
            result[doubtful[seen >= SEEN]] = False
        return result

    @cached_property
    def _views(self) -> Any:
        """Depth maps of all triangles from all around."""
        from onet import _C

        radius = float(np.linalg.norm(self.vertices[np.unique(self.faces)], axis=1).max()) * 1.001
        faces = np.ascontiguousarray(self.faces, dtype=np.int64)
        directions = sphere_directions(VIEWS)
        return _C.Views(self.vertices, faces, directions, PIXELS, radius, self.threads)

    def beyond(
        self, points: NDArray[np.float64], closest: NDArray[np.float64], depth: float
    ) -> NDArray[np.bool_]:
        """Whether (N,) there is a solid at a depth below the closest points (N, 3) of points."""
        away = closest - points
        length = np.linalg.norm(away, axis=1, keepdims=True)
        below = closest + depth * away / np.where(length > 0, length, 1.0)
        return self.winding(below) > INSIDE

    def inside_of(self, points: NDArray[np.float64], face: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether (N,) there is a solid right behind points (N, 3) of faces (N,).

        The points asked about are moved a little into the face, away from its edges.
        """
        into = self.vertices[self.faces[face]].mean(axis=1) - points
        length = np.linalg.norm(into, axis=1, keepdims=True)
        into *= np.minimum(DEPTH, 0.5 * length) / np.where(length > 0, length, 1.0)
        behind = points + into - DEPTH * self.normals[face]
        return (face < self._solid_faces) & (self.winding(behind) > INSIDE)

    def __call__(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Values (N,) at points (N, 3)."""
        queries = np.ascontiguousarray(points, dtype=np.float64)
        closest, distance, face = self.tree.closest(queries, self.threads)
        inside = self.inside(queries, closest, face)
        value = np.where(inside, distance, -distance)
        near = np.flatnonzero(~inside & (distance < self.offset))
        thin = near[~self.beyond(queries[near], closest[near], self.probe)]
        if not self.walls:
            thin = thin[self.beyond(queries[thin], closest[thin], DEPTH)]
        value[thin] = self.offset - distance[thin]
        return np.where(inside, np.maximum(value, 1e-12), value)
