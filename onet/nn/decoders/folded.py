"""The conditional batch norm decoder for one fixed code, several times faster than the module.

In evaluation mode and for a fixed code c a conditional batch norm is an affine map per channel,

    gamma(c) * (x - mean) / sqrt(var + eps) + beta(c)  =  scale * x + shift.

Behind a linear layer it disappears into the layer's weights (`bn_1` into `fc_0`). In front of a
ReLU on the residual stream it stays, as one fused multiply-add (`bn_0`, and the last `bn`).

Points go through all layers in tiles of 1,024, so that activations stay in the processor's cache.
Several threads take a tile each; a tile's own operations run on one.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from onet.nn.layers import ConditionalBatchNorm, PointwiseConv

if TYPE_CHECKING:
    from onet.nn.decoders.cbatchnorm import CBatchNormDecoder

CPU_TILE = 1024  # points; 256 channels of float32 make 1 MiB
GPU_TILE = 65536

Linear = Callable[[Tensor], Tensor]  # (N, in) -> (N, out)


class FoldedCBatchNormDecoder:
    """Callable: points (N, 3) in the unit frame -> logits (N,), with the code already inside.

    It holds copies: later changes of the module do not reach it. No gradients are recorded.

    Args:
        decoder: its running statistics are used, whatever its mode.
        z: (Z,) latent code, or None where the decoder has none.
        c: (C,) code of the observation, on the decoder's device.
    """

    @torch.no_grad()
    def __init__(self, decoder: CBatchNormDecoder, z: Tensor | None, c: Tensor) -> None:
        weight, bias = _parameters(decoder.fc_p)
        if decoder.fc_z is not None and z is not None:
            bias = bias + decoder.fc_z(z)
        self._entry = weight, bias
        self._blocks = []
        for block in (getattr(decoder, f"block{i}") for i in range(5)):
            scale, shift = _affine(block.bn_1, c)
            weight, bias = _parameters(block.fc_0)
            first = _linear(scale[:, None] * weight, scale * bias + shift, relu=True)
            second = _linear(*_parameters(block.fc_1), relu=False)
            self._blocks.append((*_affine(block.bn_0, c), first, second))
        self._exit = *_affine(decoder.bn, c), *_parameters(decoder.fc_out)

    @torch.no_grad()
    def __call__(
        self,
        points: Tensor,  # (N, 3) float32 in the unit frame, on the decoder's device
    ) -> Tensor:  # (N,) logits
        on_cpu = points.device.type == "cpu"
        tiles = points.split(CPU_TILE if on_cpu else GPU_TILE)
        allowed = torch.get_num_threads()
        threads = min(allowed, len(tiles)) if on_cpu else 1
        if threads == 1:
            return torch.cat([self._tile(tile) for tile in tiles])
        try:
            with ThreadPoolExecutor(threads, "fold", torch.set_num_threads, (1,)) as pool:
                return torch.cat(list(pool.map(self._tile, tiles)))
        finally:
            torch.set_num_threads(allowed)  # threads started later inherit the last value set

    @torch.no_grad()
    def _tile(self, points: Tensor) -> Tensor:
        x = F.linear(points, *self._entry)
        h = torch.empty_like(x)
        for scale, shift, first, second in self._blocks:
            torch.addcmul(shift, x, scale, out=h).relu_()
            x += second(first(h))
        scale, shift, weight, bias = self._exit
        torch.addcmul(shift, x, scale, out=h).relu_()
        return F.linear(h, weight, bias).squeeze(-1)


def fold_cbatchnorm(
    decoder: CBatchNormDecoder,
    z: Tensor | None,  # (Z,)
    c: Tensor,  # (C,)
) -> FoldedCBatchNormDecoder:
    """The decoder as a function of points (N, 3) alone; see `FoldedCBatchNormDecoder`."""
    return FoldedCBatchNormDecoder(decoder, z, c)


def _parameters(layer: PointwiseConv) -> tuple[Tensor, Tensor]:
    """Copies of weight (out, in) and bias (out,)."""
    assert layer.bias is not None
    return layer.weight.squeeze(-1).clone(), layer.bias.clone()


def _affine(norm: ConditionalBatchNorm, c: Tensor) -> tuple[Tensor, Tensor]:
    """Scale (H,) and shift (H,) that the norm amounts to for the code c (C,)."""
    mean, var = norm.bn.running_mean, norm.bn.running_var
    assert mean is not None and var is not None
    scale = norm.conv_gamma(c) * torch.rsqrt(var + norm.bn.eps)
    return scale, norm.conv_beta(c) - scale * mean


def _linear(weight: Tensor, bias: Tensor, *, relu: bool) -> Linear:
    """The layer, with or without ReLU, as a function.

    Float32 on the CPU goes to oneDNN with prepacked weights where torch has it: the BLAS behind
    `F.linear` takes twice as long on AMD processors, and packs the weights anew for each tile.
    """
    if (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    ):
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, CPU_TILE)
        after = "relu" if relu else "none"
        return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, bias, after, [], "")
    if relu:
        return lambda x: F.linear(x, weight, bias).relu_()
    return lambda x: F.linear(x, weight, bias)
