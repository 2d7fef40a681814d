"""A U-Net over a pyramid of sparse grids: convolutions as gather and product, without atomics.

Cells that are not there count as zero, as beyond the border of a dense grid. Statistics of a
normalisation are over one cell's features alone, so a cell's result depends on nothing but what
lies within the network's reach: scans can be cut into windows without seams.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.nn.sparse_grid import AXIS_BITS, Level, SparsePyramid

ROWS_AT_ONCE = 1 << 10
"""Cells gathered at once where nothing is learned: so many that they stay in the cache."""


class _GatherProduct(torch.autograd.Function):
    """Sum over the 27 neighbours of features times a matrix for each; see `SparseConv`.

    The neighbour relation is symmetric, so the gradient of the features is again a gather: with the
    matrices transposed and in reverse order. What was gathered is gathered again, not kept.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, neighbours: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, neighbours)
        return _product(x, weight, neighbours)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, neighbours = ctx.saved_tensors
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = _product(gradient.contiguous(), weight.flip(0).transpose(1, 2), neighbours)
        if ctx.needs_input_grad[1]:
            if _fused(x, weight):
                from onet.nn.triton_gather import weight_gradient

                of_weight = weight_gradient(x, gradient, neighbours).to(weight.dtype)
            else:
                of_weight = (_gathered(x, neighbours).T @ gradient).view_as(weight)
        return of_x, of_weight, None


def _fused(x: Tensor, weight: Tensor) -> bool:
    """Whether Triton's kernel does it: on CUDA devices, where Triton is."""
    if not x.is_cuda or find_spec("triton") is None:
        return False
    from onet.nn.triton_gather import fits

    return fits(weight)


def _operands(x: Tensor) -> torch.dtype:
    """Return the type of what is multiplied where nothing is learned; sums are of single precision.

    bfloat16 where the processor has instructions for it, unless deterministic algorithms are asked
    for: the same result on all processors then.
    """
    half = x.dtype == torch.float32 and not x.is_cuda and _has_bfloat16()
    return torch.bfloat16 if half and not torch.are_deterministic_algorithms_enabled() else x.dtype


@cache
def _has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 faster than float32."""
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def _product(x: Tensor, weight: Tensor, neighbours: Tensor) -> Tensor:
    if _fused(x, weight):
        from onet.nn.triton_gather import gather_product

        return gather_product(x, weight, neighbours)
    return _gathered(x, neighbours) @ weight.flatten(0, 1)


def _gathered(x: Tensor, neighbours: Tensor) -> Tensor:
    """(M, 27 C), zero for those that are not there."""
    padded = torch.cat([x, x.new_zeros((1, x.shape[1]))])
    return padded.index_select(0, neighbours.flatten()).view(len(neighbours), -1)


class SparseConv(nn.Module):
    """A convolution of 3 x 3 x 3 over the cells of a level: (M, C) -> (M, D)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(27, in_features, out_features))
        nn.init.normal_(self.weight, std=(2 / (27 * in_features)) ** 0.5)

    def forward(self, x: Tensor, level: Level) -> Tensor:
        weight = self.weight.to(x.dtype)
        if torch.is_grad_enabled():
            product: Tensor = _GatherProduct.apply(x, weight, level.neighbours)
            return product
        if _fused(x, weight):
            return _product(x, weight, level.neighbours)
        return self.of_operands(F.pad(x.to(_operands(x)), (0, 0, 0, 1)), level).to(x.dtype)

    def of_operands(self, padded: Tensor, level: Level) -> Tensor:
        """Return the result (M, D) of features (M + 1, C) whose last row is zero, in their type."""
        flat = self.weight.flatten(0, 1).to(padded.dtype)
        out = padded.new_empty((len(level), flat.shape[1]))
        for rows, into in zip(
            level.neighbours.split(ROWS_AT_ONCE), out.split(ROWS_AT_ONCE), strict=True
        ):
            torch.mm(padded.index_select(0, rows.flatten()).view(len(rows), -1), flat, out=into)
        return out


