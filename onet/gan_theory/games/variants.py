"""Further methods on the one-dimensional Dirac-GAN: real point x0, fake point theta, D = psi x.

What each changes is written down as a game of its own, some with parameters beside theta and psi.
Eigenvalues are those at the equilibrium; rho1 is phi'(0) of the loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from onet.adversarial.activations import JS, ActivationPair, find_pair
from onet.adversarial.factors import require_non_negative
from onet.errors import ConfigError
from onet.gan_theory.games.game import (
    Game,
    GameBase,
    OneParameterGenerator,
    Vector,
    damped_pair,
)


@dataclass(frozen=True, eq=False)
class LabelSmoothing(OneParameterGenerator, GameBase):
    """One-sided label smoothing with the logistic loss: the target of real samples is 1 - amount.

    Salimans et al., Improved Techniques for Training GANs, 2016. State (theta, psi), or (theta,
    psi, b) with D = psi x + b, which is needed where x0 is not 0: without it the only place where
    the field vanishes with psi = 0 is theta = (1 - 2 amount) x0.

    Args:
        amount: in [0, 1/2).
        x0: the real point.
        bias: whether D has one.

    Raises:
        ConfigError: an amount out of range.
    """

    amount: float = 0.1
    x0: float = 0.0
    bias: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.amount < 0.5:
            raise ConfigError(f"amount = {self.amount:g}: it must be in [0, 1/2)")

    @property
    def equilibrium(self) -> Vector:
        if not self.bias:
            return np.array([(1 - 2 * self.amount) * self.x0, 0.0])
        return np.array([self.x0, 0.0, np.log((1 - self.amount) / (1 + self.amount))])

    def field(self, x: Vector) -> Vector:
        theta, psi = x[:2]
        offset = x[2] if self.bias else 0.0
        real, fake = _sigmoid(psi * self.x0 + offset), _sigmoid(psi * theta + offset)
        pull = (1 - self.amount) - real  # of (1 - amount) log s + amount log(1 - s)
        rise = [fake * psi, pull * self.x0 - fake * theta]
        return np.array([*rise, pull - fake] if self.bias else rise)

    def eigenvalues(self) -> Vector:
        """l^2 + d l + (fake slope)^2, where smoothing slows the rotation and damps nothing.

        Without a bias: d = x0^2 / 4 + theta^2 / 4, slope 1/2. With it the curvature s' counts
        twice, d = 2 s' x0^2 in the direction of psi alone and 2 s' in that of b, coupled by x0.
        """
        if not self.bias:
            theta = self.equilibrium[0]
            return damped_pair((self.x0**2 + theta**2) / 4, np.array([1 / 4]))
        slope = (1 - self.amount) / 2
        bend = 2 * slope * (1 - slope)
        x0 = self.x0
        rows = [[0, slope, 0], [-slope, -bend * x0**2, -bend * x0], [0, -bend * x0, -bend]]
        return np.sort_complex(np.linalg.eigvals(np.array(rows)).astype(np.complex128))


@dataclass(frozen=True, eq=False)
class FeatureMatching(OneParameterGenerator, GameBase):
    """The generator minimises the squared distance of mean features instead of the game's loss.

    Salimans et al., 2016. With x as the feature (a layer below the logit) the generator descends by
    itself, 2 (x0 - theta), whatever D does. With the logit as the feature, (psi (theta - x0))^2,
    its pull vanishes with psi.

    Args:
        pair: of the discriminator's loss.
        logit: whether the feature is the logit.
        psi: of the equilibrium that is looked at: all (x0, psi) are some, x0 being 0.
    """

    pair: ActivationPair | str = "js"
    logit: bool = False
    psi: float = 0.0

    @cached_property
    def activations(self) -> ActivationPair:
        """The pair of that name."""
        return find_pair(self.pair)

    @property
    def equilibrium(self) -> Vector:
        return np.array([0.0, self.psi])

    def field(self, x: Vector) -> Vector:
        theta, psi = x
        weight = psi**2 if self.logit else 1.0
        slope = self.activations.phi1.slope(-psi * theta)
        return np.array([-2 * weight * theta, -slope * theta])

    def eigenvalues(self) -> Vector:
        """-2 (-2 psi^2 with the logit) and 0, along the line of equilibria."""
        weight = self.psi**2 if self.logit else 1.0
        return np.array([-2.0 * weight, 0.0], dtype=np.complex128)


@dataclass(frozen=True, eq=False)
class Unrolled(OneParameterGenerator, GameBase):
    """The generator looks `steps` steps of the discriminator ahead, with their derivatives.

    Metz et al., Unrolled Generative Adversarial Networks, 2017: theta descends L(theta, psi_k), and
    psi_k follows from psi by k steps of size `step`; psi itself takes its usual step.

    Args:
        pair: of the loss.
        steps: k.
        step: eta.

    Raises:
        ConfigError: a negative number of steps, or size.
    """

    pair: ActivationPair | str = "js"
    steps: int = 5
    step: float = 0.2

    def __post_init__(self) -> None:
        require_non_negative("steps", self.steps)
        require_non_negative("step", self.step)
        find_pair(self.pair)  # refuses what is none

    @cached_property
    def activations(self) -> ActivationPair:
        """The pair of that name."""
        return find_pair(self.pair)

    @property
    def equilibrium(self) -> Vector:
        return np.zeros(2)

    def field(self, x: Vector) -> Vector:
        theta, psi = x
        phi = self.activations.phi1
        ahead, slope_ahead = psi, 0.0 * theta  # psi_k, and its derivative by theta
        for _ in range(self.steps):
            at = -ahead * theta
            slope, bend = phi.slope(at), phi.curvature(at)
            change = bend * (ahead + slope_ahead * theta) * theta - slope
            ahead, slope_ahead = ahead - self.step * slope * theta, slope_ahead + self.step * change
        # L = phi1(-D(fake)), of which theta descends: -dL/dtheta = phi1' (psi_k + psi_k' theta)
        rise = phi.slope(-ahead * theta) * (ahead + slope_ahead * theta)
        return np.array([rise, -phi.slope(-psi * theta) * theta])

    def eigenvalues(self) -> Vector:
        """Roots of l^2 + 2 k eta rho1^2 l + rho1^2: unrolling damps the generator."""
        rho1 = self.activations.rho1
        return damped_pair(2 * self.steps * self.step * rho1**2, np.array([rho1**2]))


@dataclass(frozen=True, eq=False)
class MeanDiscrepancy(OneParameterGenerator, GameBase):
    """MMD with a fixed Gaussian kernel: no discriminator is trained. State (theta,).

    Gretton et al., 2012; Li et al., Generative Moment Matching Networks, 2015. From farther than a
    few widths the pull is gone. (The Cramer or energy distance has the kernel -|x - y|: its pull is
    2 everywhere and jumps at x0, so there is no Jacobian, and steps h end within 2 h of it.)

    Args:
        width: of the kernel exp(-d^2 / (2 width^2)).

    Raises:
        ConfigError: a width that is not positive.
    """

    width: float = 1.0

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise ConfigError(f"width = {self.width:g}: it must be positive")

    @property
    def equilibrium(self) -> Vector:
        return np.zeros(1)

    def field(self, x: Vector) -> Vector:
        return -2 * x / self.width**2 * np.exp(-(x**2) / (2 * self.width**2))

    def eigenvalues(self) -> Vector:
        """-2 / width^2."""
        return np.array([-2 / self.width**2], dtype=np.complex128)


@dataclass(frozen=True, eq=False)
class TwoDiscriminators(OneParameterGenerator, GameBase):
    """D2GAN (Nguyen et al., 2017): D1 = exp(psi1 x) rewards real, D2 = exp(psi2 x) fake samples.

    L = alpha log D1(x0) - D1(theta) - D2(x0) + beta log D2(theta), real point 0; state (theta,
    psi1, psi2). At 0 both are 1 whatever their parameters, which is the optimum for alpha and beta
    1. There log D1(x0) = psi1 x0 is 0, so that alpha plays no part in the field.

    Args:
        beta: weight of log D2(theta).

    Raises:
        ConfigError: it is negative.
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        require_non_negative("beta", self.beta)

    @property
    def equilibrium(self) -> Vector:
        return np.zeros(3)

    def field(self, x: Vector) -> Vector:
        theta, first, second = x
        of_fake = np.exp(first * theta)
        return np.array([first * of_fake - self.beta * second, -theta * of_fake, self.beta * theta])

    def eigenvalues(self) -> Vector:
        """0 and +-i sqrt(1 + beta^2): a faster rotation, undamped."""
        turn = 1j * np.sqrt(1 + self.beta**2)
        return np.sort_complex(np.array([0, turn, -turn]))


