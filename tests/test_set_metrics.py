"""Scores of sets of shapes against sets of shapes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onet.metrics.set_metrics import (
    compare_sets,
    coverage,
    minimum_matching_distance,
    nearest_neighbor_accuracy,
    pairwise_distances,
)

seeds = st.integers(0, 2**32 - 1)
DISTANCES = ("chamfer", "emd")


def shapes(seed: int, count: int, points: int = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 1, 3)) + 0.3 * rng.normal(size=(count, points, 3))


@given(seeds, st.integers(1, 5), st.integers(1, 5))
def test_distances_by_their_definitions(seed, a, b):
    left, right = shapes(seed, a, 4), shapes(seed + 1, b, 4)
    chamfer, emd = (pairwise_distances(left, right, distance) for distance in DISTANCES)
    for i, j in itertools.product(range(a), range(b)):
        cost = np.linalg.norm(left[i][:, None] - right[j], axis=2)
        square = cost**2
        expected = square.min(axis=0).mean() + square.min(axis=1).mean()
        assert chamfer[i, j] == pytest.approx(expected)
        ways = map(list, itertools.permutations(range(4)))
        assert emd[i, j] == pytest.approx(min(cost[range(4), way].mean() for way in ways))


def test_chamfer_takes_clouds_of_different_sizes():
    assert pairwise_distances(np.zeros((1, 2, 3)), np.ones((1, 5, 3))).item() == pytest.approx(6)


@pytest.mark.parametrize("distance", DISTANCES)
@given(seed=seeds)
def test_halves_of_a_symmetric_matrix_are_all_of_it(distance, seed):
    clouds = shapes(seed, 4)
    half = pairwise_distances(clouds, clouds, distance)
    np.testing.assert_allclose(half, pairwise_distances(clouds, clouds.copy(), distance))
    assert (half.diagonal() == 0).all()


@given(seed=seeds)
def test_emd_is_a_metric_with_its_lower_bounds(seed):
    clouds = shapes(seed, 4)
    emd = pairwise_distances(clouds, clouds, "emd")
    assert (emd[:, :, None] + emd[None] >= emd[:, None] - 1e-12).all()
    centres = clouds.mean(axis=1)
    assert (emd >= np.linalg.norm(centres[:, None] - centres, axis=2) - 1e-12).all()
    # No assignment is better than the nearest neighbours, in either direction.
    nearest = np.linalg.norm(clouds[:, None, :, None] - clouds[None, :, None], axis=4).min(axis=3)
    assert (emd >= nearest.mean(axis=2) - 1e-12).all()


@pytest.mark.slow
def test_processes_change_nothing():
    left, right = shapes(0, 3), shapes(1, 4)
    np.testing.assert_array_equal(
        pairwise_distances(left, right, "emd", workers=2), pairwise_distances(left, right, "emd")
    )


@pytest.mark.parametrize("distance", DISTANCES)
@given(seed=seeds, count=st.integers(2, 6))
def test_a_set_against_its_copy(distance, seed, count):
    clouds = shapes(seed, count)
    scores = compare_sets(clouds[::-1], clouds, distance)
    assert scores.coverage == 1
    assert scores.minimum_matching_distance == 0
    assert scores.nearest_neighbor_accuracy == 0  # the nearest of each is its copy


@pytest.mark.parametrize("distance", DISTANCES)
@given(seed=seeds)
def test_order_of_shapes_and_points_does_not_matter(distance, seed):
    generated, reference = shapes(seed, 5), shapes(seed + 1, 4)
    rng = np.random.default_rng(seed)
    scores = compare_sets(generated, reference, distance)
    mixed = compare_sets(
        rng.permutation(rng.permutation(generated), axis=1), rng.permutation(reference), distance
    )
    for key, value in vars(scores).items():
        assert getattr(mixed, key) == pytest.approx(value), key


def test_a_collapsed_set_covers_one_shape_and_can_be_told_apart():
    reference = np.arange(4.0)[:, None, None] * 10 + np.zeros((4, 2, 3))
    collapsed = reference[:1] + np.array([0.1, 0.15, 0.2, 0.3])[:, None, None]
    scores = compare_sets(collapsed, reference, "emd")
    assert scores.coverage == 0.25
    expected = (0.1 + 9.7 + 19.7 + 29.7) / 4 * 3**0.5
    assert scores.minimum_matching_distance == pytest.approx(expected)
    # The reference shapes at 0 and at 10 are nearest to collapsed ones; 20 and 30 to others.
    assert scores.nearest_neighbor_accuracy == (4 + 2) / 8


def test_far_sets_are_told_apart_and_mixed_ones_are_not():
    rng = np.random.default_rng(0)
    pairs = [rng.normal(size=(2, 40, 1, 3)) for _ in range(8)]
    assert compare_sets(pairs[0][0], pairs[0][1] + 100).nearest_neighbor_accuracy == 1
    mixed = [compare_sets(one, other).nearest_neighbor_accuracy for one, other in pairs]
    assert np.mean(mixed) == pytest.approx(0.5, abs=0.06)


def test_ties_are_shared():
    """Everything equally far: each of 2 + 2 shapes has one of three nearest in its own set."""
    equal = np.ones((2, 2))
    assert nearest_neighbor_accuracy(equal, equal, equal) == pytest.approx(1 / 3)
    assert coverage(equal) == 1 and minimum_matching_distance(equal) == 1
    assert coverage([[0, 1, 1], [0, 1, 1]]) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("left", "right", "distance", "words"),
    [
        (np.zeros((2, 3)), np.zeros((2, 3)), "chamfer", "left"),
        (np.zeros((2, 3, 3)), np.zeros((2, 0, 3)), "chamfer", "right"),
        (np.zeros((2, 3, 3)), np.full((2, 3, 3), np.nan), "emd", "NaN"),
        (np.zeros((2, 3, 3)), np.zeros((2, 4, 3)), "emd", "equally many"),
        (np.zeros((2, 3, 3)), np.zeros((2, 3, 3)), "hausdorff", "choose"),
    ],
)
def test_bad_clouds_are_refused(left, right, distance, words):
    with pytest.raises(ValueError, match=words):
        pairwise_distances(left, right, distance)
