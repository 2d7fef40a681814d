"""Losses of the same steps on 1, 2 and 4 processes over gloo, with and without common statistics.

A small network with conditional batch normalisation (`pointcloud_small`, narrower) takes `--steps`
of plain gradient descent on batches of `--batch` synthetic spheres, which the processes share. With
synchronised statistics the losses are those of one process but for rounding; without, every process
normalises what it has, and learns something else. "apart" is the largest relative difference from
the losses of one process over all steps.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed, multiprocessing, nn

from onet.config import load_config
from onet.models import build_model, fit_to_data
from onet.report.tables import print_table
from onet.training.synchronized import synchronize

SMALL = {
    "model.encoder.hidden_dim": 8, "model.c_dim": 8,
    "model.decoder": {"type": "cbatchnorm", "hidden_size": 8},
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch", type=int, default=8, help="items of all processes together")
    parser.add_argument("--worlds", type=int, nargs="+", default=[2, 4], help="processes")
    parser.add_argument("--rate", type=float, default=2e-4, help="learning rate")


def run(arguments: argparse.Namespace) -> None:
    one = np.array(_losses(1, False, arguments))
    losses = {"1": one}
    for world in arguments.worlds:
        for synchronized in (True, False):
            name = f"{world} together" if synchronized else f"{world} each its own"
            losses[name] = np.array(_losses(world, synchronized, arguments))
            apart = (np.abs(losses[name] - one) / one).max()
            print(f"{name}: {apart:.1e} apart", flush=True)
    every = max(1, arguments.steps // 10)
    shown = [*range(0, arguments.steps, every), arguments.steps - 1]
    rows: list[dict[str, Any]] = [
        {"step": step + 1, **{name: round(float(of[step]), 3) for name, of in losses.items()}}
        for step in dict.fromkeys(shown)
    ]
    print_table(rows, "loss on so many processes")


def _losses(world: int, synchronized: bool, arguments: argparse.Namespace) -> list[float]:
    """Return the mean loss of all processes at each step."""
    with tempfile.TemporaryDirectory() as folder:
        common = (world, synchronized, arguments, folder)
        multiprocessing.spawn(_train, common, nprocs=world)
        losses: list[float] = torch.load(Path(folder, "losses.pt"))
    return losses


def _train(
    rank: int, world: int, synchronized: bool, arguments: argparse.Namespace, folder: str
) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world
    )
    torch.manual_seed(0)
    config = load_config("pointcloud_small", SMALL)
    model: nn.Module = build_model(fit_to_data(config.model, arguments.batch)).train()
    if synchronized:
        synchronize(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=arguments.rate)
    losses = []
    for step in range(arguments.steps):
        share = {key: v[rank::world] for key, v in _batch(step, arguments.batch).items()}
        loss = model.loss(share)["loss"]  # type: ignore[operator]
        optimizer.zero_grad()
        loss.backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        common = torch.cat([loss.detach().reshape(1), *(g.reshape(-1) for g in gradients)])
        distributed.all_reduce(common)
        common /= world
        for gradient, part in zip(
            gradients, common[1:].split([g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))
        optimizer.step()
        losses.append(float(common[0]))
    if rank == 0:
        torch.save(losses, Path(folder, "losses.pt"))
    distributed.destroy_process_group()


def _batch(step: int, items: int) -> dict[str, torch.Tensor]:
    """Return query points, occupancies and surface points of spheres, the same on all processes."""
    rng = torch.Generator().manual_seed(step)
    points = torch.rand(items, 64, 3, generator=rng) - 0.5
    radii = 0.15 + 0.3 * torch.rand(items, 1, generator=rng)
    surface = nn.functional.normalize(torch.randn(items, 300, 3, generator=rng), dim=-1)
    return {
        "points": points,
        "occupancies": (points.norm(dim=-1) < radii).float(),
        "inputs": surface * radii[..., None],
        "index": torch.arange(items),
    }
