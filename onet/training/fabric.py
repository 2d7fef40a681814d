"""Where a run takes place: device, processes and arithmetic."""

from __future__ import annotations

from typing import Literal

import torch
from lightning_fabric import Fabric

from onet.config import TrainingConfig
from onet.errors import ConfigError
from onet.training.precision import Precision, choose_precision


def build_fabric(settings: TrainingConfig) -> tuple[Fabric, Precision]:
    """The launched processes of a run, and the precision that `auto` stands for there.

    Raises:
        ConfigError: the items of a batch cannot be shared evenly.
    """
    device = settings.device if settings.device != "auto" else _best_device()
    precision = choose_precision(device) if settings.precision == "auto" else settings.precision
    fabric = Fabric(
        accelerator=device,
        devices=settings.devices,
        num_nodes=settings.nodes,
        precision=precision,
    )
    fabric.launch()
    if settings.batch_size % fabric.world_size:
        raise ConfigError(
            f"training.batch_size: {settings.batch_size} items cannot be shared evenly by "
            f"{fabric.world_size} processes; choose a multiple"
        )
    return fabric, precision


def _best_device() -> Literal["cuda", "mps", "cpu"]:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
