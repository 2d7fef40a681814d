"""Devices by the names that commands and functions take."""

from __future__ import annotations

import torch

from onet.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """Return the torch device called `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        ConfigError: another name, or a device that this machine or this torch does not have.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, there in present.items() if there)
    if name not in present:
        raise ConfigError(f"device {name!r}: choose one of auto, {', '.join(sorted(present))}")
    if not present[name]:
        raise ConfigError(f"device {name!r}: torch {torch.__version__} finds none; use device cpu")
    return torch.device(name)
