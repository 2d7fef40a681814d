"""Decoders at inference, all at the sizes of their packaged configurations, with random weights.

The published point cloud network (5 x 256 features, code of 512), in evaluation mode. Logits:
"published" is the published layout (features before points, `Conv1d`) on all points at once,
"eager" the module of this package on all points at once, "eager 1,024" the same in batches of
1,024; "folded" is what reconstruction uses, in float32 and bfloat16. Gradients by the points:
"autograd" through the module for all points at once, as published, with parameters that could be
trained; "autograd 1,024" in batches of 1,024 with frozen parameters; "folded" derives by hand.
The others, as reconstruction uses them: "planes" and "grid" are the decoder on local features, 3 x
64^2 and 32^3 cells of 32 features; "pixel" that on the features of a picture, 56^2 cells of 64;
"set" cross attention to 512 latents of 512 numbers, on a tenth of the points.

Every run is a process of its own, and contenders take turns. Shown are the median and the best of
the runs, the ratio of medians and of the best to the first line, and the ratio of medians to
"folded". Peak memory is the growth of ru_maxrss during the calls. "difference" is the largest one
of the logits from those of the module; of gradients it is the median over the points, relative to
the length of the gradient, since at the kink of a ReLU rounding decides between two gradients.
"threads" compares with one thread. "GFLOP/s" is what products of a tile with the decoder's square
weights reach on this machine, in that precision and process, on local features that of the better
size of tiles. "bound" is the share of the seconds that the decoder's products, as torch counts
them, would take at that rate (of the gradients, those of autograd). On local features the bound is
more: products and "gathers", the seconds that it takes here, in the same process, to read and add
up as many rows as the points read, at random places of maps of that size and type (always float32):
4 corners in each of the three planes, 8 in a grid, 4 in a picture; of the gradients twice, there
and back. What is left to the places of corners, rectifiers and sums is the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks._decoders import CONFIGS, build_decoder
from benchmarks._memory import peak_mib

FOLDED = ("folded", *(name for name in CONFIGS if name != "cbatchnorm"))
IN_BOTH = tuple(f"{name}{precision}" for name in FOLDED for precision in ("", " bfloat16"))
CONTENDERS = {
    "logits": ("published", "eager", "eager 1,024", *IN_BOTH),
    "gradients": ("autograd", "autograd 1,024", *IN_BOTH),
}
FEWER = {"set": 10}  # the part of the points that it is measured on
READS = {"planes": 12, "grid": 8, "pixel": 4}  # rows of maps that a point reads
CALLS = 3  # in each process, after one to warm up; their median counts

Runs = dict[str, list[dict[str, float]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--gradients", type=int, default=20_000, help="points of the second table")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=5, help="runs of each contender")
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: processor time over threads, less disturbed by other programs",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=sorted({*FOLDED, *CONTENDERS["logits"]}),
        help="these contenders, besides the first of a table and folded",
    )
    parser.add_argument("--single", nargs=5, help=argparse.SUPPRESS)  # one run, in a child process


def run(arguments: argparse.Namespace) -> None:
    if arguments.single:
        what, name, threads, points, clock = arguments.single
        print(json.dumps(_measure(what, name, int(threads), int(points), clock)))
        return
    _compare("logits", arguments.points, arguments)
    _compare("gradients", arguments.gradients, arguments)


def _compare(what: str, points: int, arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    if points < 1:
        return
    first, *others = CONTENDERS[what]
    wanted = {"folded", *(arguments.only or others)}
    names = [first, *(name for name in others if name in wanted)]
    load = os.getloadavg()[0]
    results: dict[int, Runs] = {t: {name: [] for name in names} for t in arguments.threads}
    for _ in range(arguments.runs):
        for threads, runs in results.items():
            for name in names:
                command = [sys.executable, "-m", "benchmarks", "decode"]
                command += ["--single", what, name, str(threads), str(points)]
                command += [arguments.clock]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                runs[name].append(json.loads(done.stdout))

    table = Table(
        title=f"{what} of {points:,} points, {arguments.runs} runs, {arguments.clock} clock; "
        f"load before {load:.1f}, after {os.getloadavg()[0]:.1f}"
    )
    headers = ("threads", "decoder", "points/s", "best", "ratio", "best", "folded", "threads")
    for header in (*headers, "GFLOP/s", "gathers, s", "bound", "peak MiB", "difference"):
        table.add_column(header, justify="left" if header == "decoder" else "right")
    few = min(results)
    for threads, runs in results.items():
        for name in names:
            speeds, base, folded, alone = (
                _speeds(r) for r in (runs[name], runs[first], runs["folded"], results[few][name])
            )
            table.add_row(
                str(threads),
                name,
                *(f"{speed:,.0f}" for speed in speeds),
                *(f"{speed / other:.2f}x" for speed, other in zip(speeds, base, strict=True)),
                f"{speeds[0] / folded[0]:.2f}x",
                "" if threads == few else f"{speeds[1] / alone[1]:.2f}x",
                f"{_median(runs[name], 'rate'):.0f}",
                f"{gathers:.2g}" if (gathers := _median(runs[name], "gathers")) else "",
                f"{statistics.median(r['bound'] / r['seconds'] for r in runs[name]):.0%}",
                f"{_median(runs[name], 'peak_mib'):.0f}",
                f"{max(r['difference'] for r in runs[name]):.1e}",
            )
        table.add_section()
    Console(width=140).print(table)


def _median(runs: list[dict[str, float]], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def _speeds(runs: list[dict[str, float]]) -> tuple[float, float]:
    """Points per second, median and best."""
    seconds = [run["seconds"] / run["points"] for run in runs]
    return 1 / statistics.median(seconds), 1 / min(seconds)


def _measure(what: str, name: str, threads: int, count: int, clock: str) -> dict[str, float]:
    import torch
    from torch import Tensor
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks._published_decoder import published_logits
    from onet.nn.code import as_batch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    family = name.removesuffix(" bfloat16")
    decoder, code = build_decoder(family if family in CONFIGS else "cbatchnorm")
    points = torch.rand(max(1, count // FEWER.get(family, 1)), 3) - 0.5
    dtype = torch.bfloat16 if name.endswith("bfloat16") else torch.float32
    folded = decoder.fold(code, dtype=dtype)

    def eager(batch: Tensor) -> Tensor:
        logits: Tensor = decoder(batch[None], None, as_batch(code))[0]
        return logits

    def differentiate(batch: Tensor) -> Tensor:
        batch = batch.clone().requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad(eager(batch).sum(), batch)[0]

    def batches(function: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.cat([function(batch) for batch in points.split(1024)])

    def whole() -> Tensor:  # the products as the decoder is published, without folding
        return differentiate(points) if what == "gradients" else eager(points)

    contenders: dict[tuple[str, str], Callable[[], Any]] = {
        ("logits", "published"): lambda: published_logits(decoder, points[None], code[None])[0],
        ("logits", "eager"): lambda: eager(points),
        ("logits", "eager 1,024"): lambda: batches(eager),
        ("logits", "folded"): lambda: folded(points),
        ("gradients", "autograd"): lambda: differentiate(points),
        ("gradients", "autograd 1,024"): lambda: batches(differentiate),
        ("gradients", "folded"): lambda: folded.value_and_gradient(points)[1],
    }
    call = contenders[what, "folded" if family in CONFIGS else family]
    decoder.requires_grad_(name == "autograd")
    now = time.perf_counter if clock == "wall" else lambda: time.process_time() / threads
    with torch.no_grad():
        baseline = peak_mib()
        result = call()
        seconds = []
        for _ in range(CALLS):
            start = now()
            call()
            seconds.append(now() - start)
        peak = peak_mib() - baseline
        if what == "logits":
            difference = (result - batches(eager)).abs().max()
        else:
            exact = batches(differentiate)
            difference = ((result - exact).norm(dim=1) / exact.norm(dim=1)).median()
    decoder.requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
        whole()
    rate, gathers = _machine_bounds(family, decoder, code, dtype, len(points), now)
    gathers *= 2 if what == "gradients" else 1
    return {
        "bound": counter.get_total_flops() / rate + gathers,
        "rate": rate / 1e9,
        "gathers": gathers,
        "seconds": statistics.median(seconds),
        "points": len(points),
        "peak_mib": peak,
        "difference": float(difference),
    }


def _machine_bounds(
    family: str, decoder: Any, code: Any, dtype: Any, points: int, now: Callable[[], float]
) -> tuple[float, float]:
    """Operations a second of a decoder's products, and seconds to read the rows of its maps."""
    from benchmarks._machine import product_rate, row_seconds
    from onet.nn.code import as_batch
    from onet.nn.decoders.folded import CPU_TILE, LOCAL_TILE

    hidden = len(decoder.fc_p.bias) if hasattr(decoder, "fc_p") else 256
    if family not in READS:
        return product_rate(dtype, (CPU_TILE, hidden, hidden), now), 0.0
    rates = (product_rate(dtype, (tile, hidden, hidden), now) for tile in (CPU_TILE, LOCAL_TILE))
    table = decoder.sampler(as_batch(code)).table[0]
    return max(rates), row_seconds(table, points, READS[family], now)
