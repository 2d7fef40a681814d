"""Dirac-GAN whose penalty measure has a mass that depends on the state ([P] Lemma 1).

A penalty need not be taken with weight 1: a mass that vanishes at the equilibrium still converges,
though not linearly, and one that falls off quickly leaves a basin of finite radius.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from onet.adversarial.factors import require_non_negative
from onet.errors import ConfigError
from onet.gan_theory.games.game import GameBase, OneParameterGenerator, Vector, damped_pair
from onet.registry import nearest

# Mass M(theta, psi) and its derivative by psi.
MASSES: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "one": (lambda theta, psi: 1.0, lambda theta, psi: 0.0),
    "squared_distance": (lambda theta, psi: theta**2 + psi**2, lambda theta, psi: 2 * psi),
    "bump": (
        lambda theta, psi: np.exp(-4 * psi**2),
        lambda theta, psi: -8 * psi * np.exp(-4 * psi**2),
    ),
}


@dataclass(frozen=True, eq=False)
class FiniteMassDirac(OneParameterGenerator, GameBase):
    """Wasserstein loss, real point 0, fake point theta, D = psi x; state (theta, psi).

    Args:
        gamma: weight of the penalty gamma/2 M(theta, psi) psi^2.
        mass: a key of `MASSES`.

    Raises:
        ConfigError: unknown mass, negative gamma.
    """

    gamma: float = 1.0
    mass: str = "one"

    def __post_init__(self) -> None:
        require_non_negative("gamma", self.gamma)
        if self.mass not in MASSES:
            raise ConfigError(f"unknown mass {self.mass!r}: {nearest(self.mass, list(MASSES))}")

    @property
    def equilibrium(self) -> Vector:
        return np.zeros(2)

    def field(self, x: Vector) -> Vector:
        theta, psi = x
        mass, slope = (f(theta, psi) for f in MASSES[self.mass])
        return np.array([psi, -theta - self.gamma * (psi * mass + psi**2 * slope / 2)])

    def eigenvalues(self) -> Vector:
        """Roots of l^2 + gamma M(0, 0) l + 1."""
        return damped_pair(self.gamma * MASSES[self.mass][0](0.0, 0.0), np.ones(1))
