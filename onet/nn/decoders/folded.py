"""A residual decoder for one fixed code, several times faster than the module.

In evaluation mode and for a fixed code c a conditional batch norm is an affine map per channel,

    gamma(c) * (x - mean) / sqrt(var + eps) + beta(c)  =  scale * x + shift,

as an unconditional one always is; where there is none, scale is 1 and shift 0.

Behind a linear layer it disappears into the layer's weights (`bn_1` into `fc_0`). In front of a
ReLU on the residual stream it stays (`bn_0`, and the last `bn`), as one pass over memory together
with the addition of the block before it. What remains is

    x_0 = fc_p p,    h_k = relu(scale_k * x_k + shift_k),    y_k = relu(A_k h_k + a_k),
    x_{k+1} = x_k + B_k y_k + b_k,    logit = w . h_5 + b,

and its gradient is g_5 = scale_5 * [h_5 > 0] * w, then backwards through the blocks

    g_k = g_{k+1} + scale_k * [h_k > 0] * A_k^T ([y_k > 0] * B_k^T g_{k+1}).

Local features of the point add C_k c(p) to x_k, all C_k in one product; the way back through it is
that of the interpolation (see `folded_local`).

With a leaky rectifier of slope s at the end, w . leaky(v) = (1 - s) w . relu(v) + s w . v.

Points go through all layers in tiles, so that activations stay in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.nn.arrays import as_array
from onet.nn.decoders.constant_linear import Linear, constant_linear
from onet.nn.decoders.folded_local import FoldedFeatures
from onet.nn.decoders.tiles import map_tiles
from onet.nn.layers import ConditionalBatchNorm, PointwiseConv
from onet.nn.local_features import FeatureSampler

# Points in a tile; 256 channels of float32 make 1 MiB. Logits do not depend on it. On several
# threads, whose arrays have to share a cache, tiles are half as large.
CPU_TILE = 1024
NARROW_TILE = 2048  # in bfloat16, whose arrays are half the size
LOCAL_TILE = 4096  # of decoders on local features: with 32 channels, calls cost more than memory
GPU_TILE = 65536


class ResidualLayers(NamedTuple):
    """A residual decoder for fixed codes, layer by layer.

    Attributes:
        first: layer from coordinates to H features.
        added: (H,) each, what codes add to those features.
        blocks: residual blocks with layers `fc_0` and `fc_1` and, or not, norms `bn_0` and `bn_1`
            in front of them.
        norm: in front of the last rectifier, or None.
        last: layer from features to the logit.
        c: (C,) code that conditional norms depend on.
        local: features by place, and of each block the layer from them to what is added in front
            of it; or None.
    """

    first: nn.Linear | PointwiseConv
    added: list[Tensor]
    blocks: Iterable[nn.Module]
    norm: nn.Module | None
    last: nn.Linear | PointwiseConv
    c: Tensor
    local: tuple[FeatureSampler, Iterable[nn.Module]] | None = None


class _Block(NamedTuple):
    scale: Tensor  # (H,) of bn_0
    shift: Tensor  # (H,)
    first: Linear  # h -> y
    second: Linear  # y -> what is added to x
    second_back: Linear  # gradient after `second` -> before it
    first_back: Linear


class _Room(NamedTuple):
    """Memory for tiles of at most T points, one after another."""

    h: list[Tensor]  # (T, H) of each block, in the dtype of the operands
    copies: list[Tensor | None]  # (T, H) of g in that dtype, or none: at first, after each block
    x: Tensor  # (T, H) float32
    last: Tensor  # (T, H) float32, the last h
    g: Tensor  # (T, H) float32, the gradient by x


class FoldedDecoder:
    """Callable: points (N, 3) in the unit frame -> logits (N,), with the code already inside.

    It holds copies: later changes of the module do not reach it. No gradients are recorded. It may
    be called from several threads; results do not depend on the number of threads.

    With `bfloat16` the operands of the products are rounded; the residual stream, the first and the
    last layer stay in float32. On the embedded demo network and scans (5 x 128 features, |logit| 12
    to 22 on average) logits are then off by 0.04 on average and 0.83 at most; near the surface
    (|logit| < 2) by 0.02 and 0.27, and fewer than 1 in 1,000 random points change sides. On a
    processor without instructions for bfloat16 (AVX-512 BF16, AMX, ARM BF16) it is right but slower
    than float32; `onet.training.precision.choose_precision` tells.

    Args:
        layers: of the decoder for these codes. Running statistics of norms are used, whatever the
            mode.
        slope: of the last rectifier for negative numbers.
        dtype: float32 or bfloat16, of the operands of the linear layers.

    Raises:
        ValueError: another dtype.
    """

    @torch.no_grad()
    def __init__(
        self,
        layers: ResidualLayers,
        *,
        slope: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if dtype not in (torch.float32, torch.bfloat16):
            raise ValueError(f"dtype is {dtype}; a decoder folds to torch.float32 or bfloat16")
        self.dtype = dtype
        weight, bias = _parameters(layers.first)
        self._entry = weight, sum(layers.added, bias)
        self._blocks = [self._fold_block(block, layers.c) for block in layers.blocks]
        self._local = FoldedFeatures(*layers.local, dtype, LOCAL_TILE) if layers.local else None
        scale, shift = _affine(layers.norm, layers.c, len(weight))
        weight, bias = _parameters(layers.last)
        self._exit = scale, shift, (1 - slope) * weight, bias + slope * weight @ shift
        self._bypass = slope * weight * scale if slope else None  # (1, H)

    @property
    def width(self) -> int:
        """Features of the residual stream."""
        return len(self._entry[1])

    def _fold_block(self, block: Any, c: Tensor) -> _Block:
        weight, bias = _parameters(block.fc_0)
        scale, shift = _affine(getattr(block, "bn_1", None), c, len(weight))
        rows = CPU_TILE if self.dtype == torch.float32 else NARROW_TILE
        first = (scale[:, None] * weight).to(self.dtype)
        first_bias = (scale * bias + shift).to(self.dtype)
        second, second_bias = (p.to(self.dtype) for p in _parameters(block.fc_1))
        return _Block(
            *_affine(getattr(block, "bn_0", None), c, weight.shape[1]),
            constant_linear(first, first_bias, relu=True, rows=rows),
            constant_linear(second, second_bias, rows=rows),
            constant_linear(second.T, None, rows=rows),
            constant_linear(first.T, None, rows=rows),
        )

    def __call__(
        self,
        points: Tensor,  # (N, 3) float32 in the unit frame, on the decoder's device
    ) -> Tensor:  # (N,) float32 logits
        if len(points) == 0:
            return points.new_empty(0)

        def prepare() -> Callable[[Tensor], Tensor]:
            room = self._room(tiles[0], back=False)
            return lambda tile: self._forward(tile, room)[0]

        tiles = points.split(self._tile_size(points.device))
        return torch.cat(map_tiles(prepare, tiles))

    def value_and_gradient(
        self,
        points: Tensor,  # (N, 3) float32 in the unit frame, on the decoder's device
    ) -> tuple[Tensor, Tensor]:
        """Logits (N,), equal to those of a call, and their gradients (N, 3) by the points.

        Both float32. A ReLU exactly at its kink has derivative 0, as in torch.
        """
        if len(points) == 0:
            return points.new_empty(0), points.new_empty(0, 3)

        def prepare() -> Callable[[Tensor], tuple[Tensor, Tensor]]:
            room = self._room(tiles[0], back=True)
            return lambda tile: self._forward_and_back(tile, room)

        tiles = points.split(self._tile_size(points.device))
        logits, gradients = zip(*map_tiles(prepare, tiles), strict=True)
        return torch.cat(logits), torch.cat(gradients)

    def _tile_size(self, device: torch.device) -> int:
        if device.type != "cpu":
            return GPU_TILE
        if self._local is not None:
            return LOCAL_TILE
        tile = NARROW_TILE if self.dtype == torch.bfloat16 else CPU_TILE
        return tile if torch.get_num_threads() == 1 else tile // 2

    def _room(self, tile: Tensor, back: bool) -> _Room:
        """Room for tiles of at most this size, with what the way back needs or without.

        It is two pieces, not one an array: the C library keeps memory of the size of a large piece
        that was freed, where it would give small ones back to the system after each tile.
        """
        shape, device = (len(tile), len(self._entry[1])), tile.device
        x, last, g = torch.empty((3, *shape), dtype=torch.float32, device=device)
        blocks = len(self._blocks)
        if not back:  # one block's h is enough
            return _Room(
                [torch.empty(shape, dtype=self.dtype, device=device)] * blocks, [], x, last, g
            )
        count = 2 * blocks + 1 if self._local is not None else blocks + 1
        pieces = [*torch.empty((count, *shape), dtype=self.dtype, device=device)]
        h, copies = pieces[:blocks], list[Tensor | None](pieces[blocks:])
        if self._local is None:
            rounded = copies[0] if self.dtype != torch.float32 else None
            copies = [rounded] * blocks + [None]
        return _Room(h, copies, x, last, g)

    @torch.no_grad()
    def _forward(
        self,
        points: Tensor,  # (T, 3)
        room: _Room,  # overwritten
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits (T,), and y (T, H) of every block."""
        count = len(points)
        weight, bias = self._entry
        x = torch.addmm(bias, points, weight.T, out=room.x[:count])
        added = [None] * len(self._blocks) if self._local is None else self._local(points)
        hidden, change = [], None
        for block, h, features in zip(self._blocks, room.h, added, strict=True):
            if features is not None:
                x += features
            _residual_relu(x, change, block.scale, block.shift, h[:count])
            hidden.append(block.first(h[:count]))
            change = block.second(hidden[-1])
        scale, shift, weight, bias = self._exit
        last = room.last[:count]
        _residual_relu(x, change, scale, shift, last)
        logits = F.linear(last, weight, bias)
        if self._bypass is not None:
            logits += F.linear(x, self._bypass)
        return logits.squeeze(-1), hidden

    @torch.no_grad()
    def _forward_and_back(self, points: Tensor, room: _Room) -> tuple[Tensor, Tensor]:
        """Logits (T,) and gradients (T, 3); arguments as for `_forward`."""
        logits, hidden = self._forward(points, room)
        count = len(points)
        scale, _, weight, _ = self._exit
        g = _mask((scale * weight).expand(count, -1), room.last[:count], room.g[:count])
        if self._bypass is not None:
            g += self._bypass
        first, *copies = [None if copy is None else copy[:count] for copy in room.copies]
        operand = g if first is None else first.copy_(g)
        for block, h, y, copy in zip(
            self._blocks[::-1], room.h[::-1], hidden[::-1], copies, strict=True
        ):
            inner = block.second_back(operand)
            change = block.first_back(_mask(inner, y, inner))
            _residual_back(g, change, h[:count], block.scale, copy)
            operand = g if copy is None else copy
        by_points = g @ self._entry[0]
        if self._local is not None:
            changes = [copy for copy in copies[::-1] if copy is not None]
            by_points += self._local.gradient(points, changes)
        return logits, by_points


