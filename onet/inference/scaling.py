"""Probabilities that come true: the network's logit is scaled and shifted.

The calibrated logit is `logit / T + b` with a temperature T and an offset b, the pair of least
cross-entropy (Platt, Probabilistic outputs for support vector machines, 1999; with b = 0 it is the
temperature of Guo et al., On Calibration of Modern Neural Networks, ICML 2017). An offset is what
a network lacks that was trained on points of which more, or fewer, are inside than of those that it
is asked about: the log odds of all of them are wrong by the same number.

It is a strictly rising function, so it moves no surface: the network's own probability p and the
calibrated one `sigmoid(log(p / (1 - p)) / T + b)` are reached at the same places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

TEMPERATURES = (0.2, 20.0)
OFFSETS = (-5.0, 5.0)
"""Limits of what is fitted: so calibrated probabilities can be told from 0 and 1."""

Logits = TypeVar("Logits", bound=Any)  # an array or tensor


@dataclass(frozen=True)
class Scaling:
    """Callable: logits of a network -> calibrated logits.

    Attributes:
        temperature: T above, more than 0.
        offset: b above.
    """

    temperature: float = 1.0
    offset: float = 0.0

    def __call__(self, logits: Logits) -> Logits:
        scaled: Logits = logits / self.temperature + self.offset
        return scaled

    def calibrated(self, probability: float) -> float:
        """Return the probability that is said where the network's own is `probability`."""
        if self == UNCHANGED:
            return probability  # not rounded
        return float(expit(self(logit(probability))))

    def own(self, probability: float) -> float:
        """Return the network's own probability where `probability` is said."""
        if self == UNCHANGED:
            return probability
        return float(expit((logit(probability) - self.offset) * self.temperature))


UNCHANGED = Scaling()


def fit_scaling(
    logits: ArrayLike,  # (N,)
    occupancies: ArrayLike,  # (N,) bool
) -> Scaling:
    """Return the scaling of least cross-entropy, within `TEMPERATURES` and `OFFSETS`.

    The cross-entropy of these points is never larger than without it.
    """
    from scipy.optimize import minimize

    values, truth = np.asarray(logits, np.float64), np.asarray(occupancies, bool)

    def loss(factors: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Cross-entropy, convex in 1 / T and b, and its gradient."""
        scaled = values * factors[0] + factors[1]
        wrong = expit(scaled) - truth
        return cross_entropy(scaled, truth), np.array([(wrong * values).mean(), wrong.mean()])

    low, high = TEMPERATURES
    found = minimize(
        loss, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=[(1 / high, 1 / low), OFFSETS]
    )
    if found.fun >= cross_entropy(values, truth):
        return UNCHANGED
    return Scaling(1 / float(found.x[0]), float(found.x[1]))


def cross_entropy(logits: NDArray[np.floating], occupancies: NDArray[np.bool_]) -> float:
    """Mean cross-entropy of a point, in nats."""
    return float(np.logaddexp(0, np.where(occupancies, -logits, logits)).mean())
