"""Decoder at inference: folded conditional batch norm against the plain module.

The published point cloud network (5 x 256 features, code of 512) with random weights, in evaluation
mode and float32. "eager" calls the module on all points at once, as the published code does with
100,000; "folded" is what reconstruction uses. Every run is a process of its own; contenders take
turns, and the median of the runs is shown. Peak memory is the growth of ru_maxrss during the calls.
"difference" is the largest difference of the logits from those of the module.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

from benchmarks._memory import peak_mib

CONTENDERS = ("eager", "folded")
CALLS = 3  # in each process, after one to warm up; their median counts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=5, help="runs of each contender")
    parser.add_argument("--single", nargs=2, help=argparse.SUPPRESS)  # one run, in a child process


def run(arguments: argparse.Namespace) -> None:
    if arguments.single:
        contender, threads = arguments.single
        print(json.dumps(_measure(contender, int(threads), arguments.points)))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{arguments.points:,} points, median of {arguments.runs} runs")
    for header in ("threads", "decoder", "points/s", "ratio", "peak MiB", "difference"):
        table.add_column(header, justify="left" if header == "decoder" else "right")
    for threads in arguments.threads:
        results: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
        for _ in range(arguments.runs):
            for name in CONTENDERS:
                command = [sys.executable, "-m", "benchmarks", "decode"]
                command += ["--points", str(arguments.points), "--single", name, str(threads)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                results[name].append(json.loads(done.stdout))
        seconds = {n: statistics.median(r["seconds"] for r in results[n]) for n in CONTENDERS}
        for name in CONTENDERS:
            table.add_row(
                str(threads),
                name,
                f"{arguments.points / seconds[name]:,.0f}",
                f"{seconds['eager'] / seconds[name]:.2f}x",
                f"{statistics.median(r['peak_mib'] for r in results[name]):.0f}",
                f"{max(r['difference'] for r in results[name]):.1e}",
            )
    Console().print(table)


def _measure(contender: str, threads: int, count: int) -> dict[str, float]:
    import torch

    from onet.nn.decoders import DECODERS

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    decoder = DECODERS.build({"type": "cbatchnorm"}, "decoder", c_dim=512, z_dim=0).eval()
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    points, code = torch.rand(count, 3) - 0.5, torch.randn(512)

    def eager() -> torch.Tensor:
        logits: torch.Tensor = decoder(points[None], None, code[None])[0]
        return logits

    folded = decoder.fold(code)
    with torch.no_grad():
        call = eager if contender == "eager" else lambda: folded(points)
        baseline = peak_mib()
        result = call()
        seconds = []
        for _ in range(CALLS):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        peak = peak_mib() - baseline
        difference = float((result - eager()).abs().max())
    return {"seconds": statistics.median(seconds), "peak_mib": peak, "difference": difference}
