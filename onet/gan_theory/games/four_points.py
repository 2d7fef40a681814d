"""Four Points: the corners of a box learn their place from squares ([M] 1.2.2, 5.4, 6.5).

K_DD has rank 1, so without a penalty some eigenvalues are imaginary and there is no linear rate:
alternating descent still creeps in like 1/sqrt(t), simultaneous descent ends on a cycle. [M] calls
this "not convergent", which holds for linear convergence only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onet.gan_theory.games.box_game import BoxGame
from onet.gan_theory.games.feature_game import Blocks
from onet.gan_theory.games.measures import Points

_SIGNS = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])


@dataclass(frozen=True, eq=False)
class FourPoints(BoxGame):
    """Fake points (+-theta1, +-theta2), each a quarter, D = psi1 x1^2 + psi2 x2^2.

    Args:
        width, height: of the real box; theta* is half of them.
    """

    @property
    def units(self) -> Points:
        return _SIGNS

    def blocks(self) -> Blocks:
        """[M] 5.4, and 6.5 for the penalty on real or fake points."""
        t = self.equilibrium[:2]
        l_dd = (
            4 * self.gamma * np.diag(t**2)
            if self.measure in ("real", "fake")
            else self._penalty_at_equilibrium()
        )
        k_dd = self.activations.rho2 * np.outer(t**2, t**2)
        return Blocks(2 * self.activations.rho1 * np.diag(t), k_dd, l_dd)
