"""A packed store of a million items: open, list, read, memory, subset, merge, verify, check.

The store is made in `--out`: `--real` small items of `--points` points of each kind are packed, and
an index and lists of `--items` names share them, so that it takes few bytes and all commands have
as many items to go through as there are names. Every step is a process of its own; "MiB" is the
most memory that it took beside mapped files; the first row, imports alone, is what any takes.
`subset` draws `--count` of the items, twice, by two seeds; `merge` joins both, and with `--all` the
whole store with another of other items; `check` and `verify` are of the one that was drawn, with
`--all` of the whole. "each us" is the processor's time for an item, of all processes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks._loading_store import CATEGORY, files_below, name_of, write_names
from onet.data.check import check_store
from onet.data.item_writing import write_pointcloud, write_points
from onet.data.packed.copying import merge, pack, subset
from onet.data.packed.verify import verify
from onet.data.splits import write_splits
from onet.data.store import Store
from onet.data.store_folder import POINTCLOUD, POINTS
from onet.geometry.normalization import UnitFrame
from onet.report.tables import print_table

READS = 20_000
STEPS = ("imports", "open", "list", "read", "rows", "subset", "subset2", "merge", "verify", "check")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder for the stores")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--real", type=int, default=1000, help="items whose bytes the others share")
    parser.add_argument("--points", type=int, default=64, help="stored points of each kind")
    parser.add_argument("--count", type=int, default=20_000, help="items of a subset")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--all", action="store_true", help="merge, verify and check all items")
    parser.add_argument("--workers", type=int, default=1, help="of check")
    parser.add_argument("--keep", action="store_true", help="leave the stores there")


def run(arguments: argparse.Namespace) -> None:
    out: Path = arguments.out / "items"  # what goes in the end is this alone
    root = out / f"{arguments.items}"
    if not root.exists():
        _write(root, arguments)
    steps = _steps(root, arguments)
    rows = []
    for name in arguments.steps:
        step, items = steps[name]
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            row = pool.submit(_measured, step).result()
        rows.append({"step": name, "items": items, **row})
        if items:
            rows[-1]["each us"] = round(1e6 * rows[-1]["cpu s"] / items, 1)
        print(rows[-1], flush=True)
    size = sum(path.stat().st_size for path in files_below(root))
    print_table(rows, f"{arguments.items} items, {size / 2**20:,.0f} MiB with index and lists")
    if not arguments.keep:
        shutil.rmtree(out)


def _steps(root: Path, arguments: argparse.Namespace) -> dict[str, tuple[Callable[[], Any], int]]:
    """Return what each step does, and with how many items."""
    out, count, items = root.parent, arguments.count, arguments.items
    few = [out / f"few{number}" for number in range(2)]
    other = out / "other"
    whole, to = (root, items) if arguments.all else (few[0], count)
    if arguments.all and not other.exists():
        _write(other, arguments, first=items)
    parts, merged = ([root, other], items + 1000) if arguments.all else (few, 2 * count)
    return {
        "imports": (_nothing, 0),
        "open": (partial(Store, root), 0),
        "list": (partial(_list, root), items),
        "read": (partial(_read, root), READS),
        "rows": (partial(_rows, root), READS),
        "subset": (partial(subset, root, few[0], count=count, seed=0), count),
        "subset2": (partial(subset, root, few[1], count=count, seed=1), count),
        "merge": (partial(merge, parts, out / "merged"), merged),
        "verify": (partial(_good, verify, whole), to),
        "check": (partial(_good, check_store, whole, workers=arguments.workers), to),
    }


def _nothing() -> None:
    pass


def _list(root: Path) -> None:
    assert len(Store(root).listed("train")) > 0


def _read(root: Path) -> dict[str, Any]:
    """Find arrays of random items; the time of opening and listing does not count."""
    return _read_some(root, lambda item: item.array(POINTS, "points"))


def _rows(root: Path) -> dict[str, Any]:
    return _read_some(root, lambda item: item.occupancies(np.arange(16)))


def _read_some(root: Path, function: Callable[[Any], Any]) -> dict[str, Any]:
    items = Store(root).listed("train")
    order = np.random.default_rng(0).integers(len(items), size=READS).tolist()
    start, used = time.perf_counter(), time.process_time()
    for number in order:
        function(items[number])
    return {"s": round(time.perf_counter() - start, 3), "cpu s": time.process_time() - used,
            "reads /s": round(READS / (time.perf_counter() - start))}  # fmt: skip


def _good(examine: Callable[..., list[Any]], root: Path, **options: Any) -> None:
    problems = examine(root, **options)
    assert not problems, problems[0]


def _measured(step: Callable[[], Any]) -> dict[str, Any]:
    """Run a step; returns seconds, those of the processor, and the most memory."""
    me = psutil.Process()
    most, ended = [0.0], threading.Event()

    def watch() -> None:
        while True:
            memory = me.memory_info()
            most[0] = max(most[0], memory.rss - memory.shared)
            if ended.wait(0.02):
                break

    thread = threading.Thread(target=watch)
    thread.start()
    start, used = time.perf_counter(), _processor()
    try:
        found = step()
        seconds, processor = time.perf_counter() - start, _processor() - used
    finally:
        ended.set()
        thread.join()
    row = {"s": round(seconds, 3), "cpu s": round(processor, 3), "MiB": round(most[0] / 2**20)}
    return row | (found if isinstance(found, dict) else {})


def _processor() -> float:
    """Processor seconds of this process and of those that it waited for."""
    times = psutil.Process().cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def _write(root: Path, arguments: argparse.Namespace, first: int = 0) -> None:
    """Pack some items, and let many names share them."""
    part, rng = root.with_name("part"), np.random.default_rng(first)
    frame = UnitFrame(np.zeros(3), 1.0)
    real = arguments.real
    names = [name_of(first + number) for number in range(real)]
    for name in names:
        points = rng.uniform(-0.5, 0.5, (arguments.points, 3)).astype(np.float16)
        points[:2] = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
        normals = rng.standard_normal((arguments.points, 3))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        folder = part / CATEGORY / name
        inside = np.linalg.norm(points.astype(np.float32), axis=1) < 0.4
        write_points(folder / POINTS, points, inside, frame)
        write_pointcloud(folder / POINTCLOUD, 0.4 * normals, normals, frame)
    write_splits(part / CATEGORY, dict.fromkeys(names, "train"))
    pack(part, root)
    shutil.rmtree(part)
    if not first:
        write_names(root, arguments.items)
