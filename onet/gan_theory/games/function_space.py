"""A GAN near its equilibrium, seen in function space: one damped oscillator for each mode.

With u the change of D, v the displacement of the generated points and xi_k the eigenvalues of the
data's operator (`onet.gan_theory.weighted_laplacian`), [K] (6)-(22):

    u_k' = -(alpha + gamma xi_k) u_k - beta sqrt(xi_k) v_k,   v_k' = beta sqrt(xi_k) u_k

alpha = phi1''(0) + phi2''(0) of convex phi, which is rho2 here, and |beta| = rho1. [K] prints half
that alpha in (4); its equations (6) to (25) and its experiments use this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from onet.adversarial.factors import require_non_negative
from onet.errors import ConfigError
from onet.gan_theory.games.game import GameBase, Matrix, Vector, damped_pair
from onet.gan_theory.weighted_laplacian import WeightedLaplacian


def lgan_spectrum(xi: ArrayLike, alpha: float, beta: float, gamma: float = 0.0) -> Vector:
    """Roots of l^2 + (alpha + gamma xi) l + beta^2 xi for each xi, sorted ([K] Theorem 2, (22))."""
    xi = _eigenvalues(xi)
    return damped_pair(alpha + require_non_negative("gamma", gamma) * xi, beta**2 * xi)


def spectral_abscissa(
    xi: ArrayLike, alpha: float, beta: float, gamma: float = 0.0, complete: bool = True
) -> float:
    """Return the largest real part: the rate at which the slowest mode decays, negated.

    Args:
        xi: all eigenvalues that matter. The smallest alone is not enough: [K] takes it to decide
            the rate on its whole range (25), but for gamma above |beta| / sqrt(xi_min) the high
            modes are slower.
        complete: also count the modes beyond the list, which accumulate at -beta^2 / gamma. False
            for a discretisation that has no others.
    """
    real = lgan_spectrum(xi, alpha, beta, gamma).real.max()
    limit = -(beta**2) / gamma if gamma > 0 else -alpha / 2
    return float(max(real, limit)) if complete else float(real)


def gamma_range(xi_min: float, beta: float) -> tuple[float, float]:
    """Between them, a loss with the right alpha has a real spectrum from xi_min on ([K] (25)).

    The lower end is the optimum of both together, with alpha = |beta| sqrt(xi_min); the upper end
    is the one for alpha = 0, at half its rate.
    """
    lower = abs(beta) / float(np.sqrt(_eigenvalues(xi_min)[0]))
    return lower, 2 * lower


def fastest_gamma(xi_min: float, alpha: float, beta: float) -> tuple[float, float]:
    """Return the penalty with the smallest spectral abscissa for a given loss, and that abscissa.

    For all data whose smallest eigenvalue is xi_min: modes of every xi >= xi_min count. 0 where the
    curvature of the loss already damps more than is good for the slowest mode.
    """
    from scipy.optimize import minimize_scalar

    xi = float(_eigenvalues(xi_min)[0]) * np.geomspace(1, 1e8, 4001)
    lower, upper = gamma_range(xi_min, beta)
    grid = np.geomspace(lower / 100, upper * 10, 400)
    values = [spectral_abscissa(xi, alpha, beta, gamma) for gamma in grid]
    best = int(np.argmin(values))
    bounds = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(
        lambda gamma: spectral_abscissa(xi, alpha, beta, gamma), bounds=bounds, method="bounded"
    )
    without = spectral_abscissa(xi, alpha, beta)
    return (float(found.x), float(found.fun)) if found.fun < without else (0.0, without)


def euler_moduli(spectrum: Vector, step: float) -> Vector:
    """|1 + step l| of eigenvalues l: Euler's method converges if all are below 1 ([K] (27)-(29)).

    For a complex pair the square is (1 - step a/2)^2 + step^2 (4 beta^2 xi - a^2) / 4 with
    a = alpha + gamma xi; [K] (29) prints it without the last division.
    """
    return np.abs(1 + step * spectrum)


@dataclass(frozen=True, eq=False)
class LocalGan(GameBase):
    """The game of the modes; state (v (K,), u (K,)).

    Args:
        xi: eigenvalues of the data's operator, all positive; default those of N(0, 1).
        alpha, beta: of the loss.
        gamma: weight of gamma/2 E|grad D|^2.

    Raises:
        ConfigError: gamma or alpha below 0, an xi that is not positive.
    """

    xi: Sequence[float] = (1.0, 2.0, 3.0, 4.0)
    alpha: float = 0.5
    beta: float = 0.5
    gamma: float = 0.0

    def __post_init__(self) -> None:
        require_non_negative("gamma", self.gamma)
        require_non_negative("alpha", self.alpha)
        _eigenvalues(self.xi)

    @property
    def generator(self) -> int:
        return len(self.xi)

    @property
    def equilibrium(self) -> Vector:
        return np.zeros(2 * self.generator)

    def field(self, x: Vector) -> Vector:
        xi, v, u = np.asarray(self.xi), x[: self.generator], x[self.generator :]
        turn = self.beta * np.sqrt(xi)
        return np.concatenate([turn * u, -(self.alpha + self.gamma * xi) * u - turn * v])

    def eigenvalues(self) -> Vector:
        return lgan_spectrum(self.xi, self.alpha, self.beta, self.gamma)

    def solution(self, x: Vector, t: float) -> Vector:
        """Return the state that the flow reaches from x after the time t ([K] Theorem 4, (20))."""
        xi, v, u = np.asarray(self.xi), x[: self.generator], x[self.generator :]
        middle, turn = -(self.alpha + self.gamma * xi) / 2, self.beta * np.sqrt(xi)
        root = np.sqrt((middle**2 - turn**2).astype(np.complex128))
        even = np.cosh(root * t)
        with np.errstate(invalid="ignore", divide="ignore"):
            odd = np.where(root == 0, t, np.sinh(root * t) / root)
        # exp(tM) of the mode's matrix M = [[0, turn], [-turn, 2 middle]]
        grown = np.exp(middle * t)
        v_t = grown * (even * v + odd * (-middle * v + turn * u))
        u_t = grown * (even * u + odd * (middle * u - turn * v))
        return np.real(np.concatenate([v_t, u_t]))


def discrete_operator(
    laplacian: WeightedLaplacian, alpha: float, beta: float, gamma: float = 0.0
) -> Matrix:
    """The operator on v at faces and u at cells, (2N-1, 2N-1): what the modes are modes of."""
    gradient, divergence = laplacian.gradient(), laplacian.divergence()
    damping = alpha * np.eye(len(laplacian.cells)) - gamma * divergence @ gradient
    return np.block(
        [[np.zeros((len(gradient),) * 2), beta * gradient], [beta * divergence, -damping]]
    )


def _eigenvalues(xi: ArrayLike) -> Vector:
    values = np.atleast_1d(np.asarray(xi, dtype=np.float64))
    if not (values > 0).all():
        raise ConfigError(f"xi = {values}: the eigenvalues above that of the constant are positive")
    return values
