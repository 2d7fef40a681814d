"""Losses of the same steps on 1, 2 and 4 processes over gloo, with and without common statistics.

A small network with conditional batch normalisation (`pointcloud_small`, narrower) takes `--steps`
of plain gradient descent on batches of `--batch` synthetic spheres, which the processes share. With
synchronised statistics ("together") the losses are those of one process but for rounding; without,
every process normalises what it has, and learns something else. "apart" is the largest relative
difference over all steps: from one process with the synchronised layer, and from one with that of
torch. `--double` computes in double precision, which tells rounding from all else.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed, nn

from benchmarks._meeting import together
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
    parser.add_argument("--double", action="store_true", help="in double precision")


def run(arguments: argparse.Namespace) -> None:
    one, torchs = (np.array(_losses(1, synchronized, arguments)) for synchronized in (True, False))
    losses = {"1": one, "1, torch's layer": torchs}
    print(f"1, torch's layer: {_apart(torchs, one):.1e} apart", flush=True)
    for world in arguments.worlds:
        for synchronized in (True, False):
            name = f"{world} together" if synchronized else f"{world} each its own"
            found = losses[name] = np.array(_losses(world, synchronized, arguments))
            print(f"{name}: {_apart(found, one):.1e} apart, from torch's layer "
                  f"{_apart(found, torchs):.1e}", flush=True)  # fmt: skip
    every = max(1, arguments.steps // 10)
    shown = [*range(0, arguments.steps, every), arguments.steps - 1]
    rows: list[dict[str, Any]] = [
        {"step": step + 1, **{name: round(float(of[step]), 3) for name, of in losses.items()}}
        for step in dict.fromkeys(shown)
    ]
    print_table(rows, "loss on so many processes")


def _apart(losses: NDArray[np.floating], one: NDArray[np.floating]) -> float:
    return float((np.abs(losses - one) / one).max())


def _losses(world: int, synchronized: bool, arguments: argparse.Namespace) -> list[float]:
    """Return the mean loss of all processes at each step."""
    losses: list[float] = together(_train, world, synchronized, arguments)
    return losses


def _train(rank: int, world: int, synchronized: bool, arguments: argparse.Namespace) -> list[float]:
    torch.manual_seed(0)
    config = load_config("pointcloud_small", SMALL)
    model: nn.Module = build_model(fit_to_data(config.model, arguments.batch)).train()
    if arguments.double:
        model.double()
    if synchronized:
        synchronize(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=arguments.rate)
    losses = []
    for step in range(arguments.steps):
        share = {key: v[rank::world] for key, v in _batch(step, arguments).items()}
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
    return losses


def _batch(step: int, arguments: argparse.Namespace) -> dict[str, torch.Tensor]:
    """Return query points, occupancies and surface points of spheres, the same on all processes."""
    items = arguments.batch
    rng = torch.Generator().manual_seed(step)
    points = torch.rand(items, 64, 3, generator=rng) - 0.5
    radii = 0.15 + 0.3 * torch.rand(items, 1, generator=rng)
    surface = nn.functional.normalize(torch.randn(items, 300, 3, generator=rng), dim=-1)
    dtype = torch.float64 if arguments.double else torch.float32
    return {
        "points": points.to(dtype),
        "occupancies": (points.norm(dim=-1) < radii).to(dtype),
        "inputs": (surface * radii[..., None]).to(dtype),
        "index": torch.arange(items),
    }
