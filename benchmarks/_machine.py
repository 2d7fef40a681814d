"""What this machine can do at most, measured in the same process as what is compared with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PRODUCT = 2048  # rows and columns of a large product
TRIES = 5

Shape = tuple[int, int, int]  # rows, inner size and columns of a product


def product_rate(
    dtype: Any,  # of torch
    shape: Shape = (PRODUCT, PRODUCT, PRODUCT),
    now: Callable[[], float] = time.perf_counter,
) -> float:
    """Return operations a second of a product of this shape, the best of several.

    Small products are repeated, so that one try takes some milliseconds at least.
    """
    import torch

    rows, inner, columns = shape
    one, other = torch.randn(rows, inner).to(dtype), torch.randn(inner, columns).to(dtype)
    out = torch.empty(rows, columns, dtype=dtype)
    operations = 2 * rows * inner * columns
    calls = max(1, 10**9 // operations)
    seconds = []
    for _ in range(TRIES + 1):
        start = now()
        for _ in range(calls):
            torch.mm(one, other, out=out)
        seconds.append(now() - start)
    return operations * calls / min(seconds[1:])


def row_seconds(
    table: Any,  # tensor (cells, F)
    points: int,
    reads: int,  # rows that each point reads
    now: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the seconds in which rows of a table at random places are read, the best of several.

    They are added up for each point as they are read: `torch.index_select`, which writes every row,
    takes two to four times as long, longer than decoders do, and so bounds nothing.
    """
    import torch
    import torch.nn.functional as F

    rows = torch.randint(len(table), (points, reads))
    seconds = []
    for _ in range(TRIES + 1):
        start = now()
        F.embedding_bag(rows, table, mode="sum")
        seconds.append(now() - start)
    return min(seconds[1:])
