"""Distances and normals between two sampled surfaces, and between samples and a surface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onet.geometry.distance import closest_point
from onet.geometry.nearest import NearestNeighbors
from onet.geometry.sampling import sample_surface
from onet.metrics.penalties import f_score_key

if TYPE_CHECKING:
    import trimesh

Scores = dict[str, float | None]


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


def hausdorff95(
    to_reference: NDArray[np.floating],  # (N,) distances from the mesh
    to_mesh: NDArray[np.floating],  # (M,) distances from the reference
) -> float:
    """The larger of the two distances within which 95 % of the points of either side are."""
    return float(max(np.quantile(to_reference, 0.95), np.quantile(to_mesh, 0.95)))


@dataclass(frozen=True, eq=False)
class SurfaceSamples:
    """Points of a surface, with the normals there if they are known."""

    points: NDArray[np.float64]  # (N, 3)
    normals: NDArray[np.float64] | None  # (N, 3) unit

    @classmethod
    def of(cls, mesh: trimesh.Trimesh, count: int, rng: np.random.Generator) -> SurfaceSamples:
        """Draw `count` points of a mesh with area."""
        points, normals, _ = sample_surface(mesh, count, rng)
        return cls(points, normals)


def sampled_scores(
    source: SurfaceSamples, target: SurfaceSamples, thresholds: Sequence[float]
) -> Scores:
    """Return the sampled scores of `MeshMetrics`; of normals None where one side has none.

    Args:
        source: of the mesh.
        target: of the reference, in the same frame.
        thresholds: of the F-scores.
    """
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
        "hausdorff95": hausdorff95(to_target, to_source),
        "normal_consistency": consistency,
        "normal_consistency_signed": signed,
        **{f_score_key(t): f_score(to_target, to_source, t) for t in thresholds},
    }


def exact_scores(
    mesh: trimesh.Trimesh,
    points: NDArray[np.float64],  # (N, 3) on the mesh
    reference: trimesh.Trimesh,
    target: NDArray[np.float64],  # (M, 3) on the reference
) -> Scores:
    """Return the `surface_` scores of `MeshMetrics`; all in one frame."""
    to_reference = closest_point(reference, points)[1]
    to_mesh = closest_point(mesh, target)[1]
    accuracy, completeness = float(to_reference.mean()), float(to_mesh.mean())
    return {
        "surface_accuracy": accuracy,
        "surface_completeness": completeness,
        "surface_chamfer_l1": (accuracy + completeness) / 2,
        "surface_chamfer_l2": float((to_reference**2).mean() + (to_mesh**2).mean()) / 2,
        "surface_hausdorff": float(max(to_reference.max(), to_mesh.max())),
        "surface_hausdorff95": hausdorff95(to_reference, to_mesh),
    }
