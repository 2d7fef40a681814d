"""A scene by overlapping windows: seconds, memory, IoU, and whether borders show.

Objects stand on the floor of a room, sampled with noise on their surfaces. "blended" is the field
of `onet.inference.scene_field`; "hard" gives every point to the window whose centre is nearest, as
a sliding window without blending does; "whole" is one observation of the whole scene. A seam is a
jump of the normal: shown are the mean and the 95th percentile of the angle between neighbouring
faces at the planes where windows meet or end, within a cell, and elsewhere, and the ratio of the
means; "moved" is the range of that ratio for the same planes moved to nine other places. IoU is at
random points of the box of the scene, against the truth; a model that was not trained on such
objects has a low one, whatever the windows. Peak memory is the growth of ru_maxrss.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from benchmarks._memory import peak_mib

WAYS = ("blended", "hard", "whole")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from onet.resources import assets_dir

    parser.add_argument("--model", type=Path, default=assets_dir() / "demo.safetensors")
    parser.add_argument(
        "--meshes", type=Path, default=assets_dir() / "truth", help="folder of closed objects"
    )
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--noise", type=float, default=0.005, help="in units of an object's edge")
    parser.add_argument("--window", type=float, default=1.2, help="in units of an object's edge")
    parser.add_argument("--resolution", type=int, default=64, help="cells along a window")
    parser.add_argument("--memory", type=float, default=1024.0, help="MiB")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for the meshes and a picture of them")
    parser.add_argument("--single", choices=WAYS, help=argparse.SUPPRESS)  # in a child process


def run(arguments: argparse.Namespace) -> None:
    if arguments.single:
        print(json.dumps(_measure(arguments)))
        return
    from onet.report.tables import print_table

    rows = []
    for way in WAYS:
        command = [sys.executable, "-m", "benchmarks", *sys.argv[1:], "--single", way]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows.append({"way": way, **json.loads(done.stdout.splitlines()[-1])})
    first = rows[0]["seconds"]
    for row in rows:
        row["ratio"] = f"{row['seconds'] / first:.2f}x"
    full = [dict.fromkeys(rows[0], "") | row for row in rows]  # one observation has no borders
    print_table(full, f"{arguments.objects} objects, {arguments.points:,} points")
    if arguments.out:
        _draw(arguments)


def _draw(arguments: argparse.Namespace) -> None:
    """The truth and the meshes of all ways, seen alike: OUT/scene.png."""
    from onet.geometry.mesh_io import load_mesh
    from onet.geometry.rendering import render_mesh
    from onet.report.contact_sheet import draw_grid

    size = 640
    truth = trimesh.util.concatenate(_room(arguments))
    meshes = [truth, *(load_mesh(arguments.out / f"{way}.ply") for way in WAYS)]
    pictures = [
        render_mesh(mesh, size, azimuth=-30.0, elevation=40.0, bounds=truth.bounds)
        for mesh in meshes
    ]
    label = [f"{arguments.objects} objects", f"{arguments.points:,} points"]
    sheet = draw_grid([pictures], [label], ["truth", *WAYS], size)
    sheet.save(arguments.out / "scene.png")


def _room(arguments: argparse.Namespace) -> list[trimesh.Trimesh]:
    """Objects of edge 1 on a lattice, turned and scaled a little, on a floor 0.1 thick."""
    files = sorted(f for f in arguments.meshes.rglob("*") if f.suffix in (".ply", ".off", ".obj"))
    rng = np.random.default_rng(arguments.seed)
    chosen = rng.permutation(len(files))
    across = int(np.ceil(arguments.objects**0.5))
    parts = []
    for i in range(arguments.objects):
        mesh = trimesh.load_mesh(files[chosen[i % len(files)]], process=False)
        mesh.apply_translation(-mesh.bounds.mean(axis=0))
        mesh.apply_scale(rng.uniform(0.8, 1.0) / mesh.extents.max())
        mesh.apply_transform(trimesh.transformations.rotation_matrix(rng.uniform(0, 6), (0, 1, 0)))
        place = np.array([i % across, 0, i // across]) * 1.3
        mesh.apply_translation(place - (0, mesh.bounds[0, 1], 0))
        parts.append(mesh)
    low, high = trimesh.util.concatenate(parts).bounds
    floor = trimesh.creation.box(bounds=[[low[0], -0.15, low[2]], [high[0], -0.05, high[2]]])
    return [*parts, floor]


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    from onet.geometry.inside import contains
    from onet.geometry.mesh_io import save_mesh
    from onet.inference.reconstructor import load
    from onet.inference.scene import reconstruct_scene

    parts = _room(arguments)
    area = np.array([part.area for part in parts])
    shares = np.round(arguments.points * area / area.sum()).astype(int)
    cloud = np.concatenate([part.sample(n, seed=0) for part, n in zip(parts, shares, strict=True)])
    rng = np.random.default_rng(arguments.seed)
    cloud += arguments.noise * rng.standard_normal(cloud.shape)
    model = load(arguments.model, device="cpu")

    before, start = peak_mib(), time.perf_counter()
    overlap, window, resolution = 0.25, arguments.window, arguments.resolution
    if arguments.single == "hard":
        overlap = 1e-6
    if arguments.single == "whole":
        extent = float(np.ptp(cloud, axis=0).max())
        resolution = round(resolution * extent / window)
        mesh = model.reconstruct(cloud, resolution=resolution)
    else:
        mesh = reconstruct_scene(
            model,
            cloud,
            window=window,
            overlap=overlap,
            resolution=resolution,
            memory=arguments.memory,
            seed=arguments.seed,
        )
    seconds, peak = time.perf_counter() - start, peak_mib() - before

    queries = rng.uniform(cloud.min(0), cloud.max(0), (200_000, 3))
    truth = np.any([contains(part, queries) for part in parts], axis=0)
    found = contains(mesh, queries)
    row = {
        "seconds": round(seconds, 2),
        "peak_mib": round(peak),
        "faces": len(mesh.faces),
        "iou": round(float((truth & found).sum() / (truth | found).sum()), 4),
    }
    if arguments.single != "whole":
        row["windows"] = mesh.metadata["scene"]["windows"]
        centre = (cloud.min(0) + cloud.max(0)) / 2
        row |= seam_angles(mesh, centre, window, overlap, window / resolution)
        moved = [
            seam_angles(mesh, centre + step * window, window, overlap, window / resolution)["seam"]
            for step in (1 - overlap) * np.arange(0.1, 0.95, 0.1)
        ]
        row["moved"] = f"{min(moved):.2f} to {max(moved):.2f}"
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        save_mesh(mesh, arguments.out / f"{arguments.single}.ply")
    return row


def seam_angles(
    mesh: trimesh.Trimesh,
    centre: np.ndarray,  # (3,) of a window
    window: float,
    overlap: float,
    cell: float,
) -> dict[str, float]:
    """Angles in degrees between neighbouring faces near the borders of windows, and elsewhere."""
    spacing = window * (1 - overlap)
    middles = mesh.vertices[mesh.face_adjacency_edges].mean(axis=1) - centre
    angles = np.degrees(mesh.face_adjacency_angles)
    # The ends of windows are at spacing * i - window / 2 and spacing * i + window / 2.
    off = np.full(middles.shape, np.inf)
    for end in (-window / 2, window / 2):
        nearest = np.round((middles - end) / spacing) * spacing + end
        off = np.minimum(off, np.abs(middles - nearest))
    border = (off < cell).any(axis=1)
    at, elsewhere = angles[border], angles[~border]
    return {
        "border_mean": round(float(at.mean()), 3),
        "elsewhere_mean": round(float(elsewhere.mean()), 3),
        "seam": round(float(at.mean() / elsewhere.mean()), 3),
        "border_p95": round(float(np.quantile(at, 0.95)), 2),
        "elsewhere_p95": round(float(np.quantile(elsewhere, 0.95)), 2),
    }
