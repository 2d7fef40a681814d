"""Linear layers whose weights do not change any more."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Linear = Callable[[Tensor], Tensor]  # (N, in) -> (N, out), both of the weights' dtype


def constant_linear(
    weight: Tensor,  # (out, in) float32 or bfloat16
    bias: Tensor | None,  # (out,)
    *,
    relu: bool = False,
    rows: int,
) -> Linear:
    """Return the layer, followed by a ReLU or not, as a function of (N, in) with N about `rows`.

    On the CPU it goes to oneDNN with prepacked weights where torch has it: the BLAS behind
    `F.linear` takes twice as long for float32 on AMD processors, and packs the weights anew for
    each call.
    """
    if _has_onednn(weight):
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)
        after = "relu" if relu else "none"
        return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, bias, after, [], "")
    if relu:
        return lambda x: F.linear(x, weight, bias).relu_()
    return lambda x: F.linear(x, weight, bias)


def _has_onednn(weight: Tensor) -> bool:
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if not hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32
