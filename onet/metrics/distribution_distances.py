"""Distances between two distributions of which samples are given.

A sample is an array (N, D) of N points, or (N,) of N numbers; all pairs of points are looked at, so
memory and time grow with the product of the sample sizes. Distances between points are Euclidean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.errors import MissingDependency

Matrix = NDArray[np.float64]


def wasserstein1(
    x: ArrayLike,  # (N, D) or (N,)
    y: ArrayLike,  # (M, D) or (M,)
) -> float:
    """Exact Wasserstein-1 distance of the empirical distributions, in units of the coordinates.

    The mean distance between points under the best transport plan. For numbers it is the area
    between the distribution functions; in more dimensions the network simplex of POT finds the plan
    (Bonneel et al., SIGGRAPH Asia 2011), in half a second for 2,000 points. The samples may be of
    different sizes.

    Raises:
        ValueError: no points, NaN, or other dimensions.
        MissingDependency: more than one dimension, without the extra `transport`.
        RuntimeError: the plan was not found.
    """
    from scipy.stats import wasserstein_distance

    first, second = _samples(x, y)
    if first.shape[1] == 1:
        return float(wasserstein_distance(first[:, 0], second[:, 0]))
    return _transport_cost(_distances(first, second))


def sinkhorn_distance(
    x: ArrayLike,  # (N, D) or (N,)
    y: ArrayLike,  # (M, D) or (M,)
    epsilon: float,
    *,
    debiased: bool = False,
    tolerance: float = 1e-3,
    iterations: int = 10_000,
) -> float:
    """Transport cost of the plan that entropy makes smooth (Cuturi, NeurIPS 2013).

    It falls to `wasserstein1` as epsilon falls to 0. Debiased, it is W(x, y) minus half of W(x, x)
    and of W(y, y): half of the Sinkhorn loss of Genevay, Peyré and Cuturi (AISTATS 2018), between
    `wasserstein1` for small and half of `energy_distance` for large epsilon, and 0 for equal
    samples. Iterated in the log domain, with epsilon annealed from the largest distance.

    Args:
        epsilon: weight of the entropy, in units of the coordinates.
        debiased: subtract what blurring alone costs.
        tolerance: share of the mass that the plan may leave in a wrong place.
        iterations: at most so many for each epsilon.

    Raises:
        ValueError: epsilon not above 0, or samples as for `wasserstein1`.
        RuntimeError: the tolerance was not reached.
    """
    if not epsilon > 0:
        raise ValueError(f"epsilon: {epsilon}; give a number above 0")
    first, second = _samples(x, y)

    def cost(left: Matrix, right: Matrix) -> float:
        return _entropic_cost(_distances(left, right), epsilon, tolerance, iterations)

    if not debiased:
        return cost(first, second)
    return cost(first, second) - (cost(first, first) + cost(second, second)) / 2


def energy_distance(
    x: ArrayLike,  # (N, D) or (N,)
    y: ArrayLike,  # (M, D) or (M,)
    *,
    unbiased: bool = False,
) -> float:
    """Energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'| (Székely and Rizzo, 2013).

    Zero if and only if the distributions are equal. For numbers it is twice the integral of the
    squared difference of the distribution functions (Cramér), the square of what
    `scipy.stats.energy_distance` returns.

    Args:
        unbiased: take X and X' from different members of the sample. The result may be negative.

    Raises:
        ValueError: see `wasserstein1`; or fewer than two points, with `unbiased`.
    """
    first, second = _samples(x, y)
    within = [_mean_within(_distances(one, one), 0.0, unbiased) for one in (first, second)]
    return float(2 * _distances(first, second).mean() - sum(within))


def squared_mmd(
    x: ArrayLike,  # (N, D) or (N,)
    y: ArrayLike,  # (M, D) or (M,)
    bandwidth: float | None = None,
    *,
    unbiased: bool = False,
) -> float:
    """Squared maximum mean discrepancy with a Gaussian kernel (Gretton et al., JMLR 2012).

    The kernel is exp(-|x - y|^2 / (2 bandwidth^2)); the result has no unit and is at most 2.

    Args:
        bandwidth: in units of the coordinates; default the median distance between two points of
            both samples together, which makes results of different samples incomparable.
        unbiased: as for `energy_distance`.

    Raises:
        ValueError: see `energy_distance`; a bandwidth not above 0, or a median of 0.
    """
    first, second = _samples(x, y)
    if bandwidth is None:
        pooled = np.concatenate([first, second])
        bandwidth = float(np.median(_distances(pooled, pooled)[np.triu_indices(len(pooled), 1)]))
    if not bandwidth > 0:
        raise ValueError(f"bandwidth: {bandwidth}; give a number above 0")

    def kernel(left: Matrix, right: Matrix) -> Matrix:
        return np.exp(-0.5 * (_distances(left, right) / bandwidth) ** 2)

    within = [_mean_within(kernel(one, one), 1.0, unbiased) for one in (first, second)]
    return float(sum(within) - 2 * kernel(first, second).mean())


def frechet_distance(
    x: ArrayLike,  # (N, D) features
    y: ArrayLike,  # (M, D)
) -> float:
    """Squared Fréchet distance of the Gaussians with the means and covariances of two samples.

    With features of an image network it is the FID (Heusel et al., NeurIPS 2017). It is biased
    upwards, the more the fewer points there are: compare numbers of equal N and M only, and with
    the distance between two samples of the same distribution.

    Raises:
        ValueError: see `wasserstein1`; or fewer than two points.
    """
    first, second = _samples(x, y)
    if min(len(first), len(second)) < 2:
        raise ValueError("a covariance needs at least two points in each sample")
    moments = [(one.mean(axis=0), np.atleast_2d(np.cov(one.T))) for one in (first, second)]
    return gaussian_frechet_distance(*moments[0], *moments[1])


def gaussian_frechet_distance(
    mean_x: ArrayLike,  # (D,)
    covariance_x: ArrayLike,  # (D, D)
    mean_y: ArrayLike,  # (D,)
    covariance_y: ArrayLike,  # (D, D)
) -> float:
    """|m - n|^2 + tr(S + T - 2 (S T)^(1/2)): the squared Wasserstein-2 distance of two Gaussians.

    The trace of the root is that of the symmetric (S^(1/2) T S^(1/2))^(1/2), so singular
    covariances do no harm (Dowson and Landau, 1982).
    """
    difference = np.subtract(mean_x, mean_y)
    first, second = np.asarray(covariance_x, float), np.asarray(covariance_y, float)
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    return float(difference @ difference + np.trace(first) + np.trace(second) - 2 * shared)


def _transport_cost(cost: Matrix) -> float:
    """Cost <P, C> of the best plan P between uniform weights."""
    try:
        import ot
    except ModuleNotFoundError:
        raise MissingDependency(
            "optimal transport in more than one dimension needs POT: pip install 'onet[transport]'"
        ) from None
    weights = [np.full(size, 1 / size) for size in cost.shape]
    value, log = ot.emd2(*weights, cost, numItermax=100_000_000, log=True)
    if log["warning"] is not None:
        raise RuntimeError(f"the best transport plan was not found: {log['warning']}")
    return float(value)


def _entropic_cost(cost: Matrix, epsilon: float, tolerance: float, iterations: int) -> float:
    """Cost <P, C> of the entropic plan P between uniform weights."""
    rows, columns = (-np.log(size) for size in cost.shape)  # logarithms of the weights
    f, g = np.zeros(cost.shape[0]), np.zeros(cost.shape[1])
    level = max(float(cost.max()), epsilon)
    while True:
        wanted = tolerance if level == epsilon else max(tolerance, 0.1)
        for _ in range(iterations):
            before = f
            f = -level * _log_sum_exp((g - cost) / level + columns, 1)
            g = -level * _log_sum_exp((f[:, None] - cost) / level + rows, 0)
            # What the rows of the last plan weighed, relative to what they should.
            wrong = np.abs(np.expm1((before - f) / level)).mean()
            if wrong <= wanted:
                break
        else:
            raise RuntimeError(
                f"{wrong:.2g} of the mass is in a wrong place after {iterations} iterations with "
                f"epsilon {level:g}; take a larger epsilon, tolerance or number of iterations"
            )
        if level == epsilon:
            plan = np.exp((f[:, None] + g - cost) / epsilon + rows + columns)
            return float((plan * cost).sum())
        level = max(level / 2, epsilon)


def _log_sum_exp(exponents: Matrix, axis: int) -> Matrix:
    """Without the overhead of `scipy.special.logsumexp`, ten times as much for small matrices."""
    largest = exponents.max(axis=axis, keepdims=True)
    total = np.exp(exponents - largest).sum(axis=axis)
    return np.log(total) + largest.squeeze(axis)


def _mean_within(values: Matrix, diagonal: float, unbiased: bool) -> float:
    """Mean over pairs of a sample, with or without those of a point and itself."""
    if not unbiased:
        return float(values.mean())
    count = len(values)
    if count < 2:
        raise ValueError("the unbiased estimate needs at least two points in each sample")
    return float((values.sum() - count * diagonal) / (count * (count - 1)))


def _distances(x: Matrix, y: Matrix) -> Matrix:
    from scipy.spatial.distance import cdist

    return cdist(x, y)


def _samples(x: ArrayLike, y: ArrayLike) -> tuple[Matrix, Matrix]:
    """Both as (N, D)."""
    arrays = []
    for name, given in (("x", x), ("y", y)):
        array = np.asarray(given, dtype=np.float64)
        array = array[:, None] if array.ndim == 1 else array
        if array.ndim != 2 or array.size == 0:
            raise ValueError(f"{name}: expected shape (N, D) or (N,), found {np.shape(given)}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: holds NaN or infinite numbers")
        arrays.append(array)
    if arrays[0].shape[1] != arrays[1].shape[1]:
        raise ValueError(f"x has {arrays[0].shape[1]} dimensions and y {arrays[1].shape[1]}")
    return arrays[0], arrays[1]
