"""One-dimensional Gaussian mixtures: the data sets of which everything is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onet.gan_theory.weighted_laplacian import WeightedLaplacian

TAIL = 7.0  # standard deviations beyond the outermost mean


@dataclass(frozen=True)
class Mixture:
    """Weights that add up to 1, means, and one standard deviation for all."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    std: float = 1.0

    def density(self, x: NDArray[np.floating]) -> NDArray[np.floating]:
        """At points (N,)."""
        z = (x[:, None] - np.asarray(self.means)) / self.std
        return np.exp(-(z**2) / 2) @ np.asarray(self.weights) / (self.std * np.sqrt(2 * np.pi))

    def sample(self, count: int, seed: int) -> NDArray[np.floating]:
        """Points (count, 1)."""
        generator = np.random.default_rng(seed)
        means = generator.choice(np.asarray(self.means), size=count, p=self.weights)
        return (means + self.std * generator.standard_normal(count))[:, None]

    def laplacian(self, cells: int = 4000) -> WeightedLaplacian:
        """On an interval that leaves out less than 1e-11 of the mass."""
        reach = TAIL * self.std
        return WeightedLaplacian.of(
            self.density, min(self.means) - reach, max(self.means) + reach, cells
        )


def gaussian(std: float = 1.0) -> Mixture:
    """N(0, std^2), with eigenvalues k / std^2."""
    return Mixture((1.0,), (0.0,), std)


def two_modes(distance: float) -> Mixture:
    """1/2 N(0, 1) + 1/2 N(distance, 1) ([K] section 7)."""
    return Mixture((0.5, 0.5), (0.0, distance))


def bridged(p: float) -> Mixture:
    """Two modes at +-3 with a share p/2 moved to the middle ([K] (33)-(34)): an augmentation."""
    return Mixture((0.5 - p / 4, p / 2, 0.5 - p / 4), (-3.0, 0.0, 3.0))
