"""What every analytic game offers, and exact Jacobians by complex steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[Any]  # (n,) float64; complex128 while a derivative is taken
Matrix = NDArray[Any]  # (n, n)

STEP = 1e-30  # nothing is subtracted, so nothing cancels: the step may be as small as it likes


class Game(Protocol):
    """Two players and the directions in which their losses draw them.

    The state is one vector: first the `generator` parameters theta, then those of the
    discriminator, psi. Following `field` both losses decrease, or increase if a player maximises.
    """

    @property
    def generator(self) -> int:
        """How many entries of the state belong to the generator."""

    @property
    def equilibrium(self) -> Vector:
        """A state in which the field vanishes."""

    def field(self, x: Vector) -> Vector:
        """Direction of both players at the state x (n,); also of complex states."""

    def jacobian(self, x: Vector) -> Matrix:
        """Derivative of `field` at x."""

    def eigenvalues(self) -> Vector:
        """Of the Jacobian at the equilibrium, from a closed formula, sorted."""

    def project(self, x: Vector) -> Vector:
        """The nearest state that is allowed; most games allow all."""


class GameBase:
    """Jacobian by complex steps and no bounds: what most games inherit."""

    def field(self, x: Vector) -> Vector:
        raise NotImplementedError

    def jacobian(self, x: Vector) -> Matrix:
        return complex_step(self.field, x)

    def project(self, x: Vector) -> Vector:
        return x


class OneParameterGenerator:
    """A game whose generator is one number, theta; to be named before the other classes."""

    @property
    def generator(self) -> int:
        return 1


def complex_step(field: Callable[[Vector], Vector], x: Vector) -> Matrix:
    """Jacobian (n, n) of an analytic field, exact to rounding: Im v(x + i s e_k) / s."""
    columns = []
    for k in range(len(x)):
        shifted = np.array(x, dtype=np.complex128)
        shifted[k] += 1j * STEP
        columns.append(np.imag(field(shifted)) / STEP)
    return np.stack(columns, axis=1)


def block_jacobian(
    k_dg: Matrix,  # (m, n): rho1 times the derivative of E_fake[grad_psi D] by theta
    k_dd: Matrix,  # (m, m): damping of the discriminator, with its penalty's part
) -> Matrix:
    """Jacobian (n+m, n+m) of a GAN at an equilibrium ([M] Lemmas 5.2 and 6.3, psi negated)."""
    return np.block([[np.zeros((k_dg.shape[1],) * 2), k_dg.T], [-k_dg, -k_dd]])


def damped_pair(damping: ArrayLike, squared_frequency: ArrayLike) -> Vector:
    """Roots of l^2 + damping l + squared_frequency, sorted: what most closed formulas end in."""
    half = np.atleast_1d(np.asarray(damping, dtype=np.complex128)) / 2
    root = np.sqrt(half**2 - np.atleast_1d(squared_frequency))
    return np.sort_complex(np.concatenate([-half + root, -half - root]))
