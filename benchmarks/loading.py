"""Samples a second that training gets from a store: one folder an item, and packed.

Synthetic stores of each size are written to `--out`, measured and removed again, one after the
other. A sample is what `onet train` draws of an item: points of its surface with noise, and query
points with occupancies; nothing is kept in memory (`data.cache=false`). Each number is that of the
same `--samples` items drawn of the whole store: "cold" after the system was told to drop the files
from its cache (`posix_fadvise`; the folders of the one kind stay known), "warm" the best of some
passes over what was just read; "cpu ms" is the processor's time of a warm sample, less disturbed by
other programs. "draws ms" is that of the same random numbers without any data, which no store can
be faster than. "MiB" is the memory for opening a store. "random /s" are samples of items drawn at
random of the whole store, after as many that are not counted, of which "read MiB" came from the
disk for each; what of the store stays in memory is up to the system, and with `--memory` (Linux, as
root) it has no more than that for this process and all that it has of files. `--index` simulates
packed stores of many items, which share one shard: seconds until the store is open and until its
items are listed, and how many arrays are found a second. `--step` also trains `--steps` steps, and
tells the share of loading in the process that trains, of the clock and of the processor.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks._limit import memory_limit
from benchmarks._loading_store import files_below, write_many, write_packed, write_store
from onet.config import load_config
from onet.data.build import build_datasets
from onet.data.dataset import ShapeDataset
from onet.data.inputs import PointCloudInput
from onet.data.packed import reading
from onet.data.packed.index import INDEX
from onet.data.store import Store
from onet.data.store_folder import POINTS
from onet.models import build_model, fit_to_data
from onet.report.tables import print_table
from onet.training.fabric import build_fabric
from onet.training.stream import training_batches
from onet.training.update import build_update

WRITERS: dict[str, Callable[[Path, int, int], None]] = {"npz": write_store, "packed": write_packed}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder for the stores")
    parser.add_argument("--items", type=int, nargs="*", default=[100, 1000, 10000])
    parser.add_argument("--counts", type=int, nargs="+", default=[300, 3000], help="input points")
    parser.add_argument("--queries", type=int, default=2048, help="query points")
    parser.add_argument("--points", type=int, default=100_000, help="stored points of each kind")
    parser.add_argument("--samples", type=int, default=500, help="drawn for each number")
    parser.add_argument("--repeat", type=int, default=3, help="warm passes; the best counts")
    parser.add_argument(
        "--index", type=int, nargs="+", default=[], help="simulate packed stores of so many items"
    )
    parser.add_argument("--memory", type=int, help="MiB for this process and its files")
    parser.add_argument(
        "--step", nargs="+", default=[], help="configurations of which steps are compared"
    )
    parser.add_argument("--steps", type=int, default=5, help="of each; one more comes before")
    parser.add_argument("--keep", action="store_true", help="leave the stores there")


def run(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    rows = []
    for items in arguments.items:
        for kind, write in WRITERS.items():
            root = arguments.out / f"{kind}-{items}"
            start = time.perf_counter()
            if not root.exists():
                write(root, items, arguments.points)
            written = time.perf_counter() - start
            drop(root)  # pages written before belong to nobody's limit
            size = sum(path.stat().st_size for path in files_below(root)) // items
            for count in arguments.counts:
                row = {"items": items, "store": kind, "points": count}
                with memory_limit(arguments.memory) if arguments.memory else nullcontext():
                    row |= _measure(root, count, arguments)
                rows.append(row | {"bytes an item": size, "written s": round(written)})
                print(rows[-1], flush=True)
            if not arguments.keep:
                shutil.rmtree(root)
    if rows:
        _add_ratios(rows)
        print_table(rows, "samples a second")
    if arguments.index:
        print_table([_index(items, arguments) for items in arguments.index], "indexes")
    for name in arguments.step:
        _show_step(name, arguments)


def _add_ratios(rows: list[dict[str, Any]]) -> None:
    """Add how many times faster each is than npz files, by wall clock and processor."""
    plain = {(r["items"], r["points"]): r for r in rows if r["store"] == "npz"}
    for row in rows:
        other = plain[row["items"], row["points"]]
        row["random x"] = round(row["random /s"] / other["random /s"], 1)
        row["cold x"] = round(row["cold /s"] / other["cold /s"], 1)
        row["warm x"] = round(row["warm /s"] / other["warm /s"], 1)
        row["cpu x"] = round(other["cpu ms"] / row["cpu ms"], 1)


def _measure(root: Path, count: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Return what a store gives, cold and warm, and what it takes to open it."""
    forget_packs()
    drop(root)
    before, start = _anonymous_mib(), time.perf_counter()
    dataset = ShapeDataset(
        Store(root), "train", PointCloudInput(count), arguments.queries, cache=False
    )
    opened, memory = time.perf_counter() - start, _anonymous_mib() - before
    rng = np.random.default_rng(0)
    order = rng.permutation(len(dataset))[: arguments.samples]
    cold, _ = _pass(dataset, order)
    passes = [_pass(dataset, order) for _ in range(arguments.repeat)]
    _pass(dataset, rng.integers(len(dataset), size=arguments.samples))
    before = _read_mib()
    steady, _ = _pass(dataset, rng.integers(len(dataset), size=arguments.samples))
    read = (_read_mib() - before) / arguments.samples
    draws = min(_draws(count, arguments, len(order)) for _ in range(arguments.repeat))
    return {
        "open s": round(opened, 2),
        "MiB": round(memory, 1),
        "cold /s": round(len(order) / cold),
        "warm /s": round(len(order) / min(wall for wall, _ in passes)),
        "random /s": round(arguments.samples / steady),
        "read MiB": round(read, 2),
        "cpu ms": round(1e3 * min(cpu for _, cpu in passes) / len(order), 3),
        "draws ms": round(1e3 * draws / len(order), 3),
    }


