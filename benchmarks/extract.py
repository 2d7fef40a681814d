"""Mesh extraction: MISE against Warp, libigl, and dense grids (scikit-image, PyMCubes).

Every run is a process of its own with one thread (OMP_NUM_THREADS=1); contenders take turns, and
the median of the runs is shown. Peak memory is the growth of the process's ru_maxrss over its value
after imports and a small warm-up. "mesh s" leaves the field out: for onet it is everything but the
calls of the field (octree, coordinates, checks, marching cubes); for the dense contenders it is the
marching cubes call alone, which spares them the coordinates. "total s" is all of it, the field
included; every contender is handed the same NumPy field. Warp (`sparse_marching_cubes`) and libigl
(`lipschitz_octree`) look for cells near the surface by a bound of the field's slope, which is 1 for
these shapes and must be known; libigl's marching cubes on the dense grid takes the coordinates as
well, 32 bytes a point. "same": the vertices are those of onet within 0.001 cells, the triangles
equally many (as far as tables of ambiguous cells agree).

"rod" is a thin cylinder in a box 50 times as long as wide: the microseconds a face, of all but the
field, are to be those of the other shapes at as many faces. Dense contenders end at `--dense`
cells. What is not installed is left out, and said.
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
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._memory import peak_mib

if TYPE_CHECKING:
    import numpy as np

# No heavy import up here: a child process starts with the peak memory of its parent.
REFERENCE = "onet"
MODULES = {"scikit-image": "skimage", "PyMCubes": "mcubes", "warp": "warp", "libigl": "igl"}
DENSE = ("scikit-image", "PyMCubes", "libigl dense")
CONTENDERS = (REFERENCE, "onet fast", "warp", "libigl", *DENSE)
SHAPES = ("torus", "chair", "sphere", "rod")
BATCH = 65536
LOW, HIGH = -0.55, 0.55
CUBE = ((LOW,) * 3, (HIGH,) * 3)
BOXES = {"rod": ((LOW, -0.011, -0.011), (HIGH, 0.011, 0.011))}
SMALL = {"rod": 400}  # cells of the warm-up, else 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--resolutions", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["chair", "sphere"])
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--dense", type=int, default=256, help="cells up to which grids are dense")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--runs", type=int, default=5, help="runs of each contender")
    parser.add_argument("--out", type=Path, help="write the table as CSV")
    parser.add_argument("--single", nargs=5, help=argparse.SUPPRESS)  # one run, in a child process


def run(arguments: argparse.Namespace) -> None:
    if arguments.single:
        contender, shape, resolution, vertices, clock = arguments.single
        print(json.dumps(_measure(contender, shape, int(resolution), vertices, clock)))
        return
    present = _installed(arguments.contenders)
    rows: list[dict[str, Any]] = []
    for shape in arguments.shapes:
        for resolution in arguments.resolutions:
            contenders = [
                name for name in present if name not in DENSE or resolution <= arguments.dense
            ]
            rows += _compare(contenders, shape, resolution, arguments)
            if arguments.out:  # after every comparison: a long run may be cut short
                with open(arguments.out, "w", newline="") as file:
                    table = csv.DictWriter(file, fieldnames=list(rows[0]))
                    table.writeheader()
                    table.writerows(rows)
    _show(rows, arguments)


def _installed(contenders: list[str]) -> list[str]:
    """Return the contenders that are here, the reference first; tell of the others."""
    missing = {
        name
        for name in contenders
        if (module := MODULES.get(name.removesuffix(" dense"))) and find_spec(module) is None
    }
    if missing:
        print(f"not installed, left out: {', '.join(sorted(missing))}", flush=True)
    return [REFERENCE, *(n for n in contenders if n != REFERENCE and n not in missing)]


def _compare(
    contenders: list[str], shape: str, resolution: int, arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    results: dict[str, list[dict[str, Any]]] = {contender: [] for contender in contenders}
    with tempfile.TemporaryDirectory() as folder:
        saved = {contender: f"{folder}/{contender}.npz" for contender in contenders}
        for number in range(arguments.runs):
            for contender in contenders:
                path = saved[contender] if number == 0 else ""
                case = [contender, shape, str(resolution), path, arguments.clock]
                results[contender].append(_child(case))
        same = {
            contender: _same(saved[REFERENCE], saved[contender], (HIGH - LOW) / resolution)
            for contender in contenders[1:]
        }
    rows = []
    for contender, measured in results.items():
        row: dict[str, Any] = {"shape": shape, "resolution": resolution, "contender": contender}
        row |= {key: measured[0][key] for key in ("evaluations", "faces", "euler")}
        for key in ("mesh_seconds", "total_seconds", "peak_mib"):
            row[key] = round(statistics.median(result[key] for result in measured), 4)
        rows.append(row | {"same": same.get(contender, "")})
    return rows


def _child(case: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks", "extract", "--single", *case]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


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


def _measure(
    contender: str, shape: str, resolution: int, vertices: str, clock: str
) -> dict[str, Any]:
    import numpy as np
    import trimesh

    from benchmarks._shapes import SHAPES as SHAPE_FIELDS
    from onet.geometry.topology import topology

    now = time.perf_counter if clock == "wall" else time.process_time
    field = _Timed(SHAPE_FIELDS[shape], now)
    bounds = BOXES.get(shape, CUBE)
    extract = {"warp": _warp, "libigl": _lipschitz, "libigl dense": _libigl}.get(
        contender, _sparse if contender.startswith(REFERENCE) else _dense
    )
    extract(field, bounds, SMALL.get(shape, 16), contender)
    baseline = peak_mib()
    field.spent, field.evaluations = 0.0, 0
    start = now()
    *mesh, mesh_seconds = extract(field, bounds, resolution, contender)
    total = now() - start
    peak = peak_mib() - baseline
    if vertices:
        np.savez(vertices, vertices=mesh[0], faces=mesh[1])
    found = topology(trimesh.Trimesh(vertices=mesh[0], faces=mesh[1], process=False))
    return {
        "evaluations": field.evaluations,
        "faces": found.faces,
        "euler": found.euler,
        "mesh_seconds": total - field.spent if mesh_seconds is None else mesh_seconds,
        "total_seconds": total,
        "peak_mib": peak,
    }


class _Timed:
    """A field that counts its points, and its time."""

    def __init__(self, field: Any, now: Callable[[], float]) -> None:
        self.field, self.now = field, now
        self.spent, self.evaluations = 0.0, 0

    def __call__(self, points: np.ndarray) -> Any:
        start = self.now()
        values = self.field(points)
        self.spent += self.now() - start
        self.evaluations += len(points)
        return values


Mesh = tuple[Any, Any, float | None]  # vertices, faces, seconds of marching cubes alone


def _sparse(field: Any, bounds: Any, resolution: int, contender: str) -> Mesh:
    from onet.geometry.extraction import extract_mesh

    mode: Any = "fast" if contender.endswith("fast") else "exact"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the warm-up may miss the shape
        mesh = extract_mesh(field, bounds, resolution, mode=mode, batch_size=BATCH)
    return mesh.vertices, mesh.faces, None


def _warp(field: Any, bounds: Any, resolution: int, contender: str) -> Mesh:
    import numpy as np
    import warp
    from warp.geometry import sparse_marching_cubes

    def batched(points: Any) -> Any:
        values = np.ascontiguousarray(field(points.numpy()), dtype=np.float32)
        return warp.array(values, dtype=warp.float32, device="cpu", copy=False)

    nodes = [cells + 1 for cells in _cells(bounds, resolution)]
    low, high = bounds
    found = sparse_marching_cubes(batched, *nodes, lower=low, upper=high, device="cpu")
    faces = found[1].numpy().reshape(-1, 3)
    return found[0].numpy(), faces[:, ::-1].astype(np.int64), None


def _lipschitz(field: Any, bounds: Any, resolution: int, contender: str) -> Mesh:
    import igl
    import numpy as np

    depth = (resolution - 1).bit_length()
    origin = np.array(bounds[0])
    edge = (bounds[1][0] - bounds[0][0]) / resolution * 2**depth
    cells = igl.lipschitz_octree(
        origin, edge, depth, lambda points: np.abs(field(points)).astype(np.float64)
    )
    _, corners, places = igl.unique_sparse_voxel_corners(origin, edge, depth, cells)
    values = field(places).astype(np.float64)
    vertices, faces, _ = igl.marching_cubes(values, places, corners, 0.0)
    return vertices, faces, None


def _libigl(field: Any, bounds: Any, resolution: int, contender: str) -> Mesh:
    import igl
    import numpy as np

    volume = _volume(field, bounds, resolution).transpose(2, 1, 0)  # x runs fastest
    axes = [np.linspace(low, high, n) for low, high, n in zip(*bounds, volume.shape, strict=True)]
    z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    places = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    values = volume.reshape(-1).astype(np.float64)
    now = field.now
    start = now()
    vertices, faces, _ = igl.marching_cubes(values, places, *volume.shape[::-1], 0.0)
    return vertices, faces, now() - start


def _dense(field: Any, bounds: Any, resolution: int, contender: str) -> Mesh:
    import mcubes
    import numpy as np
    import skimage.measure

    volume = _volume(field, bounds, resolution)
    now = field.now
    start = now()
    if contender == "PyMCubes":
        vertices, faces = mcubes.marching_cubes(volume, 0.0)
    else:
        vertices, faces, _, _ = skimage.measure.marching_cubes(volume, 0.0)
    seconds = now() - start
    cell = (bounds[1][0] - bounds[0][0]) / resolution
    return np.array(bounds[0]) + cell * vertices, faces.astype(np.int64), seconds


def _cells(bounds: Any, resolution: int) -> list[int]:
    cell = (bounds[1][0] - bounds[0][0]) / resolution  # the x axis is the longest
    return [round((high - low) / cell) for low, high in zip(*bounds, strict=True)]


def _volume(field: Any, bounds: Any, resolution: int) -> np.ndarray:
    """The field on the dense grid, a slice of equal x at a time."""
    import numpy as np

    nx, ny, nz = (cells + 1 for cells in _cells(bounds, resolution))
    cell = (bounds[1][0] - bounds[0][0]) / resolution
    x, y, z = (
        (low + cell * np.arange(n)).astype(np.float32)
        for low, n in zip(bounds[0], (nx, ny, nz), strict=True)
    )
    volume = np.empty((nx, ny, nz), dtype=np.float32)
    points = np.empty((ny, nz, 3), dtype=np.float32)
    points[:, :, 1], points[:, :, 2] = y[:, None], z
    for i in range(nx):
        points[:, :, 0] = x[i]
        volume[i] = field(points.reshape(-1, 3)).reshape(ny, nz)
    return volume


def _show(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    title = f"median of {arguments.runs} runs, 1 thread, {arguments.clock} clock"
    table = Table(title=f"{title}; in brackets: times the value of onet", title_justify="left")
    columns = {
        "evaluations": ("evaluations", "{:,}"),
        "mesh_seconds": ("mesh s", "{:.3f}"),
        "total_seconds": ("total s", "{:.3f}"),
        "peak_mib": ("peak MiB", "{:.0f}"),
    }
    headers = [header for header, _ in columns.values()]
    for header in ("shape", "cells", "contender", *headers, "faces", "us a face", "Euler", "same"):
        table.add_column(header, justify="left" if header in ("shape", "contender") else "right")
    for row in rows:
        if row["contender"] == REFERENCE:
            table.add_section()
            reference = row
        cells = []
        for key, (_, form) in columns.items():
            ratio = row[key] / reference[key] if reference[key] else float("nan")
            cells.append(form.format(row[key]) + ("" if row is reference else f" ({ratio:.1f}x)"))
        same = {True: "yes", False: "no"}.get(row["same"], "")
        each = f"{1e6 * row['mesh_seconds'] / max(1, row['faces']):.2f}"
        shown = [row["shape"], f"{row['resolution']}", row["contender"], *cells]
        table.add_row(*shown, f"{row['faces']:,}", each, str(row["euler"]), same)
    Console(width=None if sys.stdout.isatty() else 140).print(table)
