"""A function on several processes of one thread each, which talk over gloo."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed, multiprocessing


def together(
    function: Callable[..., Any],  # at the top of a module
    world: int,  # processes
    *arguments: Any,
) -> Any:
    """Return what `function(rank, world, *arguments)` returns for rank 0, by way of JSON."""
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(_member, (world, folder, function, arguments), nprocs=world)
        return json.loads(Path(folder, "result").read_text())


def _member(
    rank: int, world: int, folder: str, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world
    )
    result = function(rank, world, *arguments)
    if rank == 0:
        Path(folder, "result").write_text(json.dumps(result))
    distributed.destroy_process_group()