@dataclass(frozen=True, eq=False)
class HistoricalAverage(OneParameterGenerator, GameBase):
    """Both players are pulled to the moving averages of their parameters: weight |x - mean|^2.

    Salimans et al., 2016, with an exponential average instead of that of all steps, whose `pace`
    falls like 1/t. State (theta, psi, mean of theta, mean of psi).

    Args:
        pair: of the loss.
        weight: of the pull.
        pace: at which the averages follow.

    Raises:
        ConfigError: a negative weight or pace.
    """

    pair: ActivationPair | str = "js"
    weight: float = 0.5
    pace: float = 0.1

    def __post_init__(self) -> None:
        require_non_negative("weight", self.weight)
        require_non_negative("pace", self.pace)

    @cached_property
    def activations(self) -> ActivationPair:
        """The pair of that name."""
        return find_pair(self.pair)

    @property
    def equilibrium(self) -> Vector:
        return np.zeros(4)

    def field(self, x: Vector) -> Vector:
        now, mean = x[:2], x[2:]
        slope = self.activations.phi1.slope(-now[0] * now[1])
        game = slope * np.array([now[1], -now[0]])
        return np.concatenate([game - 2 * self.weight * (now - mean), self.pace * (now - mean)])

    def eigenvalues(self) -> Vector:
        """Roots of l^2 + (pace + 2 weight +- i rho1) l +- i rho1 pace.

        A slow pace leaves -pace r with r = rho1^2 / (4 weight^2 + rho1^2): with 1/t for it the
        distance falls like t^-r, not linearly.
        """
        rho1 = self.activations.rho1
        roots = [
            np.roots([1, self.pace + 2 * self.weight + turn, turn * self.pace])
            for turn in (1j * rho1, -1j * rho1)
        ]
        return np.sort_complex(np.concatenate(roots))


def variants() -> dict[str, Game]:
    """Return the methods with the settings of the tables.

    Labels are smoothed at x0 = 1: at 0 their targets drop out of the field, which is that of the
    Dirac-GAN without any method.
    """
    return {
        "label smoothing, 0.1, x0 = 1, no bias": LabelSmoothing(x0=1.0),
        "label smoothing, 0.1, x0 = 1, bias": LabelSmoothing(x0=1.0, bias=True),
        "feature matching, on x": FeatureMatching(JS),
        "feature matching, on the logit": FeatureMatching(JS, logit=True),
        "unrolled, 5 steps of 0.2": Unrolled(JS),
        "MMD, width 1": MeanDiscrepancy(),
        "D2GAN": TwoDiscriminators(),
        "historical averaging": HistoricalAverage(JS),
    }


def _sigmoid(t: Vector) -> Vector:
    value: Vector = (1 + np.tanh(t / 2)) / 2  # tanh takes complex arguments
    return value
