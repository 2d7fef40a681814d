"""Extraction without the field, from 64 to 2,048 cells: seconds and memory by resolution.

The field is an analytic shape; its time is left out. "octree" and "marching cubes" are the stages
of `onet.extract_mesh`, "rest" is everything else outside the field (checks, the mesh object). Every
run is a process of its own, the median of the runs is shown. Peak memory is the growth of ru_maxrss
over its value after imports and a small warm-up; "arrays" is what octree and mesh say that they
take. The exponents are the slopes of least squares
lines through the logarithms of a column over that of the resolution: 2 is a surface, 3 a volume.

For modes that may miss surface, "wrong" is the number of points evaluated in exact mode that are on
the wrong side of the mesh, up to 256 cells.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

from benchmarks._memory import peak_mib

if TYPE_CHECKING:
    import numpy as np

# How `extract_mesh` is called. No heavy import up here: a child process starts with the peak memory
# of its parent.
MODES: dict[str, dict[str, Any]] = {"exact": {}, "fast": {"mode": "fast"}}
SHAPES = ("sphere", "torus", "chair", "plane", "gyroid")
LARGEST_JUDGED = 256  # cells
HALF = 0.55


def add_arguments(parser: argparse.ArgumentParser) -> None:
    default = [64, 128, 256, 512, 1024]
    parser.add_argument("--resolutions", type=int, nargs="+", default=default)
    parser.add_argument("--largest", action="store_true", help="2,048 cells as well")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["chair", "plane"])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5, help="runs of each resolution")
    parser.add_argument("--single", nargs=3, help=argparse.SUPPRESS)  # one run, in a child process


def run(arguments: argparse.Namespace) -> None:
    if arguments.single:
        mode, shape, resolution = arguments.single
        print(json.dumps(_measure(mode, shape, int(resolution))))
        return
    resolutions = [*arguments.resolutions, *([2048] if arguments.largest else [])]
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
    rows = []
    for shape in arguments.shapes:
        for resolution in resolutions:
            results: dict[str, list[dict[str, Any]]] = {mode: [] for mode in arguments.modes}
            for _ in range(arguments.runs):
                for mode in arguments.modes:
                    command = [sys.executable, "-m", "benchmarks", "scaling"]
                    command += ["--single", mode, shape, str(resolution)]
                    done = subprocess.run(
                        command, env=environment, stdout=subprocess.PIPE, text=True, check=True
                    )
                    results[mode].append(json.loads(done.stdout))
            for mode, measured in results.items():
                row = {key: statistics.median(r[key] for r in measured) for key in measured[0]}
                rows.append({"shape": shape, "mode": mode, "cells": resolution} | row)
    _show(rows, arguments)


def _measure(mode: str, shape: str, resolution: int) -> dict[str, float]:
    from benchmarks._shapes import SHAPES as FIELDS
    from onet.geometry.extraction import extract_mesh

    field, spent = FIELDS[shape], 0.0

    def timed(points: np.ndarray) -> np.ndarray:
        nonlocal spent
        start = time.perf_counter()
        values = field(points)
        spent += time.perf_counter() - start
        return values

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 16 cells may miss the shape
        extract_mesh(timed, resolution=16)
    baseline, spent = peak_mib(), 0.0
    start = time.perf_counter()
    mesh = extract_mesh(timed, resolution=resolution, **MODES[mode])
    total = time.perf_counter() - start - spent
    peak = peak_mib() - baseline
    found = mesh.metadata["extraction"]
    stages = found["seconds"]
    row = {
        "octree": stages["octree"],
        "marching cubes": stages["marching_cubes"],
        "rest": total - stages["octree"] - stages["marching_cubes"],
        "seconds": total,
        "peak_mib": peak,
        "kept_mib": found["peak_bytes"] / 2**20,
        "evaluations": found["evaluations"],
        "faces": len(mesh.faces),
    }
    if mode != "exact" and resolution <= LARGEST_JUDGED:
        row["wrong"] = _wrong_signs(mesh, field, resolution)
    return row


def _wrong_signs(mesh: Any, field: Any, resolution: int) -> int:
    import numpy as np

    from onet.geometry.extraction import extract_mesh
    from onet.geometry.inside import contains

    asked: list[np.ndarray] = []
    inside: list[np.ndarray] = []

    def recorded(points: np.ndarray) -> np.ndarray:
        values = field(points)
        asked.append(points)
        inside.append(values > 0)
        return values

    extract_mesh(recorded, resolution=resolution)
    cell = 2 * HALF / resolution
    lattice = np.rint((np.concatenate(asked).astype(np.float64) + HALF) / cell)
    return int(np.count_nonzero(contains(mesh, lattice * cell - HALF) != np.concatenate(inside)))


def _exponent(cells: list[float], values: list[float]) -> float:
    import numpy as np

    return float(np.polyfit(np.log(cells), np.log(values), 1)[0])


def _show(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    title = f"median of {arguments.runs} runs, {arguments.threads} thread(s), field left out"
    table = Table(title=title, title_justify="left")
    columns = {
        "octree": ("octree s", "{:.3f}"),
        "marching cubes": ("marching cubes s", "{:.3f}"),
        "rest": ("rest s", "{:.3f}"),
        "seconds": ("all s", "{:.3f}"),
        "peak_mib": ("peak MiB", "{:.0f}"),
        "kept_mib": ("arrays MiB", "{:.1f}"),
        "evaluations": ("evaluations", "{:,.0f}"),
        "faces": ("faces", "{:,.0f}"),
        "wrong": ("wrong", "{:,.0f}"),
    }
    for header in ("shape", "mode", "cells", *(header for header, _ in columns.values())):
        table.add_column(header, justify="left" if header in ("shape", "mode") else "right")
    for shape in arguments.shapes:
        for mode in arguments.modes:
            here = [row for row in rows if (row["shape"], row["mode"]) == (shape, mode)]
            for row in here:
                cells = [
                    f.format(row[key]) if key in row else "" for key, (_, f) in columns.items()
                ]
                table.add_row(shape, mode, f"{row['cells']}³", *cells)
            if len(here) > 1:
                sizes = [row["cells"] for row in here]
                fitted = {
                    key: f"{_exponent(sizes, [row[key] for row in here]):.2f}"
                    for key in ("seconds", "peak_mib", "kept_mib", "evaluations", "faces")
                    if all(row[key] > 0 for row in here)
                }
                slopes = [fitted.get(key, "") for key in columns]
                table.add_row("", "", "exponent", *slopes, end_section=True)
    Console(width=None if sys.stdout.isatty() else 150).print(table)
