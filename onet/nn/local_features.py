"""Features of places: on planes and grids that cover the box of the unit frame.

The box is [-0.55, 0.55]^3: the unit cube and the margin around it that query points come from.
A map of R cells an edge is indexed as it is named: `xz` by the cell along x, then that along z;
`grid` by x, y, z. Points outside the box count as points of its border.

What is computed is that of Peng et al., Convolutional Occupancy Networks, ECCV 2020, section 3,
except that the feature of a cell is that of its centre, for points and queries alike. With
`published`, points are scattered and sampled as the published code does, for weights that were
trained so; see `onet.nn.published_cells`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from onet.nn.arrays import as_array
from onet.nn.published_cells import published_shares

FeatureSampler = Callable[[Tensor], Tensor]
"""From points (B, T, 3) in the unit frame to features (B, T, F), float32."""

EXTENT = 1.1  # edge of the box: the unit cube with a margin of 0.1, both sides together

Plane = Literal["xz", "xy", "yz"]
AXES: dict[str, tuple[int, ...]] = {"xz": (0, 2), "xy": (0, 1), "yz": (1, 2), "grid": (0, 1, 2)}
"""The coordinates that each map of features sees."""


def cells_of(
    points: Tensor,  # (B, N, 3) in the unit frame
    name: str,
    resolution: int,
    published: bool = False,
) -> Tensor:
    """Numbers (B, N) int64 of the cells that points are in, counted through the whole batch."""
    points = points.float()
    shares = published_shares(points, name == "grid") if published else points / EXTENT + 0.5
    at = (shares * resolution).long().clamp(0, resolution - 1)
    cells = torch.arange(len(points), device=points.device)[:, None]
    for axis in AXES[name]:
        cells = cells * resolution + at[..., axis]
    return cells


def scatter_mean(
    features: Tensor,  # (B, N, F) of points
    cells: Tensor,  # (B, N), see `cells_of`
    name: str,
    resolution: int,
) -> Tensor:
    """Return a map (B, F, R, R) or (B, F, R, R, R): means over the points of a cell, 0 if empty.

    It is float32 whatever the features are.
    """
    batch, size = len(features), features.shape[-1]
    shape = (batch, *(resolution,) * len(AXES[name]))
    total = features.new_zeros((*shape, size), dtype=torch.float32).view(-1, size)
    count = total.new_zeros(len(total))
    flat = cells.flatten()
    total = total.index_add(0, flat, features.flatten(0, 1).float())
    count = count.index_add(0, flat, count.new_ones(len(flat)))
    return (total / count.clamp(min=1)[:, None]).view(*shape, size).movedim(-1, 1)


def compiled(tensor: Tensor) -> bool:
    """Return whether the package's own operations take this tensor; torch's take all."""
    known = tensor.dtype in (torch.float32, torch.bfloat16)
    return tensor.is_cpu and known and not torch.compiler.is_compiling()


class CellGroups:
    """Points that share a cell of the same map.

    Args:
        maps: for each map the cells (B, N) that points are in, see `cells_of`.
        sizes: for each map how many cells an item has.
    """

    def __init__(self, maps: Sequence[Tensor], sizes: Sequence[int]) -> None:
        if torch.compiler.is_compiling():  # sizes of a program must not depend on values
            numbers = [(_numbered(cells.flatten()).view_as(cells), cells.numel()) for cells in maps]
        else:
            numbers = [_counted(cells, size) for cells, size in zip(maps, sizes, strict=True)]
        self._numbers = [number for number, _ in numbers]  # (B, N) int32 or int64
        self._counts = [count for _, count in numbers]

    def sum_of_maxima(
        self,
        features: Tensor,  # (B, N, F)
    ) -> Tensor:  # (B, N, F)
        """For every point the sum over the maps of the maximum over all points of its cell."""
        if compiled(features):
            pooled: Tensor = _SumOfMaxima.apply(features, self._numbers, self._counts)
            return pooled
        flat = features.flatten(0, 1)
        maxima = [
            _Maximum.apply(flat, number.flatten().long(), count)
            for number, count in zip(self._numbers, self._counts, strict=True)
        ]
        return torch.stack(maxima).sum(0).view_as(features)


def _counted(
    cells: Tensor,  # (B, N)
    size: int,  # cells of an item
) -> tuple[Tensor, int]:
    """Return numbers (B, N) int32 of cells, and how many there are: the occupied ones of many."""
    if size <= 2 * cells.shape[1]:
        return cells.int(), len(cells) * size
    occupied, number = torch.unique(cells, return_inverse=True)
    return number.int(), len(occupied)


def _numbered(
    cells: Tensor,  # (N,)
) -> Tensor:
    """Return the number (N,) of each cell among those that there are, in their order."""
    ordered, order = cells.sort()
    begins = F.pad((ordered[1:] != ordered[:-1]).long(), (1, 0))
    return torch.zeros_like(cells).scatter(0, order, begins.cumsum(0))


class _SumOfMaxima(torch.autograd.Function):
    """On the CPU: all maps in one pass, of float32, or of bfloat16 with sums in float32."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, numbers: list[Tensor], counts: list[int]) -> Tensor:
        from onet import _C

        features = features.detach().contiguous()
        maxima = [features.new_empty((k, features.shape[2]), dtype=torch.float32) for k in counts]
        pooled = torch.empty_like(features)
        cells, tables = [n.numpy() for n in numbers], [m.numpy() for m in maxima]
        _C.sum_of_maxima(
            as_array(features), cells, tables, as_array(pooled), torch.get_num_threads()
        )
        ctx.save_for_backward(features, *numbers, *maxima)
        return pooled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Equal maxima share the gradient."""
        features, *rest = ctx.saved_tensors
        numbers, maxima = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        if torch.is_grad_enabled():  # the gradient is to be differentiated in its turn
            return _shared_by_torch(features, numbers, maxima, gradients[0]), None, None
        from onet import _C

        gradient, given = gradients[0].contiguous(), torch.empty_like(features)
        cells, tables = [n.numpy() for n in numbers], [m.numpy() for m in maxima]
        _C.sum_of_maxima_gradient(
            *(as_array(features), cells, tables),
            *(as_array(gradient), as_array(given), torch.get_num_threads()),
        )
        return given, None, None


def _shared_by_torch(
    features: Tensor,  # (B, N, F)
    numbers: Sequence[Tensor],  # (B, N) of each map
    maxima: Sequence[Tensor],  # (cells, F) of each map
    gradient: Tensor,  # (B, N, F)
) -> Tensor:
    flat, total = gradient.flatten(0, 1), torch.zeros_like(gradient)
    for number, most in zip(numbers, maxima, strict=True):
        rows = number.flatten().long()
        largest = features.flatten(0, 1).float() == most.index_select(0, rows)
        total = total + _shared(flat, largest, rows, len(most)).view_as(total)
    return total


def _shared(gradient: Tensor, largest: Tensor, number: Tensor, count: int) -> Tensor:
    """Return the gradient (N, F) of points of which the largest share that of their cell."""
    empty = gradient.new_zeros((count, gradient.shape[1]))
    total = empty.index_add(0, number, gradient)
    total = total / empty.index_add(0, number, largest.to(gradient.dtype))
    return total.index_select(0, number) * largest


class _Maximum(torch.autograd.Function):
    """On other devices: maximum over groups, given to each member."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, number: Tensor, count: int) -> Tensor:
        index = number[:, None].expand_as(features)
        empty = features.new_zeros((count, features.shape[1]))
        pooled = empty.scatter_reduce(0, index, features, "amax", include_self=False)
        pooled = pooled.index_select(0, number)
        ctx.save_for_backward(features == pooled, number)
        ctx.count = count
        return pooled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Equal maxima share the gradient."""
        largest, number = ctx.saved_tensors
        return _shared(gradients[0], largest, number, ctx.count), None, None


class FeatureTable:
    """Callable: points (B, T, 3) in the unit frame -> features (B, T, F), float32.

    The sum over the maps of (bi/tri)linear interpolation between the centres of cells; beyond the
    outer centres it is constant. One fused operation reads the corners of all maps: about three
    times faster on a CPU than `grid_sample` for each. Where no gradient is asked for on the CPU,
    the package's own operation finds the corners as well, and rounds differently in the last place.

    Args:
        maps: by their names (see `AXES`): (B, F, R, R) or (B, F, R, R, R), R at least 2.
        published: the centres of the outer cells are the border of the box, as in the published
            code.
    """

    def __init__(self, maps: dict[str, Tensor], published: bool = False) -> None:
        rows = [values.flatten(2).transpose(1, 2) for values in maps.values()]  # (B, cells, F)
        self.table = torch.cat(rows, dim=1).float()
        self._published = published
        self._maps: list[tuple[tuple[int, ...], _Positions, int]] = []  # axes, cells, first row
        first = 0
        for name, values in maps.items():
            positions = values.shape[-1], published and name == "grid"
            self._maps.append((AXES[name], positions, first))
            first += values.shape[2:].numel()

    def __call__(
        self,
        points: Tensor,  # (B, T, 3) in the unit frame
    ) -> Tensor:  # (B, T, F)
        places = points.float().movedim(-1, 0).contiguous()  # the points last: long loops
        at = {p: self._positions(places, *p) for p in {p for _, p, _ in self._maps}}
        learned = torch.is_grad_enabled() and (self.table.requires_grad or points.requires_grad)
        if compiled(self.table) and not learned:
            return self._compiled(at)
        near = {p: _neighbours(found) for p, found in at.items()}
        corners = [_corners(*near[p], axes, p[0], first) for axes, p, first in self._maps]
        rows = torch.cat([rows for rows, _ in corners])
        if len(points) > 1:
            item = torch.arange(len(points), device=points.device) * self.table.shape[1]
            rows = rows + item[:, None]
        weights = torch.cat([weights for _, weights in corners])
        with torch.autocast(points.device.type, enabled=False):
            return _summed(
                self.table, rows.movedim(0, -1).contiguous(), weights.movedim(0, -1).contiguous()
            )

    def _compiled(self, at: dict[_Positions, tuple[Tensor, int]]) -> Tensor:
        """Corners are found and summed in one pass for each map; no gradient is recorded."""
        from onet import _C

        arrays = {p: found.detach().contiguous().numpy() for p, (found, _) in at.items()}
        items, count = next(iter(arrays.values())).shape[1:]
        features = self.table.new_zeros(items, count, self.table.shape[-1])
        table = self.table.detach().contiguous().numpy()
        for axes, p, first in self._maps:
            _C.add_corners(
                *(arrays[p], table, axes, p[0], first),
                *(features.numpy(), torch.get_num_threads()),
            )
        return features

    def _positions(
        self,
        places: Tensor,  # (3, B, T)
        resolution: int,
        grid: bool,
    ) -> tuple[Tensor, int]:
        """Where places are along each axis (3, B, T), in numbers of cells; how many cells."""
        if self._published:
            return published_shares(places, grid) * (resolution - 1), resolution
        at = places * (resolution / EXTENT) + (resolution - 1) / 2
        return at.clamp(0, resolution - 1), resolution


def _summed(
    table: Tensor,  # (B, cells, F) float32
    rows: Tensor,  # (B, T, K) of the flattened table, each item's in its own part
    weights: Tensor,  # (B, T, K)
) -> Tensor:  # (B, T, F)
    """Return weighted sums of rows."""
    learned = torch.is_grad_enabled() and table.requires_grad
    if learned and not weights.requires_grad and compiled(table):
        summed: Tensor = _SummedRows.apply(table, rows, weights)
        return summed
    features = F.embedding_bag(
        rows.flatten(0, 1),
        table.flatten(0, 1),
        mode="sum",
        per_sample_weights=weights.flatten(0, 1),
    )
    return features.view(*rows.shape[:2], table.shape[-1])


class _SummedRows(torch.autograd.Function):
    """On the CPU: gradients are added where they belong; for `embedding_bag` rows are sorted."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weights)
        ctx.shape = table.shape
        with torch.no_grad():
            return _summed(table, rows, weights)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        rows, weights = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        if torch.is_grad_enabled():  # the gradient is to be differentiated in its turn
            empty = gradient.new_zeros(ctx.shape).flatten(0, 1)
            parts = (gradient[..., None, :] * weights[..., None]).flatten(0, 2)
            return empty.index_add(0, rows.flatten(), parts).view(ctx.shape), None, None
        from onet import _C

        table = gradient.new_zeros(ctx.shape)
        given, into = as_array(gradient), as_array(table)
        _C.add_to_rows(given, rows.numpy(), weights.numpy(), into, torch.get_num_threads())
        return table, None, None


_Positions = tuple[int, bool]  # cells an edge; of a grid of the published code


def _neighbours(
    positions: tuple[Tensor, int],  # (3, B, T), none negative, and cells an edge
) -> tuple[Tensor, Tensor]:
    """Along each axis the two cells (3, 2, B, T) whose centres a point is between; their shares."""
    at, resolution = positions
    low = at.detach().long().clamp(max=resolution - 2)
    ahead = at - low
    return torch.stack([low, low + 1], 1), torch.stack([1 - ahead, ahead], 1)


def _corners(
    cells: Tensor,  # (3, 2, B, T)
    shares: Tensor,  # (3, 2, B, T)
    axes: tuple[int, ...],
    resolution: int,
    first: int,
) -> tuple[Tensor, Tensor]:
    """Rows (2^D, B, T) of the cells whose centres surround a point, and their weights."""
    rows, weights = cells[axes[0]], shares[axes[0]]
    for axis in axes[1:]:
        rows = (rows[:, None] * resolution + cells[axis]).flatten(0, 1)
        weights = (weights[:, None] * shares[axis]).flatten(0, 1)
    return rows + first, weights
