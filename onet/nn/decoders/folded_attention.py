"""A cross attention decoder for one fixed set of latents."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.nn.attention import waves
from onet.nn.decoders.constant_linear import Linear, constant_linear
from onet.nn.decoders.tiles import map_tiles

# Points in a tile, so that activations stay in the processor's cache.
CPU_TILE = 1024
GPU_TILE = 65536

Norm = Callable[[Tensor], Tensor]


class AttentionLayers(NamedTuple):
    """A cross attention decoder for fixed latents, layer by layer.

    Attributes:
        first: layer from the waves of a point to H features.
        blocks: of cross attention, `onet.nn.attention.AttentionBlock`.
        norm: in front of the last layer.
        last: layer from features to the logit.
        tokens: (1, M, H) float32, what query points attend to.
    """

    first: nn.Linear
    blocks: Iterable[nn.Module]
    norm: nn.LayerNorm
    last: nn.Linear
    tokens: Tensor


class _Block(NamedTuple):
    norm_0: Norm
    query: Linear
    keys: Tensor  # (1, H, M, D)
    values: Tensor  # (1, H, M, D)
    out: Linear
    norm_1: Norm
    first: Linear  # of the feed forward part
    second: Linear


class FoldedCrossAttention:
    """Callable: points (N, 3) in the unit frame -> logits (N,), with the latents already inside.

    It holds copies: later changes of the module do not reach it. It may be called from several
    threads. With `bfloat16` the operands of all products but those of the first and last layer are
    rounded; the residual stream and the norms stay in float32. Autograd gives gradients, by tiles.

    Args:
        layers: of the decoder for these latents; their weights are copied.
        dtype: float32 or bfloat16.

    Raises:
        ValueError: another dtype.
    """

    @torch.no_grad()
    def __init__(self, layers: AttentionLayers, *, dtype: torch.dtype = torch.float32) -> None:
        if dtype not in (torch.float32, torch.bfloat16):
            raise ValueError(f"dtype is {dtype}; a decoder folds to torch.float32 or bfloat16")
        self.dtype = dtype
        self._entry = _weights(layers.first)
        self._blocks = [self._fold(block, layers.tokens) for block in layers.blocks]
        self._norm = _norm(layers.norm)
        self._exit = _weights(layers.last)

    @property
    def width(self) -> int:
        """Features of the residual stream."""
        return self._exit[0].shape[1]

    def _fold(self, block: Any, tokens: Tensor) -> _Block:
        attention, feed_forward = block.attention, block.feed_forward
        keys, values = attention.keys_and_values(block.norm_tokens(tokens))
        return _Block(
            _norm(block.norm_0),
            self._linear(attention.fc_q),
            keys.to(self.dtype).contiguous(),
            values.to(self.dtype).contiguous(),
            self._linear(attention.fc_out),
            _norm(block.norm_1),
            self._linear(feed_forward.fc_0),
            self._linear(feed_forward.fc_1),
        )

    def _linear(self, layer: nn.Linear) -> Linear:
        """Return the layer with its operands in `dtype`, as autograd knows it."""
        weight, bias = _weights(layer)
        weight, bias = weight.to(self.dtype), None if bias is None else bias.to(self.dtype)
        forward = constant_linear(weight, bias, rows=CPU_TILE)
        back = constant_linear(weight.T, None, rows=CPU_TILE)

        def apply(x: Tensor) -> Tensor:
            result: Tensor = _ConstantLinear.apply(x.to(self.dtype), forward, back)
            return result

        return apply

    def __call__(
        self,
        points: Tensor,  # (N, 3) float32 in the unit frame, on the decoder's device
    ) -> Tensor:  # (N,) float32 logits
        if len(points) == 0:
            return points.new_empty(0)
        return torch.cat(map_tiles(lambda: self._logits, self._tiles(points)))

    def value_and_gradient(
        self,
        points: Tensor,  # (N, 3) float32 in the unit frame, on the decoder's device
    ) -> tuple[Tensor, Tensor]:
        """Logits (N,), equal to those of a call, and their gradients (N, 3) by the points."""
        if len(points) == 0:
            return points.new_empty(0), points.new_empty(0, 3)
        results = map_tiles(lambda: self._differentiate, self._tiles(points))
        logits, gradients = zip(*results, strict=True)
        return torch.cat(logits), torch.cat(gradients)

    def _tiles(self, points: Tensor) -> tuple[Tensor, ...]:
        return points.split(CPU_TILE if points.device.type == "cpu" else GPU_TILE)

    @torch.no_grad()
    def _logits(self, points: Tensor) -> Tensor:
        return self._forward(points)

    @torch.enable_grad()
    def _differentiate(self, points: Tensor) -> tuple[Tensor, Tensor]:
        points = points.detach().clone().requires_grad_()
        logits = self._forward(points)
        (gradients,) = torch.autograd.grad(logits.sum(), points)
        return logits.detach(), gradients

    def _forward(self, points: Tensor) -> Tensor:
        """(T, 3) -> (T,)."""
        x = F.linear(waves(points), *self._entry)
        for block in self._blocks:
            heads = block.keys.shape[1]
            q = block.query(block.norm_0(x)).unflatten(-1, (heads, -1)).transpose(0, 1)
            taken = F.scaled_dot_product_attention(q[None], block.keys, block.values)[0]
            x = x + block.out(taken.transpose(0, 1).flatten(1))
            value, gate = block.first(block.norm_1(x)).chunk(2, -1)
            x = x + block.second(value * F.gelu(gate))
        return F.linear(self._norm(x), *self._exit).squeeze(-1)


class _ConstantLinear(torch.autograd.Function):
    """A layer whose gradient by its input is another layer."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: Linear, back: Linear) -> Tensor:
        ctx.back = back
        return layer(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return ctx.back(gradients[0].contiguous()), None, None


def _weights(layer: nn.Linear) -> tuple[Tensor, Tensor | None]:
    """Copies of weight (out, in) and, if there is one, bias (out,)."""
    bias = None if layer.bias is None else layer.bias.detach().clone()
    return layer.weight.detach().clone(), bias


def _norm(layer: nn.LayerNorm) -> Norm:
    shape, eps = tuple(layer.normalized_shape), layer.eps
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    return lambda x: F.layer_norm(x, shape, weight, bias, eps)