class SparseResBlock(nn.Module):
    """Two convolutions round a skip connection, each after a normalisation of a cell's features."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(features) for _ in range(2)])
        self.convs = nn.ModuleList([SparseConv(features, features) for _ in range(2)])
        self.gain = nn.Parameter(torch.full((features,), 0.3))

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """Return new features; where nothing is learned `x` is overwritten with them."""
        if not (torch.is_grad_enabled() or x.is_cuda):
            return self._overwritten(x, level)
        y = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            y = conv(F.silu(norm(y).to(x.dtype)), level)
        return x + y * self.gain.to(x.dtype)

    def _overwritten(self, x: Tensor, level: Level) -> Tensor:
        """The same, row by row in place: memory for one tensor of all cells more, not for five."""
        y, gain = x, self.gain.to(x.dtype)
        padded = x.new_zeros((len(x) + 1, x.shape[1]), dtype=_operands(x))
        for norm, conv in zip(self.norms, self.convs, strict=True):
            for rows, into in _in_parts(y, padded[:-1]):
                into.copy_(F.silu(norm(rows.to(x.dtype)).to(x.dtype)))
            y = cast(SparseConv, conv).of_operands(padded, level)
        for rows, more in _in_parts(x, y):
            rows.add_(more.to(x.dtype) * gain)
        return x


def _in_parts(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Go through rows of all tensors that stay in the cache."""
    return zip(*(tensor.split(ROWS_AT_ONCE) for tensor in tensors), strict=True)


class SparseUNet(nn.Module):
    """Features of every level's cells, from those of the finest one.

    Down: a block, then the mean over the children, who tell which corner of the parent they are.
    Up: the parent's features are added, then a block.

    Args:
        widths: features of the cells of each level, the finest first.
        out_features: of what leaves a level.
        levels_out: so many of the finest levels give features; all by default.
    """

    def __init__(
        self, widths: Sequence[int], out_features: int, levels_out: int | None = None
    ) -> None:
        super().__init__()
        depth = len(widths)
        self.down = nn.ModuleList([SparseResBlock(width) for width in widths])
        self.up = nn.ModuleList([SparseResBlock(width) for width in widths[:-1]])
        pairs = list(pairwise(widths))
        self.octants = nn.ModuleList([nn.Embedding(8, fine) for fine, _ in pairs])
        self.coarsen = nn.ModuleList([nn.Linear(fine, coarse) for fine, coarse in pairs])
        self.refine = nn.ModuleList([nn.Linear(coarse, 8 * fine) for fine, coarse in pairs])
        self.out = nn.ModuleList([nn.Linear(width, out_features) for width in widths[:levels_out]])
        self.depth = depth

    def forward(
        self,
        x: Tensor,  # (M0, widths[0])
        pyramid: SparsePyramid,
    ) -> list[Tensor]:  # (Ml, out_features) for each level that gives them, the finest first
        """Return features of the levels' cells; where nothing is learned `x` is overwritten."""
        levels, kept = pyramid.levels, []
        octants = [_octants(level.keys) for level in levels[:-1]]
        for k, level in enumerate(levels):
            x = self.down[k](x, level)
            if k < self.depth - 1:
                kept.append(x)
                x = self._to_parents(k, x, level, octants[k], len(levels[k + 1]))
        out: list[Tensor] = []
        for k in reversed(range(self.depth)):
            level = levels[k]
            if k < self.depth - 1:
                x = self.up[k](self._from_parents(k, x, kept.pop(), level, octants.pop()), level)
            if k < len(self.out):
                out.append(self.out[k](x))
        return out[::-1]

    def _from_parents(
        self, k: int, x: Tensor, kept: Tensor, level: Level, octants: Tensor
    ) -> Tensor:
        if not (torch.is_grad_enabled() or x.is_cuda):
            return self._added_to(kept, k, x, level, octants)
        spread = self.refine[k](x).view(-1, kept.shape[1])  # (8 M', C)
        return kept + spread.index_select(0, 8 * level.parents + octants)

    def _added_to(self, kept: Tensor, k: int, x: Tensor, level: Level, octants: Tensor) -> Tensor:
        """The same in place, of the children that there are: two or three of a parent's eight."""
        refine = cast(nn.Linear, self.refine[k])
        weights, biases = (part.view(8, kept.shape[1], -1) for part in (refine.weight, refine.bias))
        for octant, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            for rows in (octants == octant).nonzero()[:, 0].split(ROWS_AT_ONCE):
                parents = x.index_select(0, level.parents[rows])
                kept[rows] += F.linear(parents, weight, bias[:, 0]).to(kept.dtype)
        return kept

    def _to_parents(self, k: int, x: Tensor, level: Level, octants: Tensor, count: int) -> Tensor:
        told = F.silu(x + self.octants[k](octants).to(x.dtype))
        total = told.new_zeros((count, told.shape[1])).index_add(0, level.parents, told)
        children = torch.bincount(level.parents, minlength=count).clamp(min=1)
        mean: Tensor = self.coarsen[k](total / children[:, None].to(total.dtype))
        return mean


def _octants(keys: Tensor) -> Tensor:
    """Which of the 8 children of its parent each cell is."""
    return ((keys >> 2 * AXIS_BITS) & 1) * 4 + ((keys >> AXIS_BITS) & 1) * 2 + (keys & 1)
