"""L = sum_k s_k theta_k psi_k, of which theta wants less and psi more: a pure rotation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onet.gan_theory.games.game import GameBase, Vector


@dataclass(frozen=True, eq=False)
class Bilinear(GameBase):
    """Field (-s psi, s theta) with eigenvalues +-i s_k ([M] 2.1); neither player ever wins."""

    strengths: tuple[float, ...] = (1.0,)

    @property
    def generator(self) -> int:
        return len(self.strengths)

    @property
    def equilibrium(self) -> Vector:
        return np.zeros(2 * self.generator)

    def field(self, x: Vector) -> Vector:
        strengths = np.asarray(self.strengths)
        return np.concatenate([-strengths * x[self.generator :], strengths * x[: self.generator]])

    def eigenvalues(self) -> Vector:
        frequencies = 1j * np.asarray(self.strengths)
        return np.sort_complex(np.concatenate([frequencies, -frequencies]))
