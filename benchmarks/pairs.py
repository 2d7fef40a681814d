"""Folders of many meshes scored by `onet.evaluate_folders`: seconds a pair, memory, growth.

Truths are ellipsoids of 20 * 4**SUBDIVISIONS faces, the meshes beside them the same with vertices
moved at random by .005 of the longest edge (closed, some faces cross). Each row is a process of its
own on one thread; seconds are processor seconds of the scoring, writing of the tables and the page
included, peak memory that of the whole process. First rows with more and more pairs of the
smallest meshes, then rows of a few pairs of larger ones. The exponents are the slopes of least
squares lines through the logarithms.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._memory import own_peak_mib

NOISE = 0.005


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 300, 1000], help="of pairs")
    parser.add_argument("--subdivisions", type=int, nargs="+", default=[3, 4, 5, 6])
    parser.add_argument("--few", type=int, default=10, help="pairs of larger meshes")
    parser.add_argument("--samples", type=int, default=100_000, help="a surface")
    parser.add_argument("--no-solids", action="store_true", help="no crossing faces and walls")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--single", nargs=2, type=int, help=argparse.SUPPRESS)  # in a child process


def run(arguments: argparse.Namespace) -> None:
    if arguments.single:
        print(json.dumps(_measure(arguments, *arguments.single)))
        return
    smallest = arguments.subdivisions[0]
    for sizes in (
        [(count, smallest) for count in arguments.counts],
        [(arguments.few, subdivisions) for subdivisions in arguments.subdivisions],
    ):
        rows = [_child(arguments, *size) for size in sizes]
        _show(arguments, rows)


def _child(arguments: argparse.Namespace, count: int, subdivisions: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks", "pairs", "--single", str(count)]
    command += [str(subdivisions), "--samples", str(arguments.samples)]
    command += ["--seed", str(arguments.seed), *["--no-solids"] * arguments.no_solids]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(row, flush=True)
    return row


def _measure(arguments: argparse.Namespace, count: int, subdivisions: int) -> dict[str, float]:
    import onet

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        faces = _write(folder, count, subdivisions, arguments.seed)
        before = own_peak_mib()
        start, clock = time.process_time(), time.perf_counter()
        report = onet.evaluate_folders(
            [folder / "made"],
            folder / "truth",
            folder / "scores",
            samples=arguments.samples,
            solids=not arguments.no_solids,
            workers=1,
        )
        seconds, elapsed = time.process_time() - start, time.perf_counter() - clock
    if len(report.items) != count:
        raise RuntimeError(f"{len(report.items)} of {count} pairs were scored")
    return {
        "pairs": count,
        "faces": faces,
        "seconds": seconds,
        "a_pair": seconds / count,
        "elapsed": elapsed,
        "before_mib": before,
        "peak_mib": own_peak_mib(),
    }


def _write(folder: Path, count: int, subdivisions: int, seed: int) -> int:
    """Write the pairs of meshes; return the faces of each."""
    import numpy as np
    import trimesh

    sphere = trimesh.creation.icosphere(subdivisions, 0.5)
    for name in ("truth", "made"):
        (folder / name).mkdir()
    rng = np.random.default_rng(seed)
    for number in range(count):
        axes = rng.uniform(0.3, 1.0, 3)
        vertices = np.asarray(sphere.vertices) * axes / axes.max()
        moved = vertices + NOISE * rng.standard_normal(vertices.shape)
        for name, places in (("truth", vertices), ("made", moved)):
            mesh = trimesh.Trimesh(places, sphere.faces, process=False)
            mesh.export(folder / name / f"{number:04d}.ply")
    return len(sphere.faces)


def _show(arguments: argparse.Namespace, rows: list[dict[str, float]]) -> None:
    import numpy as np

    from onet.report.tables import print_table

    texts = [
        {key: f"{value:.3f}" if key == "a_pair" else f"{value:.0f}" for key, value in row.items()}
        for row in rows
    ]
    print_table(texts, f"{arguments.samples:,} samples, seed {arguments.seed}")
    size = "pairs" if len({row["pairs"] for row in rows}) > 1 else "faces"
    if len({row[size] for row in rows}) > 1:
        at = np.log([row[size] for row in rows])
        for what in ("seconds", "peak_mib"):
            power = np.polyfit(at, np.log([row[what] for row in rows]), 1)[0]
            print(f"{what}: {size} to the power of {power:.2f}")
