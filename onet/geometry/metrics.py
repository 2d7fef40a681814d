"""How close a mesh is to the truth, by the published protocol of Occupancy Networks and exactly.

Unlike there, samples are drawn with a seed, failed meshes keep their penalty in every column, and
two empty sets have an IoU of 1.

Distances are unsquared and in units of the longest edge of the reference's bounding box; the
literature's tables show ten times the number. By the protocol both surfaces are sampled, so two
samples of the same surface have a Chamfer-L1 above zero (about 0.002 for 100,000 points on a shape
as large as a chair): smaller differences mean nothing. `noise_floor` measures it. The `surface_*`
scores have no such floor: they are distances from samples to the other surface itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.distance import closest_point
from onet.geometry.inside import contains
from onet.geometry.mesh_io import load_mesh
from onet.geometry.nearest import NearestNeighbors
from onet.geometry.normalization import UnitFrame
from onet.geometry.point_cloud_io import check_points
from onet.geometry.sampling import sample_surface, surface_area
from onet.geometry.topology import Topology, topology

PADDING = 0.1  # of the box that volumes are compared in, in units of its longest edge

F_SCORE_THRESHOLDS = (0.01, 0.015, 0.02)
"""In units of the longest edge: F-scores at 1, 1.5 and 2 %, as reported by Convolutional ONets."""


def f_score_key(threshold: float) -> str:
    """Name of the F-score at a threshold: "f_score_1.5pct" for 0.015 of the longest edge."""
    return f"f_score_{100 * threshold:g}pct"


DIAGONAL = 3**0.5  # of the unit cube

PENALTY: dict[str, float | None] = {
    "accuracy": DIAGONAL,
    "completeness": DIAGONAL,
    "accuracy2": 3.0,
    "completeness2": 3.0,
    "chamfer_l1": DIAGONAL,
    "chamfer_l2": 3.0,
    "chamfer_squared_sum": 6.0,
    "normal_consistency": -1.0,
    "normal_consistency_signed": -1.0,
    **{f_score_key(threshold): 0.0 for threshold in F_SCORE_THRESHOLDS},
}
"""Published scores of a mesh without surface: distances are the diagonal of the unit cube. The
F-scores, which that protocol does not have, are 0."""

SURFACE_PENALTY: dict[str, float | None] = {
    "surface_accuracy": DIAGONAL,
    "surface_completeness": DIAGONAL,
    "surface_chamfer_l1": DIAGONAL,
    "surface_chamfer_l2": 3.0,
    "surface_hausdorff": DIAGONAL,
}
"""Exact scores of a mesh without surface, in line with the published ones."""


@dataclass(frozen=True)
class MeshMetrics:
    """Scores of one mesh. None means that the reference did not allow to measure it.

    Attributes:
        iou: volume of the intersection over volume of the union, estimated on points; 1 where both
            are empty. Inside means ray parity, so it is reliable only where `valid`.
        chamfer_l1: mean of `accuracy` and `completeness`.
        chamfer_l2: mean of `accuracy2` and `completeness2`.
        chamfer_squared_sum: sum of `accuracy2` and `completeness2`, twice `chamfer_l2`: what code
            derived from early versions of the published one calls Chamfer, or even Chamfer-L1.
        accuracy: mean distance from samples of the mesh to the nearest samples of the reference.
            Distances are in units of the reference's longest edge.
        completeness: mean distance from samples of the reference to the nearest of the mesh.
        accuracy2: mean squared distance from the mesh to the reference.
        completeness2: mean squared distance from the reference to the mesh.
        normal_consistency: mean absolute cosine between the normals of nearest points, averaged
            over both directions, as published; blind to meshes that are inside out.
        normal_consistency_signed: the same without the absolute value.
        f_score: by threshold, the harmonic mean of precision and recall: the shares of samples of
            the mesh and of the reference whose nearest samples are within the threshold.
        surface_accuracy: mean distance from samples of the mesh to the reference's surface. The
            `surface_` scores need a reference mesh.
        surface_completeness: mean distance from samples of the reference to the mesh's surface.
        surface_chamfer_l1: mean of these two.
        surface_chamfer_l2: mean of their means of squares.
        surface_hausdorff: largest of all these distances; a lower bound of the Hausdorff distance.
        scale: length of the unit of distance in the coordinates that were given.
        valid: the mesh is watertight and manifold.
        watertight, manifold, oriented, outward: see `onet.geometry.topology.Topology`.
        reference_valid: the reference mesh is watertight and manifold.
        noise_floor: the sampled scores of the same surface sampled twice (see the function of this
            name), where that was asked for.
    """

    iou: float | None
    chamfer_l1: float | None
    chamfer_l2: float | None
    chamfer_squared_sum: float | None
    accuracy: float | None
    completeness: float | None
    accuracy2: float | None
    completeness2: float | None
    normal_consistency: float | None
    normal_consistency_signed: float | None
    f_score: dict[float, float | None]
    surface_accuracy: float | None
    surface_completeness: float | None
    surface_chamfer_l1: float | None
    surface_chamfer_l2: float | None
    surface_hausdorff: float | None
    scale: float
    valid: bool
    watertight: bool
    manifold: bool
    oriented: bool
    outward: bool
    reference_valid: bool | None
    noise_floor: dict[str, float | None] | None = None

    def as_dict(self) -> dict[str, Any]:
        """All attributes by name; an F-score each under `f_score_key`, the floor as it is."""
        row: dict[str, Any] = {}
        for key, value in asdict(self).items():
            if key == "f_score":
                row |= {f_score_key(threshold): score for threshold, score in value.items()}
            else:
                row[key] = value
        return row


def evaluate(
    mesh: trimesh.Trimesh | str | os.PathLike[str],
    reference: trimesh.Trimesh | str | os.PathLike[str] | None,
    *,
    samples: int = 100_000,
    seed: int = 0,
    points: NDArray[np.floating] | None = None,  # (N, 3)
    occupancies: NDArray[np.bool_] | None = None,  # (N,)
    pointcloud: NDArray[np.floating] | None = None,  # (M, 3)
    normals: NDArray[np.floating] | None = None,  # (M, 3) unit
    thresholds: Sequence[float] = F_SCORE_THRESHOLDS,
    noise_floor: bool = False,
) -> MeshMetrics:
    """Compare a mesh with a reference mesh, with stored samples of the truth, or with both.

    With a reference mesh, everything is first brought to its unit frame (bounding box centred,
    longest edge 1), so the scores do not depend on the frame that both are given in. Stored samples
    replace the reference where they are given: `points` with `occupancies` for the volume,
    `pointcloud` with `normals` for the surface. Without a reference mesh coordinates are taken as
    they are: give all of them in the unit frame.

    Without stored points the volume is estimated on `samples` uniform points in the padded bounding
    box of both meshes.

    A mesh without surface gets the published penalties: distances sqrt(3), squared ones 3, normals
    -1, IoU 0 (1 where the reference is empty too), and F-scores of 0.

    Args:
        mesh, reference: meshes or mesh files, in the same frame.
        samples: number of points drawn on each mesh's surface, and in the box.
        seed: of these draws; equal arguments give equal scores.
        thresholds: of the F-scores, in units of the longest edge.
        noise_floor: measure it too, on the reference mesh if there is one, else on `mesh`. Changes
            no other score.

    Raises:
        DataError: a file that cannot be read, NaN vertices, samples of the wrong shape, or
            thresholds that are not positive.
    """
    mesh = mesh if isinstance(mesh, trimesh.Trimesh) else load_mesh(mesh)
    if isinstance(reference, str | os.PathLike):
        reference = load_mesh(reference)
    if samples < 1:
        raise DataError(f"samples: {samples}; give at least 1")
    if not all(threshold > 0 for threshold in thresholds):
        raise DataError(f"thresholds: {tuple(thresholds)}; give positive ones")
    if (points is None) != (occupancies is None):
        raise DataError("points and occupancies belong together; give both or neither")
    if normals is not None and pointcloud is None:
        raise DataError("normals belong to a pointcloud; give it too")
    _check(mesh, "mesh")
    if reference is not None:
        _check(reference, "reference")
    frame = UnitFrame(np.zeros(3), 1.0)
    if reference is not None and len(reference.vertices):
        frame = UnitFrame.of(reference.vertices, "reference")
        mesh, reference = frame.mesh_to_unit(mesh), frame.mesh_to_unit(reference)
    rng = np.random.default_rng(seed)

    target: _Samples | None = None
    if pointcloud is not None:
        where = frame.to_unit(check_points(pointcloud, "pointcloud"))
        if normals is not None and np.shape(normals) != where.shape:
            raise DataError(f"normals: expected shape {where.shape}, found {np.shape(normals)}")
        target = _Samples(where, normals)
    elif reference is not None and surface_area(reference) > 0:
        target = _Samples.of(reference, samples, rng)
    source = _Samples.of(mesh, samples, rng) if surface_area(mesh) > 0 else None

    penalty = PENALTY | {f_score_key(threshold): 0.0 for threshold in thresholds}
    scores: dict[str, float | None] = dict.fromkeys(penalty)
    exact: dict[str, float | None] = dict.fromkeys(SURFACE_PENALTY)
    if target is not None and source is not None:
        scores |= _compare(source, target, thresholds)
    elif target is not None or reference is not None:
        scores |= penalty
    if reference is not None and source is not None and target is not None and len(reference.faces):
        exact = _compare_exactly(mesh, source.points, reference, target.points)
    elif reference is not None:
        exact = dict(SURFACE_PENALTY)

    iou = None
    if points is not None:
        where, truth = frame.to_unit(check_points(points, "points")), np.asarray(occupancies, bool)
        if truth.shape != where.shape[:1]:
            raise DataError(f"occupancies: expected shape ({len(where)},), found {truth.shape}")
        iou = intersection_over_union(_inside(mesh, where), truth)
    elif reference is not None:
        where = _points_around([mesh, reference], samples, rng)
        iou = intersection_over_union(_inside(mesh, where), _inside(reference, where))

    shape, truth_or_mesh = topology(mesh), mesh if reference is None else reference
    floor = None
    if noise_floor and surface_area(truth_or_mesh) > 0:
        floor = _floor(truth_or_mesh, samples, seed, thresholds)
    return MeshMetrics(
        iou=iou,
        f_score={threshold: scores[f_score_key(threshold)] for threshold in thresholds},
        **{key: value for key, value in scores.items() if not key.startswith("f_score")},
        **exact,
        scale=frame.scale,
        valid=_closed(shape),
        watertight=shape.watertight,
        manifold=shape.manifold,
        oriented=shape.oriented,
        outward=shape.outward,
        reference_valid=None if reference is None else _closed(topology(reference)),
        noise_floor=floor,
    )


def noise_floor(
    mesh: trimesh.Trimesh | str | os.PathLike[str],
    *,
    samples: int = 100_000,
    seed: int = 0,
    thresholds: Sequence[float] = F_SCORE_THRESHOLDS,
) -> dict[str, float | None]:
    """Sampled scores of a mesh against itself: two independent samples of the same surface.

    Differences between methods that are smaller than this are differences of the samples. In units
    of the longest edge of the mesh.

    Returns:
        The keys of `PENALTY`, with the F-scores at `thresholds`.

    Raises:
        DataError: a file that cannot be read, NaN vertices, or a mesh without area.
    """
    mesh = mesh if isinstance(mesh, trimesh.Trimesh) else load_mesh(mesh)
    _check(mesh, "mesh")
    if not surface_area(mesh) > 0:
        raise DataError(f"mesh with {len(mesh.faces)} faces has no area to sample")
    unit = UnitFrame.of(mesh.vertices, "mesh").mesh_to_unit(mesh)
    return _floor(unit, samples, seed, thresholds)


def intersection_over_union(
    first: NDArray[np.bool_],  # (N,)
    second: NDArray[np.bool_],  # (N,)
) -> float:
    """|first and second| / |first or second|; 1 where both are empty: they agree everywhere."""
    union = np.count_nonzero(first | second)
    return float(np.count_nonzero(first & second) / union) if union else 1.0


def f_score(
    to_reference: NDArray[np.floating],  # (N,) distances from the mesh
    to_mesh: NDArray[np.floating],  # (M,) distances from the reference
    threshold: float,
) -> float:
    """Harmonic mean of the shares of distances within `threshold` (precision and recall).

    0 where both shares are 0.
    """
    precision = float(np.mean(to_reference <= threshold))
    recall = float(np.mean(to_mesh <= threshold))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@dataclass(frozen=True, eq=False)
class _Samples:
    points: NDArray[np.float64]  # (N, 3)
    normals: NDArray[np.floating] | None  # (N, 3) unit

    @classmethod
    def of(cls, mesh: trimesh.Trimesh, count: int, rng: np.random.Generator) -> _Samples:
        points, normals, _ = sample_surface(mesh, count, rng)
        return cls(points, normals)


def _compare(
    source: _Samples, target: _Samples, thresholds: Sequence[float]
) -> dict[str, float | None]:
    """The sampled scores; those of the normals are None where one side has none."""
    to_target, target_index = NearestNeighbors(target.points).query(source.points)
    to_source, source_index = NearestNeighbors(source.points).query(target.points)
    accuracy, completeness = float(to_target.mean()), float(to_source.mean())
    accuracy2, completeness2 = float((to_target**2).mean()), float((to_source**2).mean())
    consistency = signed = None
    if source.normals is not None and target.normals is not None:
        forth = np.einsum("ij,ij->i", source.normals, target.normals[target_index])
        back = np.einsum("ij,ij->i", target.normals, source.normals[source_index])
        consistency = float(abs(forth).mean() + abs(back).mean()) / 2
        signed = float(forth.mean() + back.mean()) / 2
    return {
        "accuracy": accuracy,
        "completeness": completeness,
        "accuracy2": accuracy2,
        "completeness2": completeness2,
        "chamfer_l1": (accuracy + completeness) / 2,
        "chamfer_l2": (accuracy2 + completeness2) / 2,
        "chamfer_squared_sum": accuracy2 + completeness2,
        "normal_consistency": consistency,
        "normal_consistency_signed": signed,
        **{f_score_key(t): f_score(to_target, to_source, t) for t in thresholds},
    }


def _compare_exactly(
    mesh: trimesh.Trimesh,
    points: NDArray[np.float64],  # (N, 3) on the mesh
    reference: trimesh.Trimesh,
    target: NDArray[np.float64],  # (M, 3) on the reference
) -> dict[str, float | None]:
    to_reference = closest_point(reference, points)[1]
    to_mesh = closest_point(mesh, target)[1]
    accuracy, completeness = float(to_reference.mean()), float(to_mesh.mean())
    return {
        "surface_accuracy": accuracy,
        "surface_completeness": completeness,
        "surface_chamfer_l1": (accuracy + completeness) / 2,
        "surface_chamfer_l2": float((to_reference**2).mean() + (to_mesh**2).mean()) / 2,
        "surface_hausdorff": float(max(to_reference.max(), to_mesh.max())),
    }


def _floor(
    mesh: trimesh.Trimesh, samples: int, seed: int, thresholds: Sequence[float]
) -> dict[str, float | None]:
    first, second = (
        _Samples.of(mesh, samples, rng) for rng in np.random.default_rng(seed).spawn(2)
    )
    return _compare(first, second, thresholds)


def _inside(mesh: trimesh.Trimesh, points: NDArray[np.floating]) -> NDArray[np.bool_]:
    return contains(mesh, points) if len(mesh.faces) else np.zeros(len(points), bool)


def _points_around(
    meshes: list[trimesh.Trimesh], count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Uniform points (count, 3) in the bounding box of all meshes, padded as in training."""
    corners = np.concatenate(
        [np.zeros((1, 3)), *(mesh.triangles.reshape(-1, 3) for mesh in meshes)]
    )
    low, high = corners.min(axis=0), corners.max(axis=0)
    margin = PADDING / 2 * (high - low).max()
    return rng.uniform(low - margin, high + margin, (count, 3))


def _closed(shape: Topology) -> bool:
    return shape.watertight and shape.manifold


def _check(mesh: trimesh.Trimesh, name: str) -> None:
    bad = int((~np.isfinite(mesh.vertices).all(axis=1)).sum())
    if bad:
        raise DataError(f"{name}: {bad} of {len(mesh.vertices)} vertices are NaN or infinite")
