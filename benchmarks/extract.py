"""Mesh extraction: exact MISE against marching cubes on the dense grid (scikit-image, PyMCubes).

Every run is a process of its own with one thread (OMP_NUM_THREADS=1); contenders take turns, and
the median of the runs is shown. Peak memory is the growth of the process's ru_maxrss over its value
after imports and a small warm-up. "mesh s" leaves the field out: for onet it is everything but the
calls of the field (octree, coordinates, checks, marching cubes); for the dense contenders it is the
marching cubes call alone, which spares them the coordinates. "total s" is all of it, the field
included. "same": the vertices are those of onet within 0.001 cells, the triangles equally many.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._memory import peak_mib

if TYPE_CHECKING:
    import numpy as np

# No heavy import up here: a child process starts with the peak memory of its parent.
CONTENDERS = ("onet", "scikit-image", "PyMCubes")
SHAPES = ("torus", "chair", "sphere")
BATCH = 65536
LOW, HIGH = -0.55, 0.55


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--resolutions", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--runs", type=int, default=5, help="runs of each contender")
    parser.add_argument("--out", type=Path, help="write the table as CSV")
    parser.add_argument("--single", nargs=4, help=argparse.SUPPRESS)  # one run, in a child process


def run(arguments: argparse.Namespace) -> None:
    if arguments.single:
        contender, shape, resolution, vertices = arguments.single
        print(json.dumps(_measure(contender, shape, int(resolution), vertices)))
        return
    rows: list[dict[str, Any]] = []
    for shape in arguments.shapes:
        for resolution in arguments.resolutions:
            rows += _compare(shape, resolution, arguments.runs)
            if arguments.out:  # after every comparison: a long run may be cut short
                with open(arguments.out, "w", newline="") as file:
                    table = csv.DictWriter(file, fieldnames=list(rows[0]))
                    table.writeheader()
                    table.writerows(rows)
    _show(rows, arguments.runs)


def _compare(shape: str, resolution: int, runs: int) -> list[dict[str, Any]]:
    results: dict[str, list[dict[str, Any]]] = {contender: [] for contender in CONTENDERS}
    with tempfile.TemporaryDirectory() as folder:
        saved = {contender: f"{folder}/{contender}.npz" for contender in CONTENDERS}
        for number in range(runs):
            for contender in CONTENDERS:
                path = saved[contender] if number == 0 else ""
                results[contender].append(_child(contender, shape, resolution, path))
        same = {
            contender: _same(saved[CONTENDERS[0]], saved[contender], (HIGH - LOW) / resolution)
            for contender in CONTENDERS[1:]
        }
    rows = []
    for contender, measured in results.items():
        row: dict[str, Any] = {"shape": shape, "resolution": resolution, "contender": contender}
        row |= {key: measured[0][key] for key in ("evaluations", "faces", "euler")}
        for key in ("mesh_seconds", "total_seconds", "peak_mib"):
            row[key] = round(statistics.median(result[key] for result in measured), 4)
        rows.append(row | {"same": same.get(contender, "")})
    return rows


def _child(contender: str, shape: str, resolution: int, vertices: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks", "extract"]
    command += ["--single", contender, shape, str(resolution), vertices]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def _same(one: str, other: str, cell: float) -> bool:
    """Compared in a child process, which keeps this one small."""
    code = (
        "import sys, numpy as np; from scipy.spatial import cKDTree\n"
        "a, b = np.load(sys.argv[1]), np.load(sys.argv[2])\n"
        "same = len(a['faces']) == len(b['faces']) and len(a['vertices']) == len(b['vertices'])\n"
        "distance, index = cKDTree(a['vertices']).query(b['vertices'])\n"
        "same = same and distance.max() < 1e-3 * float(sys.argv[3])\n"
        "sys.exit(0 if same and len(np.unique(index)) == len(index) else 3)\n"
    )
    status = subprocess.run([sys.executable, "-c", code, one, other, str(cell)]).returncode
    if status not in (0, 3):
        raise RuntimeError("the comparison of two meshes failed")
    return status == 0


def _measure(contender: str, shape: str, resolution: int, vertices: str) -> dict[str, Any]:
    import numpy as np
    import trimesh

    from benchmarks._shapes import SHAPES as FIELDS
    from onet.geometry.topology import topology

    field = FIELDS[shape]
    extract = _sparse if contender == "onet" else _dense
    extract(field, 16, contender)
    baseline = peak_mib()
    start = time.perf_counter()
    mesh, evaluations, mesh_seconds, field_seconds = extract(field, resolution, contender)
    total = time.perf_counter() - start
    peak = peak_mib() - baseline
    if vertices:
        np.savez(vertices, vertices=mesh[0], faces=mesh[1])
    found = topology(trimesh.Trimesh(vertices=mesh[0], faces=mesh[1], process=False))
    return {
        "evaluations": evaluations,
        "faces": found.faces,
        "euler": found.euler,
        "mesh_seconds": total - field_seconds if mesh_seconds is None else mesh_seconds,
        "total_seconds": total,
        "peak_mib": peak,
    }


def _sparse(field: Any, resolution: int, contender: str) -> tuple[Any, int, float | None, float]:
    from onet.geometry.extraction import extract_mesh

    spent = 0.0

    def timed(points: np.ndarray) -> np.ndarray:
        nonlocal spent
        start = time.perf_counter()
        values = field(points)
        spent += time.perf_counter() - start
        return values

    bounds = ((LOW,) * 3, (HIGH,) * 3)
    mesh = extract_mesh(timed, bounds, resolution, batch_size=BATCH)
    evaluations = mesh.metadata["extraction"]["evaluations"]
    return (mesh.vertices, mesh.faces), evaluations, None, spent


def _dense(field: Any, resolution: int, contender: str) -> tuple[Any, int, float | None, float]:
    import mcubes
    import numpy as np
    import skimage.measure

    size = resolution + 1
    cell = (HIGH - LOW) / resolution
    axis = (LOW + cell * np.arange(size)).astype(np.float32)
    volume = np.empty((size, size, size), dtype=np.float32)
    points = np.empty((size, size, 3), dtype=np.float32)
    points[:, :, 1], points[:, :, 2] = axis[:, None], axis
    for x in range(size):
        points[:, :, 0] = axis[x]
        volume[x] = field(points.reshape(-1, 3)).reshape(size, size)
    start = time.perf_counter()
    if contender == "PyMCubes":
        vertices, faces = mcubes.marching_cubes(volume, 0.0)
    else:
        vertices, faces, _, _ = skimage.measure.marching_cubes(volume, 0.0)
    seconds = time.perf_counter() - start
    return (LOW + cell * vertices, faces.astype(np.int64)), size**3, seconds, 0.0


def _show(rows: list[dict[str, Any]], runs: int) -> None:
    from rich.console import Console
    from rich.table import Table

    title = f"median of {runs} runs, 1 thread; in brackets: times the value of onet"
    table = Table(title=title, title_justify="left")
    columns = {
        "evaluations": ("evaluations", "{:,}"),
        "mesh_seconds": ("mesh s", "{:.3f}"),
        "total_seconds": ("total s", "{:.3f}"),
        "peak_mib": ("peak MiB", "{:.0f}"),
    }
    headers = [header for header, _ in columns.values()]
    for header in ("shape", "cells", "contender", *headers, "faces", "Euler", "same"):
        table.add_column(header, justify="left" if header in ("shape", "contender") else "right")
    for row in rows:
        if row["contender"] == CONTENDERS[0]:
            table.add_section()
            reference = row
        cells = []
        for key, (_, form) in columns.items():
            ratio = row[key] / reference[key] if reference[key] else float("nan")
            cells.append(form.format(row[key]) + ("" if row is reference else f" ({ratio:.1f}×)"))
        same = {True: "yes", False: "no"}.get(row["same"], "")
        shown = [row["shape"], f"{row['resolution']}", row["contender"], *cells]
        table.add_row(*shown, f"{row['faces']:,}", str(row["euler"]), same)
    Console(width=None if sys.stdout.isatty() else 130).print(table)
