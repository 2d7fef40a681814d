"""An interval learns its length from squares: Nagarajan and Kolter's example ([P] Lemma 2).

With the Wasserstein loss it circles; a penalty on any measure that reaches the data's support makes
it converge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onet.adversarial.activations import ActivationPair
from onet.gan_theory.games.feature_game import Blocks, FeatureGame
from onet.gan_theory.games.game import Matrix, OneParameterGenerator, Vector, damped_pair
from onet.gan_theory.games.measures import Points, Weighted

NODES = 24  # Gauss-Legendre
_UNIT, _WEIGHTS = np.polynomial.legendre.leggauss(NODES)


@dataclass(frozen=True, eq=False)
class Interval(OneParameterGenerator, FeatureGame):
    """Real points uniform in (-1, 1), fake ones in (-theta, theta), D = psi x^2."""

    pair: ActivationPair | str = "wasserstein"

    @property
    def equilibrium(self) -> Vector:
        return np.array([1.0, 0.0])

    def real(self) -> Weighted:
        return _UNIT[:, None], _WEIGHTS / 2

    def fake(self, theta: Vector) -> Weighted:
        points, weights = self.real()
        return points * theta, weights

    def fake_derivative(self, theta: Vector) -> Matrix:
        return _UNIT[:, None, None]

    def features(self, points: Points) -> Matrix:
        return points**2

    def feature_gradients(self, points: Points) -> Matrix:
        return 2 * points[:, :, None]

    def blocks(self) -> Blocks:
        """E_fake[x^2] = theta^2 / 3 and E_real[x^4] = 1 / 5."""
        k_dg, k_dd = 2 / 3 * self.activations.rho1, self.activations.rho2 / 5
        return Blocks(np.array([[k_dg]]), np.array([[k_dd]]), self._penalty_at_equilibrium())

    def eigenvalues(self) -> Vector:
        """Roots of l^2 + (rho2/5 + 4 gamma E_mu[x^2]) l + 4/9 rho1^2 ([P] Lemma 2 for rho2 = 0)."""
        (_, k_dd, l_dd), rho1 = self.blocks(), self.activations.rho1
        return damped_pair((k_dd + l_dd)[0], np.array([4 / 9 * rho1**2]))
