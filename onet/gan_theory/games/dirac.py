"""The Dirac-GAN in any dimension: one real point x0, one fake point theta, D(x) = psi . x.

The smallest game on which unregularised training fails ([M] chapters 3 and 4). Real and fake never
overlap unless they are equal, as in every space of many dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onet.adversarial.activations import ActivationPair, find_pair
from onet.adversarial.factors import require_non_negative
from onet.errors import ConfigError
from onet.gan_theory.games.game import GameBase, Matrix, Vector, complex_step, damped_pair
from onet.registry import nearest

_JUMP = "the field of a one-centred penalty jumps at psi = 0: there is no Jacobian"
NODES = 60  # of the Gauss-Hermite quadrature over instance noise

Penalty = Callable[["DiracGan", Vector, Vector], Vector]


def zero_centred(game: DiracGan, theta: Vector, psi: Vector) -> Vector:
    """Gradient by psi of gamma/2 |grad D|^2 ([M] (3.61)): R1, R2 and all measures agree here."""
    return game.gamma * psi


def one_centred(game: DiracGan, theta: Vector, psi: Vector) -> Vector:
    """Of gamma/2 (|grad D| - 1)^2, WGAN-GP and DRAGAN ([M] (3.46)-(3.48)); jumps at psi = 0."""
    norm = _norm(psi)
    return game.gamma * (norm - 1) * psi / norm if norm != 0 else 0 * psi


def one_sided(game: DiracGan, theta: Vector, psi: Vector) -> Vector:
    """Of gamma/2 max(0, |grad D| - 1)^2, WGAN-LP: no force at all near the equilibrium."""
    return one_centred(game, theta, psi) if np.real(_norm(psi)) > 1 else 0 * psi


@dataclass(frozen=True)
class Weight:
    """A function of the logit and its derivative, also of complex numbers."""

    value: Callable[[Any], Any]
    slope: Callable[[Any], Any]


@dataclass(frozen=True)
class WeightedPenalty:
    """gamma (E_fake[nu1(D) |grad D|^2] + E_real[nu2(D) |grad D|^2]) ([M] (6.45)).

    Converges locally as R1 with `part` times gamma, if that is above 0. Constant weights 1/4 are R1
    with gamma here; weights that vanish at 0 damp nothing there.
    """

    fake: Weight
    real: Weight

    @property
    def part(self) -> float:
        """2 (nu1(0) + nu2(0))."""
        return 2 * float(np.real(self.fake.value(0.0) + self.real.value(0.0)))

    def __call__(self, game: DiracGan, theta: Vector, psi: Vector) -> Vector:
        at_fake, at_real = psi @ theta, psi @ game.data
        weights = self.fake.value(at_fake) + self.real.value(at_real)
        slopes = self.fake.slope(at_fake) * theta + self.real.slope(at_real) * game.data
        return game.gamma * (2 * weights * psi + (psi @ psi) * slopes)


def _sigmoid(t: Any) -> Any:
    return (1 + np.tanh(t / 2)) / 2


# Of gamma (s(D_fake)^2 + (1 - s(D_real))^2) |grad D|^2 with the sigmoid s ([M] (6.44)).
ROTH = WeightedPenalty(
    Weight(lambda t: _sigmoid(t) ** 2, lambda t: 2 * _sigmoid(t) ** 2 * (1 - _sigmoid(t))),
    Weight(lambda t: (1 - _sigmoid(t)) ** 2, lambda t: -2 * (1 - _sigmoid(t)) ** 2 * _sigmoid(t)),
)
# Where the discriminator is sure alone: no damping at the equilibrium.
_SQUARE = Weight(lambda t: t**2, lambda t: 2 * t)
SURE = WeightedPenalty(_SQUARE, _SQUARE)

PENALTIES: dict[str, Penalty] = {
    "zero_centred": zero_centred,
    "one_centred": one_centred,
    "one_sided": one_sided,
    "roth": ROTH,
    "sure": SURE,
}


@dataclass(frozen=True, eq=False)
class DiracGan(GameBase):
    """State (theta, psi), both (n,); the equilibrium is (x0, 0).

    Args:
        pair: activation pair of the loss, or its name.
        x0: the real point, (n,).
        gamma: weight of the penalty.
        penalty: a key of `PENALTIES`, or weights of one's own.
        non_saturating: the generator maximises phi2(D(fake)) ([M] (3.21), Remark 4.4).
        noise: standard deviation of instance noise on real and fake, or its covariance (n, n)
            ([M] (3.56), (4.33)).
        clip: |psi| is kept below, after every step (WGAN as published, [M] Lemma 3.8).

    Raises:
        ConfigError: an unknown pair or penalty, an invalid pair, a negative gamma or noise.
    """

    pair: ActivationPair | str = "js"
    x0: Any = (0.0,)
    gamma: float = 0.0
    penalty: str | WeightedPenalty = "zero_centred"
    non_saturating: bool = False
    noise: Any = 0.0
    clip: float | None = None
    activations: ActivationPair = field(init=False, repr=False)
    data: Vector = field(init=False, repr=False)
    covariance: Matrix | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        require_non_negative("gamma", self.gamma)
        if isinstance(self.penalty, str) and self.penalty not in PENALTIES:
            hint = nearest(self.penalty, list(PENALTIES))
            raise ConfigError(f"unknown penalty {self.penalty!r}: {hint}")
        data = np.atleast_1d(np.asarray(self.x0, dtype=np.float64))
        noise = np.asarray(self.noise, dtype=np.float64)
        covariance: Matrix | None = noise
        if noise.ndim == 0:
            deviation = require_non_negative("noise", float(noise))
            covariance = deviation**2 * np.eye(len(data)) if deviation else None
        elif noise.shape != (len(data),) * 2 or np.linalg.eigvalsh(noise)[0] < 0:
            raise ConfigError(f"noise must be a covariance of {len(data)} dimensions, or a number")
        object.__setattr__(self, "activations", find_pair(self.pair))
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "covariance", covariance)

    @property
    def generator(self) -> int:
        return len(self.data)

    @property
    def equilibrium(self) -> Vector:
        return np.concatenate([self.data, np.zeros_like(self.data)])

    def field(self, x: Vector) -> Vector:
        pair = self.activations
        theta, psi = x[: self.generator], x[self.generator :]
        fake, real, weights = self._logits(theta, psi)
        fake_slope = np.sum(weights * pair.phi1.slope(-fake))
        real_slope = np.sum(weights * pair.phi2.slope(real))
        rise = np.sum(weights * pair.phi2.slope(fake)) if self.non_saturating else fake_slope
        psi_dot = real_slope * self.data - fake_slope * theta
        if self.covariance is not None:  # E[g(psi.e) e] = C psi E[g'(psi.e)] for Gaussian e
            bend = pair.phi1.curvature(-fake) + pair.phi2.curvature(real)
            psi_dot = psi_dot + np.sum(weights * bend) * (self.covariance @ psi)
        if self.gamma:
            psi_dot = psi_dot - self._penalty(self, theta, psi)
        return np.concatenate([rise * psi, psi_dot])

    def jacobian(self, x: Vector) -> Matrix:
        """In closed form without noise, and without a penalty other than the zero-centred one.

        Raises:
            ValueError: a one-centred penalty at psi = 0, where the field jumps.
        """
        theta, psi = x[: self.generator], x[self.generator :]
        if self.gamma and self.penalty == "one_centred" and not np.any(psi):
            raise ValueError(_JUMP)
        if self.covariance is not None or (self.gamma and self.penalty != "zero_centred"):
            return complex_step(self.field, x)
        pair, eye = self.activations, np.eye(self.generator)
        fake, real = psi @ theta, psi @ self.data
        slope, bend = pair.phi1.slope(-fake), -pair.phi1.curvature(-fake)
        rise, rise_bend = (
            (pair.phi2.slope(fake), pair.phi2.curvature(fake))
            if self.non_saturating
            else (slope, bend)
        )
        real_bend = pair.phi2.curvature(real) * np.outer(self.data, self.data)
        outer = np.outer
        return np.block(
            [
                [rise_bend * outer(psi, psi), rise * eye + rise_bend * outer(psi, theta)],
                [
                    -slope * eye - bend * outer(theta, psi),
                    -bend * outer(theta, theta) + real_bend - self.gamma * eye,
                ],
            ]
        )

    def eigenvalues(self) -> Vector:
        """[M] table of 3.3, (4.20), (4.30), (4.33) and (4.42), with + under the printed roots.

        With mu_k the eigenvalues of C + x0 x0^T: roots of l^2 + (gamma + rho2 mu_k) l + rho1^2.
        Weighted penalties count as R1 with their part of gamma, Roth's with all of it.

        Raises:
            ValueError: a one-centred penalty, with which the field jumps at the equilibrium.
        """
        if self.gamma and self.penalty == "one_centred":
            raise ValueError(_JUMP)
        if self.covariance is None:
            spread = np.zeros_like(self.data)
            spread[-1] = self.data @ self.data
        else:
            spread = np.linalg.eigvalsh(self.covariance + np.outer(self.data, self.data))
        penalty, gamma = self._penalty, self.gamma
        if isinstance(penalty, WeightedPenalty):
            gamma *= penalty.part
        elif self.penalty == "one_sided":
            gamma = 0.0
        damping = gamma + self.activations.rho2 * spread
        return damped_pair(damping, np.full_like(damping, self.activations.rho1**2))

    @property
    def _penalty(self) -> Penalty:
        return PENALTIES[self.penalty] if isinstance(self.penalty, str) else self.penalty

    def project(self, x: Vector) -> Vector:
        if self.clip is None:
            return x
        return np.concatenate(
            [x[: self.generator], np.clip(x[self.generator :], -self.clip, self.clip)]
        )

    def _logits(self, theta: Vector, psi: Vector) -> tuple[Vector, Vector, Vector]:
        """Logits of fake and real at the nodes of the noise (1-D along psi), and their weights."""
        if self.covariance is None:
            return psi @ theta, psi @ self.data, np.ones(())
        deviation = np.sqrt(psi @ self.covariance @ psi) * _HERMITE[0]
        return psi @ theta + deviation, psi @ self.data + deviation, _HERMITE[1]


def _norm(psi: Vector) -> Any:
    return np.sqrt(psi @ psi)  # not np.linalg.norm: psi may be complex while differentiated


def _hermite() -> tuple[Vector, Vector]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return nodes, weights / weights.sum()


_HERMITE = _hermite()
