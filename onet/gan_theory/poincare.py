"""The Poincare constant of samples: how hard their distribution is for a GAN ([K] sections 4 to 6).

xi_min = min E|grad w|^2 / Var w over functions w. It is small where the data falls into parts that
little connects, and with it every rate of `games.function_space`. The Rayleigh-Ritz method
restricts w to the span of given functions, so that it is an ordinary eigenvalue problem: on the
samples' distribution its values are upper bounds that fall as functions are added. With finitely
many samples they are estimates, too small where there are too many functions for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from onet.adversarial.activations import ActivationPair, find_pair
from onet.errors import ConfigError, DataError
from onet.gan_theory.games.function_space import fastest_gamma, gamma_range, lgan_spectrum

Points = NDArray[np.floating]  # (N, d)
# Points (N, d) -> values (N, K) and gradients (N, K, d).
Features = Callable[[Points], tuple[NDArray[np.floating], NDArray[np.floating]]]

CHUNK = 4096  # points at once: bounds the memory of their gradients
# Directions of the features with a smaller share of the largest variance are dropped: what random
# features hardly express they express with large gradients, by chance on a few samples.
RANK = 1e-6


@dataclass(frozen=True)
class Polynomials:
    """Products of Legendre polynomials in each coordinate, up to a total degree.

    Args:
        like: points (N, d) whose bounding box becomes [-1, 1]^d.
        degree: of the whole product, at least 1.
    """

    like: Points
    degree: int

    def __call__(self, points: Points) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        low, high = self.like.min(axis=0), self.like.max(axis=0)
        scale = 2 / np.where(high > low, high - low, 1.0)
        x = (points - low) * scale - 1
        dimension = points.shape[1]
        values = np.polynomial.legendre.legvander(x, self.degree)  # (N, d, degree + 1)
        slopes = np.stack(
            [
                np.polynomial.legendre.legval(x, np.polynomial.legendre.legder(unit))
                for unit in np.eye(self.degree + 1)
            ],
            axis=-1,
        )
        powers = np.array(
            [
                p
                for p in product(range(self.degree + 1), repeat=dimension)
                if 0 < sum(p) <= self.degree
            ]
        )
        axes = np.arange(dimension)
        factors, derivatives = values[:, axes, powers], slopes[:, axes, powers]  # (N, K, d)
        gradients = np.empty_like(factors)
        for axis in axes:
            others = np.delete(factors, axis, axis=2).prod(axis=2)
            gradients[..., axis] = derivatives[..., axis] * others * scale[axis]
        return factors.prod(axis=2), gradients


@dataclass(frozen=True)
class FourierFeatures:
    """Random cosines beside the coordinates themselves: for more dimensions than polynomials take.

    Args:
        like: points (N, d); frequencies are measured in their standard deviations.
        count: of the cosines.
        frequency: standard deviation of the angular frequencies.
        seed: of frequencies and phases.
    """

    like: Points
    count: int = 100
    frequency: float = 2.0
    seed: int = 0

    def __call__(self, points: Points) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        generator = np.random.default_rng(self.seed)
        dimension = points.shape[1]
        deviation = self.like.std(axis=0)
        deviation = np.where(deviation > 0, deviation, 1.0)
        frequencies = (
            generator.standard_normal((self.count, dimension)) * self.frequency / deviation
        )
        angles = points @ frequencies.T + generator.uniform(0, 2 * np.pi, self.count)
        waves = -np.sin(angles)[..., None] * frequencies
        straight = np.broadcast_to(np.eye(dimension), (len(points), dimension, dimension))
        return (
            np.concatenate([points, np.cos(angles)], axis=1),
            np.concatenate([straight, waves], axis=1),
        )


@dataclass(frozen=True, eq=False)
class Ritz:
    """Eigenvalues, smallest first, and the functions that have them.

    Attributes:
        values: (k,), in units of 1 / length^2.
        weights: (K, k) of the features; each function has variance 1.
        rank: functions that the samples can tell apart: there are so many eigenvalues.
    """

    values: NDArray[np.floating]
    weights: NDArray[np.floating]
    rank: int

    @property
    def xi_min(self) -> float:
        return float(self.values[0])


def ritz(
    points: Points,
    features: Features,
    count: int = 1,
    weights: NDArray[np.floating] | None = None,
) -> Ritz:
    """Return the smallest eigenvalues of the data's operator, the constant's 0 left out.

    Args:
        points: samples (N, d).
        features: `Polynomials`, `FourierFeatures`, or any function like them.
        count: how many eigenvalues.
        weights: (N,) of the samples, adding up to 1; default equal.

    Raises:
        DataError: points that are not finite or not (N, d) with N > 1.
        ConfigError: more eigenvalues than the features have on these points.
    """
    points = require_samples(points)
    share = np.full(len(points), 1 / len(points)) if weights is None else weights
    functions = features(points[:1])[0].shape[1]
    mean, square, energy = (
        np.zeros(functions),
        np.zeros((functions,) * 2),
        np.zeros((functions,) * 2),
    )
    for start in range(0, len(points), CHUNK):
        part, root = (a[start : start + CHUNK] for a in (points, np.sqrt(share)))
        values, gradients = features(part)
        values = root[:, None] * values
        flat = (root[:, None, None] * gradients).transpose(0, 2, 1).reshape(-1, functions)
        mean += root @ values
        square += values.T @ values
        energy += flat.T @ flat
    covariance = square - np.outer(mean, mean)
    scale = 1 / np.sqrt(np.maximum(np.diag(covariance), np.finfo(float).tiny))
    variances, axes = eigh(covariance * np.outer(scale, scale))
    kept = variances > RANK * variances[-1]
    rank = int(kept.sum())
    if not 1 <= count <= rank:
        raise ConfigError(
            f"{count} eigenvalues asked for; these features have {rank} on {len(points)} points"
        )
    white = scale[:, None] * axes[:, kept] / np.sqrt(variances[kept])
    values, vectors = eigh(white.T @ energy @ white, subset_by_index=(0, count - 1))
    return Ritz(values, white @ vectors, rank)


def require_samples(points: Points) -> NDArray[np.float64]:
    """Return the samples in float64.

    Raises:
        DataError: they are not finite or not (N, d) with N > 1.
    """
    samples: NDArray[np.float64] = np.asarray(points, dtype=np.float64)
    if samples.ndim != 2 or len(samples) < 2 or not np.isfinite(samples).all():
        raise DataError(
            f"samples of shape {samples.shape}: finite numbers (N, d) with N > 1 needed"
        )
    return samples


@dataclass(frozen=True)
class PoincareAdvice:
    """What a Poincare constant means for training with a loss.

    Attributes:
        xi_min: of the data.
        pair: name of the loss's activation pair.
        unregularised: leading eigenvalue without a penalty.
        fastest_gamma: the penalty with the fastest decay of the slowest mode.
        rate: of that decay, per unit of time.
        real_gamma: between them, some loss with this slope does not oscillate at all; the upper
            end needs no curvature of the loss.
    """

    xi_min: float
    pair: str
    unregularised: complex
    fastest_gamma: float
    rate: float
    real_gamma: tuple[float, float]


def advise(xi_min: float, pair: ActivationPair | str = "js") -> PoincareAdvice:
    """Penalty and rate near the equilibrium for data with this xi_min.

    Raises:
        ConfigError: xi_min not above 0, or an unknown or invalid pair.
    """
    pair = find_pair(pair)
    free = lgan_spectrum(xi_min, pair.rho2, pair.rho1)
    gamma, abscissa = fastest_gamma(xi_min, pair.rho2, pair.rho1)
    return PoincareAdvice(
        xi_min=xi_min,
        pair=pair.name,
        unregularised=complex(free[np.argmax(free.real)]),
        fastest_gamma=gamma,
        rate=-abscissa,
        real_gamma=gamma_range(xi_min, pair.rho1),
    )
