"""Linear-quadratic GAN: a Gaussian learns mean and deviation from first and second moments.

Generator a z + b, discriminator psi1 x + psi2 x^2 (Feizi et al.; Nagarajan and Kolter, 3.2). With
the Wasserstein loss it circles, as nothing damps the discriminator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onet.adversarial.factors import require_non_negative
from onet.gan_theory.games.feature_game import Blocks, FeatureGame
from onet.gan_theory.games.game import Matrix, Vector, damped_pair
from onet.gan_theory.games.measures import Points, Weighted

NODES = 40  # Gauss-Hermite
_LATENT, _WEIGHTS = np.polynomial.hermite_e.hermegauss(NODES)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True, eq=False)
class LinearQuadratic(FeatureGame):
    """State (a, b, psi1, psi2), real points N(mean, std^2), fake ones a z + b, z ~ N(0, 1)."""

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_non_negative("std", self.std)

    @property
    def generator(self) -> int:
        return 2

    @property
    def equilibrium(self) -> Vector:
        return np.array([self.std, self.mean, 0.0, 0.0])

    def real(self) -> Weighted:
        return self.fake(self.equilibrium[:2])

    def fake(self, theta: Vector) -> Weighted:
        return (theta[0] * _LATENT + theta[1])[:, None], _WEIGHTS

    def fake_derivative(self, theta: Vector) -> Matrix:
        return np.stack([_LATENT, np.ones(NODES)], axis=1)[:, None]

    def features(self, points: Points) -> Matrix:
        return np.concatenate([points, points**2], axis=1)

    def feature_gradients(self, points: Points) -> Matrix:
        return np.concatenate([np.ones_like(points), 2 * points], axis=1)[:, :, None]

    def blocks(self) -> Blocks:
        """From the first four moments of a Gaussian."""
        m, s2 = self.mean, self.std**2
        second, third = m**2 + s2, m**3 + 3 * m * s2
        fourth = m**4 + 6 * m**2 * s2 + 3 * s2**2
        k_dg = self.activations.rho1 * np.array([[0.0, 1.0], [2 * self.std, 2 * m]])
        k_dd = self.activations.rho2 * np.array([[second, third], [third, fourth]])
        l_dd = (
            self.gamma * np.array([[1.0, 2 * m], [2 * m, 4 * second]])
            if self.measure in ("real", "fake")
            else self._penalty_at_equilibrium()
        )
        return Blocks(k_dg, k_dd, l_dd)

    def eigenvalues(self) -> Vector:
        """For mean 0 the moments do not mix: two quadratics; else those of the blocks."""
        if self.mean or self.measure not in ("real", "fake"):
            return super().eigenvalues()
        s2, (rho1, rho2) = self.std**2, (self.activations.rho1, self.activations.rho2)
        damping = [rho2 * s2 + self.gamma, 3 * rho2 * s2**2 + 4 * self.gamma * s2]
        return damped_pair(damping, rho1**2 * np.array([1.0, 4 * s2]))
