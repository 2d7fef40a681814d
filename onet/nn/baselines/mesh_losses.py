"""What keeps a deformed mesh in shape: losses of vertices, edges and faces (Pixel2Mesh)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from onet.nn.baselines.distances import gather_points


def edge_lengths(
    vertices: Tensor,  # (B, V, 3)
    edges: Tensor,  # (E, 2)
) -> Tensor:  # (B,)
    """Mean squared length of an edge."""
    ends = vertices[:, edges]
    return (ends[:, :, 0] - ends[:, :, 1]).square().sum(-1).mean(1)


def normal_deviation(
    vertices: Tensor,  # (B, V, 3)
    edges: Tensor,  # (E, 2)
    normals: Tensor,  # (B, M, 3) unit normals of the true surface
    nearest: Tensor,  # (B, V) the true sample that is nearest to each vertex
) -> Tensor:  # (B,)
    """Mean absolute cosine between edges and the true normal at either of their ends."""
    ends = vertices[:, edges]
    along = F.normalize(ends[:, :, 0] - ends[:, :, 1], dim=-1, eps=1e-8)
    true = gather_points(normals, nearest)[:, edges]
    return (along[:, :, None] * true).sum(-1).abs().mean((1, 2))


def laplacian(
    vertices: Tensor,  # (B, V, 3)
    edges: Tensor,  # (E, 2)
) -> Tensor:  # (B, V, 3)
    """Vertices less the mean of their neighbours."""
    both = torch.cat([edges, edges.flip(1)])
    count = torch.bincount(both[:, 0], minlength=vertices.shape[1]).clamp(min=1)
    sums = torch.zeros_like(vertices).index_add(1, both[:, 0], vertices[:, both[:, 1]])
    return vertices - sums / count[:, None]


def mean_square(
    one: Tensor,  # (B, V, 3)
    other: Tensor,  # (B, V, 3)
) -> Tensor:  # (B,)
    """Mean squared distance between places with the same number."""
    return (one - other).square().sum(-1).mean(1)
