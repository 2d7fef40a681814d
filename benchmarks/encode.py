"""Encoders of point clouds at inference: the first call and warm ones, by the number of points.

At the sizes of packaged configurations, with random weights, in evaluation mode, without gradients:
"pointnet" makes one code of all points, "planes" and "grid" local features, "set" 512 latents that
attend to the points, and "scan" is the packaged network for scans on its sparse cells, which grow
in number with the points. "trunk" is the picture encoder, of one picture of 224 pixels. Every run
is a process of its own on one thread unless said; the first call counts what is set up or loaded at
first use, warm is the median of three after it. Peak memory is the growth within the first call.
"exponent" is the slope of warm seconds over points, of the logarithms, between the fewest and the
most points. The bound is what the products, as torch counts them, would take at the rate of a large
product in the same process; what sorts, scatters and looks up cells is not in it, and the compiled
convolutions of "scan" are not counted.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks._machine import product_rate
from benchmarks._memory import PeakMemory

CONFIGS = {
    "pointnet": "pointcloud",
    "planes": "pointcloud_planes",
    "grid": "pointcloud_grid",
    "set": "pointcloud_set",
    "trunk": "img",
}
NAMES = (*CONFIGS, "scan")
WARM = 3
LARGEST = {"pointnet": 300_000, "set": 300_000}  # points; more take gigabytes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument(
        "--points", type=int, nargs="+", default=[3_000, 30_000, 300_000, 1_000_000]
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3, help="processes of each row")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="cpu")
    parser.add_argument("--single", nargs=2, help=argparse.SUPPRESS)  # one run, in a child process


def run(arguments: argparse.Namespace) -> None:
    from onet.report.tables import print_table

    if arguments.single:
        name, points = arguments.single
        print(json.dumps(_measure(name, int(points), arguments)))
        return
    rows = []
    for name in arguments.only:
        most = LARGEST.get(name, math.inf)
        counts = [1] if name == "trunk" else [n for n in arguments.points if n <= most]
        found = [_median(name, points, arguments) for points in counts]
        slope = _exponent(counts, [row["warm"] for row in found])
        rows += [
            _shown(name, points, row, slope if points == counts[-1] else None)
            for points, row in zip(counts, found, strict=True)
        ]
    print_table(
        rows,
        f"Encoders, {arguments.threads} thread(s), {arguments.clock} seconds, {arguments.runs} "
        f"runs; load now {os.getloadavg()[0]:.1f}",
    )


def _median(name: str, points: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Return medians of runs in processes of their own."""
    command = [sys.executable, "-m", "benchmarks", "encode", "--clock", arguments.clock]
    command += ["--threads", str(arguments.threads), "--single", name, str(points)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
    found = []
    for _ in range(arguments.runs):
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return {key: statistics.median(one[key] for one in found) for key in found[0]}


def _exponent(points: list[int], seconds: list[float]) -> float | None:
    if len(points) < 2:
        return None
    return math.log(seconds[-1] / seconds[0]) / math.log(points[-1] / points[0])


def _shown(name: str, points: int, row: dict[str, float], exponent: float | None) -> dict[str, Any]:
    return {
        "encoder": name,
        "points": "a picture" if name == "trunk" else f"{points:,}",
        "first, s": f"{row['first']:.3f}",
        "warm, s": f"{row['warm']:.4f}",
        "points/s": "" if name == "trunk" else f"{points / row['warm']:,.0f}",
        "exponent": "" if exponent is None else f"{exponent:.2f}",
        "machine, GFLOP/s": f"{row['rate']:.0f}",
        "bound": f"{row['gflop'] / row['rate'] / row['warm']:.0%}" if row["gflop"] else "",
        "peak MiB": f"{row['peak_mib']:.0f}",
    }


def _measure(name: str, points: int, arguments: argparse.Namespace) -> dict[str, float]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    call = _encoding(name, points)
    threads = arguments.threads
    now = time.perf_counter if arguments.clock == "wall" else lambda: time.process_time() / threads
    with torch.no_grad():
        with PeakMemory() as memory:
            start = now()
            call()
            first = now() - start
        warm = []
        for _ in range(WARM):
            start = now()
            call()
            warm.append(now() - start)
        with FlopCounterMode(display=False) as counter:
            call()
    return {
        "first": first,
        "warm": statistics.median(warm),
        "gflop": 0.0 if name == "scan" else counter.get_total_flops() / 1e9,
        "rate": product_rate(torch.float32, now=now) / 1e9,
        "peak_mib": memory.mib or 0.0,
    }


def _encoding(name: str, points: int) -> Callable[[], Any]:
    """Return what encodes one random cloud, or one picture."""
    import torch

    import onet
    from onet.config import load_config
    from onet.nn.encoders import ENCODERS

    cloud = torch.randn(points, 3)
    cloud = 0.4 * cloud / cloud.norm(dim=1, keepdim=True)
    if name == "scan":
        model = onet.load("scan", "cpu")
        given = cloud.double().numpy()
        return lambda: model.field(given)
    model = load_config(CONFIGS[name]).model
    encoder = ENCODERS.build(model["encoder"], "model.encoder", c_dim=model["c_dim"]).eval()
    seen = torch.rand(1, 3, 224, 224) if name == "trunk" else cloud[None]
    return lambda: encoder(seen)
