"""What Ellipse and Four Points share: two lengths are learned from squared coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onet.gan_theory.games.feature_game import FeatureGame
from onet.gan_theory.games.game import Matrix, Vector
from onet.gan_theory.games.measures import Points, Weighted


@dataclass(frozen=True, eq=False)
class BoxGame(FeatureGame):
    """Fake points theta * u with fixed u, all of one weight, and D = psi1 x1^2 + psi2 x2^2.

    Args:
        width, height: of the real shape; theta* is half of them.
    """

    width: float = 1.0
    height: float = 1.0

    @property
    def units(self) -> Points:
        """The points u, of the shape with half axes 1."""
        raise NotImplementedError

    @property
    def generator(self) -> int:
        return 2

    @property
    def equilibrium(self) -> Vector:
        return np.array([self.width / 2, self.height / 2, 0.0, 0.0])

    def real(self) -> Weighted:
        return self.fake(self.equilibrium[:2])

    def fake(self, theta: Vector) -> Weighted:
        return self.units * theta, np.full(len(self.units), 1 / len(self.units))

    def fake_derivative(self, theta: Vector) -> Matrix:
        derivative: Matrix = self.units[:, :, None] * np.eye(2)
        return derivative

    def features(self, points: Points) -> Matrix:
        return points**2

    def feature_gradients(self, points: Points) -> Matrix:
        return 2 * points[:, :, None] * np.eye(2)
