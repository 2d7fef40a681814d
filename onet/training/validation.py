"""Metrics over a split: means over items, whatever the batches and processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.utils.data import DataLoader, Subset

from onet.config import GenerationConfig
from onet.training.stream import ItemSource


def validate(
    fabric: Fabric,
    model: nn.Module,
    source: ItemSource,
    settings: GenerationConfig,
    *,
    limit: int | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, float] | None:
    """Mean of each metric of `model.validate` over the items of `source`, each weighted equally.

    Items go through the network one at a time, so they may differ in their numbers of points, and
    memory is bounded by `settings.batch_size`. Always the items of epoch 0: the same points and
    noise at every validation. The processes share the items.

    Args:
        model: the bare model, not its distributed wrapper; in eval mode during the call.
        limit: use only so many items.
        stop: asked before each item; None is returned when it says yes.
    """
    source.set_epoch(0)
    count = min(len(source), limit or len(source))
    indices = range(fabric.global_rank, count, fabric.world_size)
    mine: Subset[dict[str, Any]] = Subset(source, indices)  # type: ignore[arg-type]
    totals: dict[str, torch.Tensor] = {}
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), fabric.autocast():
            for batch in DataLoader(mine, batch_size=1):
                if stop():
                    return None
                values: dict[str, Any] = model.validate(fabric.to_device(batch), settings)  # type: ignore[operator]
                for key, value in values.items():
                    totals[key] = totals.get(key, 0) + value.sum().float()
    finally:
        model.train(training)
    # A process without items has no keys; the first one always has an item.
    keys: list[str] = fabric.broadcast(sorted(totals))
    nothing = torch.zeros((), device=fabric.device)
    return {
        key: float(fabric.all_reduce(totals.get(key, nothing), reduce_op="sum")) / count  # type: ignore[arg-type]
        for key in keys
    }
