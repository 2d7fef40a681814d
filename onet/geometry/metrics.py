"""How close a mesh is to the truth, by the published protocol of Occupancy Networks.

Unlike there, samples are drawn with a seed, failed meshes keep their penalty in every column, and
two empty sets have an IoU of 1.

Distances are unsquared and in units of the longest edge of the reference's bounding box; the
literature's tables show ten times the number. Two independent samples of the same surface have a
Chamfer-L1 above zero (about 0.002 for 100,000 points on a shape as large as a chair): smaller
differences mean nothing.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from pykdtree.kdtree import KDTree

from onet.errors import DataError
from onet.geometry.inside import contains
from onet.geometry.mesh_io import load_mesh
from onet.geometry.normalization import UnitFrame
from onet.geometry.point_cloud_io import check_points
from onet.geometry.sampling import sample_surface
from onet.geometry.topology import Topology, topology

PADDING = 0.1  # of the box that volumes are compared in, in units of its longest edge

PENALTY: dict[str, float | None] = {
    "accuracy": 3**0.5,
    "completeness": 3**0.5,
    "accuracy2": 3.0,
    "completeness2": 3.0,
    "chamfer_l1": 3**0.5,
    "chamfer_l2": 3.0,
    "normal_consistency": -1.0,
    "normal_consistency_signed": -1.0,
}
"""Published scores of a mesh without surface: distances are the diagonal of the unit cube."""

SURFACE_SCORES = tuple(PENALTY)


@dataclass(frozen=True)
class MeshMetrics:
    """Scores of one mesh. None means that the reference did not allow to measure it.

    Attributes:
        iou: volume of the intersection over volume of the union, estimated on points; 1 where both
            are empty. Inside means ray parity, so it is reliable only where `valid`.
        chamfer_l1: mean of `accuracy` and `completeness`.
        chamfer_l2: mean of `accuracy2` and `completeness2`.
        accuracy: mean distance from the mesh to the reference. Distances are in units of the
            reference's longest edge.
        completeness: mean distance from the reference to the mesh.
        accuracy2: mean squared distance from the mesh to the reference.
        completeness2: mean squared distance from the reference to the mesh.
        normal_consistency: mean absolute cosine between the normals of nearest points, averaged
            over both directions, as published; blind to meshes that are inside out.
        normal_consistency_signed: the same without the absolute value.
        scale: length of the unit of distance in the coordinates that were given.
        valid: the mesh is watertight and manifold.
        watertight, manifold, oriented, outward: see `onet.geometry.topology.Topology`.
        reference_valid: the reference mesh is watertight and manifold.
    """

    iou: float | None
    chamfer_l1: float | None
    chamfer_l2: float | None
    accuracy: float | None
    completeness: float | None
    accuracy2: float | None
    completeness2: float | None
    normal_consistency: float | None
    normal_consistency_signed: float | None
    scale: float
    valid: bool
    watertight: bool
    manifold: bool
    oriented: bool
    outward: bool
    reference_valid: bool | None

    def as_dict(self) -> dict[str, Any]:
        """All attributes by name."""
        return asdict(self)


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
    -1, IoU 0 (1 where the reference is empty too).

    Args:
        mesh, reference: meshes or mesh files, in the same frame.
        samples: number of points drawn on each mesh's surface, and in the box.
        seed: of these draws; equal arguments give equal scores.

    Raises:
        DataError: a file that cannot be read, NaN vertices, or samples of the wrong shape.
    """
    mesh = mesh if isinstance(mesh, trimesh.Trimesh) else load_mesh(mesh)
    if isinstance(reference, str | os.PathLike):
        reference = load_mesh(reference)
    if samples < 1:
        raise DataError(f"samples: {samples}; give at least 1")
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

    scores: dict[str, float | None] = dict.fromkeys(SURFACE_SCORES)
    if pointcloud is not None:
        target = frame.to_unit(check_points(pointcloud, "pointcloud"))
        if normals is not None and np.shape(normals) != target.shape:
            raise DataError(f"normals: expected shape {target.shape}, found {np.shape(normals)}")
        scores = _compare_surfaces(mesh, target, normals, samples, rng)
    elif reference is not None and reference.area > 0:
        target, target_normals, _ = sample_surface(reference, samples, rng)
        scores = _compare_surfaces(mesh, target, target_normals, samples, rng)
    elif reference is not None:
        scores = dict(PENALTY)

    iou = None
    if points is not None:
        where, truth = frame.to_unit(check_points(points, "points")), np.asarray(occupancies, bool)
        if truth.shape != where.shape[:1]:
            raise DataError(f"occupancies: expected shape ({len(where)},), found {truth.shape}")
        iou = intersection_over_union(_inside(mesh, where), truth)
    elif reference is not None:
        where = _points_around([mesh, reference], samples, rng)
        iou = intersection_over_union(_inside(mesh, where), _inside(reference, where))

    shape = topology(mesh)
    return MeshMetrics(
        iou=iou,
        **scores,
        scale=frame.scale,
        valid=_closed(shape),
        watertight=shape.watertight,
        manifold=shape.manifold,
        oriented=shape.oriented,
        outward=shape.outward,
        reference_valid=None if reference is None else _closed(topology(reference)),
    )


def intersection_over_union(
    first: NDArray[np.bool_],  # (N,)
    second: NDArray[np.bool_],  # (N,)
) -> float:
    """|first and second| / |first or second|; 1 where both are empty: they agree everywhere."""
    union = np.count_nonzero(first | second)
    return float(np.count_nonzero(first & second) / union) if union else 1.0


def _compare_surfaces(
    mesh: trimesh.Trimesh,
    target: NDArray[np.floating],  # (M, 3)
    target_normals: NDArray[np.floating] | None,  # (M, 3)
    samples: int,
    rng: np.random.Generator,
) -> dict[str, float | None]:
    if not mesh.area > 0:
        return dict(PENALTY)
    points, normals, _ = sample_surface(mesh, samples, rng)
    to_target, target_index = _nearest(points, target)
    to_mesh, mesh_index = _nearest(target, points)
    scores = {
        "accuracy": to_target.mean(),
        "completeness": to_mesh.mean(),
        "accuracy2": (to_target**2).mean(),
        "completeness2": (to_mesh**2).mean(),
    }
    scores["chamfer_l1"] = (scores["accuracy"] + scores["completeness"]) / 2
    scores["chamfer_l2"] = (scores["accuracy2"] + scores["completeness2"]) / 2
    result: dict[str, float | None] = {key: float(value) for key, value in scores.items()}
    if target_normals is None:
        return {**dict.fromkeys(SURFACE_SCORES), **result}
    accuracy = np.einsum("ij,ij->i", normals, target_normals[target_index])
    completeness = np.einsum("ij,ij->i", target_normals, normals[mesh_index])
    return {
        **result,
        "normal_consistency": float(abs(accuracy).mean() + abs(completeness).mean()) / 2,
        "normal_consistency_signed": float(accuracy.mean() + completeness.mean()) / 2,
    }


def _nearest(
    queries: NDArray[np.floating],  # (N, 3)
    points: NDArray[np.floating],  # (M, 3)
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distance to and index of the nearest of `points`, in the unit frame, for each query."""
    tree = KDTree(np.ascontiguousarray(points, dtype=np.float32))
    distance, index = tree.query(np.ascontiguousarray(queries, dtype=np.float32), k=1)
    return distance.astype(np.float64), index.astype(np.int64)


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
