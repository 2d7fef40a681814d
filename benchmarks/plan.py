"""What many objects cost: measured stages, a plan for them, and a simulated cluster that fails.

Each stage is one command over `--count` meshes in one process with one thread: processor seconds
and bytes written for an object, without what the command takes to start. The plan multiplies them
by `--objects`; of `--cores` cores a machine, `--price` an hour and core and `--disk-price` a month
and TB are assumptions, and are shown as such.

The cluster is simulated, a discrete-event simulation of `onet.cluster` and not dask itself: tasks
of random length (log-normal, about as dispersed as those measured for solids) for `--workers`
workers. A worker dies at random (`--mtbf` hours of one, exponential), loses the task that it has,
and is back after a minute; one task in `--poison` kills every worker that takes it, and is given up
after four. Work begins with the largest, whose sizes tell lengths but for a factor (log-normal,
0.5), or not.
"""

from __future__ import annotations

import argparse
import heapq
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._loading_store import files_below
from onet.parallel import ONE_THREAD
from onet.pipeline.solid import find_meshes
from onet.report.tables import print_table

ALLOWED_FAILURES = 3  # distributed.scheduler.allowed-failures
BACK = 60.0  # seconds until a worker that died is replaced
SPREAD = 0.9  # deviation of the logarithm of a task's seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--meshes", help="folder of meshes to measure the stages with")
    parser.add_argument("--out", type=Path, help="folder for what they write; removed")
    parser.add_argument("--count", type=int, default=8, help="meshes, evenly of all")
    parser.add_argument("--objects", type=int, default=800_000)
    parser.add_argument("--cores", type=int, default=64, help="assumed, of a machine")
    parser.add_argument("--price", type=float, default=0.04, help="assumed, a core and hour")
    parser.add_argument("--disk-price", type=float, default=25.0, help="assumed, a TB and month")
    parser.add_argument("--workers", type=int, default=64, help="simulated")
    parser.add_argument("--tasks", type=int, default=100_000, help="simulated")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a simulated task, mean")
    parser.add_argument("--mtbf", type=float, nargs="+", default=[1e9, 24, 1], help="hours")
    parser.add_argument("--poison", type=int, default=10_000)


def run(arguments: argparse.Namespace) -> None:
    if arguments.meshes:
        print_table(_planned(_measured(arguments), arguments), f"{arguments.objects:,} objects")
    rows = [
        {"mtbf h": hours, "largest first": first} | simulate(arguments, hours, first)
        for hours in arguments.mtbf
        for first in (True, False)
    ]
    print_table(rows, f"{arguments.tasks:,} simulated tasks, {arguments.workers} workers")


def _measured(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return processor seconds and bytes of each stage, for an object."""
    if arguments.out is None:
        raise SystemExit("--meshes: give --out, a folder for the work")
    out: Path = arguments.out / "plan"
    found = find_meshes([arguments.meshes])
    chosen = [found[len(found) * k // arguments.count] for k in range(arguments.count)]
    for name, some in (("all", chosen), ("one", chosen[:1])):
        for path in some:
            folder = out / name / "meshes" / "shapes"
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / f"{path.parent.name}-{path.name}")
    stages: dict[str, tuple[str, ...]] = {
        "prepare": ("prepare", "meshes", "-o", "store", "--workers", "1"),
        "pack": ("data", "pack", "store", "packed"),
        "verify": ("data", "verify", "packed"),
        "check": ("data", "check", "packed"),
        "solid": ("solid", "meshes", "-o", "solids", "--workers", "1"),
        "generate": ("generate", "demo", "meshes", "-o", "made", "--resolution", "128"),
        "eval": ("eval", "made/meshes", "--truth", "solids", "-o", "scores"),
    }
    rows = []
    for name, command in stages.items():
        many, one = (_cost(out / folder, command) for folder in ("all", "one"))
        others = max(1, arguments.count - 1)
        seconds, size = ((many[k] - one[k]) / others for k in range(2))
        rows.append({"stage": name, "s an object": round(seconds, 3), "bytes": round(size),
                     "start s": round(one[0] - seconds, 1)})  # fmt: skip
        print(rows[-1], flush=True)
    shutil.rmtree(out)
    return rows


def _cost(folder: Path, command: tuple[str, ...]) -> tuple[float, int]:
    """Return processor seconds of a command, and the bytes that its folder grew by."""
    before, used = _size(folder), _children()
    done = subprocess.run(
        [sys.executable, "-m", "onet.cli", *command], cwd=folder, env=os.environ | ONE_THREAD,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr[-400:]}")
    return _children() - used, _size(folder) - before


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in files_below(folder))


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _planned(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    planned = []
    for row in rows:
        hours = row["s an object"] * arguments.objects / 3600
        terabytes = row["bytes"] * arguments.objects / 1e12
        planned.append(row | {
            "core hours": round(hours), "machine hours": round(hours / arguments.cores, 1),
            "compute": round(hours * arguments.price), "TB": round(terabytes, 2),
            "disk a month": round(terabytes * arguments.disk_price),
        })  # fmt: skip
    return planned


def simulate(arguments: argparse.Namespace, hours: float, largest_first: bool) -> dict[str, Any]:
    """Simulate a cluster; returns hours until all is done and what was lost.

    Args:
        arguments: of the benchmark.
        hours: mean time between failures of a worker.
        largest_first: begin with tasks of large files.
    """
    rng = np.random.default_rng(0)
    logs = SPREAD * rng.standard_normal(arguments.tasks)
    lengths = arguments.seconds * np.exp(logs - SPREAD**2 / 2)
    guessed = lengths * np.exp(0.5 * rng.standard_normal(arguments.tasks))
    poison = rng.random(arguments.tasks) < 1 / arguments.poison
    order = np.argsort(-guessed) if largest_first else np.arange(arguments.tasks)
    waiting = [(rank, int(task)) for rank, task in enumerate(order)]  # a heap: sorted
    back: list[tuple[float, int, int]] = []  # a heap: when a task was lost, its rank, itself
    deaths = np.zeros(arguments.tasks, int)
    free = [(0.0, number) for number in range(arguments.workers)]
    done = lost = killed = given_up = 0.0
    end = 0.0
    while waiting or back:
        now, worker = heapq.heappop(free)  # never earlier than the one before
        while back and back[0][0] <= now:
            heapq.heappush(waiting, heapq.heappop(back)[1:])
        if not waiting:
            heapq.heappush(free, (back[0][0], worker))
            continue
        rank, task = heapq.heappop(waiting)
        left = rng.exponential(3600 * hours)
        spent = min(left, lengths[task])
        if not poison[task] and left >= lengths[task]:
            done += spent
            end = max(end, now + spent)
            heapq.heappush(free, (now + spent, worker))
            continue
        lost, killed, deaths[task] = lost + spent, killed + 1, deaths[task] + 1
        heapq.heappush(free, (now + spent + BACK, worker))
        if deaths[task] > ALLOWED_FAILURES:
            given_up += 1
        else:
            heapq.heappush(back, (now + spent, rank, task))
    ideal = done / arguments.workers
    return {
        "hours": round(end / 3600, 3), "of ideal": round(end / ideal, 4),
        "workers lost": int(killed), "work lost %": round(100 * lost / done, 3),
        "given up": int(given_up), "of them innocent": int(given_up - poison.sum()),
    }  # fmt: skip
