"""Means with intervals, and differences of two methods."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from onet.evaluation.intervals import difference_of, mean_of, mean_over_groups

NUMBERS = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20)


@given(NUMBERS)
def test_the_interval_is_that_of_scipy(values: list[float]) -> None:
    found = mean_of(values)
    if np.std(values) < 1e-9:
        return
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == (
        pytest.approx(low, rel=1e-6, abs=1e-9),
        pytest.approx(high, rel=1e-6, abs=1e-9),
    )


@given(NUMBERS)
def test_bounds_cut_off_and_nothing_else(values: list[float]) -> None:
    inside = [abs(value) for value in values]
    free, cut = mean_of(inside), mean_of(inside, (0.0, np.inf))
    assert cut.value == free.value and cut.high == free.high
    assert cut.low == max(0.0, free.low if free.low is not None else 0.0)


def test_what_is_not_there_is_left_out() -> None:
    assert mean_of([None, 2.0, None, 4.0]).items == 2
    assert mean_of([None]).value is None and mean_of([1.0]).low is None


def test_the_mean_over_groups_has_the_right_coverage() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        groups = [rng.normal(centre, 1 + centre, size=6) for centre in (0.0, 1.0, 3.0)]
        found = mean_over_groups(groups)
        assert found.low is not None and found.high is not None
        hits += found.low <= 4 / 3 <= found.high
    assert 0.92 <= hits / 400 <= 0.98


@given(NUMBERS)
def test_a_method_differs_from_itself_by_nothing(values: list[float]) -> None:
    found = difference_of(values, values)
    assert found.mean.value == 0 and found.equal == len(values) and not found.decided


def test_differences_are_of_the_same_items() -> None:
    found = difference_of([1.0, None, 3.0, 5.0], [0.5, 9.0, None, 4.0])
    assert found.mean.items == 2 and found.mean.value == 0.75 and found.higher == 2
