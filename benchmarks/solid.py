"""Solids of damaged meshes: `onet.make_solid` beside other repairers, and what it costs.

Closed meshes of a folder are damaged (see `benchmarks/_damage.py`) and repaired by each contender:
"solid" is `onet.make_solid`, "thickened" what `make_watertight` makes, "alpha wrap" that of CGAL in
pymeshlab (extra packages: pymeshlab, pymeshfix; both GPL, for this comparison alone), "manifold3d"
its constructor after `merge`, "pymeshfix" its `repair`. All in the unit frame.

IoU by winding number at points of the truth's box; Chamfer-L1 by distances of samples of either
surface to the other itself, mean of both directions; "solid" the share closed, manifold, oriented,
outward; "crossing free" the share of which no face crosses another. A contender that gives nothing
counts with IoU 0, and is left out of the Chamfer distance. Seconds are processor seconds of the
contender alone, peak memory that of a process that does nothing else, the largest of all meshes.

With --out every row is written when it is known, and a later run goes on from there; several runs
with different contenders may write to one file at once.

With --scaling: seconds and memory of one damaged mesh at several resolutions instead.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._memory import own_peak_mib

CONTENDERS = ("solid", "thickened", "alpha wrap", "manifold3d", "pymeshfix")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", type=Path, nargs="+", help="of meshes; closed ones are taken")
    parser.add_argument("--limit", type=int, default=30, help="meshes of each, drawn at random")
    parser.add_argument("--most-faces", type=int, default=20_000, help="of a mesh that is taken")
    parser.add_argument("--damage", nargs="+", help="kinds; default all")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--scaling", type=int, nargs="+", metavar="RESOLUTION")
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file of rows, a line of JSON each; goes on")


def run(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        if arguments.scaling:
            _scale(arguments, Path(name))
            return
        rows = _known_rows(arguments)
        meshes = _meshes(arguments)
        print(f"{len(meshes)} closed meshes", flush=True)
        for number, (mesh_name, mesh) in enumerate(meshes.items()):
            folder = Path(name) / str(number)
            folder.mkdir()
            tasks = _damage(arguments, folder, number, mesh_name, mesh)
            for contender in arguments.contenders:
                rows += _score(arguments, contender, tasks, folder, rows)
            shutil.rmtree(folder)
        _show(arguments, rows)


def _meshes(arguments: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for folder in arguments.folders:
        chosen = closed_meshes(folder, arguments.limit, arguments.most_faces, arguments.seed)
        found |= {f"{folder.name}/{name}": mesh for name, mesh in chosen.items()}
    if not found:
        sys.exit("no mesh of these folders is closed, in one piece, and free of crossing faces")
    return found


def _known_rows(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    if arguments.out is None or not arguments.out.exists():
        return []
    return [json.loads(line) for line in arguments.out.read_text().splitlines()]


def closed_meshes(folder: Path, limit: int, most_faces: int, seed: int) -> dict[str, Any]:
    """Meshes of a folder in the unit frame that bound a solid without crossing faces."""
    from onet.errors import DataError
    from onet.geometry.mesh_io import load_mesh, readable_suffixes
    from onet.geometry.normalization import UnitFrame
    from onet.geometry.solid.cleaning import merge
    from onet.geometry.solid.crossings import crossing_faces
    from onet.geometry.topology import topology

    suffixes = readable_suffixes()
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    found: dict[str, Any] = {}
    for index in np.random.default_rng(seed).permutation(len(paths)):
        path = paths[index]
        try:
            mesh = load_mesh(path)
        except DataError:
            continue
        if len(mesh.faces) > most_faces:
            continue
        mesh = UnitFrame.of_mesh(mesh).mesh_to_unit(mesh)
        mesh.vertices, mesh.faces = merge(np.asarray(mesh.vertices), np.asarray(mesh.faces))
        if (
            topology(mesh).solid
            and topology(mesh).components == 1
            and not len(crossing_faces(mesh))
        ):
            found[path.relative_to(folder).as_posix()] = mesh
            if len(found) == limit:
                break
    return found


def _damage(
    arguments: argparse.Namespace, folder: Path, number: int, name: str, mesh: Any
) -> list[dict[str, Any]]:
    """Write the damaged ones of a mesh to a folder, with the truth."""
    from benchmarks._damage import DAMAGE

    tasks = []
    for place, kind in enumerate(DAMAGE):
        if arguments.damage and kind not in arguments.damage:
            continue
        rng = np.random.default_rng([arguments.seed, number])
        try:
            damaged = DAMAGE[kind](mesh, rng)
        except ValueError as error:
            print(f"{name}: {kind}: left out: {error}")
            continue
        file = f"{place:05d}.npz"
        np.savez(
            folder / file,
            vertices=damaged.soup.vertices,
            faces=damaged.soup.faces,
            true_vertices=damaged.truth.vertices,
            true_faces=damaged.truth.faces,
        )
        tasks.append({"mesh": name, "damage": kind, "file": file})
    return tasks


def work(contender: str, folder: Path, resolution: int, files: list[str]) -> None:
    """Damaged meshes of a folder by one contender; a line of JSON for each."""
    import trimesh

    from onet.errors import OnetError

    repair = _repairers(resolution)[contender]
    for path in (folder / file for file in files):
        with np.load(path) as arrays:
            mesh = trimesh.Trimesh(arrays["vertices"], arrays["faces"], process=False)
        start, told = time.process_time(), ""
        try:
            vertices, faces = repair(mesh)
        except (OnetError, RuntimeError, ValueError) as error:
            vertices, faces = np.zeros((0, 3)), np.zeros((0, 3), np.int64)
            told = " ".join(str(error).split())[:80]
        seconds = time.process_time() - start
        np.savez(folder / f"{contender}-{path.name}", vertices=vertices, faces=faces)
        print(json.dumps({"file": path.name, "seconds": seconds, "error": told}))
    print(json.dumps({"peak": own_peak_mib()}))


def _repairers(resolution: int) -> dict[str, Callable[[Any], tuple[Any, Any]]]:
    def solid(mesh: Any) -> tuple[Any, Any]:
        from onet.geometry.solid.make import make_solid

        made = make_solid(mesh, resolution, threads=1)
        return made.vertices, made.faces

    def thickened(mesh: Any) -> tuple[Any, Any]:
        from onet.geometry.normalization import UnitFrame
        from onet.geometry.watertight import make_watertight

        frame = UnitFrame.of_mesh(mesh)
        made = frame.mesh_to_source(
            make_watertight(frame.mesh_to_unit(mesh), resolution, threads=1)
        )
        return made.vertices, made.faces

    def alpha_wrap(mesh: Any) -> tuple[Any, Any]:
        import pymeshlab

        meshes = pymeshlab.MeshSet()
        meshes.add_mesh(pymeshlab.Mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces)))
        meshes.generate_alpha_wrap(
            alpha=pymeshlab.PercentageValue(1.0), offset=pymeshlab.PercentageValue(0.05)
        )
        made = meshes.current_mesh()
        return made.vertex_matrix(), made.face_matrix()

    def manifold3d(mesh: Any) -> tuple[Any, Any]:
        from manifold3d import Manifold, Mesh

        given = Mesh(np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.uint32))
        given.merge()
        body = Manifold(given)
        if body.is_empty():
            raise ValueError(str(body.status()))
        made = body.to_mesh()
        return np.asarray(made.vert_properties[:, :3], np.float64), made.tri_verts.astype(np.int64)

    def pymeshfix(mesh: Any) -> tuple[Any, Any]:
        from pymeshfix import MeshFix

        fix = MeshFix(np.asarray(mesh.vertices), np.asarray(mesh.faces, np.int32))
        fix.repair()
        return fix.points, fix.faces.astype(np.int64)

    return {
        "solid": solid,
        "thickened": thickened,
        "alpha wrap": alpha_wrap,
        "manifold3d": manifold3d,
        "pymeshfix": pymeshfix,
    }


def _child(contender: str, folder: Path, resolution: int, files: list[str]) -> list[dict[str, Any]]:
    # Not by `python -m benchmarks`, which imports what all benchmarks need.
    code = "import sys, pathlib; from benchmarks.solid import work; "
    code += "work(sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])"
    command = [sys.executable, "-c", code, contender, str(folder), str(resolution), *files]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode:
        print(f"{contender}: ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    return lines


def _score(
    arguments: argparse.Namespace,
    contender: str,
    tasks: list[dict[str, Any]],
    folder: Path,
    known: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    """Rows for those of a mesh's tasks that are not known yet; written down."""
    done = {(row["contender"], row["mesh"], row["damage"]) for row in known}
    tasks = [task for task in tasks if (contender, task["mesh"], task["damage"]) not in done]
    if not tasks:
        return []
    lines = _child(contender, folder, arguments.resolution, [task["file"] for task in tasks])
    told = {line["file"]: line for line in lines if "file" in line}
    peak = next((line["peak"] for line in lines if "peak" in line), None)
    rows = [
        {
            "contender": contender,
            "mesh": task["mesh"],
            "damage": task["damage"],
            **_measure(folder, contender, task["file"], arguments),
            "seconds": told.get(task["file"], {}).get("seconds"),
            "peak_mib": peak,
            "error": told.get(task["file"], {}).get("error", "the process died"),
        }
        for task in tasks
    ]
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        with arguments.out.open("a") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))
    return rows


