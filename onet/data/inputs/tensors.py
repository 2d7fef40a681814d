"""From the arrays of an observation to tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def to_tensors(
    observation: Any,  # arrays or tensors, see `onet.data.inputs.Arrays`
    device: torch.device | str = "cpu",
) -> Tensor | dict[str, Tensor]:
    """Return the same as a tensor, or as tensors by name; floating point numbers as float32."""
    import torch

    if isinstance(observation, dict):
        return {
            name: torch.as_tensor(_array(part), device=device) for name, part in observation.items()
        }
    return torch.as_tensor(_array(observation), device=device)


def _array(values: Any) -> Any:
    array = np.asarray(values)
    return array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array
