"""Intersection over union of two meshes, with the resolution of the answer.

Uniform points in a common box say nothing of meshes that are small in it: two that lie far apart
get no point at all. So the box is divided where the surfaces are. Cubes that neither surface comes
near are inside or outside as a whole: one test at the centre is exact. Those near a mesh are halved
until there are enough of them *for that mesh*, however small it is beside the other; random points
in each of the smallest cubes tell the rest, and how much they vary tells the error.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onet.geometry.closed import open_edges
from onet.geometry.distance import TriangleTree
from onet.geometry.inside import contains
from onet.geometry.normalization import used_vertices
from onet.geometry.sampling import surface_area

if TYPE_CHECKING:
    import trimesh

FINE = 0.02
"""A resolution that is good enough; for a coarser one more points are drawn."""
COARSEST = 0.1
"""A coarser resolution than this tells nothing."""
EFFORTS = (1, 4, 16)
"""Times the samples, until the resolution is `FINE`: thin shells need more than others."""
MOST = 2_000_000
"""Points, of which that many more are drawn at most: they are in memory all at once."""

_SHARE = 4  # samples for each of a mesh's smallest cubes, about
_LEAST_CUBES = 1000
_LEVELS = 60  # of halving; a mesh a billionth as large as the box needs 36
_CORNERS = np.array(list(product((-1.0, 1.0), repeat=3)))
_MISSED = 3.0  # expected hits of what is missed in one case of twenty


@dataclass(frozen=True)
class Overlap:
    """Intersection over union of two meshes.

    Attributes:
        iou: None where it cannot be told.
        resolution: the true value is within this of `iou`, in about 95 cases of 100; 0 where it is
            exact. None without `iou`.
        reason: why there is no `iou`.
    """

    iou: float | None
    resolution: float | None
    reason: str = ""


def overlap(
    first: trimesh.Trimesh,
    second: trimesh.Trimesh,
    samples: int,
    rng: np.random.Generator,
) -> Overlap:
    """Estimate the intersection over union of what two closed meshes enclose.

    Inside means ray parity (`onet.geometry.inside.contains`). The answer does not depend on the
    order of the two. A mesh without area encloses nothing; two without faces agree: 1.

    Args:
        first, second: in one frame, with finite vertices; those that no face uses do not matter.
        samples: about how many points to draw, some thousands at least; up to 16 times as many
            where the answer would otherwise be coarser than `FINE`.
        rng: of the points.
    """
    meshes = (first, second)
    if not any(len(mesh.faces) for mesh in meshes):
        return Overlap(1.0, 0.0)
    areas = [surface_area(mesh) for mesh in meshes]
    if not any(areas):
        return Overlap(None, None, "neither mesh has any area")
    if not all(areas):
        return Overlap(0.0, 0.0)
    for name, mesh in zip(("the mesh", "the reference"), meshes, strict=True):
        count = open_edges(mesh)
        if count:
            return Overlap(
                None,
                None,
                f"{name} is open: {count} of its edges belong to an odd number of faces, so that "
                "it has no inside; close it",
            )
    trees = [TriangleTree(mesh) for mesh in meshes]
    for effort in EFFORTS:
        if effort > 1 and effort * samples > MOST:
            break
        result = _estimate(meshes, trees, effort * samples, rng)
        if result.resolution is not None and result.resolution <= FINE:
            break
    return result


@dataclass(frozen=True, eq=False)
class _Cubes:
    """Cubes that a surface comes near, and the centres of those that none does."""

    centres: NDArray[np.float64]  # (L, 3)
    halves: NDArray[np.float64]  # (L,) half the edge
    near: NDArray[np.bool_]  # (L, 2) the surface of either mesh may be in it
    settled: NDArray[np.float64]  # (S, 3)
    settled_volumes: NDArray[np.float64]  # (S,)


def _estimate(
    meshes: tuple[trimesh.Trimesh, trimesh.Trimesh],
    trees: list[TriangleTree],
    samples: int,
    rng: np.random.Generator,
) -> Overlap:
    cubes = _divide(meshes, trees, max(_LEAST_CUBES, samples // _SHARE))
    count = len(cubes.centres)
    each = max(2, samples // count)
    jitter = rng.uniform(-1, 1, (count, each, 3)) * cubes.halves[:, None, None]
    points = (cubes.centres[:, None] + jitter).reshape(-1, 3)
    inside = [contains(mesh, np.concatenate([cubes.settled, points])) for mesh in meshes]
    a, b = (answer[len(cubes.settled) :].reshape(count, each) for answer in inside)
    exact_a, exact_b = (answer[: len(cubes.settled)] for answer in inside)
    volumes = (2 * cubes.halves) ** 3
    step = volumes / each  # what one point stands for

    both = cubes.settled_volumes[exact_a & exact_b].sum() + step @ (a & b).sum(axis=1)
    either = cubes.settled_volumes[exact_a | exact_b].sum() + step @ (a | b).sum(axis=1)
    may_be = [cubes.near[:, k] | of.any(axis=1) for k, of in enumerate((a, b))]
    shared = may_be[0] & may_be[1]
    if either > 0 and both == 0 and not shared.any():
        return Overlap(0.0, 0.0)
    if not either > 0:
        return Overlap(None, None, f"none of {count * each:,} points is inside of either mesh")
    iou = both / either
    rest = (a & b) - iou * (a | b)
    error = np.sqrt((volumes**2 * rest.var(axis=1, ddof=1) / each).sum())
    missed = _MISSED * (step[shared].max(initial=0.0) + iou * step.max())
    resolution = float((2 * error + missed) / either)
    if resolution > COARSEST:
        return Overlap(
            None,
            None,
            f"{count * each:,} points tell it to {resolution:.2g} only: what the meshes enclose is "
            "too thin; draw more samples",
        )
    return Overlap(float(iou), resolution)


def _divide(
    meshes: tuple[trimesh.Trimesh, trimesh.Trimesh], trees: list[TriangleTree], budget: int
) -> _Cubes:
    """Halve the common box until about `budget` cubes are near each of the meshes."""
    corners = np.concatenate([used_vertices(mesh) for mesh in meshes])
    low, high = corners.min(axis=0), corners.max(axis=0)
    centres, half = (low + high)[None] / 2, float((high - low).max()) / 2
    near = np.ones((1, 2), bool)
    growing = np.ones(2, bool)
    leaves, settled = [], []
    for level in range(_LEVELS):
        for k, tree in enumerate(trees):
            asked = np.flatnonzero(near[:, k])
            distance = tree.closest(centres[asked])[1]
            near[asked, k] = distance <= np.sqrt(3) * half * (1 + 1e-9)
        touched = near.any(axis=1)
        settled.append((centres[~touched], half))
        growing &= 4 * near.sum(axis=0) <= budget  # a surface is in four times as many below
        split = (near & growing).any(axis=1) & (level < _LEVELS - 1)
        leaves.append((centres[touched & ~split], half, near[touched & ~split]))
        if not split.any():
            break
        half /= 2
        centres = (centres[split][:, None] + half * _CORNERS).reshape(-1, 3)
        near = np.repeat(near[split], 8, axis=0)
    return _Cubes(
        np.concatenate([of_level for of_level, _, _ in leaves]),
        np.concatenate([np.full(len(of_level), size) for of_level, size, _ in leaves]),
        np.concatenate([flags for _, _, flags in leaves]),
        np.concatenate([of_level for of_level, _ in settled]),
        np.concatenate([np.full(len(of_level), (2 * size) ** 3) for of_level, size in settled]),
    )
