"""Metrics: nearest neighbours, distances to a surface, surface samples, the full protocol.

A chair of about 43,000 faces (`--resolution 128`), 100,000 points and one core. Every run is a
process of its own; contenders take turns. Shown are the median and the least of the runs, in
milliseconds of processor time (which other work on the machine disturbs less than wall time),
building of search structures included, and the peak memory: the growth of ru_maxrss over its value
after imports, loading and a small warm-up. "value" is a mean of the result, or a sum of scores,
which the contenders should agree on.

- nearest: from one sample of the surface to another; scipy, pykdtree (single precision).
- distance: from points near the surface, and from points everywhere in the box, to the surface;
  Open3D (single precision), libigl, with `--slow` trimesh.
- sampling: points with the normals of their faces; trimesh.
- protocol: IoU on stored points, accuracy, completeness, both Chamfer distances, normal
  consistency and F-scores against a stored point cloud. onet also examines the topology. "plain" is
  the protocol written down with trimesh (sampling; inside test by embreex) and scipy (neighbours).
"""

from __future__ import annotations

import argparse
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
    import trimesh

# No heavy import up here: a child process starts with the peak memory of its parent.
COUNT = 100_000
PACKAGES = {
    "scipy": "scipy",
    "pykdtree": "pykdtree",
    "Open3D": "open3d",
    "libigl": "igl",
    "trimesh": "rtree",
    "plain": "embreex",
}
"""What a contender needs besides onet's dependencies."""

Data = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--resolution", type=int, default=128, help="of the chair's extraction")
    parser.add_argument("--runs", type=int, default=5, help="runs of each contender")
    parser.add_argument("--slow", action="store_true", help="contenders that take minutes too")
    parser.add_argument("--single", nargs=3, help=argparse.SUPPRESS)  # one run, in a child process


def run(arguments: argparse.Namespace) -> None:
    if arguments.single:
        print(json.dumps(_measure(*arguments.single)))
        return
    from rich.console import Console
    from rich.table import Table

    title = f"median of {arguments.runs} runs, one core; ratio: of the medians, to onet's"
    table = Table(title=title, title_justify="left")
    for header in ("task", "contender", "ms", "least ms", "ratio", "peak MiB", "value"):
        table.add_column(header, justify="left" if header in ("task", "contender") else "right")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/data.npz"
        _child("prepare", str(arguments.resolution), path)
        for task in arguments.tasks:
            table.add_section()
            names = [n for n in TASKS[task] if arguments.slow or (task, n) not in SLOW]
            there = [n for n in names if _installed(task, n)]
            results: dict[str, list[dict[str, float]]] = {name: [] for name in there}
            for _ in range(arguments.runs):
                for name in there:
                    results[name].append(_child(task, name, path))
            for name in names:
                if name not in there:
                    table.add_row(task, name, f"{PACKAGES[name]} is not installed")
                    continue
                seconds = [result["seconds"] for result in results[name]]
                ratio = statistics.median(seconds) / statistics.median(
                    result["seconds"] for result in results["onet"]
                )
                table.add_row(
                    task,
                    name,
                    f"{1000 * statistics.median(seconds):.1f}",
                    f"{1000 * min(seconds):.1f}",
                    f"{ratio:.2f}",
                    f"{statistics.median(r['peak_mib'] for r in results[name]):.1f}",
                    f"{results[name][0]['value']:.6f}",
                )
    Console(width=None if sys.stdout.isatty() else 130).print(table)


def _installed(task: str, name: str) -> bool:
    needed = PACKAGES.get(name) if (task, name) != ("sampling", "trimesh") else None
    return needed is None or importlib.util.find_spec(needed) is not None