def _measure(
    folder: Path, contender: str, file: str, arguments: argparse.Namespace
) -> dict[str, Any]:
    import trimesh

    from onet.geometry.distance import TriangleTree
    from onet.geometry.sampling import sample_surface, surface_area
    from onet.geometry.solid.crossings import crossing_faces
    from onet.geometry.topology import topology
    from onet.geometry.winding import winding_number

    made_file = folder / f"{contender}-{file}"
    nothing = {"iou": 0.0, "chamfer_l1": None, "solid": False, "crossing_free": False, "faces": 0}
    if not made_file.exists():
        return nothing
    with np.load(made_file) as arrays:
        made = trimesh.Trimesh(arrays["vertices"], arrays["faces"], process=False)
    with np.load(folder / file) as arrays:
        truth = trimesh.Trimesh(arrays["true_vertices"], arrays["true_faces"], process=False)
    if not len(made.faces) or not surface_area(made) > 0:
        return nothing
    rng = np.random.default_rng(arguments.seed)
    low, high = truth.bounds
    points = rng.uniform(low - 0.01, high + 0.01, (arguments.samples, 3))
    inside, found = (winding_number(mesh, points, 4.0) > 0.5 for mesh in (truth, made))
    there = TriangleTree(truth).closest(sample_surface(made, arguments.samples, rng)[0])[1]
    back = TriangleTree(made).closest(sample_surface(truth, arguments.samples, rng)[0])[1]
    return {
        "iou": float((inside & found).sum() / max(1, (inside | found).sum())),
        "chamfer_l1": float((there.mean() + back.mean()) / 2),
        "solid": topology(made).solid,
        "crossing_free": not len(crossing_faces(made)),
        "faces": len(made.faces),
    }