def _parameters(layer: nn.Linear | PointwiseConv) -> tuple[Tensor, Tensor]:
    """Copies of weight (out, in) and bias (out,)."""
    assert layer.bias is not None
    return layer.weight.flatten(1).clone(), layer.bias.clone()


def _affine(norm: Any, c: Tensor, features: int) -> tuple[Tensor, Tensor]:
    """Scale (H,) and shift (H,) that the norm, or none, amounts to for the code c (C,)."""
    if norm is None:
        return c.new_ones(features), c.new_zeros(features)
    bn: Any
    if isinstance(norm, ConditionalBatchNorm):
        bn, gamma, beta = norm.bn, norm.conv_gamma(c), norm.conv_beta(c)
    else:
        bn, gamma, beta = norm, norm.weight, norm.bias
    scale = gamma * torch.rsqrt(bn.running_var + bn.eps)
    return scale, beta - scale * bn.running_mean


def _residual_relu(
    x: Tensor,  # (T, H) float32, changed in place
    change: Tensor | None,  # (T, H) float32 or bfloat16
    scale: Tensor,  # (H,)
    shift: Tensor,  # (H,)
    out: Tensor,  # (T, H) float32 or bfloat16
) -> None:
    """`x += change`, then `out = relu(scale * x + shift)`: on the CPU, one pass over memory."""
    if x.device.type != "cpu":
        return _residual_relu_torch(x, change, scale, shift, out)
    from onet import _C

    added = None if change is None else as_array(change)
    _C.residual_relu(as_array(x), added, as_array(scale), as_array(shift), as_array(out))


