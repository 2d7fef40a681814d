"""Distances between distributions of which samples are given."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import linear_sum_assignment

from onet.errors import MissingDependency
from onet.metrics.distribution_distances import (
    energy_distance,
    frechet_distance,
    gaussian_frechet_distance,
    sinkhorn_distance,
    squared_mmd,
    wasserstein1,
)

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(2, 7)
dimensions = st.integers(1, 4)

SAMPLED = {
    "w1": wasserstein1,
    "sinkhorn": lambda x, y: sinkhorn_distance(x, y, 1.0, debiased=True, tolerance=1e-9),
    "energy": energy_distance,
    "mmd": lambda x, y: squared_mmd(x, y, 0.8),
    "frechet": frechet_distance,
}


def draw(seed: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(rng.normal(size=shape[-1]), 1, shape) for shape in shapes]


@pytest.mark.parametrize("distance", SAMPLED.values(), ids=SAMPLED.keys())
@settings(max_examples=10)
@given(seeds, sizes, dimensions)
def test_zero_for_the_same_sample_symmetric_and_blind_to_order(distance, seed, size, dimension):
    x, y = draw(seed, (size, dimension), (size, dimension))
    shuffle = np.random.default_rng(seed).permutation(size)
    there = distance(x, y)
    assert there > 1e-6
    assert distance(y, x) == pytest.approx(there, rel=1e-5)
    assert distance(x[shuffle], y) == pytest.approx(there, rel=1e-5)
    assert distance(x, x[shuffle]) == pytest.approx(0, abs=1e-7)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(dimension, dimension)))[0]
    assert distance(x @ turn + 3, y @ turn + 3) == pytest.approx(there, rel=1e-5)


@given(seeds, sizes, dimensions)
def test_w1_is_the_best_of_all_assignments_and_a_metric(seed, size, dimension):
    size = min(size, 5)
    x, y, z = draw(seed, *[(size, dimension)] * 3)
    cost = np.linalg.norm(x[:, None] - y, axis=2)
    best = min(
        cost[range(size), order].mean() for order in map(list, itertools.permutations(range(size)))
    )
    assert wasserstein1(x, y) == pytest.approx(best)
    assert wasserstein1(x, y) >= np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)) - 1e-12
    assert wasserstein1(x, z) <= wasserstein1(x, y) + wasserstein1(y, z) + 1e-12


@given(seeds, sizes, sizes, dimensions)
def test_w1_takes_samples_of_any_size(seed, n, m, dimension):
    """Points that are repeated until the samples are equally large are the same distributions."""
    assert wasserstein1([0.0, 1.0], [0.5]) == pytest.approx(0.5)
    x, y = draw(seed, (n, dimension), (m, dimension))
    cost = np.linalg.norm(np.repeat(x, m, axis=0)[:, None] - np.repeat(y, n, axis=0), axis=2)
    expected = cost[linear_sum_assignment(cost)].mean()
    assert wasserstein1(x, y) == pytest.approx(expected, rel=1e-9)


def test_transport_without_its_package(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ot", None)
    assert wasserstein1([0.0, 1.0], [0.5]) == pytest.approx(0.5)  # numbers need none
    with pytest.raises(MissingDependency, match=r"pip install 'onet\[transport\]'"):
        wasserstein1(np.zeros((3, 2)), np.zeros((4, 2)))


@settings(max_examples=10)
@given(seeds, sizes, sizes, dimensions)
def test_sinkhorn_falls_to_w1_and_its_loss_rises_to_the_energy_distance(seed, n, m, dimension):
    x, y = draw(seed, (n, dimension), (n, dimension))
    exact = wasserstein1(x, y)
    costs = [sinkhorn_distance(x, y, epsilon, tolerance=1e-4) for epsilon in (1.0, 0.2, 0.04)]
    assert np.all(np.diff(costs) <= 1e-3) and costs[-1] >= exact - 1e-3
    assert costs[-1] == pytest.approx(exact, abs=0.04 * np.log(n) + 1e-3)  # the entropy's price
    y = draw(seed + 1, (m, dimension))[0]
    loss = sinkhorn_distance(x, y, 1e7, debiased=True)
    assert 2 * loss == pytest.approx(energy_distance(x, y), rel=1e-3, abs=1e-5)


def test_sinkhorn_survives_a_tiny_epsilon_and_says_when_it_does_not_converge():
    """Plain scaling would divide zero by zero: exp(-100 / 0.01) has no double."""
    x, y = np.array([[0.0], [1.0]]), np.array([[100.0], [103.0]])
    assert sinkhorn_distance(x, y, 0.01) == pytest.approx(101)
    with pytest.raises(RuntimeError, match="wrong place after 1 iterations"):
        sinkhorn_distance(*draw(0, (9, 2), (9, 2)), 0.01, iterations=1, tolerance=1e-9)


@given(seeds, sizes, sizes)
def test_energy_distance_of_numbers_is_that_of_scipy_squared(seed, n, m):
    x, y = (sample[:, 0] for sample in draw(seed, (n, 1), (m, 1)))
    assert energy_distance(x, y) == pytest.approx(stats.energy_distance(x, y) ** 2)


@pytest.mark.parametrize("distance", [energy_distance, lambda *a, **k: squared_mmd(*a, 1.0, **k)])
def test_unbiased_estimates_have_mean_zero_for_one_distribution(distance):
    rng = np.random.default_rng(0)
    pairs = [rng.normal(size=(2, 6, 2)) for _ in range(400)]
    unbiased = np.array([distance(x, y, unbiased=True) for x, y in pairs])
    biased = np.array([distance(x, y) for x, y in pairs])
    error = unbiased.std() / np.sqrt(len(pairs))
    assert abs(unbiased.mean()) < 4 * error < biased.mean()
    assert biased.min() > 0
    with pytest.raises(ValueError, match="at least two"):
        distance(np.zeros((1, 2)), np.zeros((3, 2)), unbiased=True)


@given(seeds, sizes, sizes, dimensions)
def test_mmd_by_the_sum_over_pairs(seed, n, m, dimension):
    x, y = draw(seed, (n, dimension), (m, dimension))
    sign = np.concatenate([np.full(n, 1 / n), np.full(m, -1 / m)])
    both = np.concatenate([x, y])
    square = ((both[:, None] - both) ** 2).sum(axis=2)
    expected = sign @ np.exp(-square / (2 * 0.7**2)) @ sign
    assert squared_mmd(x, y, 0.7) == pytest.approx(expected, abs=1e-12)
    middle = np.median(np.sqrt(square[np.triu_indices(n + m, 1)]))
    assert squared_mmd(x, y) == pytest.approx(squared_mmd(x, y, middle), abs=1e-12)


def test_frechet_distance_in_closed_form():
    first, second = np.diag([1.0, 4.0]), np.diag([4.0, 1.0])
    assert gaussian_frechet_distance([0, 0], first, [1, 0], second) == pytest.approx(3.0)
    assert gaussian_frechet_distance([0], [[0.0]], [2], [[9.0]]) == pytest.approx(4 + 9)


@given(seeds, dimensions)
def test_frechet_distance_of_an_affine_map_of_the_covariance(seed, dimension):
    """For T = A S A with A symmetric positive, the best map is A: |m - n|^2 + tr((A - 1)^2 S)."""
    rng = np.random.default_rng(seed)
    factor, shift = rng.normal(size=(2, dimension, dimension))
    covariance, a = factor @ factor.T, shift @ shift.T + 0.1 * np.eye(dimension)
    change = a - np.eye(dimension)
    expected = 0.25 * dimension + np.trace(change @ change @ covariance)
    zero = np.zeros(dimension)
    result = gaussian_frechet_distance(zero, covariance, zero + 0.5, a @ covariance @ a)
    assert result == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_frechet_distance_of_fewer_points_than_features():
    x, y = draw(0, (4, 30), (5, 30))
    assert np.isfinite(frechet_distance(x, y)) and frechet_distance(x, y) > 0
    assert frechet_distance(x, x + 0.5) == pytest.approx(30 * 0.25)
    with pytest.raises(ValueError, match="at least two"):
        frechet_distance(x[:1], y)


@pytest.mark.parametrize("distance", SAMPLED.values(), ids=SAMPLED.keys())
def test_bad_samples_are_refused(distance):
    good = np.zeros((3, 2))
    for bad, words in [
        (np.full((3, 2), np.nan), "NaN"),
        (np.zeros((0, 2)), "expected shape"),
        (np.zeros((3, 3)), "dimensions"),
        (np.zeros((1, 3, 2)), "expected shape"),
    ]:
        with pytest.raises(ValueError, match=words):
            distance(good, bad)
    for epsilon in (0, -1, np.nan):
        with pytest.raises(ValueError, match="epsilon"):
            sinkhorn_distance(good, good, epsilon)
    with pytest.raises(ValueError, match="bandwidth"):
        squared_mmd(good, good)