def _show(arguments: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    from benchmarks._damage import DAMAGE, DETERMINED
    from onet.report.tables import print_table

    kinds = [kind for kind in DAMAGE if any(row["damage"] == kind for row in rows)]
    table = []
    for kind in [*kinds, "determined", "all"]:
        for contender in CONTENDERS:
            wanted = DETERMINED if kind == "determined" else kinds if kind == "all" else [kind]
            chosen = [r for r in rows if r["contender"] == contender and r["damage"] in wanted]
            if chosen:
                table.append({"damage": kind, "contender": contender, **_summary(chosen)})
    print_table(table, f"resolution {arguments.resolution}, seed {arguments.seed}")
    for row in rows:
        if row["contender"] == "solid" and (row["iou"] < 0.99 or not row["crossing_free"]):
            print("look at:", {k: row[k] for k in ("mesh", "damage", "iou", "chamfer_l1", "error")})


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    chamfer = [row["chamfer_l1"] for row in rows if row["chamfer_l1"] is not None]
    seconds = [row["seconds"] for row in rows if row["seconds"] is not None]
    peaks = [row["peak_mib"] for row in rows if row["peak_mib"] is not None]
    return {
        "items": len(rows),
        "nothing": sum(row["chamfer_l1"] is None for row in rows),
        "iou": float(np.mean([row["iou"] for row in rows])),
        "chamfer_1e-4": f"{1e4 * np.mean(chamfer):.2f}" if chamfer else "",
        "solid": float(np.mean([row["solid"] for row in rows])),
        "crossing_free": float(np.mean([row["crossing_free"] for row in rows])),
        "seconds": f"{np.mean(seconds):.2f}" if seconds else "",
        "most_seconds": f"{np.max(seconds):.2f}" if seconds else "",
        "peak_mib": f"{max(peaks):.0f}" if peaks else "",
    }


def _scale(arguments: argparse.Namespace, folder: Path) -> None:
    """Seconds and memory of one soup at several resolutions, each in a process of its own."""
    from onet.report.tables import print_table

    arguments.limit, arguments.damage = 1, ["double shell"]
    name, mesh = next(iter(_meshes(arguments).items()))
    (task,) = _damage(arguments, folder, 0, name, mesh)
    rows = []
    for resolution in arguments.scaling:
        lines = _child("solid", folder, resolution, [task["file"]])
        seconds = next(line["seconds"] for line in lines if "seconds" in line)
        peak = next(line["peak"] for line in lines if "peak" in line)
        rows.append({"resolution": resolution, "seconds": seconds, "peak_mib": peak})
    print_table(rows, f"{task['mesh']}, double shell with holes")
    if len(rows) > 1:
        at = np.log([row["resolution"] for row in rows])
        for what in ("seconds", "peak_mib"):
            power = np.polyfit(at, np.log([row[what] for row in rows]), 1)[0]
            print(f"{what}: resolution to the power of {power:.2f}")
