"""Where a run takes place: device, processes and arithmetic."""

from __future__ import annotations

import os
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException

from onet import machine
from onet.config import TrainingConfig
from onet.errors import ConfigError
from onet.training.precision import Precision, choose_precision


def choose_threads(settings: TrainingConfig) -> int:
    """Threads of each process of a run: as configured, else those that torch would take.

    These follow OMP_NUM_THREADS and `torch.set_num_threads`; without OMP_NUM_THREADS they are not
    more than the cores that this process may use, which its processes of a run share.
    """
    if settings.threads is not None:
        return settings.threads
    given = torch.get_num_threads()
    if machine.openmp_threads() is not None:
        return given
    return min(given, machine.threads(settings.devices))


def build_fabric(settings: TrainingConfig) -> tuple[Fabric, Precision]:
    """Return the launched processes of a run, and the precision that `auto` stands for there.

    Under `torchrun` the processes are there already, and their number is torchrun's.

    Raises:
        ConfigError: the device is not there, or too few of it, the items of a batch cannot be
            shared evenly, or training.devices and training.nodes name other numbers than torchrun
            has started.
    """
    devices, nodes = _processes(settings)
    device = settings.device if settings.device != "auto" else _best_device()
    _check_device(device)
    precision = choose_precision(device) if settings.precision == "auto" else settings.precision
    try:
        fabric = Fabric(
            accelerator=device,
            devices=devices,
            num_nodes=nodes,
            precision=precision,
        )
    except MisconfigurationException as error:
        text = " ".join(str(error).split())
        raise ConfigError(
            f"training.devices: {devices} of {device} cannot be had ({text}); choose fewer"
        ) from None
    fabric.launch()
    if settings.batch_size % (fabric.world_size * settings.accumulate):
        each = f" in {settings.accumulate} parts each" if settings.accumulate > 1 else ""
        raise ConfigError(
            f"training.batch_size: {settings.batch_size} items cannot be shared evenly by "
            f"{fabric.world_size} processes{each}; choose a multiple"
        )
    return fabric, precision


def _processes(settings: TrainingConfig) -> tuple[int, int]:
    """Processes per machine, and machines."""
    if not torch.distributed.is_torchelastic_launched():
        return settings.devices, settings.nodes
    devices = int(os.environ["LOCAL_WORLD_SIZE"])
    nodes = int(os.environ["WORLD_SIZE"]) // devices
    for key, told, started in (
        ("devices", settings.devices, devices),
        ("nodes", settings.nodes, nodes),
    ):
        if told not in (1, started):
            raise ConfigError(
                f"training.{key}: {told}, but torchrun has started {started}; leave it out, or "
                "give torchrun the same number"
            )
    return devices, nodes


def _check_device(device: str) -> None:
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not present.get(device, True):
        raise ConfigError(
            f"training.device: torch {torch.__version__} finds no {device} device on this machine; "
            "choose auto or cpu"
        )


def _best_device() -> Literal["cuda", "mps", "cpu"]:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
