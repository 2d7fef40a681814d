"""Distances between two sets of pictures by features, of which few are in memory at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onet.metrics.distribution_distances import gaussian_frechet_distance

Matrix = NDArray[np.float64]

KEPT = 2000
"""Features of a set that stay in memory, for the kernel distance; drawn evenly from all."""
SUBSETS, SUBSET = 50, 500
"""Pairs of subsets that it is the mean over, and features of each, at most: of small sets half."""


class FeatureSet:
    """Number, mean and covariance of features that come in batches, and a sample of them.

    Memory does not grow with their number: it is D^2 numbers for D features, and `KEPT` of them.

    Args:
        seed: of the sample that is kept.
    """

    def __init__(self, seed: int = 0) -> None:
        self.count = 0
        self._rng = np.random.default_rng(seed)
        self._mean: Matrix = np.empty(0)
        self._scatter: Matrix = np.empty((0, 0))
        self._kept: list[NDArray[np.float32]] = []

    def add(
        self,
        features: Matrix,  # (N, D)
    ) -> None:
        """Take up a batch (Chan, Golub and LeVeque, 1983)."""
        batch = np.asarray(features, dtype=np.float64)
        if not len(batch):
            return
        if self.count == 0:
            self._mean = np.zeros(batch.shape[1])
            self._scatter = np.zeros((batch.shape[1], batch.shape[1]))
        mean = batch.mean(axis=0)
        shift, total = mean - self._mean, self.count + len(batch)
        centred = batch - mean
        self._scatter += centred.T @ centred
        self._scatter += np.outer(shift, shift) * (self.count * len(batch) / total)
        self._mean = self._mean + shift * (len(batch) / total)
        for row in batch.astype(np.float32):
            self._keep(row)

    def _keep(self, row: NDArray[np.float32]) -> None:
        """Keep each of the features so far with the same probability (Vitter, 1985)."""
        if len(self._kept) < KEPT:
            self._kept.append(row)
        else:
            place = int(self._rng.integers(self.count + 1))
            if place < KEPT:
                self._kept[place] = row
        self.count += 1

    @property
    def mean(self) -> Matrix:
        """(D,)."""
        return self._mean

    @property
    def covariance(self) -> Matrix:
        """(D, D), divided by the number less one.

        Raises:
            ValueError: fewer than two features.
        """
        if self.count < 2:
            raise ValueError("a covariance needs at least two pictures in each set")
        return self._scatter / (self.count - 1)

    @property
    def kept(self) -> Matrix:
        """(K, D), K at most `KEPT`."""
        return np.stack(self._kept).astype(np.float64)


def frechet_of_sets(one: FeatureSet, other: FeatureSet) -> float:
    """Return the FID of two sets; see `frechet_distance` for its bias.

    Raises:
        ValueError: fewer than two pictures in a set.
    """
    return gaussian_frechet_distance(one.mean, one.covariance, other.mean, other.covariance)


def kernel_distance(one: Matrix, other: Matrix, seed: int = 0) -> tuple[float, float]:
    """Return the KID of features (N, D) and (M, D), and its standard deviation over subsets.

    The squared maximum mean discrepancy with the kernel (x . y / D + 1)^3, unbiased: its mean is 0
    for samples of one distribution, however few (Bińkowski et al., Demystifying MMD GANs, 2018).

    Args:
        one, other: features.
        seed: of the subsets.

    Raises:
        ValueError: fewer than two in a set.
    """
    fewest = min(len(one), len(other))
    if fewest < 2:
        raise ValueError("the kernel distance needs at least two pictures in each set")
    size = min(SUBSET, max(2, fewest // 2))
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(SUBSETS):
        x = one[rng.choice(len(one), size, replace=False)]
        y = other[rng.choice(len(other), size, replace=False)]
        kernels = [_kernel(z, z) for z in (x, y)]
        within = sum(kernel.sum() - np.trace(kernel) for kernel in kernels)
        found.append(within / (size * (size - 1)) - 2 * _kernel(x, y).mean())
    return float(np.mean(found)), float(np.std(found))


def _kernel(x: Matrix, y: Matrix) -> Matrix:
    return (x @ y.T / x.shape[1] + 1) ** 3
