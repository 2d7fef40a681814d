"""GANs with D(x) = psi . f(x) and distributions of finitely many weighted points.

Such points are the distributions themselves (Dirac, Four Points) or nodes of a quadrature that is
exact to rounding (Ellipse, Gaussians, intervals). A game states its points, its features, and the
blocks of its Jacobian at the equilibrium as published; the field follows from the first two alone,
so each checks the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from onet.adversarial.activations import ActivationPair, find_pair
from onet.adversarial.factors import require_non_negative
from onet.errors import ConfigError
from onet.gan_theory.games.game import GameBase, Matrix, Vector, block_jacobian
from onet.gan_theory.games.measures import MEASURES, Points, Weighted, measure
from onet.registry import nearest


class Blocks(NamedTuple):
    """Of the Jacobian at the equilibrium ([M] Lemmas 5.2 and 6.3)."""

    k_dg: Matrix  # (m, n): rho1 d/dtheta E_fake[f]
    k_dd: Matrix  # (m, m): rho2 E_real[f f^T]
    l_dd: Matrix  # (m, m): gamma E_mu[grad f grad f^T]


@dataclass(frozen=True, eq=False)
class FeatureGame(GameBase):
    """What the games with features share.

    Args:
        pair: activation pair of the loss, or its name.
        gamma: weight of the zero-centred penalty gamma/2 E_mu|grad D|^2 (a function of psi alone).
        measure: where it is taken, of `measures.MEASURES`: `real` is R1, `fake` R2.
        non_saturating: the generator maximises phi2(D(fake)).
        anchor: the fixed point (d,) of the measure `anchor`; default the origin.

    Raises:
        ConfigError: an unknown pair or measure, an invalid pair, a negative gamma, or, where the
            penalty is evaluated, an anchor of another dimension.
    """

    pair: ActivationPair | str = "js"
    gamma: float = 0.0
    measure: str = "real"
    non_saturating: bool = False
    anchor: Any = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        require_non_negative("gamma", self.gamma)
        if self.measure not in MEASURES:
            hint = nearest(self.measure, list(MEASURES))
            raise ConfigError(f"unknown penalty measure {self.measure!r}: {hint}")
        self.activations  # noqa: B018  (an unknown or invalid pair is refused here)

    @cached_property
    def activations(self) -> ActivationPair:
        """The pair itself, where `pair` is a name."""
        return find_pair(self.pair)

    @property
    def generator(self) -> int:
        """Parameters of the generator; the other entries of a state are the discriminator's."""
        raise NotImplementedError

    @property
    def equilibrium(self) -> Vector:
        raise NotImplementedError

    def real(self) -> Weighted:
        """Points (N, d) and weights (N,) of the data."""
        raise NotImplementedError

    def fake(self, theta: Vector) -> Weighted:
        """Return the same of the generator."""
        raise NotImplementedError

    def fake_derivative(self, theta: Vector) -> Matrix:
        """Derivative (N, d, n) of the generated points by theta."""
        raise NotImplementedError

    def features(self, points: Points) -> Matrix:
        """f at points (N, d): (N, m)."""
        raise NotImplementedError

    def feature_gradients(self, points: Points) -> Matrix:
        """Gradients of f at points (N, d): (N, m, d)."""
        raise NotImplementedError

    def blocks(self) -> Blocks:
        """Return the published blocks at the equilibrium."""
        raise NotImplementedError

    def field(self, x: Vector) -> Vector:
        pair = self.activations
        assert isinstance(pair, ActivationPair)
        theta, psi = x[: self.generator], x[self.generator :]
        real_weights, real_features = self._real
        fake, fake_weights = self.fake(theta)
        fake_features = self.features(fake)
        real_slope = real_weights * pair.phi2.slope(real_features @ psi)
        fake_logits = fake_features @ psi
        fake_slope = fake_weights * pair.phi1.slope(-fake_logits)
        rise = fake_weights * pair.phi2.slope(fake_logits) if self.non_saturating else fake_slope
        uphill = rise[:, None] * (psi @ self.feature_gradients(fake))  # (N, d)
        theta_dot = uphill.ravel() @ self.fake_derivative(theta).reshape(-1, self.generator)
        psi_dot = real_slope @ real_features - fake_slope @ fake_features
        if self.gamma:
            psi_dot = psi_dot - self.gamma * (self._penalty(fake, fake_weights) @ psi)
        return np.concatenate([theta_dot, psi_dot])

    @cached_property
    def _real(self) -> tuple[Vector, Matrix]:
        points, weights = self.real()
        return weights, self.features(points)

    @cached_property
    def _real_gram(self) -> Matrix:
        return self.gram(self.real())

    def _penalty(self, fake: Points, weights: Vector) -> Matrix:
        if self.measure == "real":
            return self._real_gram
        return self.gram(measure(self.measure, self.real(), (fake, weights), self.anchor))

    def gram(self, where: Weighted) -> Matrix:
        """E[grad f grad f^T] (m, m) over weighted points: the Hessian of the penalty by psi."""
        gradients = self.feature_gradients(where[0])
        weighted = where[1][:, None, None] * gradients
        return np.tensordot(weighted, gradients, axes=((0, 2), (0, 2)))

    def equilibrium_jacobian(self) -> Matrix:
        """From the published blocks."""
        k_dg, k_dd, l_dd = self.blocks()
        return block_jacobian(k_dg, k_dd + l_dd)

    def eigenvalues(self) -> Vector:
        """Of the published blocks."""
        return np.sort_complex(np.linalg.eigvals(self.equilibrium_jacobian()))

    def _penalty_at_equilibrium(self) -> Matrix:
        """l_dd for any measure, where no formula is published."""
        return self.gamma * self._penalty(*self.fake(self.equilibrium[: self.generator]))
