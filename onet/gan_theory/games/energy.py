"""Dirac-GANs at 0 with squares in D, whose equilibria are lines and not points.

`EnergyDirac` shows how unregularised training may converge after all: D is a bowl around the data
([M] Example D.12). `SquareDirac` shows where penalties fail: between real and fake points they push
D to a value of their own ([P] Lemma 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onet.adversarial.activations import ActivationPair
from onet.errors import ConfigError
from onet.gan_theory.games.feature_game import Blocks, FeatureGame
from onet.gan_theory.games.game import Matrix, OneParameterGenerator, Vector, damped_pair
from onet.gan_theory.games.measures import Points, Weighted


@dataclass(frozen=True, eq=False)
class SquareDirac(OneParameterGenerator, FeatureGame):
    """Real point 0, fake point theta, D = psi x^2; theta = 0 with any psi is an equilibrium."""

    pair: ActivationPair | str = "wasserstein"

    @property
    def equilibrium(self) -> Vector:
        return np.zeros(2)

    def real(self) -> Weighted:
        return np.zeros((1, 1)), np.ones(1)

    def fake(self, theta: Vector) -> Weighted:
        return theta[:, None], np.ones(1)

    def fake_derivative(self, theta: Vector) -> Matrix:
        return np.ones((1, 1, 1))

    def features(self, points: Points) -> Matrix:
        return points**2

    def feature_gradients(self, points: Points) -> Matrix:
        return 2 * points[:, :, None]

    def blocks(self) -> Blocks:
        """All zero: nothing of first order happens at the equilibrium."""
        return Blocks(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((1, 1)))


@dataclass(frozen=True, eq=False)
class EnergyDirac(SquareDirac):
    """Real point 0, fake point theta, D = psi1 x^2 + psi2 x.

    Every (0, psi1, 0) is an equilibrium, attracting for psi1 < 0, where D is a hill on the data.

    Args:
        curvature: the psi1 of the equilibrium that is looked at.

    Raises:
        ConfigError: a penalty on other points than the real one, which moves the equilibria.
    """

    pair: ActivationPair | str = "js"
    curvature: float = -0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.measure != "real":
            raise ConfigError(f"measure = {self.measure!r}: this game takes 'real' alone")

    @property
    def equilibrium(self) -> Vector:
        return np.array([0.0, self.curvature, 0.0])

    def features(self, points: Points) -> Matrix:
        return np.concatenate([points**2, points], axis=1)

    def feature_gradients(self, points: Points) -> Matrix:
        return np.concatenate([2 * points, np.ones_like(points)], axis=1)[:, :, None]

    def blocks(self) -> Blocks:
        """Of the discriminator; the generator's own block is rho1 psi1 times 2 ([M] D.1)."""
        k_dg = np.array([[0.0], [self.activations.rho1]])
        return Blocks(k_dg, np.zeros((2, 2)), self._penalty_at_equilibrium())

    def equilibrium_jacobian(self) -> Matrix:
        result = super().equilibrium_jacobian()
        result[0, 0] = 2 * self.activations.rho1 * self.curvature
        return result

    def eigenvalues(self) -> Vector:
        """0, and the roots of l^2 + (gamma - 2 rho1 psi1) l + rho1^2 (1 - 2 gamma psi1 / rho1)."""
        rho1, rise = self.activations.rho1, 2 * self.activations.rho1 * self.curvature
        pair = damped_pair(self.gamma - rise, np.array([rho1**2 - self.gamma * rise]))
        return np.sort_complex(np.append(pair, 0.0))
