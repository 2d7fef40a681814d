"""Means of scores with 95 % intervals, and differences of two methods on the same items.

The intervals are Student's: what the mean would be over other items of the same kind, where these
are a random choice of them. They say nothing of the noise of samples, see the noise floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95

Bounds = tuple[float, float]
ANYWHERE: Bounds = (-np.inf, np.inf)


@dataclass(frozen=True)
class Mean:
    """A mean over items.

    Attributes:
        value: of the items that have the score; None if none has.
        low, high: its interval, cut off where a mean cannot be; None where there are fewer than two
            items (of any category, for a mean over categories).
        items: that have the score.
    """

    value: float | None
    low: float | None
    high: float | None
    items: int


@dataclass(frozen=True)
class Difference:
    """How two methods differ on the items that both have a score of.

    Attributes:
        mean: of the differences, first minus second, with its interval.
        higher, lower, equal: items in which the first has the higher score, the lower, the same.
    """

    mean: Mean
    higher: int
    lower: int
    equal: int

    @property
    def decided(self) -> bool:
        """Whether the interval leaves zero out."""
        low, high = self.mean.low, self.mean.high
        return low is not None and high is not None and not low <= 0 <= high


def mean_of(values: Sequence[float | None], bounds: Bounds = ANYWHERE) -> Mean:
    """Return the mean of the values that are there, with its interval inside the bounds."""
    found = np.array([value for value in values if value is not None], dtype=np.float64)
    if not len(found):
        return Mean(None, None, None, 0)
    if len(found) == 1:
        return Mean(float(found[0]), None, None, 1)
    error = found.std(ddof=1) / np.sqrt(len(found))
    return _with_interval(float(found.mean()), float(error), len(found) - 1, len(found), bounds)


def mean_over_groups(groups: Sequence[Sequence[float | None]], bounds: Bounds = ANYWHERE) -> Mean:
    """Return the unweighted mean of the means of groups, with its interval inside the bounds.

    Groups are taken as they are, their items as a random choice. The degrees of freedom are those
    of Welch and Satterthwaite.
    """
    arrays = [
        np.array([value for value in group if value is not None], dtype=np.float64)
        for group in groups
    ]
    arrays = [array for array in arrays if len(array)]
    if not arrays:
        return Mean(None, None, None, 0)
    items = sum(map(len, arrays))
    value = float(np.mean([array.mean() for array in arrays]))
    if min(map(len, arrays)) < 2:
        return Mean(value, None, None, items)
    variances = np.array([array.var(ddof=1) / len(array) for array in arrays])
    error = float(np.sqrt(variances.sum())) / len(arrays)
    spread = (variances**2 / np.array([len(array) - 1 for array in arrays])).sum()
    freedom = float(variances.sum() ** 2 / spread) if spread > 0 else items - len(arrays)
    return _with_interval(value, error, freedom, items, bounds)


def difference_of(first: Sequence[float | None], second: Sequence[float | None]) -> Difference:
    """Return how two methods differ on the same items; those that one has no score of are left out.

    Args:
        first, second: scores of the same items, in one order.
    """
    both = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    differences = [a - b for a, b in both]
    return Difference(
        mean_of(differences),
        sum(a > b for a, b in both),
        sum(a < b for a, b in both),
        sum(a == b for a, b in both),
    )


def _with_interval(value: float, error: float, freedom: float, items: int, bounds: Bounds) -> Mean:
    from scipy.stats import t

    half = error * float(t.ppf((1 + CONFIDENCE) / 2, freedom)) if error > 0 else 0.0
    return Mean(value, max(bounds[0], value - half), min(bounds[1], value + half), items)
