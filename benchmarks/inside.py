"""Point-in-mesh, by parity and by winding number: Open3D, Embree (by trimesh), libigl.

100,000 uniform points in the padded box of watertight chairs. Every run is a process of its own on
one core with one thread; contenders take turns, and the median of the runs is shown, each of which
is the median of three; "least ms" is the best of all. "ms" is the CPU time of build and query
together, from float64 arrays (float32 for Open3D, which takes no other). Peak memory is the growth
of the process's ru_maxrss over its value after imports and a small warm-up, by the first of the
three. The last columns count right answers on points known to be inside: on a lattice in a box,
whose rays meet edges and vertices; in overlapping solids; and in the smallest of the chairs with
2.5 % of its faces missing.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._memory import peak_mib

if TYPE_CHECKING:
    import numpy as np

    Contains = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

# No heavy import up here: a child process starts with the peak memory of its parent.
# Contender: the module it needs and the contender of onet it is measured by.
CONTENDERS = {
    "onet parity": ("onet", "onet parity"),
    "Open3D occupancy": ("open3d", "onet parity"),
    "trimesh + embreex": ("embreex", "onet parity"),
    "onet winding": ("onet", "onet winding"),
    "libigl fast winding": ("igl", "onet winding"),
}
CHECKS = {"lattice": 729, "overlapping": 20000, "holed": 20000}
BOX = 0.55


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--resolutions", type=int, nargs="+", default=[128, 264], help="cells of the chairs"
    )
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5, help="runs of each contender")
    parser.add_argument("--out", type=Path, help="write the table as CSV")
    parser.add_argument("--make", help=argparse.SUPPRESS)  # writes the cases, in a child process
    parser.add_argument("--single", nargs=3, help=argparse.SUPPRESS)  # one run, in a child process


def run(arguments: argparse.Namespace) -> None:
    if arguments.make:
        _make(Path(arguments.make), arguments.resolutions, arguments.points)
        return
    if arguments.single:
        contender, case, folder = arguments.single
        print(json.dumps(_measure(contender, case, Path(folder))))
        return
    contenders = []
    for contender, (module, _) in CONTENDERS.items():
        if importlib.util.find_spec(module):
            contenders.append(contender)
        else:
            print(f"{contender}: left out, as {module} is not installed")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        cells = [str(resolution) for resolution in arguments.resolutions]
        sizes = ["--resolutions", *cells, "--points", str(arguments.points)]
        _child(["--make", folder, *sizes])
        right = {c: json.loads(_child(["--single", c, "checks", folder])) for c in contenders}
        for case in cells:
            results: dict[str, list[dict[str, Any]]] = {contender: [] for contender in contenders}
            for _ in range(arguments.runs):
                for contender in contenders:
                    result = json.loads(_child(["--single", contender, case, folder]))
                    results[contender].append(result)
            for contender, measured in results.items():
                row: dict[str, Any] = {"faces": measured[0]["faces"], "contender": contender}
                for key in ("milliseconds", "peak_mib"):
                    row[key] = round(statistics.median(result[key] for result in measured), 3)
                row["least_milliseconds"] = round(min(r["least"] for r in measured), 3)
                rows.append(row | right[contender])
    if arguments.out:
        with open(arguments.out, "w", newline="") as file:
            table = csv.DictWriter(file, fieldnames=list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    _show(rows, arguments)


def _child(arguments: list[str]) -> str:
    command = [sys.executable, "-m", "benchmarks", "inside", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def _make(folder: Path, resolutions: list[int], count: int) -> None:
    """Writes chairs with uniform points, and the cases of CHECKS with points inside."""
    import numpy as np
    import trimesh

    from benchmarks._shapes import chair
    from onet.geometry.extraction import extract_mesh

    rng = np.random.default_rng(0)

    def save(name: str, mesh: trimesh.Trimesh, points: np.ndarray) -> None:
        arrays = {"vertices": mesh.vertices, "points": points.astype(np.float32)}
        arrays = {key: array.astype(np.float64) for key, array in arrays.items()}
        np.savez(folder / name, faces=mesh.faces.astype(np.int64), **arrays)

    def inside(depth: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        points = rng.uniform(-BOX, BOX, (2_000_000, 3))
        return points[depth(points) > 0][: CHECKS["holed"]]

    chairs = [extract_mesh(chair, ((-BOX,) * 3, (BOX,) * 3), r) for r in resolutions]
    for resolution, mesh in zip(resolutions, chairs, strict=True):
        save(str(resolution), mesh, rng.uniform(-BOX, BOX, (count, 3)))
    axis = np.linspace(-0.5, 0.5, 11)[1:-1]
    lattice = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    save("lattice", trimesh.creation.box(), lattice)
    centres = rng.uniform(-0.2, 0.2, (6, 3))
    balls = [trimesh.creation.icosphere(subdivisions=4, radius=0.3) for _ in centres]
    for ball, centre in zip(balls, centres, strict=True):
        ball.apply_translation(centre)
    save(
        "overlapping",
        trimesh.util.concatenate(balls),
        inside(lambda p: 0.295 - np.linalg.norm(p[:, None] - centres, axis=2).min(axis=1)),
    )
    mesh = chairs[int(np.argmin(resolutions))]
    kept = rng.permutation(len(mesh.faces))[: round(0.975 * len(mesh.faces))]
    cell = 2 * BOX / min(resolutions)  # points nearer to the surface may be outside of the mesh
    save(
        "holed",
        trimesh.Trimesh(mesh.vertices, mesh.faces[kept], process=False),
        inside(lambda p: chair(p) - 0.5 * cell),
    )


def _measure(contender: str, case: str, folder: Path) -> dict[str, Any]:
    import numpy as np

    if hasattr(os, "sched_setaffinity"):  # Open3D starts more threads than it is asked to
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    contains = _contender(contender)

    def load(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        with np.load(folder / f"{name}.npz") as data:
            return data["vertices"], data["faces"], data["points"]

    if case == "checks":
        return {name: int(np.count_nonzero(contains(*load(name)))) for name in CHECKS}
    contains(*load("lattice"))
    arrays = load(case)
    baseline = peak_mib()
    seconds = []
    for _ in range(3):
        start = time.process_time()
        contains(*arrays)
        seconds.append(time.process_time() - start)
        if len(seconds) == 1:
            peak = peak_mib() - baseline
    times = {"milliseconds": 1000 * statistics.median(seconds), "least": 1000 * min(seconds)}
    return times | {"faces": len(arrays[1]), "peak_mib": peak}


def _contender(name: str) -> Contains:
    if name.startswith("onet"):
        return _onet(name.removeprefix("onet "))
    return {"Open3D": _open3d, "trimesh": _trimesh, "libigl": _libigl}[name.split()[0]]()


def _onet(mode: Any) -> Contains:
    import trimesh

    from onet.geometry.inside import contains

    def measured(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray) -> np.ndarray:
        mesh = trimesh.Trimesh(vertices, faces, process=False)
        return contains(mesh, points, threads=1, mode=mode)

    return measured


def _open3d() -> Contains:
    import numpy as np
    import open3d

    def measured(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray) -> np.ndarray:
        tensor = open3d.core.Tensor
        scene = open3d.t.geometry.RaycastingScene(nthreads=1)
        scene.add_triangles(tensor(vertices.astype(np.float32)), tensor(faces.astype(np.uint32)))
        occupancy = scene.compute_occupancy(tensor(points.astype(np.float32)), nthreads=1)
        return occupancy.numpy() > 0.5

    return measured


def _trimesh() -> Contains:
    import trimesh

    def measured(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray) -> np.ndarray:
        return trimesh.Trimesh(vertices, faces, process=False).contains(points)

    return measured


def _libigl() -> Contains:
    import igl

    def measured(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray) -> np.ndarray:
        return igl.fast_winding_number(vertices, faces, points) > 0.5

    return measured


def _show(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    title = (
        f"{arguments.points:,} points, median of {arguments.runs} runs, 1 thread; "
        "in brackets: times the value of onet by the same method"
    )
    table = Table(title=title, title_justify="left")
    checks = [f"{name}\nof {total:,}" for name, total in CHECKS.items()]
    for header in ("faces", "contender", "ms", "least ms", "peak MiB", *checks):
        table.add_column(header, justify="left" if header == "contender" else "right")
    values = {(row["faces"], row["contender"]): row for row in rows}
    for row in rows:
        name = row["contender"]
        if name == next(iter(CONTENDERS)):
            table.add_section()
        reference = values[row["faces"], CONTENDERS[name][1]]
        cells = []
        for key in ("milliseconds", "least_milliseconds", "peak_mib"):
            compared = row is not reference and reference[key] > 0
            ratio = f" ({row[key] / reference[key]:.1f}×)" if compared else ""
            cells.append(f"{row[key]:.1f}{ratio}")
        found = [f"{row[check]:,}" for check in CHECKS]
        table.add_row(f"{row['faces']:,}", name, *cells, *found)
    Console(width=None if sys.stdout.isatty() else 130).print(table)
