"""How fast gradient descent converges on a regularised GAN, from four numbers ([M] chapter 7).

Near an equilibrium the Jacobian is [[0, P^T], [-P, -Q]] with the coupling P (K_DG of `Blocks`) and
the damping Q (K_DD + L_DD). All bounds depend on the smallest and largest singular value of P and
eigenvalue of Q. Step sizes are written h_g = h / tau and h_d = h tau.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from onet.errors import ConfigError

Matrix = NDArray[np.floating]
Interval = tuple[float, float]

# The bounds are attained (equal singular values, 1-D games): what rounding does is no violation.
SLACK = 1e-12


@dataclass(frozen=True)
class Extremes:
    """Smallest and largest singular value of P and eigenvalue of Q.

    Raises:
        ConfigError: numbers out of order, or not positive.
    """

    s_min: float
    s_max: float
    eta_min: float
    eta_max: float

    def __post_init__(self) -> None:
        if not (0 < self.s_min <= self.s_max and 0 < self.eta_min <= self.eta_max):
            raise ConfigError(
                f"{self}: singular values of P and eigenvalues of Q must be positive and in order; "
                "drop directions in which nothing happens, or add a penalty"
            )


def extremes(p: Matrix, q: Matrix) -> Extremes:
    """Of the blocks P (n, n) and Q (n, n), Q symmetric and positive."""
    s, eta = np.linalg.svd(p, compute_uv=False), np.linalg.eigvalsh(q)
    return Extremes(float(s.min()), float(s.max()), float(eta.min()), float(eta.max()))


@dataclass(frozen=True)
class Bounds:
    """Where eigenvalues l can be ([M] Theorem 7.1, Lemma 7.2).

    Attributes:
        kind: `complex` or `real` if all must be, else `mixed`.
        complex_real: interval of Re l of those that are not real.
        modulus: of |l| of the same.
        imaginary: of |Im l| of the same.
        real: interval of the real ones.
    """

    kind: str
    complex_real: Interval
    modulus: Interval
    imaginary: Interval
    real: Interval


def eigenvalue_bounds(e: Extremes) -> Bounds:
    """Intervals that hold every eigenvalue of [[0, P^T], [-P, -Q]]."""
    kind = "mixed"
    if e.eta_max / 2 < e.s_min:
        kind = "complex"
    elif e.s_max <= e.eta_min / 2:
        kind = "real"
    root = sqrt(max(0.0, e.eta_max**2 / 4 - e.s_min**2))
    return Bounds(
        kind,
        (-e.eta_max / 2, -e.eta_min / 2),
        (e.s_min, e.s_max),
        (
            sqrt(max(0.0, e.s_min**2 - e.eta_max**2 / 4)),
            sqrt(max(0.0, e.s_max**2 - e.eta_min**2 / 4)),
        ),
        (-e.eta_max / 2 - root, min(-e.eta_max / 2 + root, -(e.s_min**2) / e.eta_max)),
    )


def nagarajan_kolter_bounds(e: Extremes) -> tuple[float, float]:
    """Upper bounds of Re l of complex and of real eigenvalues, by Nagarajan and Kolter.

    [M] (7.3)-(7.4) with the two cases exchanged, as its proof (7.13) has them.
    """
    s2 = e.s_min**2
    return -e.eta_min / 2, -e.eta_min * s2 / (e.eta_max * e.eta_min + s2)


def largest_step(eigenvalues: NDArray) -> float:
    """Simultaneous descent converges below min 2a/(a^2 + b^2) over l = -a + ib ([M] (2.9)).

    0 if an eigenvalue has no negative real part.
    """
    real = -np.real(eigenvalues)
    if (real <= 0).any():
        return 0.0
    return float((2 * real / np.abs(eigenvalues) ** 2).min())


def largest_alternating_step(s_max: float, eta_max: float, ratio: float = 1.0) -> float:
    """Alternating descent converges with all h_g below this and h_d = ratio h_g.

    An eigenvalue l of the update solves (l - 1)^2 + (l - 1) h_d q + l h_g h_d p = 0 with q and p
    between the extreme eigenvalues of Q and of P P^T (take the eigenvector's product with the
    eigenvalue equation). It is inside the unit circle if q > 0 and h_d (2 q + h_g p) < 4. So any
    damping will do, however small, where simultaneous descent asks for h_g p < q.

    Args:
        s_max: largest singular value of the coupling P.
        eta_max: largest eigenvalue of the damping Q, 0 or more.
        ratio: of the discriminator's step to the generator's.

    Raises:
        ConfigError: neither coupling nor damping, or a ratio that is not positive.
    """
    if not (s_max >= 0 and eta_max >= 0 and s_max + eta_max > 0 and ratio > 0):
        raise ConfigError(
            f"no step for s_max = {s_max:g}, eta_max = {eta_max:g}, ratio = {ratio:g}: they must "
            "be positive"
        )
    turn = eta_max * ratio
    return 4 / (turn + sqrt(turn**2 + 4 * ratio * s_max**2))


def simultaneous_rate(e: Extremes, h: float, tau: float) -> float:
    """Bound of the spectral radius of simultaneous descent ([M] Lemmas 7.5 and 7.7).

    Raises:
        ConfigError: step sizes for which neither lemma says anything.
    """
    if tau <= 2 * e.s_min / e.eta_max and 0 < h < tau * e.eta_min / e.s_max**2:
        return sqrt(max(0.0, 1 - h * tau * e.eta_min + h**2 * e.s_max**2))
    if tau >= 2 * e.s_max / e.eta_min:
        root = sqrt(tau**2 * e.eta_max**2 / 4 - e.s_min**2)
        high, low = tau * e.eta_max / 2 + root, e.s_min**2 / (tau * e.eta_max / 2 + root)
        if 0 < h < 2 / high:
            return 1 - h * low if h <= 2 / (tau * e.eta_max) else h * high - 1
    raise ConfigError(
        f"no bound for h = {h:g}, tau = {tau:g}: take tau <= {2 * e.s_min / e.eta_max:g} with "
        f"h < tau * {e.eta_min / e.s_max**2:g}, or tau >= {2 * e.s_max / e.eta_min:g} with "
        f"h <= {2 / e.eta_max:g} / tau"
    )


def alternating_rate(e: Extremes, h: float, tau: float) -> float:
    """Bound of the spectral radius of alternating descent ([M] Lemma 7.11).

    Raises:
        ConfigError: step sizes for which the lemma says nothing.
    """
    middle = 2 / (e.s_max + e.s_min)
    damping = tau * e.eta_max
    long = h >= middle - SLACK and damping + h * e.s_max**2 <= 2 * e.s_max + SLACK
    short = 0 < h <= middle + SLACK and damping + h * e.s_min**2 <= 2 * e.s_min + SLACK
    if long or short:
        return sqrt(max(0.0, 1 - h * tau * e.eta_min))
    raise ConfigError(
        f"no bound for h = {h:g}, tau = {tau:g}: take h = {middle:g} and "
        f"tau <= {(2 * e.s_min - middle * e.s_min**2) / e.eta_max:g}"
    )


@dataclass(frozen=True)
class Advice:
    """Step sizes of both players and the rate that they guarantee."""

    h_g: float
    h_d: float
    rate: float


def optimal_steps(e: Extremes, scheme: str = "alternating") -> Advice:
    """Return the step sizes with the best guaranteed rate.

    Args:
        scheme: `simultaneous` ([M] Lemma 7.9), `simultaneous_complex` (Lemma 7.6, all eigenvalues
            complex) or `alternating` (Lemma 7.12).

    Raises:
        ConfigError: an unknown scheme.
    """
    s, eta = e.s_min / e.s_max, e.eta_min / e.eta_max
    if scheme == "simultaneous":
        return Advice(e.eta_min / (2 * e.s_max**2), 2 / e.eta_max, sqrt(max(0, 1 - s**2 * eta)))
    if scheme == "simultaneous_complex":
        tau = 2 * e.s_min / e.eta_max
        h = tau * e.eta_min / (2 * e.s_max**2)
        return Advice(h / tau, h * tau, sqrt(max(0, 1 - (s * eta) ** 2)))
    if scheme == "alternating":
        product, total = e.s_min * e.s_max, (e.s_min + e.s_max) ** 2
        rate = sqrt(max(0.0, 1 - 4 * product / total * eta))
        return Advice(e.eta_max / product, 4 * product / (e.eta_max * total), rate)
    raise ConfigError(
        f"unknown scheme {scheme!r}; valid: simultaneous, simultaneous_complex, alternating"
    )


def simultaneous_floor(e: Extremes) -> float:
    """No step sizes make simultaneous descent faster on all such games ([M] (7.43))."""
    return sqrt(max(0.0, 1 - e.s_min / e.s_max * e.eta_min / e.eta_max))
