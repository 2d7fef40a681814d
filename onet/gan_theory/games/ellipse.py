"""Ellipse: an axis-aligned ellipse learns its half axes from squares ([M] 1.2.2, 5.4).

Converges without a penalty: real and fake are curves that overlap enough for K_DD to be definite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onet.gan_theory.games.box_game import BoxGame
from onet.gan_theory.games.feature_game import Blocks
from onet.gan_theory.games.measures import Points

NODES = 64  # trapezoidal rule on the circle, exact to rounding for analytic integrands
_ANGLES = 2 * np.pi * np.arange(NODES) / NODES
_UNITS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


@dataclass(frozen=True, eq=False)
class Ellipse(BoxGame):
    """G(z) = (theta1 cos z, theta2 sin z) with z uniform, D = psi1 x1^2 + psi2 x2^2.

    Args:
        width, height: of the real ellipse; theta* is half of them.
    """

    @property
    def units(self) -> Points:
        return _UNITS

    def blocks(self) -> Blocks:
        """[M] 5.4; with E[x_k^2] = t_k^2 / 2 the penalty's block is 2 gamma diag(t_k^2)."""
        t = self.equilibrium[:2]
        k_dd = np.outer(t**2, t**2) * np.array([[3, 1], [1, 3]]) * self.activations.rho2 / 8
        l_dd = (
            2 * self.gamma * np.diag(t**2)
            if self.measure in ("real", "fake")
            else self._penalty_at_equilibrium()
        )
        return Blocks(self.activations.rho1 * np.diag(t), k_dd, l_dd)
