"""The birthday test."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onet.metrics.birthday import birthday_test, duplicate_probability


def repeats(numbers: np.ndarray) -> np.ndarray:
    return np.abs(numbers[:, None] - numbers).astype(float)


def test_duplicates_tell_the_number_of_different_things():
    rng = np.random.default_rng(0)
    tests = [birthday_test(repeats(rng.integers(300, size=100)), 0.5) for _ in range(200)]
    duplicates = np.mean([test.duplicates for test in tests])
    assert 100 * 99 / 2 / duplicates == pytest.approx(300, rel=0.05)
    inside = np.mean([test.support_low <= 300 <= test.support_high for test in tests])
    assert inside > 0.93
    assert all(test.support_low <= test.support <= test.support_high for test in tests)


def test_without_duplicates_there_is_a_lower_bound_only():
    test = birthday_test(repeats(np.arange(100)), 0.5)
    assert test.duplicates == 0 and math.isinf(test.support) and math.isinf(test.support_high)
    assert test.support_low == pytest.approx(4950 / 3.689, rel=1e-3)  # -log 0.025


def test_pairs_count_once_and_the_diagonal_not():
    test = birthday_test(repeats(np.array([1, 1, 1, 5])), 0)
    assert (test.samples, test.duplicates, test.support) == (4, 3, 2.0)
    assert birthday_test(repeats(np.array([1, 1, 1, 5])), 4).duplicates == 6


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"\(N, N\)"):
        birthday_test(np.zeros((3, 2)), 1)
    with pytest.raises(ValueError, match="threshold"):
        birthday_test(np.zeros((3, 3)), -1)
    with pytest.raises(ValueError, match="support 0"):
        duplicate_probability(3, 0)


def test_probability_of_a_duplicate():
    assert duplicate_probability(23, 365) == pytest.approx(0.5073, abs=1e-4)
    root = (2 * math.log(2)) ** 0.5  # 1.1774: as likely as not among so many times the root
    for support in (10_000, 1_000_000):
        samples = round(root * support**0.5)
        assert duplicate_probability(samples, support) == pytest.approx(0.5, abs=4e-3)
    assert duplicate_probability(1, 5) == 0 and duplicate_probability(6, 5) == 1
    assert duplicate_probability(5, 5) == pytest.approx(1 - 120 / 5**5)
