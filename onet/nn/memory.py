"""How much memory there is, so that what does not fit is refused before it is begun."""

from __future__ import annotations

import os
from pathlib import Path

import torch


def free_memory(device: torch.device, memory_gib: float | None) -> float:
    """Bytes that may be taken on a device: as stated, or what is free there."""
    if memory_gib is not None:
        return memory_gib * 2**30
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        pooled = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(free + pooled)
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        return float(lines["MemAvailable"].split()[0]) * 1024
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def gib(number: float) -> str:
    """Bytes as text."""
    return f"{number / 2**30:.3g} GiB"