def _index(items: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Open a packed store of many items, which share what is in its shard, and read some."""
    root = arguments.out / f"index-{items}"
    if not root.exists():
        write_many(root, items, points=1000)
    forget_packs()
    drop(root)
    before, start = _anonymous_mib(), time.perf_counter()
    used = time.process_time()
    store = Store(root)
    opened = time.perf_counter() - start
    found = store.listed("train")
    listed, used = time.perf_counter() - start, time.process_time() - used
    order = np.random.default_rng(0).permutation(items)[: 10 * arguments.samples]
    seconds, processor = [], 0.0
    for _ in range(2):
        assert store.pack is not None
        store.pack._entry.cache_clear()
        start, processor = time.perf_counter(), time.process_time()
        for index in order:
            found[int(index)].array(POINTS, "points")
        seconds.append(time.perf_counter() - start)
        processor = time.process_time() - processor
    row = {
        "items": items,
        "open s": round(opened, 3),
        "list s": round(listed, 2),
        "cpu s": round(used, 2),
        "MiB": round(_anonymous_mib() - before),
        "reads /s cold": round(len(order) / seconds[0]),
        "warm": round(len(order) / seconds[1]),
        "cpu us": round(1e6 * processor / len(order), 1),
        "index bytes an item": round((root / INDEX).stat().st_size / items),
    }
    if not arguments.keep:
        shutil.rmtree(root)
    return row


def _pass(dataset: Any, order: Any) -> tuple[float, float]:
    """Seconds of wall clock and processor for samples of items."""
    wall, cpu = time.perf_counter(), time.process_time()
    for index in order:
        dataset[int(index)]
    return time.perf_counter() - wall, time.process_time() - cpu


def _draws(count: int, arguments: argparse.Namespace, samples: int) -> float:
    """Processor seconds for the random numbers alone."""
    start = time.process_time()
    for index in range(samples):
        rng = np.random.default_rng([0, 0, index])
        rng.integers(arguments.points, size=arguments.queries)
        rng.integers(arguments.points, size=count)
        rng.standard_normal((count, 3), dtype=np.float32)
    return time.process_time() - start


def forget_packs() -> None:
    """Give back what packed stores have mapped, which the system keeps in its cache."""
    reading._pack_at.cache_clear()
    gc.collect()


def drop(root: Path) -> None:
    """Tell the system to drop the files of a folder from its cache."""
    for path in files_below(root):
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)


def _read_mib() -> float:
    """What this process had to be read from disks so far."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("read_bytes"):
            return int(line.split()[1]) / 2**20
    return float("nan")


def _anonymous_mib() -> float:
    """Resident memory that is not that of mapped files."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return float("nan")


def _show_step(name: str, arguments: argparse.Namespace) -> None:
    rows = []
    for kind, write in WRITERS.items():
        root = arguments.out / f"{kind}-step"
        write(root, 64, arguments.points)
        rows.append({"store": kind, **_step(root, name, arguments.steps)})
        shutil.rmtree(root)
    print_table(rows, f"{name}: loading in the process that trains, seconds a step")


def _step(root: Path, name: str, steps: int) -> dict[str, Any]:
    changes = {"data.path": str(root), "data.val_split": "train", "data.cache": False}
    config = load_config(name, changes)
    dataset, settings = build_datasets(config)["train"], config.training
    fabric, _ = build_fabric(settings)
    update = build_update(fabric, build_model(fit_to_data(config.model, len(dataset))), settings)
    stream = iter(training_batches(dataset, settings.batch_size, 0, 0))
    rows = []  # seconds of the clock and of the processor: of loading, of the whole step
    for number in range(1 + steps):
        times = [_now()]
        batch = next(stream)
        times.append(_now())
        update(fabric.to_device(batch), number, settings.learning_rate)["loss"].item()
        times.append(_now())
        rows.append([times[1] - times[0], times[2] - times[0]])
    found = np.array(rows[1:])  # the first one warms up
    loading, whole = found.sum(0)
    return {
        "device": torch.cuda.get_device_name() if fabric.device.type == "cuda" else "cpu",
        "batch": settings.batch_size,
        "loading s": round(loading[0] / steps, 4),
        "step s": round(whole[0] / steps, 4),
        "share %": round(100 * loading[0] / whole[0], 2),
        "loading cpu s": round(loading[1] / steps, 4),
        "step cpu s": round(whole[1] / steps, 4),
        "cpu share %": round(100 * loading[1] / whole[1], 2),
    }


def _now() -> NDArray[np.float64]:
    return np.array([time.perf_counter(), time.process_time()])
