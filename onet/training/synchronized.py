"""Batch normalisation over the items of all processes, and batches in several parts.

torch's own synchronised layer works on GPUs alone; this one works wherever processes talk, by the
same sums. Without it each process normalises by the items of its own share, and two processes learn
something else than one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


class _Synchronized(_BatchNorm):
    """Batch normalisation whose statistics in training are those of all processes together."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape (N, F, ...) as given."""
        if not self.training:
            return super().forward(x)
        self._check_input_dim(x)
        over = [0, *range(2, x.ndim)]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        own = values.new_full((1,), x.numel() / x.shape[1])
        sums = _summed(torch.cat([values.sum(over), own]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = values - mean.view(shape)
        variance = _summed((centred * centred).sum(over)) / count  # of centred ones: no digits lost
        self._keep(mean.detach(), variance.detach(), count)
        result = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            result = result * self.weight.view(shape) + self.bias.view(shape)
        return result.to(x.dtype)

    def _keep(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Update the running statistics, of which the variance is the unbiased one."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:
            share = 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * (count / (count - 1)), share)


class _Synchronized1d(_Synchronized, nn.BatchNorm1d):
    pass


class _Synchronized2d(_Synchronized, nn.BatchNorm2d):
    pass


class _Synchronized3d(_Synchronized, nn.BatchNorm3d):
    pass


_SYNCHRONIZED: dict[type[nn.Module], type[_Synchronized]] = {
    nn.BatchNorm1d: _Synchronized1d,
    nn.BatchNorm2d: _Synchronized2d,
    nn.BatchNorm3d: _Synchronized3d,
}


def synchronize(model: nn.Module) -> int:
    """Let the batch normalisations of a model use the items of all processes; returns how many.

    Weights, names and what evaluation gives stay as they are.
    """
    found = [module for module in model.modules() if type(module) in _SYNCHRONIZED]
    for module in found:
        module.__class__ = _SYNCHRONIZED[type(module)]
    return len(found)


class _Sum(torch.autograd.Function):
    """Sum over all processes; the gradient is the sum of the gradients of all."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        result = values.clone()
        distributed.all_reduce(result)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _Sum.apply(gradients[0].contiguous())


def _summed(values: Tensor) -> Tensor:
    result: Tensor = _Sum.apply(values.contiguous())
    return result


def parts(batch: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    """Yield a batch in `count` parts of equally many items."""
    if count == 1:
        yield batch
        return
    for number in range(count):
        yield {key: _part(value, number, count) for key, value in batch.items()}


def _part(value: Any, number: int, count: int) -> Any:
    if isinstance(value, dict):
        return {key: _part(inner, number, count) for key, inner in value.items()}
    size = len(value) // count
    return value[number * size : (number + 1) * size]
