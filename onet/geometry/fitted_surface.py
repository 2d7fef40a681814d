"""A last step on the scan itself: a surface moved to the points, as far as held-out points gain.

What a network misses of clean points is alike from point to point, noise is not. So each vertex
moves along its normal by a mean of the heights of the points round it over the surface, and points
that had no part in it tell whether that brings the surface nearer to them. On noisy scans it does
not, and nothing is moved. Heights in place of positions keep the curvature of the surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray

from onet.geometry.distance import closest_point
from onet.machine import threads

STIFFNESS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Weights of where a vertex is, beside 1 of a point there; the best for held-out points counts."""

GAIN = 0.03
"""Part by which the mean distance of held-out points must fall."""

CLEAN = 0.2
"""Deviation of the points from the surface, in units of the reach, above which nothing is moved: in
plates thinner than the noise all points that are far off lie outside, and held-out ones do too."""

TESTED = 20_000
"""Points at most, half of which are held out."""

_NEIGHBOURS = 12
_ASTRAY = 6.0  # deviations from which on a height says nothing
_FARTHEST = 0.5  # that a vertex moves in a round, in units of the reach


@dataclass(frozen=True, eq=False)
class Heights:
    """Points over a surface.

    Attributes:
        feet: (N, 3) where the surface is nearest to each.
        normals: (N, 3) of the surface there.
        heights: (N,) along them.
        deviation: of the heights, by their median.
    """

    feet: NDArray[np.float64]
    normals: NDArray[np.float64]
    heights: NDArray[np.float64]
    deviation: float

    @property
    def bound(self) -> float:
        """From there on a height is of a stray point."""
        return _ASTRAY * self.deviation

    @classmethod
    def over(cls, mesh: trimesh.Trimesh, points: NDArray[np.float64]) -> Heights:
        """Return the heights of points over a mesh."""
        feet, _, faces = closest_point(mesh, points)
        normals = mesh.face_normals[faces]
        heights = ((points - feet) * normals).sum(axis=1)
        deviation = 1.4826 * float(np.median(np.abs(heights)))
        return cls(feet, normals, heights, deviation)

    def of(self, rows: NDArray[np.int64]) -> Heights:
        """Return some of them."""
        return Heights(self.feet[rows], self.normals[rows], self.heights[rows], self.deviation)

    def sums_at(
        self,
        places: NDArray[np.float64],  # (M, 3) on the surface
        normals: NDArray[np.float64],  # (M, 3) of the surface there
        reach: float,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the sums (M,) of weighted heights round places, and of their weights.

        Points weigh 1 at a place and less with distance, height and another direction.
        """
        from scipy.spatial import cKDTree

        count = min(_NEIGHBOURS, len(self.feet))
        distances, rows = cKDTree(self.feet).query(places, range(1, count + 1), workers=threads())
        alike = np.einsum("mkd,md->mk", self.normals[rows], normals).clip(min=0)
        trusted = (1 - (self.heights / max(self.bound, 1e-300)) ** 2).clip(min=0) ** 2
        weights = np.exp(-0.5 * (distances / reach) ** 2) * alike * trusted[rows]
        return (weights * self.heights[rows]).sum(axis=1), weights.sum(axis=1)


def fitted_to_points(
    mesh: trimesh.Trimesh,
    points: NDArray[np.floating],  # (N, 3) in the frame of the mesh
    reach: float,
    *,
    rounds: int = 2,
    seed: int = 0,
) -> tuple[trimesh.Trimesh, int]:
    """Return the mesh with its vertices moved to the points, and in how many rounds they were.

    Args:
        mesh: closed or not; its faces stay as they are.
        points: of the surface.
        reach: from a vertex to the points that move it, about the spacing of the points.
        rounds: at most.
        seed: of which points are held out.
    """
    rng = np.random.default_rng(seed)
    places = np.asarray(points, dtype=np.float64)
    for done in range(rounds):
        heights = Heights.over(mesh, places)
        stiffness = _best_stiffness(heights, reach, rng)
        if stiffness is None:
            return mesh, done
        moved, weights = heights.sums_at(mesh.vertices, mesh.vertex_normals, reach)
        along = (moved / (weights + stiffness)).clip(-_FARTHEST * reach, _FARTHEST * reach)
        vertices = mesh.vertices + along[:, None] * mesh.vertex_normals
        mesh = trimesh.Trimesh(vertices, mesh.faces, process=False, metadata=dict(mesh.metadata))
    return mesh, rounds


def _best_stiffness(heights: Heights, reach: float, rng: np.random.Generator) -> float | None:
    """Return what held-out points like best, None where they like the surface best as it is."""
    if heights.deviation > CLEAN * reach:
        return None
    order = rng.permutation(len(heights.feet))
    held_out = order[: min(len(order), TESTED) // 2]
    test = heights.of(held_out)
    rest = heights.of(np.setdiff1d(order, held_out))
    if not len(test.feet) or not len(rest.feet):
        return None
    moved, weights = rest.sums_at(test.feet, test.normals, reach)
    left = [
        np.minimum(np.abs(test.heights - moved / (weights + stiffness)), test.bound).mean()
        for stiffness in STIFFNESS
    ]
    best = int(np.argmin(left))
    before = np.minimum(np.abs(test.heights), test.bound).mean()
    return STIFFNESS[best] if left[best] < (1 - GAIN) * before else None
