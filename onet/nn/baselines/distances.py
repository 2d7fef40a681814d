"""Distances between sets of points, with gradients.

Which point goes with which is found without gradients, by the extension's search or by SciPy's
assignment; the distances of these pairs are then differentiated. Where the pairing does not change
that is the gradient itself.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def nearest_indices(
    queries: Tensor,  # (B, N, 3)
    points: Tensor,  # (B, M, 3)
) -> Tensor:  # (B, N) int64
    """Index of the point that is nearest to each query, item by item."""
    from onet import _C

    found = []
    for ours, theirs in zip(_doubles(queries), _doubles(points), strict=True):
        found.append(_C.NearestNeighbors(theirs, 1).query(ours, 1)[1])
    return torch.from_numpy(np.stack(found)).to(queries.device)


def _doubles(points: Tensor) -> np.ndarray:
    return np.ascontiguousarray(points.detach().cpu().double().numpy())


def gather_points(
    points: Tensor,  # (B, M, C)
    indices: Tensor,  # (B, N)
) -> Tensor:  # (B, N, C)
    """Return the rows of each item."""
    return points.gather(1, indices[..., None].expand(-1, -1, points.shape[2]))


def squared_chamfer(
    one: Tensor,  # (B, N, 3)
    other: Tensor,  # (B, M, 3)
) -> tuple[Tensor, Tensor]:
    """Mean squared distances (B,) from `one` to its nearest neighbours in `other`, and back."""
    there = gather_points(other, nearest_indices(one, other))
    back = gather_points(one, nearest_indices(other, one))
    return (one - there).square().sum(-1).mean(1), (other - back).square().sum(-1).mean(1)


def earth_movers(
    one: Tensor,  # (B, N, 3)
    other: Tensor,  # (B, N, 3)
) -> Tensor:  # (B,)
    """Mean distance between the points of two sets of equal size, assigned at the least cost.

    Exact, at the third power of N: 1,024 points take some hundredths of a second an item.

    Raises:
        ValueError: sets of different sizes.
    """
    from scipy.optimize import linear_sum_assignment

    if one.shape != other.shape:
        raise ValueError(f"earth_movers: {tuple(one.shape)} and {tuple(other.shape)} differ")
    cost = torch.cdist(one.detach().double(), other.detach().double()).cpu().numpy()
    columns = np.stack([linear_sum_assignment(matrix)[1] for matrix in cost])
    paired = gather_points(other, torch.from_numpy(columns).to(one.device))
    distances: Tensor = ((one - paired).square().sum(-1) + 1e-16).sqrt().mean(1)
    return distances
