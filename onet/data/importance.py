"""Weights that make near-surface points stand for uniform ones.

Points of which half are near the surface show a network more inside than there is: what it learns
is no longer the probability that a place of the cube is occupied. Each point x therefore has the
weight w(x) = u / (u / 2 + q(x) / 2), where u is the uniform density in the padded cube, 0 outside,
and q that of the near-surface points. Sums over the points so weighted estimate sums over uniform
ones without bias; no weight exceeds 2, and their mean is 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_NOISE = 0.004
"""Least deviation, in units of the longest edge, for which the grid of densities is fine enough."""

_CELLS = 384  # most along an edge of the grid
_REACH = 4.5  # deviations


def near_surface_density(
    queries: ArrayLike,  # (N, 3) in the unit frame
    surface: ArrayLike,  # (M, 3) uniform on the surface, in the unit frame
    noise: float,
) -> NDArray[np.float64]:
    """Density (N,) of points uniform on a surface plus Gaussian noise, per unit of volume.

    It is the mean of the M normal distributions around the surface points, on a grid: the points
    are shared among the corners of their cells, the grid is blurred, and read between its nodes.
    Sharing and reading blur as well, by a sixth of a squared cell each, and the filter by as much
    less. Within 1 % of the sum itself where that is not tiny, at a thousandth of its cost.

    Args:
        queries: where the density is wanted.
        surface: enough points for a smooth sum: several within `noise` of each other.
        noise: standard deviation in units of the longest edge.

    Raises:
        ValueError: noise below `LEAST_NOISE`.
    """
    from scipy.ndimage import gaussian_filter, map_coordinates

    if not noise >= LEAST_NOISE:
        raise ValueError(f"noise is {noise}; densities are for at least {LEAST_NOISE}")
    points, places = np.asarray(surface, np.float64), np.asarray(queries, np.float64)
    low = points.min(axis=0) - _REACH * noise
    extent = np.ptp(points, axis=0) + 2 * _REACH * noise
    cell = max(noise / 2.5, extent.max() / _CELLS)
    shape = np.ceil(extent / cell).astype(int) + 2
    grid = np.zeros(shape.prod(), np.float32)
    base, part = np.divmod((points - low) / cell, 1)
    for corner in np.ndindex(2, 2, 2):
        share = np.where(corner, part, 1 - part).prod(axis=1)
        node = np.ravel_multi_index((base.astype(int) + corner).T, shape)
        grid += np.bincount(node, share, len(grid)).astype(np.float32)
    sigma = np.sqrt((noise / cell) ** 2 - 1 / 3)
    grid = gaussian_filter(grid.reshape(shape), sigma, mode="constant", truncate=_REACH)
    values = map_coordinates(
        grid, ((places - low) / cell).T, order=1, mode="constant", prefilter=False
    )
    return values.astype(np.float64) / (len(points) * cell**3)


def importance_weights(
    points: ArrayLike,  # (N, 3) in the unit frame
    surface: ArrayLike,  # (M, 3) uniform on the surface, in the unit frame
    noise: float,
    padding: float,
) -> NDArray[np.float32]:
    """Weights (N,) in [0, 2] of points of which half are uniform and half near the surface.

    Args:
        points: all of them.
        surface, noise: see `near_surface_density`.
        padding: of the cube of uniform points.
    """
    places = np.asarray(points, np.float64)
    inside = np.abs(places).max(axis=1) <= (1 + padding) / 2
    uniform = inside / (1 + padding) ** 3
    near = near_surface_density(places, surface, noise)
    return (2 * uniform / np.maximum(uniform + near, np.finfo(np.float64).tiny)).astype(np.float32)
