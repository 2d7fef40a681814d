"""What encoders make of observations, and decoders take with query points.

The code of a global encoder is one tensor. One with local features has several: planes or grids,
by name.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Code = Tensor | dict[str, Tensor]
"""Features of a batch, the batch first; or of one observation, without that dimension."""


def code_of(
    codes: Code,  # (B, ...)
    number: int,
) -> Code:
    """The code of one observation of a batch."""
    return _each(codes, lambda features: features[number])


def as_batch(code: Code) -> Code:
    """The code of one observation as a batch of one."""
    return _each(code, lambda features: features[None])


def device_of(code: Code) -> torch.device:
    """Where a code is."""
    return next(iter(code.values())).device if isinstance(code, dict) else code.device


def _each(code: Code, change: Callable[[Tensor], Tensor]) -> Code:
    if isinstance(code, dict):
        return {name: change(features) for name, features in code.items()}
    return change(code)
