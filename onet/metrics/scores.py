"""How close a mesh is to the truth, by the published protocol of Occupancy Networks and exactly.

Unlike there, samples are drawn with a seed, failed meshes keep their penalty in every column (see
`onet.metrics.penalties`), and two empty sets have an IoU of 1.

Distances are unsquared and in units of the longest edge of the reference's bounding box; the
literature's tables show ten times the number. By the protocol both surfaces are sampled, so two
samples of the same surface have a Chamfer-L1 above zero (about 0.002 for 100,000 points on a shape
as large as a chair): smaller differences mean nothing. `noise_floor` measures it. The `surface_*`
scores have no such floor: they are distances from samples to the other surface itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import trimesh
from numpy.typing import ArrayLike, NDArray

from onet.errors import DataError
from onet.geometry.inside import contains
from onet.geometry.labels import as_normals, as_occupancies
from onet.geometry.mesh_memory import MeshLike, take_mesh
from onet.geometry.normalization import UnitFrame, without_loose_vertices
from onet.geometry.point_cloud_io import check_points
from onet.geometry.sampling import surface_area
from onet.geometry.topology import Topology, topology
from onet.metrics.overlap import overlap
from onet.metrics.penalties import (
    F_SCORE_THRESHOLDS,
    PENALTY,
    SURFACE_PENALTY,
    f_score_key,
)
from onet.metrics.surface_scores import (
    Scores,
    SurfaceSamples,
    exact_scores,
    f_score,
    sampled_scores,
)

__all__ = [
    "F_SCORE_THRESHOLDS",
    "PENALTY",
    "SURFACE_PENALTY",
    "MeshMetrics",
    "check_mesh",
    "evaluate",
    "f_score",
    "f_score_key",
    "intersection_over_union",
    "iou_resolution",
    "noise_floor",
]

LARGEST = 1e70
"""Larger coordinates have distances whose squares are not finite."""


@dataclass(frozen=True)
class MeshMetrics:
    """Scores of one mesh. None means that the reference did not allow to measure it.

    Attributes:
        iou: volume of the intersection over volume of the union, estimated on points; 1 where both
            are empty. Inside means ray parity. With stored points it is reliable only where
            `valid`; of two meshes it is None, with a warning, where one of them is open or the
            points cannot tell.
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
        surface_hausdorff95: the larger of the two distances within which 95 % of the samples of
            either side are; unlike the largest it hardly depends on their number. The same between
            samples is `hausdorff95` in `other`.
        scale: length of the unit of distance in the coordinates that were given.
        valid: the mesh is watertight and manifold.
        watertight, manifold, oriented, outward: see `onet.geometry.topology.Topology`.
        reference_valid: the reference mesh is watertight and manifold.
        noise_floor: the sampled scores of the same surface sampled twice (see the function of this
            name), where that was asked for.
        iou_resolution: the true IoU is within this of `iou` in about 95 cases of 100: what the
            points can tell. Smaller differences mean nothing.
        other: sampled scores that have no attribute of their own, by name.
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
    surface_hausdorff95: float | None
    scale: float
    valid: bool
    watertight: bool
    manifold: bool
    oriented: bool
    outward: bool
    reference_valid: bool | None
    noise_floor: dict[str, float | None] | None = None
    iou_resolution: float | None = None
    other: dict[str, float | None] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return all scores by name; an F-score each under `f_score_key`, the floor as it is."""
        row: dict[str, Any] = {}
        for key, value in asdict(self).items():
            if key == "f_score":
                row |= {f_score_key(threshold): score for threshold, score in value.items()}
            elif key == "other":
                row |= value
            else:
                row[key] = value
        return row


def evaluate(
    mesh: MeshLike,
    reference: MeshLike | None,
    *,
    samples: int = 100_000,
    seed: int = 0,
    points: ArrayLike | None = None,  # (N, 3)
    occupancies: ArrayLike | None = None,  # (N,)
    pointcloud: ArrayLike | None = None,  # (M, 3)
    normals: ArrayLike | None = None,  # (M, 3)
    thresholds: Sequence[float] = F_SCORE_THRESHOLDS,
    noise_floor: bool = False,
) -> MeshMetrics:
    """Compare a mesh with a reference mesh, with stored samples of the truth, or with both.

    With a reference mesh, everything is first brought to its unit frame (bounding box centred,
    longest edge 1), so the scores do not depend on the frame that both are given in. Stored samples
    replace the reference where they are given: `points` with `occupancies` for the volume,
    `pointcloud` with `normals` for the surface. Without a reference mesh coordinates are taken as
    they are: give all of them in the unit frame. Vertices that no face uses count nowhere.

    Without stored points the volumes of both meshes are compared by `onet.metrics.overlap`, on
    about `samples` points where the surfaces are, wherever they lie and however small they are.

    A mesh without surface gets the penalties of `onet.metrics.penalties`: distances sqrt(3),
    squared ones 3, normals 0 (signed: -1), IoU 0 (1 where the reference is empty too), and F-scores
    of 0.

    Args:
        mesh, reference: mesh files, or meshes of trimesh or Open3D, in the same frame; see
            `onet.geometry.mesh_memory.take_mesh`.
        samples: number of points drawn on each mesh's surface, and for the volume.
        seed: of these draws; equal arguments give equal scores.
        points: of the volume.
        occupancies: which of them are inside, in any form that `as_occupancies` takes: 0 and 1,
            packed bits, or probabilities, of which 1/2 and more are inside.
        pointcloud: of the surface.
        normals: of its points, of any length above 0.
        thresholds: of the F-scores, in units of the longest edge.
        noise_floor: measure it too, on the reference mesh if there is one, else on `mesh`. Changes
            no other score.

    Raises:
        DataError: a file that cannot be read, NaN vertices, samples of the wrong shape, occupancies
            that are not in [0, 1], normals without direction, or thresholds that are not positive.
    """
    mesh = _as_mesh(mesh, "mesh")
    reference = None if reference is None else _as_mesh(reference, "reference")
    _check_arguments(samples, thresholds, points, occupancies, pointcloud, normals)
    frame = UnitFrame(np.zeros(3), 1.0)
    if reference is not None and len(reference.faces):
        frame = UnitFrame.of_mesh(reference, "reference")
        mesh, reference = frame.mesh_to_unit(mesh), frame.mesh_to_unit(reference)
    rng = np.random.default_rng(seed)

    target = _target(reference, pointcloud, normals, frame, samples, rng)
    source = SurfaceSamples.of(mesh, samples, rng) if surface_area(mesh) > 0 else None
    scores = _sampled(source, target, thresholds)
    if points is not None and occupancies is not None:
        iou, resolution = _stored_iou(mesh, points, occupancies, frame)
    else:
        iou, resolution = _mesh_iou(mesh, reference, samples, rng)

    floor, truth_or_mesh = None, mesh if reference is None else reference
    if noise_floor and surface_area(truth_or_mesh) > 0:
        floor = _floor(truth_or_mesh, samples, seed, thresholds)
    told: dict[str, Any] = {
        **_attributes(scores),
        **_exact(mesh, source, reference, target),
        **_flags(topology(mesh)),
    }
    return MeshMetrics(
        iou=iou,
        f_score={threshold: scores[f_score_key(threshold)] for threshold in thresholds},
        scale=frame.scale,
        reference_valid=None if reference is None else _closed(topology(reference)),
        noise_floor=floor,
        iou_resolution=resolution,
        **told,
    )


def _check_arguments(
    samples: int,
    thresholds: Sequence[float],
    points: ArrayLike | None,
    occupancies: ArrayLike | None,
    pointcloud: ArrayLike | None,
    normals: ArrayLike | None,
) -> None:
    """Refuse what `evaluate` cannot measure with, whatever the meshes are."""
    if samples < 1:
        raise DataError(f"samples: {samples}; give at least 1")
    if not all(threshold > 0 for threshold in thresholds):
        raise DataError(f"thresholds: {tuple(thresholds)}; give positive ones")
    if (points is None) != (occupancies is None):
        raise DataError("points and occupancies belong together; give both or neither")
    if normals is not None and pointcloud is None:
        raise DataError("normals belong to a pointcloud; give it too")


def _target(
    reference: trimesh.Trimesh | None,  # in the unit frame
    pointcloud: ArrayLike | None,
    normals: ArrayLike | None,
    frame: UnitFrame,
    samples: int,
    rng: np.random.Generator,
) -> SurfaceSamples | None:
    """Return points of the true surface in the unit frame: those given, or drawn ones, or none."""
    if pointcloud is not None:
        where = frame.to_unit(check_points(pointcloud, "pointcloud"))
        known = None if normals is None else as_normals(normals, len(where), "normals")
        return SurfaceSamples(where, known)
    if reference is not None and surface_area(reference) > 0:
        return SurfaceSamples.of(reference, samples, rng)
    return None


def _sampled(
    source: SurfaceSamples | None, target: SurfaceSamples | None, thresholds: Sequence[float]
) -> Scores:
    """Return the sampled scores: the penalties without a source, None without a target."""
    penalty = PENALTY | {f_score_key(threshold): 0.0 for threshold in thresholds}
    scores: Scores = dict.fromkeys(penalty)
    if target is None:
        return scores
    return scores | (penalty if source is None else sampled_scores(source, target, thresholds))


def _exact(
    mesh: trimesh.Trimesh,
    source: SurfaceSamples | None,
    reference: trimesh.Trimesh | None,
    target: SurfaceSamples | None,
) -> Scores:
    """Return the `surface_` scores: penalties without a source, None without a true surface."""
    if target is None or reference is None or not surface_area(reference) > 0:
        return dict.fromkeys(SURFACE_PENALTY)
    if source is None:
        return dict(SURFACE_PENALTY)
    return exact_scores(mesh, source.points, reference, target.points)


def _stored_iou(
    mesh: trimesh.Trimesh, points: ArrayLike, occupancies: ArrayLike, frame: UnitFrame
) -> tuple[float | None, float | None]:
    """Return the IoU at stored points, and what they can tell."""
    where = frame.to_unit(check_points(points, "points"))
    truth = as_occupancies(occupancies, len(where))
    inside = _inside(mesh, where)
    iou = intersection_over_union(inside, truth)
    return iou, iou_resolution(iou, int(np.count_nonzero(inside | truth)))


def _mesh_iou(
    mesh: trimesh.Trimesh,
    reference: trimesh.Trimesh | None,
    samples: int,
    rng: np.random.Generator,
) -> tuple[float | None, float | None]:
    """Return the IoU of two meshes, and what the points can tell; None where they cannot."""
    if reference is None:
        return None, None
    common = overlap(mesh, reference, samples, rng)
    if common.iou is None:
        warnings.warn(f"IoU cannot be told: {common.reason}", stacklevel=3)
    return common.iou, common.resolution


def noise_floor(
    mesh: MeshLike,
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
    mesh = _as_mesh(mesh, "mesh")
    if not surface_area(mesh) > 0:
        raise DataError(f"mesh with {len(mesh.faces)} faces has no area to sample")
    unit = UnitFrame.of_mesh(mesh).mesh_to_unit(mesh)
    return _floor(unit, samples, seed, thresholds)


def intersection_over_union(
    first: ArrayLike,  # (N,)
    second: ArrayLike,  # (N,)
) -> float:
    """|first and second| / |first or second|; 1 where both are empty: they agree everywhere.

    Args:
        first, second: whether each of the same points is inside, as `as_occupancies` takes it
            (probabilities: from 1/2 on).
    """
    one = as_occupancies(first, source="first")
    other = as_occupancies(second, len(one), source="second")
    union = np.count_nonzero(one | other)
    return float(np.count_nonzero(one & other) / union) if union else 1.0


def check_mesh(mesh: trimesh.Trimesh, name: str) -> None:
    """Refuse a mesh that has no distance to anything.

    Raises:
        DataError: a face that names no vertex, or one that is NaN, infinite or beyond 1e70.
    """
    faces = np.asarray(mesh.faces)
    if not len(faces):
        return
    count = len(mesh.vertices)
    if faces.min() < 0 or faces.max() >= count:
        raise DataError(f"{name}: a face names a vertex outside 0..{count - 1}; mend its faces")
    used = mesh.vertices[np.unique(faces)]
    bad = int((~(np.abs(used) <= LARGEST).all(axis=1)).sum())
    if bad:
        raise DataError(
            f"{name}: {bad} of {len(used)} vertices are NaN, infinite or beyond {LARGEST:g}; "
            "repair it"
        )


def _as_mesh(given: Any, name: str) -> trimesh.Trimesh:
    """Return the mesh, checked, without the vertices that no face uses."""
    mesh = take_mesh(given, name)
    check_mesh(mesh, name)
    return without_loose_vertices(mesh)


def _attributes(scores: Scores) -> dict[str, Any]:
    """Sampled scores as attributes of `MeshMetrics`, without the F-scores."""
    rest = {key: value for key, value in scores.items() if not key.startswith("f_score")}
    own = {key: rest.pop(key) for key in [*rest] if key in MeshMetrics.__dataclass_fields__}
    return {**own, "other": rest}


def _floor(
    mesh: trimesh.Trimesh, samples: int, seed: int, thresholds: Sequence[float]
) -> dict[str, float | None]:
    first, second = (
        SurfaceSamples.of(mesh, samples, rng) for rng in np.random.default_rng(seed).spawn(2)
    )
    return sampled_scores(first, second, thresholds)


def _inside(mesh: trimesh.Trimesh, points: NDArray[np.floating]) -> NDArray[np.bool_]:
    return contains(mesh, points) if len(mesh.faces) else np.zeros(len(points), bool)


def iou_resolution(iou: float, union: int) -> float | None:
    """Two standard errors of a share of `union` points, and the three that may be missed by all."""
    return 2 * (iou * (1 - iou) / union) ** 0.5 + 3 / union if union else None


def _flags(shape: Topology) -> dict[str, bool]:
    """Return what `MeshMetrics` says of the mesh's own topology."""
    return {
        "valid": _closed(shape),
        "watertight": shape.watertight,
        "manifold": shape.manifold,
        "oriented": shape.oriented,
        "outward": shape.outward,
    }


def _closed(shape: Topology) -> bool:
    return shape.watertight and shape.manifold