def _residual_relu_torch(
    x: Tensor, change: Tensor | None, scale: Tensor, shift: Tensor, out: Tensor
) -> None:
    if change is not None:
        x += change
    out.copy_(torch.addcmul(shift, x, scale).relu_())


def _residual_back(
    g: Tensor,  # (T, H) float32, changed in place
    change: Tensor,  # (T, H) float32 or bfloat16; may be overwritten
    h: Tensor,  # (T, H) of the dtype of `change`
    scale: Tensor,  # (H,)
    copy: Tensor | None,  # (T, H) of the dtype of `change`
) -> None:
    """`g += scale * [h > 0] * change`, then `copy = g`: on the CPU, one pass over memory."""
    if g.device.type != "cpu":
        return _residual_back_torch(g, change, h, scale, copy)
    from onet import _C

    out = None if copy is None else as_array(copy)
    _C.residual_back(as_array(g), as_array(change), as_array(h), as_array(scale), out)


def _residual_back_torch(
    g: Tensor, change: Tensor, h: Tensor, scale: Tensor, copy: Tensor | None
) -> None:
    g.addcmul_(_mask(change, h, change).float(), scale)
    if copy is not None:
        copy.copy_(g)


def _mask(gradient: Tensor, activation: Tensor, out: Tensor) -> Tensor:
    """Return `out` with the gradient before a ReLU that had this result; it may be `gradient`.

    In bfloat16 it works on the bits, four times faster: a number is positive where they are.
    """
    gradient, activation, target = (
        a.view(torch.int16) if a.dtype == torch.bfloat16 else a for a in (gradient, activation, out)
    )
    torch.ops.aten.threshold_backward.grad_input(gradient, activation, 0, grad_input=target)
    return out