def _child(*single: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks", "metrics", "--single", *single]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _measure(task: str, name: str, path: str) -> dict[str, float]:
    if task == "prepare":
        _prepare(int(name), Path(path))
        return {}
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import numpy as np

    with np.load(path) as file:
        data = dict(file)
    contender = TASKS[task][name]
    contender(_mesh(data), {key: value[:500] for key, value in data.items()})
    mesh = _mesh(data)
    baseline = peak_mib()
    start = time.process_time()
    value = contender(mesh, data)
    seconds = time.process_time() - start
    return {"seconds": seconds, "peak_mib": peak_mib() - baseline, "value": value}


def _prepare(resolution: int, path: Path) -> None:
    import numpy as np

    from benchmarks._shapes import chair
    from benchmarks.extract import HIGH, LOW
    from onet.geometry.extraction import extract_mesh
    from onet.geometry.sampling import sample_surface

    mesh = extract_mesh(chair, ((LOW,) * 3, (HIGH,) * 3), resolution)
    rng = np.random.default_rng(0)
    cloud, normals, _ = sample_surface(mesh, COUNT, rng)
    other, _, _ = sample_surface(mesh, COUNT, rng)
    everywhere = rng.uniform(LOW, HIGH, (COUNT, 3)).astype(np.float32)
    np.savez(
        path,
        vertices=mesh.vertices,
        faces=mesh.faces,
        cloud=cloud.astype(np.float32),
        normals=normals.astype(np.float32),
        other=other,
        near=other + rng.normal(scale=0.01, size=other.shape),
        everywhere=everywhere,
        occupancies=chair(everywhere) > 0,
    )


def _mesh(data: Data) -> trimesh.Trimesh:
    import trimesh

    return trimesh.Trimesh(data["vertices"], data["faces"], process=False)


def _nearest_onet(mesh: trimesh.Trimesh, data: Data) -> float:
    from onet.geometry.nearest import NearestNeighbors

    return float(NearestNeighbors(data["cloud"]).query(data["other"])[0].mean())


def _nearest_scipy(mesh: trimesh.Trimesh, data: Data) -> float:
    from scipy.spatial import cKDTree

    return float(cKDTree(data["cloud"]).query(data["other"])[0].mean())


def _nearest_pykdtree(mesh: trimesh.Trimesh, data: Data) -> float:
    import numpy as np
    from pykdtree.kdtree import KDTree

    return float(KDTree(data["cloud"]).query(data["other"].astype(np.float32))[0].mean())


def _distance_onet(mesh: trimesh.Trimesh, points: np.ndarray) -> float:
    from onet.geometry.distance import closest_point

    return float(closest_point(mesh, points)[1].mean())


def _distance_open3d(mesh: trimesh.Trimesh, points: np.ndarray) -> float:
    import numpy as np
    import open3d

    scene = open3d.t.geometry.RaycastingScene(nthreads=1)
    scene.add_triangles(
        open3d.core.Tensor(mesh.vertices.astype(np.float32)),
        open3d.core.Tensor(mesh.faces.astype(np.uint32)),
    )
    queries = open3d.core.Tensor(points.astype(np.float32))
    return float(scene.compute_distance(queries, nthreads=1).numpy().mean())


def _distance_libigl(mesh: trimesh.Trimesh, points: np.ndarray) -> float:
    import igl
    import numpy as np

    points = np.ascontiguousarray(points, dtype=np.float64)
    faces = np.ascontiguousarray(mesh.faces, dtype=np.int64)
    squared = igl.point_mesh_squared_distance(points, np.array(mesh.vertices), faces)[0]
    return float(np.sqrt(squared).mean())


def _distance_trimesh(mesh: trimesh.Trimesh, points: np.ndarray) -> float:
    import trimesh

    return float(trimesh.proximity.closest_point(mesh, points)[1].mean())


def _of(key: str, distance: Callable[[Any, Any], float]) -> Callable[[Any, Data], float]:
    return lambda mesh, data: distance(mesh, data[key])


def _sampling_onet(mesh: trimesh.Trimesh, data: Data) -> float:
    import numpy as np

    from onet.geometry.sampling import sample_surface

    points, normals, _ = sample_surface(mesh, len(data["cloud"]), np.random.default_rng(0))
    return float(abs(points).mean() + abs(normals).mean())


def _sampling_trimesh(mesh: trimesh.Trimesh, data: Data) -> float:
    import numpy as np
    import trimesh

    points, face = trimesh.sample.sample_surface(mesh, len(data["cloud"]), seed=0)
    return float(abs(points).mean() + abs(mesh.face_normals[np.asarray(face)]).mean())


def _protocol_onet(mesh: trimesh.Trimesh, data: Data) -> float:
    from onet.metrics.scores import evaluate

    scores = evaluate(
        mesh,
        None,
        samples=len(data["cloud"]),
        points=data["everywhere"],
        occupancies=data["occupancies"],
        pointcloud=data["cloud"],
        normals=data["normals"],
    )
    return _sum(scores.as_dict())


def _protocol_plain(mesh: trimesh.Trimesh, data: Data) -> float:
    import numpy as np
    import trimesh
    from scipy.spatial import cKDTree

    points, face = trimesh.sample.sample_surface(mesh, len(data["cloud"]), seed=0)
    normals = mesh.face_normals[np.asarray(face)]
    to_cloud, cloud_index = cKDTree(data["cloud"]).query(points)
    to_mesh, mesh_index = cKDTree(points).query(data["cloud"])
    scores = {
        "accuracy": to_cloud.mean(),
        "completeness": to_mesh.mean(),
        "chamfer_l1": (to_cloud.mean() + to_mesh.mean()) / 2,
        "chamfer_l2": ((to_cloud**2).mean() + (to_mesh**2).mean()) / 2,
    }
    forth = abs((normals * data["normals"][cloud_index]).sum(axis=1)).mean()
    back = abs((data["normals"] * normals[mesh_index]).sum(axis=1)).mean()
    scores["normal_consistency"] = (forth + back) / 2
    for threshold in (0.01, 0.015, 0.02):
        precision, recall = (to_cloud <= threshold).mean(), (to_mesh <= threshold).mean()
        name = f"f_score_{100 * threshold:g}pct"
        scores[name] = 2 * precision * recall / max(precision + recall, 1e-12)
    inside = trimesh.ray.ray_pyembree.RayMeshIntersector(mesh).contains_points(data["everywhere"])
    union = (inside | data["occupancies"]).sum()
    scores["iou"] = (inside & data["occupancies"]).sum() / max(union, 1)
    return _sum(scores)


def _sum(scores: dict[str, Any]) -> float:
    keys = ("iou", "accuracy", "completeness", "chamfer_l1", "chamfer_l2", "normal_consistency")
    return float(sum(scores[key] for key in keys) + scores["f_score_1pct"])


DISTANCES = {
    "onet": _distance_onet,
    "Open3D": _distance_open3d,
    "libigl": _distance_libigl,
    "trimesh": _distance_trimesh,
}
TASKS: dict[str, dict[str, Callable[[Any, Data], float]]] = {
    "nearest": {"onet": _nearest_onet, "pykdtree": _nearest_pykdtree, "scipy": _nearest_scipy},
    "distance": {name: _of("near", distance) for name, distance in DISTANCES.items()},
    "distance everywhere": {
        name: _of("everywhere", distance) for name, distance in DISTANCES.items()
    },
    "sampling": {"onet": _sampling_onet, "trimesh": _sampling_trimesh},
    "protocol": {"onet": _protocol_onet, "plain": _protocol_plain},
}
SLOW = {("distance", "trimesh"), ("distance everywhere", "trimesh")}
