"""Changes of the training rule that use the Jacobian of a game: v + A(x) v instead of v.

Where v vanishes, the new Jacobian is J + A J. Elsewhere the derivative of A is added, by central
differences of the exact Jacobian.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onet.adversarial.factors import require_non_negative
from onet.gan_theory.games.game import Game, Matrix, Vector

DIFFERENCE = 1e-5  # for the derivative of A alone, which v = 0 removes at the equilibrium


@dataclass(frozen=True, eq=False)
class Modified:
    """A game with `correction(J) v` added to its field v."""

    game: Game
    gamma: float

    def __post_init__(self) -> None:
        require_non_negative("gamma", self.gamma)

    @property
    def generator(self) -> int:
        return self.game.generator

    @property
    def equilibrium(self) -> Vector:
        return self.game.equilibrium

    def correction(self, jacobian: Matrix) -> Matrix:
        raise NotImplementedError

    def field(self, x: Vector) -> Vector:
        v = self.game.field(x)
        return v + self.correction(self.game.jacobian(x)) @ v

    def jacobian(self, x: Vector) -> Matrix:
        j, v = self.game.jacobian(x), self.game.field(x)
        result = j + self.correction(j) @ j
        for k, unit in enumerate(np.eye(len(x)) * DIFFERENCE):
            after, before = (self.correction(self.game.jacobian(x + s * unit)) for s in (1, -1))
            result[:, k] += (after - before) @ v / (2 * DIFFERENCE)
        return result

    def eigenvalues(self) -> Vector:
        """Of J + A J at the equilibrium."""
        j = self.game.jacobian(self.equilibrium)
        return np.sort_complex(np.linalg.eigvals(j + self.correction(j) @ j))

    def project(self, x: Vector) -> Vector:
        return self.game.project(x)


class Consensus(Modified):
    """Consensus optimisation: both players also minimise gamma/2 |v|^2 ([M] Algorithm 3, 2.4).

    On the Dirac-GAN the eigenvalues are -gamma rho1^2 +- i rho1 ([M] (3.50)). Far from the
    equilibrium there are attractors of its own: with gamma = 1 the flow leaves for infinity from
    theta = 2, psi = -2.
    """

    def correction(self, jacobian: Matrix) -> Matrix:
        return -self.gamma * jacobian.T


class DiscriminatorConsensus(Consensus):
    """The discriminator alone also minimises gamma/2 |v|^2: its part of consensus optimisation.

    On the Dirac-GAN: roots of l^2 + gamma rho1^2 l + rho1^2, those of R1 with gamma rho1^2.
    """

    def correction(self, jacobian: Matrix) -> Matrix:
        result = super().correction(jacobian)
        result[: self.generator] = 0
        return result


class NagarajanKolter(Modified):
    """The generator also minimises gamma |grad_psi L|^2, the discriminator does not (their (6)).

    On the Dirac-GAN: roots of l^2 + 2 gamma rho1^2 l + rho1^2.
    """

    def correction(self, jacobian: Matrix) -> Matrix:
        n = self.generator
        result = np.zeros_like(jacobian)
        result[:n, n:] = -2 * self.gamma * jacobian[n:, :n].T
        return result
