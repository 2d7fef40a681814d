"""Precision of what leaves a network."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_single(x: Tensor) -> Tensor:
    """float32 where autocast has left half as much; float64 stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
