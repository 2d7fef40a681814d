"""Marching cubes with probabilities: topologies of cells, and where their triangles are.

Source: Liao et al., Deep Marching Cubes, CVPR 2018. Cells are [x, y, z] from 0 to N, corners from 0
to N + 1, in units of cells. Bit x + 2y + 4z of a topology is set where the corner (x, y, z) of the
cell is inside; edge e of a cell runs along axis e // 4. The triangles of each topology are those of
the extension's marching cubes, so neighbours always agree.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CORNERS = np.array([(k & 1, k >> 1 & 1, k >> 2 & 1) for k in range(8)])
"""(8, 3), the corner of each bit."""


@dataclass(frozen=True, eq=False)
class Table:
    """Triangles of the 256 topologies.

    Attributes:
        starts: (12, 3) the corner from which each edge of a cell runs.
        axes: (12,) along which axis.
        triangles: (256, 5, 3) edges of each, in order, -1 where there are no more.
        kinds: (K, 3) every triple of edges that occurs.
        kind_of: (256, 5) the number among `kinds` of each triangle, K where there is none.
    """

    starts: NDArray[np.int64]
    axes: NDArray[np.int64]
    triangles: NDArray[np.int64]
    kinds: NDArray[np.int64]
    kind_of: NDArray[np.int64]


@functools.cache
def table() -> Table:
    """Return the table of the extension."""
    from onet import _C

    starts, axes = np.zeros((12, 3), np.int64), np.arange(12) // 4
    for edge, axis in enumerate(axes):
        first, second = (other for other in range(3) if other != axis)
        starts[edge, first], starts[edge, second] = edge & 1, edge >> 1 & 1
    triangles = np.full((256, 5, 3), -1, np.int64)
    for case in range(256):
        rows = np.asarray(_C.cube_triangles(case), dtype=np.int64).reshape(-1, 3)
        triangles[case, : len(rows)] = rows
    kinds, inverse = np.unique(
        np.sort(triangles.reshape(-1, 3), axis=1), axis=0, return_inverse=True
    )
    numbers = inverse.reshape(256, 5) - 1  # the first kind is that of no triangle
    numbers[numbers < 0] = len(kinds) - 1
    return Table(starts, axes, triangles, kinds[1:], numbers)


def corner_values(
    grid: Tensor,  # (N + 1, N + 1, N + 1)
    cells: Tensor,  # (P, 3) int64
) -> Tensor:  # (P, 8)
    """Values at the corners of cells, in the order of bits."""
    at = cells[:, None] + torch.from_numpy(CORNERS).to(cells.device)
    return grid[at[..., 0], at[..., 1], at[..., 2]]


def topology_probabilities(
    occupancy: Tensor,  # (P, 8) probabilities of the corners
) -> Tensor:  # (P, 256)
    """Probabilities of the topologies of cells whose corners are independent; they sum up to 1."""
    result = occupancy.new_ones(len(occupancy), 1)
    for corner in occupancy.unbind(1):
        result = torch.cat([result * (1 - corner[:, None]), result * corner[:, None]], 1)
    return result


def edge_vertices(
    offsets: Tensor,  # (3, N + 1, N + 1, N + 1) from the middle of the edge that starts there
    cells: Tensor,  # (P, 3) int64
) -> Tensor:  # (P, 12, 3)
    """Where the surface crosses the edges of cells, in units of cells."""
    axes = torch.from_numpy(table().axes).to(cells.device)
    at = cells[:, None] + torch.from_numpy(table().starts).to(cells.device)
    along = 0.5 + offsets[axes, at[..., 0], at[..., 1], at[..., 2]]
    unit = torch.eye(3, dtype=offsets.dtype, device=offsets.device)[axes]
    return at.to(offsets.dtype) + along[..., None] * unit


def squared_triangle_distances(
    points: Tensor,  # (..., 3)
    triangles: Tensor,  # (..., 3, 3) corners
) -> Tensor:  # (...)
    """Squared distances from points to triangles; flat and pointed ones are edges and points."""
    a, b, c = triangles.unbind(-2)
    to_edges = torch.stack([_to_segment(points, *ends) for ends in ((a, b), (b, c), (c, a))])
    normal = torch.linalg.cross(b - a, c - a)
    size = normal.square().sum(-1)
    above = True
    for start, end in ((a, b), (b, c), (c, a)):
        turn = torch.linalg.cross(normal, end - start)
        above = above & ((turn * (points - start)).sum(-1) >= 0)
    height = ((points - a) * normal).sum(-1).square() / size.clamp(min=1e-12)
    return torch.where(above & (size > 1e-12), height, to_edges.min(0).values)


def _to_segment(points: Tensor, start: Tensor, end: Tensor) -> Tensor:
    along = end - start
    part = ((points - start) * along).sum(-1) / along.square().sum(-1).clamp(min=1e-12)
    return (start + part.clamp(0, 1)[..., None] * along - points).square().sum(-1)


def point_to_topologies(
    points: Tensor,  # (P, 3) in units of cells
    vertices: Tensor,  # (P, 12, 3) on the edges of the cell of each
    empty: float,
) -> Tensor:  # (P, 256)
    """Squared distances of points to the triangles of every topology of their cells.

    Args:
        points: inside their cells.
        vertices: see `edge_vertices`.
        empty: squared distance to a topology without triangles.
    """
    found = table()
    kinds = torch.from_numpy(found.kinds).to(points.device)
    triangles = vertices[:, kinds]  # (P, K, 3, 3)
    distances = squared_triangle_distances(points[:, None], triangles)
    nothing = distances.new_full((len(points), 1), empty)
    with_nothing = torch.cat([distances, nothing], 1)
    numbers = torch.from_numpy(found.kind_of).to(points.device)
    some = numbers[:, 0] < len(kinds)
    large = distances.new_full((len(points), 1), torch.inf)
    of_each = torch.cat([distances, large], 1)[:, numbers].min(2).values
    return torch.where(some, of_each, with_nothing[:, -1:])


def likely_mesh(
    occupancy: NDArray[np.bool_],  # (N + 1, N + 1, N + 1) corners inside
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the surface of the topologies that corners have, closed where the border is empty.

    Returns:
        edges (V, 4): of each vertex the corner that its edge runs from, and its axis; faces (F, 3);
        cells (F, 3), of each face.
    """
    found = table()
    n = occupancy.shape[0]
    case = np.zeros((n - 1,) * 3, np.int64)
    for bit, (x, y, z) in enumerate(CORNERS):
        case |= occupancy[x : n - 1 + x, y : n - 1 + y, z : n - 1 + z].astype(np.int64) << bit
    cells = np.argwhere((case > 0) & (case < 255))
    triangles = found.triangles[case[tuple(cells.T)]]  # (C, 5, 3)
    cell, which = np.nonzero(triangles[:, :, 0] >= 0)
    edges = triangles[cell, which]  # (F, 3)
    at = cells[cell][:, None] + found.starts[edges]
    keys = ((at[..., 0] * n + at[..., 1]) * n + at[..., 2]) * 3 + found.axes[edges]
    used, faces = np.unique(keys, return_inverse=True)
    corner, axis = np.divmod(used, 3)
    places = np.stack([corner // (n * n), corner // n % n, corner % n, axis], 1)
    return places, faces.reshape(-1, 3), cells[cell]


def vertices_of(
    offsets: Tensor,  # (3, N + 1, N + 1, N + 1)
    edges: NDArray[np.int64],  # (V, 4) of `likely_mesh`
) -> Tensor:  # (V, 3) in units of cells
    """Return the places of the vertices of a mesh."""
    x, y, z, axis = torch.from_numpy(edges).to(offsets.device).unbind(1)
    unit = torch.eye(3, dtype=offsets.dtype, device=offsets.device)[axis]
    at = torch.stack([x, y, z], 1).to(offsets.dtype)
    return at + (0.5 + offsets[axis, x, y, z])[:, None] * unit


def bending(
    vertices: Tensor,  # (V, 3)
    faces: NDArray[np.int64],  # (F, 3) closed and oriented
    probabilities: Tensor,  # (F,) of the topology of the cell of each face
) -> Tensor:
    """Mean over edges of the squared difference of the unit normals beside it, times both
    probabilities; 0 of nothing."""
    if len(faces) == 0:
        return vertices.new_zeros(())
    pairs = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    owner = np.arange(len(faces)).repeat(3)
    order = np.lexsort(pairs.T)
    pairs, owner = pairs[order], owner[order]
    same = np.flatnonzero((pairs[1:] == pairs[:-1]).all(axis=1))
    one, other = (torch.from_numpy(owner[k]).to(vertices.device) for k in (same, same + 1))
    corners = vertices[torch.from_numpy(faces).to(vertices.device)]
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = normals / (normals.square().sum(-1, keepdim=True) + 1e-12).sqrt()
    weights = probabilities[one] * probabilities[other]
    return (weights * (normals[one] - normals[other]).square().sum(-1)).mean()
