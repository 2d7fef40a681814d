from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twins.nearest import nearest as twin_nearest

from onet.geometry.nearest import NearestNeighbors

seeds = st.integers(0, 2**32 - 1)


def sphere(rng, count):
    points = rng.normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def clusters(rng, count):
    centres = rng.choice([1.0, 1e6], size=(7, 1)) * rng.normal(size=(7, 3))
    return centres[rng.integers(0, 7, count)] + 1e-6 * rng.normal(size=(count, 3))


CLOUDS = {
    "volume": lambda rng, count: rng.random((count, 3)),
    "sphere": sphere,
    "clusters": clusters,
    "clusters in clusters": lambda rng, count: (
        np.sign(rng.normal(size=(count, 3))) * 10.0 ** rng.integers(-50, 50, (count, 1))
    ),
    "one place": lambda rng, count: np.full((count, 3), rng.normal()),
    "few places": lambda rng, count: rng.integers(0, 2, (count, 3)).astype(float),
    "lattice": lambda rng, count: rng.integers(0, 6, (count, 3)).astype(float),
    "line": lambda rng, count: rng.random((count, 1)) * [1.0, -2.0, 0.3],
    "axis": lambda rng, count: rng.random((count, 1)) * [0.0, 0.0, 1.0],
    "outlier": lambda rng, count: np.concatenate([rng.random((count - 1, 3)), [[1e6, 0, -1e6]]]),
    "far from 0": lambda rng, count: 1e8 + rng.random((count, 3)),
}


def check(points, queries):
    distance, index = NearestNeighbors(points).query(queries)
    expected, expected_index = twin_nearest(points, queries)
    np.testing.assert_array_equal(distance, expected)
    np.testing.assert_array_equal(index, expected_index)
    assert distance.dtype == np.float64 and index.dtype == np.int64


@pytest.mark.parametrize("kind", CLOUDS)
@pytest.mark.parametrize("other", ["same kind", "volume", "far"])
def test_equals_the_exhaustive_search(kind, other):
    """To the last bit, and the smallest index among equals; more queries than a group, and less."""
    for seed, (count, asked) in enumerate([(1, 5), (2, 3), (8, 40), (9, 100), (700, 500)]):
        rng = np.random.default_rng(seed)
        points = CLOUDS[kind](rng, count)
        if other == "same kind":
            queries = np.concatenate([points[: asked // 2], CLOUDS[kind](rng, asked)])
        else:
            queries = rng.random((asked, 3)) * (1e5 if other == "far" else 1)
        check(points, queries)


@given(seeds, st.integers(1, 300), st.integers(1, 100), st.integers(1, 5))
def test_equals_the_exhaustive_search_where_coordinates_coincide(seed, count, asked, side):
    rng = np.random.default_rng(seed)
    check(
        rng.integers(0, side, (count, 3)).astype(float),
        rng.integers(-1, side + 1, (asked, 3)) + rng.choice([0.0, 0.5]),
    )


def test_threads_and_batches_change_nothing():
    rng = np.random.default_rng(0)
    points, queries = rng.integers(0, 30, (2, 9000, 3)).astype(float)
    tree = NearestNeighbors(points, threads=3)
    distance, index = tree.query(queries, threads=1)
    again = NearestNeighbors(points, threads=1).query(queries, threads=3)
    np.testing.assert_array_equal(again, (distance, index))
    order = rng.permutation(len(queries))[:1000]
    np.testing.assert_array_equal(tree.query(queries[order])[1], index[order])


@pytest.mark.slow
@pytest.mark.parametrize("kind", [k for k in CLOUDS if k != "sphere"])
def test_no_input_is_slow(kind):
    """The exhaustive search would take minutes for 60,000 points."""
    rng = np.random.default_rng(0)
    points = CLOUDS[kind](rng, 60_000)
    start = time.thread_time()
    tree = NearestNeighbors(points, threads=1)
    tree.query(points[::-1].copy(), threads=1)
    tree.query(CLOUDS[kind](rng, 60_000), threads=1)
    tree.query(rng.random((60_000, 3)), threads=1)
    assert time.thread_time() - start < 10


def test_accepts_lists_and_single_precision():
    assert NearestNeighbors([[0, 0, 0], [3, 4, 0]]).query([[3, 4, 1]]) == (1.0, 1)
    points = np.random.default_rng(0).random((50, 3)).astype(np.float32)
    distance, index = NearestNeighbors(points[::2]).query(points[::2])
    assert (distance == 0).all() and (index == np.arange(25)).all()
    assert NearestNeighbors(points).query(np.empty((0, 3)))[0].shape == (0,)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200])
def test_what_is_no_number_is_named(value):
    good, bad = np.zeros((4, 3)), np.zeros((4, 3))
    bad[2, 1] = value
    with pytest.raises(ValueError, match="points: 1 of 4"):
        NearestNeighbors(bad)
    with pytest.raises(ValueError, match="queries: 1 of 4"):
        NearestNeighbors(good).query(bad)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"points.*\(4, 2\)"):
        NearestNeighbors(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="queries"):
        NearestNeighbors(np.zeros((4, 3))).query(np.zeros(3))
    with pytest.raises(ValueError, match="points: there are none"):
        NearestNeighbors(np.zeros((0, 3)))
