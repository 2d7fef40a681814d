"""Training steps of networks with local features, beside torch's operations and the machine.

Seconds (of `--clock`) of one step (loss, gradient, Adam) of random clouds and query points, at the
sizes of packaged configurations. "torch" pools cells and samples maps by torch's own operations
(`scatter_reduce`, `embedding_bag`). The bound is what the products alone, counted by torch, would
take at the rate of one large product of that precision in the same process. Every run is a process
of its own, and contenders take turns; shown are medians.

With `--processes 2` also two processes of one thread each share the batch, as `onet train
training.devices=2` does it: each takes half of the items, and gradients are averaged over gloo
(`DistributedDataParallel`). Seconds are those of the whole step, for all items, of the wall clock,
or with `--clock cpu` of the processor over the number of threads or processes, without waiting.
Products, rate and memory are sums over the processes. "of fewest threads" is how many times as fast
a row is as the row with the fewest threads of one process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchmarks._machine import product_rate
from benchmarks._memory import PeakMemory

if TYPE_CHECKING:
    import torch

CONFIGS = ("pointcloud_planes_small", "pointcloud_grid_small")
PRECISIONS = ("float32", "bfloat16")
HOW = ("compiled", "torch")
STEPS = 5  # in each process, after two to warm up


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--configs", nargs="+", default=list(CONFIGS))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--items", type=int, default=16, help="in a batch")
    parser.add_argument("--queries", type=int, default=1024, help="query points of an item")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--processes", type=int, nargs="+", default=[], help="of one thread each, share a batch"
    )
    parser.add_argument("--runs", type=int, default=5, help="runs of each contender")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--single", help=argparse.SUPPRESS)  # one run, in a child process


def run(arguments: argparse.Namespace) -> None:
    from onet.report.tables import print_table

    if arguments.single:
        print(json.dumps(_measure(json.loads(arguments.single), arguments)))
        return
    workers = [{"threads": threads, "processes": 1} for threads in arguments.threads]
    workers += [{"threads": 1, "processes": processes} for processes in arguments.processes]
    cases = [
        {"config": config, "precision": precision, **on, "how": how}
        for config in arguments.configs
        for precision in arguments.precisions
        for on in workers
        for how in HOW
    ]
    results: list[list[dict[str, float]]] = [[] for _ in cases]
    for _ in range(arguments.runs):
        for case, found in zip(cases, results, strict=True):
            command = [sys.executable, "-m", "benchmarks", *sys.argv[1:]]
            command += ["--single", json.dumps(case)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
    rows = [
        case | {key: statistics.median(one[key] for one in found) for key in found[0]}
        for case, found in zip(cases, results, strict=True)
    ]
    print_table([_shown(row, rows) for row in rows], f"A step, {arguments.clock} clock")


def _shown(row: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    def other(**changes: Any) -> float:
        keys = ("config", "precision", "threads", "processes", "how")
        want = {key: row[key] for key in keys} | changes
        (found,) = (each for each in rows if want.items() <= each.items())
        return float(found["seconds"])

    fewest = min(each["threads"] for each in rows if each["processes"] == 1)
    return {
        **{key: row[key] for key in ("config", "precision")},
        "on": _counted(row["threads"], row["processes"]),
        "how": row["how"],
        "seconds": f"{row['seconds']:.3f}",
        "of torch": f"{other(how='torch') / row['seconds']:.2f}x",
        "of fewest threads": f"{other(threads=fewest, processes=1) / row['seconds']:.2f}x",
        "GFLOP": f"{row['gflop']:.1f}",
        "machine, GFLOP/s": f"{row['rate']:.0f}",
        "bound": f"{100 * row['gflop'] / row['rate'] / row['seconds']:.0f} %",
        "peak MiB": f"{row['peak_mib']:.0f}",
    }


def _counted(threads: int, processes: int) -> str:
    if processes > 1:
        return f"{processes} processes"
    return f"{threads} threads" if threads > 1 else "1 thread"


def _measure(case: dict[str, Any], arguments: argparse.Namespace) -> dict[str, float]:
    if case["processes"] == 1:
        return _measure_share(0, 1, case, arguments)
    from benchmarks._meeting import together

    found: dict[str, float] = together(_measure_share, case["processes"], case, arguments)
    return found


def _measure_share(
    rank: int, world: int, case: dict[str, Any], arguments: argparse.Namespace
) -> dict[str, float]:
    """Measure the steps of one of the processes that share a batch: the same result on all."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    threads, precision = case["threads"], getattr(torch, case["precision"])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if case["how"] == "torch":
        _without_compiled()
    step = _step(case["config"], precision, arguments, rank, world)
    now = time.perf_counter if arguments.clock == "wall" else lambda: time.process_time() / threads
    with FlopCounterMode(display=False) as counter:
        step()
    step()
    seconds = []
    with PeakMemory() as memory:
        for _ in range(STEPS):
            start = now()
            step()
            seconds.append(now() - start)
    found = {
        "seconds": statistics.median(seconds) / world,
        "gflop": counter.get_total_flops() / 1e9,
        "rate": product_rate(precision, now=now) / 1e9,
        "peak_mib": memory.mib or 0.0,
    }
    return found if world == 1 else _summed(found)


def _summed(found: dict[str, float]) -> dict[str, float]:
    """Return the sums over all processes."""
    import torch

    values = torch.tensor([*found.values()], dtype=torch.float64)
    torch.distributed.all_reduce(values)
    return dict(zip(found, values.tolist(), strict=True))


def _without_compiled() -> None:
    """Let this process pool and sample by torch's operations, as it does on other devices."""
    from onet.nn import local_features

    local_features.compiled = lambda *tensors: False


def _step(
    config: str, precision: torch.dtype, arguments: argparse.Namespace, rank: int, world: int
) -> Callable[[], None]:
    """Return a step on the share of the batch that a process has: every `world`th item."""
    import torch

    from onet.config import load_config
    from onet.models import build_model
    from onet.training.synchronized import synchronize

    settings = load_config(config, ["data.path=."])
    model: Any = build_model(settings.model)
    objective: Any = model.loss
    if world > 1:
        if settings.training.synchronize:
            synchronize(model)
        model.forward = model.loss  # what the wrapper calls
        objective = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.Adam(model.parameters(), settings.training.learning_rate)
    cloud = torch.randn(arguments.items, settings.data.input["count"], 3)
    cloud = 0.4 * cloud / cloud.norm(dim=-1, keepdim=True)
    queries = torch.rand(arguments.items, arguments.queries, 3) - 0.5
    batch = {
        "inputs": cloud[rank::world],
        "points": queries[rank::world],
        "occupancies": (queries.norm(dim=-1) < 0.4).float()[rank::world],
    }

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            losses: dict[str, torch.Tensor] = objective(batch)
        losses["loss"].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step
