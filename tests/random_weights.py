"""Weights that hide nothing, for tests of networks."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


@torch.no_grad()
def randomise(module: Module, seed: int = 0) -> Module:
    """Random weights and running statistics: no zeros of initialisation that hide branches.

    Features keep their size through layers, so that deep networks neither explode nor fade.
    """
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            parameter.copy_(noise * parameter[0].numel() ** -0.5)
        else:
            parameter.add_(0.3 * noise)
    for name, buffer in module.named_buffers():
        if name.endswith("running_var"):
            buffer.copy_(0.5 + 1.5 * torch.rand(buffer.shape, generator=generator))
        elif name.endswith("running_mean"):
            buffer.copy_(0.5 * torch.randn(buffer.shape, generator=generator))
    return module
