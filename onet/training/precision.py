"""Which arithmetic is the faster one here."""

from __future__ import annotations

import time
from typing import Literal

import torch

Precision = Literal["32-true", "bf16-mixed"]


def choose_precision(device: str) -> Precision:
    """`bf16-mixed` where bfloat16 products are fast on `device`, else `32-true`.

    On a GPU that is so from compute capability 8.0 on. On a CPU a small product is timed both ways:
    with instructions for bfloat16 (AVX-512 BF16, AMX, ARM BF16) it takes half the time or less,
    without them several times as long.
    """
    if device == "cuda":
        return "bf16-mixed" if torch.cuda.get_device_capability()[0] >= 8 else "32-true"
    if device == "cpu" and _seconds(torch.bfloat16) < 0.8 * _seconds(torch.float32):
        return "bf16-mixed"
    return "32-true"


def _seconds(dtype: torch.dtype) -> float:
    """Least of several times of a product of the size that training meets."""
    a, b = torch.ones(8192, 128, dtype=dtype), torch.ones(128, 128, dtype=dtype)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        torch.mm(a, b)
        times.append(time.perf_counter() - start)
    return min(times)
