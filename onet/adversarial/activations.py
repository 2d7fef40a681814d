"""Pairs of functions (phi1, phi2) that turn a discriminator into a divergence.

The discriminator maximises E_fake[phi1(-D)] + E_real[phi2(D)], the generator minimises it. Adapted
from [M] (1.2), whose D has the opposite sign; the table is [M] 1.1 with four rows corrected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import ConfigError
from onet.registry import nearest


@dataclass(frozen=True)
class Activation:
    """One function with its first two derivatives.

    `value(t, xp)` uses `exp`, `log1p` and `abs` of the module `xp` alone, so that it takes NumPy
    arrays (`numpy`) as well as tensors (`torch`). `slope` and `curvature` take NumPy arrays,
    complex ones too, since Jacobians are taken by complex steps.
    """

    value: Callable[[Any, Any], Any]
    slope: Callable[[Any], Any]
    curvature: Callable[[Any], Any]


@dataclass(frozen=True)
class ActivationPair:
    """Functions applied to -D(fake) and to D(real).

    Raises:
        ConfigError: on `require_valid`, naming the condition that fails.
    """

    name: str
    phi1: Activation  # of -D(fake)
    phi2: Activation  # of D(real)

    @property
    def rho1(self) -> float:
        """Slope at 0 ([M] Lemma 1.12): the speed of rotation around the equilibrium."""
        return float(self.phi1.slope(0.0))

    @property
    def rho2(self) -> float:
        """-phi1''(0) - phi2''(0) ([M] Lemma 1.12): the damping that the loss brings along."""
        return -float(self.phi1.curvature(0.0) + self.phi2.curvature(0.0))

    @property
    def gamma_critical(self) -> float:
        """The zero-centred penalty with which the Dirac-GAN stops rotating ([M] 3.3)."""
        return 2 * abs(self.rho1)

    @property
    def sigma_critical(self) -> float | None:
        """The same for instance noise; None where no noise helps, as the loss has no curvature."""
        return float(np.sqrt(2 * abs(self.rho1) / self.rho2)) if self.rho2 > 0 else None

    def check(self, grid: NDArray[np.floating] | None = None) -> Validity:
        """Test the conditions of a valid pair ([M] Definition 1.9) on `grid`, default [-3, 3]."""
        t = np.linspace(-3, 3, 601) if grid is None else np.asarray(grid, dtype=np.float64)
        total = self.phi1.value(t, np) + self.phi2.value(-t, np)
        zero = np.zeros(1)
        at_zero = float((self.phi1.value(zero, np) + self.phi2.value(zero, np))[0])
        slopes = float(self.phi1.slope(0.0)), float(self.phi2.slope(0.0))
        failed = []
        if (total > TOLERANCE).any():
            worst = t[np.argmax(total)]
            failed.append(f"phi1(t) + phi2(-t) <= 0 (it is {total.max():.3g} at t = {worst:.3g})")
        if abs(at_zero) > TOLERANCE:
            failed.append(f"phi1(0) + phi2(0) = 0 (it is {at_zero:.3g})")
        if min(abs(slope) for slope in slopes) < TOLERANCE:
            failed.append(f"phi1'(0) and phi2'(0) differ from 0 (they are {slopes})")
        elif abs(slopes[0] - slopes[1]) > TOLERANCE:
            failed.append(f"phi1'(0) = phi2'(0) (they are {slopes})")
        for name, phi in (("phi1", self.phi1), ("phi2", self.phi2)):
            step = 1e-4
            ends = phi.value(np.array([-step, 0.0, step]), np)
            slope = (ends[2] - ends[0]) / (2 * step)
            if abs(slope - phi.slope(0.0)) > 1e-5 * max(1, abs(slope)):
                failed.append(f"{name}.slope is the derivative of {name}.value ({slope:.6g} at 0)")
        strict = not failed and bool((total[np.abs(t) > 1e-3] < -1e-9).all())
        return Validity(tuple(failed), strict)

    def require_valid(self) -> ActivationPair:
        """This pair, or a ConfigError that says which condition fails."""
        failed = self.check().failed
        if failed:
            raise ConfigError(
                f"activation pair {self.name!r} is not valid, it fails: {'; '.join(failed)}. Give "
                "concave functions with value 0 and one and the same non-zero slope at 0"
            )
        return self


@dataclass(frozen=True)
class Validity:
    """Which conditions of a valid pair fail; `strict` if both sides are equal at t = 0 alone."""

    failed: tuple[str, ...]
    strict: bool

    @property
    def valid(self) -> bool:
        return not self.failed


TOLERANCE = 1e-9


def _softplus(t: Any, xp: Any) -> Any:
    return xp.log1p(xp.exp(-xp.abs(t))) + (t + xp.abs(t)) / 2


def _relu(t: Any, xp: Any) -> Any:
    return (t + xp.abs(t)) / 2


def _zero(t: Any) -> Any:
    return np.zeros_like(t)


def _one(t: Any) -> Any:
    return np.ones_like(t)


_LINEAR = Activation(lambda t, xp: t, _one, _zero)
_SHIFTED = Activation(lambda t, xp: t + 1, _one, _zero)
_EXPONENTIAL = Activation(lambda t, xp: -xp.exp(-t), lambda t: np.exp(-t), lambda t: -np.exp(-t))
_LOGISTIC = Activation(  # tanh instead of exp: no overflow, and complex arguments
    lambda t, xp: float(np.log(2)) - _softplus(-t, xp),
    lambda t: (1 - np.tanh(t / 2)) / 2,
    lambda t: (np.tanh(t / 2) ** 2 - 1) / 4,
)
_HELLINGER = Activation(
    lambda t, xp: 1 - xp.exp(-t / 2), lambda t: np.exp(-t / 2) / 2, lambda t: -np.exp(-t / 2) / 4
)
_SQUARE = Activation(lambda t, xp: 1 - (1 - t) ** 2, lambda t: 2 * (1 - t), lambda t: -2 * _one(t))
_PEARSON_1 = Activation(
    lambda t, xp: 2 * (xp.exp(t) - 1), lambda t: 2 * np.exp(t), lambda t: 2 * np.exp(t)
)
_PEARSON_2 = Activation(
    lambda t, xp: 1 - xp.exp(-2 * t), lambda t: 2 * np.exp(-2 * t), lambda t: -4 * np.exp(-2 * t)
)
_HINGE = Activation(  # kink at t = 1
    lambda t, xp: 1 - _relu(1 - t, xp), lambda t: np.where(np.real(t) < 1, 1.0, 0.0), _zero
)

JS = ActivationPair("js", _LOGISTIC, _LOGISTIC)
WASSERSTEIN = ActivationPair("wasserstein", _LINEAR, _LINEAR)
PAIRS = {
    pair.name: pair
    for pair in (
        JS,  # the original GAN: log-sigmoid plus log 2
        # 1 - exp(-t/2) / 2 is printed, which is not 0 at 0: f(t) = (sqrt t - 1)^2 gives this one.
        ActivationPair("hellinger", _HELLINGER, _HELLINGER),
        # exp(t) is printed in both rows; f_rev' of KL is -1/t, hence -exp(-t).
        ActivationPair("kl", _SHIFTED, _EXPONENTIAL),
        ActivationPair("reverse_kl", _EXPONENTIAL, _SHIFTED),
        # f_rev' = 1 - 2/t^2 is printed; f_rev = t - 2 + 1/t gives 1 - 1/t^2.
        ActivationPair("pearson", _PEARSON_1, _PEARSON_2),
        # -(1 + t)^2 is printed, which is -1 at 0 and has a negative slope there.
        ActivationPair("least_squares", _SQUARE, _SQUARE),
        WASSERSTEIN,  # without a bound on D: the indicator divergence
        ActivationPair("hinge", _HINGE, _HINGE),  # shifted by 1 to be 0 at 0
    )
}


def find_pair(pair: str | ActivationPair) -> ActivationPair:
    """Return a pair by its name, or a pair of the caller's own after its conditions are checked.

    Raises:
        ConfigError: an unknown name, or a pair that is not valid.
    """
    if isinstance(pair, ActivationPair):
        return pair.require_valid()
    if pair not in PAIRS:
        raise ConfigError(f"unknown activation pair {pair!r}: {nearest(pair, list(PAIRS))}")
    return PAIRS[pair]
