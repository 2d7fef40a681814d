"""How many different things a generator makes, from how often it repeats itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class BirthdayTest:
    """What repetitions among samples say about the number of things they are drawn from.

    Attributes:
        samples: how many were compared with each other.
        duplicates: pairs of them that are alike.
        support: estimated number of different things, infinite without duplicates. Where some are
            more likely than others it is the effective number, 1 / sum p^2.
        support_low, support_high: 95 % interval, the number of duplicates taken as Poisson.
    """

    samples: int
    duplicates: int
    support: float
    support_low: float
    support_high: float


def birthday_test(
    distances: ArrayLike,  # (N, N) symmetric, between all pairs of samples
    threshold: float,
) -> BirthdayTest:
    """Estimate the support of a distribution from near-duplicates among its samples.

    Two of N samples of a uniform distribution over S things are alike with probability 1 / S, so
    N (N - 1) / 2 pairs have N (N - 1) / (2 S) duplicates in the mean. Arora, Risteski and Zhang
    (ICLR 2018) use the same: a duplicate is as likely as not when N is about the root of S.

    Args:
        distances: the diagonal is not looked at.
        threshold: two samples at most so far apart count as the same thing.

    Raises:
        ValueError: not a square matrix of at least two samples, or a negative threshold.
    """
    from scipy.stats import chi2

    matrix = np.asarray(distances)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise ValueError(f"distances: expected (N, N) with N of at least 2, found {matrix.shape}")
    if not threshold >= 0:
        raise ValueError(f"threshold: {threshold}; give 0 or more")
    count = len(matrix)
    pairs = count * (count - 1) // 2
    found = int((matrix[np.triu_indices(count, 1)] <= threshold).sum())
    low = chi2.ppf(0.025, 2 * found) / 2 if found else 0.0
    high = chi2.ppf(0.975, 2 * found + 2) / 2
    return BirthdayTest(
        count,
        found,
        pairs / found if found else math.inf,
        float(pairs / high),
        float(pairs / low) if found else math.inf,
    )


def duplicate_probability(samples: int, support: int) -> float:
    """Probability that `samples` of `support` equally likely things include two that are equal.

    Raises:
        ValueError: fewer than no samples, or no things.
    """
    if samples < 0 or support < 1:
        raise ValueError(f"samples {samples}, support {support}: give at least 0 and 1")
    if samples > support:
        return 1.0
    return float(-np.expm1(np.log1p(-np.arange(samples) / support).sum()))
