"""How well a set of generated shapes matches a set of reference shapes, both as point clouds.

Coverage and minimum matching distance are those of Achlioptas et al., Learning Representations and
Generative Models for 3D Point Clouds, ICML 2018; the accuracy of the nearest neighbour is that of
Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests, ICLR 2017, used for shapes by Yang et
al., PointFlow, ICCV 2019 (section 5.1), who show that the first two can be good for bad sets.

Every metric needs distances between all pairs of shapes, by one of two:

- `chamfer`: the mean squared distance from the points of one cloud to the nearest of the other,
  plus the same the other way round. In units squared (as PointFlow's code; the papers write sums).
- `emd`, the earth mover's distance: the mean distance between points under the best one-to-one
  assignment of the two clouds, exact. In units (the papers write sums over points). It obeys the
  triangle inequality.

All three depend on the sizes of the sets: compare numbers of equally large ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.geometry.nearest import NearestNeighbors
from onet.parallel import run_tasks

Matrix = NDArray[np.float64]
Distance = Literal["chamfer", "emd"]


@dataclass(frozen=True)
class SetMetrics:
    """Scores of a generated set.

    Attributes:
        coverage: share of the reference shapes that are the nearest one of some generated shape.
            Higher is better; it sees missing modes, not bad shapes.
        minimum_matching_distance: mean distance from a reference shape to the nearest generated
            one. Lower is better; it sees missing shapes, hardly ever bad ones.
        nearest_neighbor_accuracy: share of the shapes of both sets whose nearest other shape is of
            the same set. 0.5 is best: the sets are mixed. Near 1 they can be told apart; below 0.5
            the generated shapes are closer to the reference than its own are: copies.
    """

    coverage: float
    minimum_matching_distance: float
    nearest_neighbor_accuracy: float


def compare_sets(
    generated: ArrayLike,  # (G, P, 3)
    reference: ArrayLike,  # (R, P, 3)
    distance: Distance = "chamfer",
    workers: int | None = 1,
) -> SetMetrics:
    """Score a generated set against a reference set; clouds in one frame.

    Raises:
        ValueError: see `pairwise_distances`; or a set with no shape.
    """
    return set_metrics(
        pairwise_distances(generated, generated, distance, workers),
        pairwise_distances(generated, reference, distance, workers),
        pairwise_distances(reference, reference, distance, workers),
    )


def set_metrics(
    within_generated: ArrayLike,  # (G, G)
    across: ArrayLike,  # (G, R)
    within_reference: ArrayLike,  # (R, R)
) -> SetMetrics:
    """Return the scores, from the distances within and between the sets."""
    return SetMetrics(
        coverage(across),
        minimum_matching_distance(across),
        nearest_neighbor_accuracy(within_generated, across, within_reference),
    )


def coverage(
    across: ArrayLike,  # (G, R)
) -> float:
    """Share of reference shapes that are the nearest of some generated shape; see `SetMetrics`.

    Of several nearest ones all are covered.
    """
    distances = _matrix(across)
    return float((distances == distances.min(axis=1, keepdims=True)).any(axis=0).mean())


def minimum_matching_distance(
    across: ArrayLike,  # (G, R)
) -> float:
    """Mean distance from the reference shapes to the nearest generated ones; see `SetMetrics`."""
    return float(_matrix(across).min(axis=0).mean())


def nearest_neighbor_accuracy(
    within_generated: ArrayLike,  # (G, G)
    across: ArrayLike,  # (G, R)
    within_reference: ArrayLike,  # (R, R)
) -> float:
    """Leave-one-out accuracy of telling the sets apart by the nearest neighbour; see `SetMetrics`.

    A shape with several nearest ones counts by the share of them in its own set. Two copies of one
    set have an accuracy of 0: the nearest of every shape is its copy. The 0.5 of two samples of one
    distribution needs sets of equal size.
    """
    first, cross, second = (_matrix(m) for m in (within_generated, across, within_reference))
    distances = np.block([[first, cross], [cross.T, second]])
    np.fill_diagonal(distances, np.inf)
    nearest = distances == distances.min(axis=1, keepdims=True)
    own = np.arange(len(distances)) < len(first)
    same = nearest & (own[:, None] == own)
    return float((same.sum(axis=1) / nearest.sum(axis=1)).mean())


def pairwise_distances(
    left: ArrayLike,  # (A, P, 3)
    right: ArrayLike,  # (B, P, 3)
    distance: Distance = "chamfer",
    workers: int | None = 1,
) -> Matrix:  # (A, B)
    """Distances between all clouds of two sets, see the module; clouds in one frame.

    The very same object on both sides is computed by halves. Progress is shown. For the earth
    mover's distance time is cubic in the points: about 25 ms a pair for 512.

    Args:
        workers: processes; None for one a core, 1 works in this process.

    Raises:
        ValueError: another shape, an unknown distance, NaN, or for `emd` clouds of unequal size.
    """
    if distance not in ("chamfer", "emd"):
        raise ValueError(f"distance: {distance!r}; choose chamfer or emd")
    one, other = _clouds(left, "left"), _clouds(right, "right")
    if distance == "chamfer":
        to_other = _directed(one, other, workers)
        return to_other + (to_other if left is right else _directed(other, one, workers)).T
    if one.shape[1] != other.shape[1]:
        raise ValueError(
            "the earth mover's distance needs clouds of equally many points, found "
            f"{one.shape[1]} and {other.shape[1]}"
        )
    if left is not right:
        return _rows(partial(_emd_row, one, other, False), len(one), workers, "moving earth")
    upper = _rows(partial(_emd_row, one, one, True), len(one), workers, "moving earth")
    return upper + upper.T


def _directed(queries: Matrix, clouds: Matrix, workers: int | None) -> Matrix:
    """Mean squared distances (A, B) from the points of A clouds to the nearest of B clouds."""
    return _rows(partial(_chamfer_row, queries, clouds), len(clouds), workers, "comparing clouds").T


def _chamfer_row(queries: Matrix, clouds: Matrix, number: int) -> Matrix:
    distances, _ = NearestNeighbors(clouds[number], threads=1).query(
        queries.reshape(-1, 3), threads=1
    )
    return (distances**2).reshape(queries.shape[:2]).mean(axis=1)


def _emd_row(left: Matrix, right: Matrix, later_only: bool, number: int) -> Matrix:
    """Distances of one cloud to all others; with `later_only` 0 for it and those before it."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    row = np.zeros(len(right))
    for column in range(number + 1 if later_only else 0, len(right)):
        cost = cdist(left[number], right[column])
        row[column] = cost[linear_sum_assignment(cost)].mean()
    return row


def _rows(function: Callable[[int], Matrix], count: int, workers: int | None, title: str) -> Matrix:
    """Return a matrix of which `function` makes one row.

    Rows are made in their order, as the first ones may take longest.
    """
    rows: dict[int, Matrix] = {}
    for number, outcome in run_tasks(function, range(count), workers, title=title):
        if isinstance(outcome, Exception):
            raise outcome
        rows[number] = outcome
    return np.stack([rows[number] for number in range(count)])


def _clouds(clouds: ArrayLike, name: str) -> Matrix:
    array = np.ascontiguousarray(clouds, dtype=np.float64)
    if array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ValueError(f"{name}: expected clouds of shape (S, P, 3), found {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: holds NaN or infinite coordinates")
    return array


def _matrix(distances: ArrayLike) -> Matrix:
    array = np.asarray(distances, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"expected a matrix of distances between shapes, found {array.shape}")
    return array
