"""Views of meshes by the rasteriser, against ray casting with Embree (package embreex).

Both find the nearest triangle of every subpixel of the same views; the rasteriser's row also has
the whole picture (`render_view`: shading, colours, antialiasing), which the ray casting leaves out.
Milliseconds of processor time a view on one thread; contenders take turns.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import trimesh

from onet import _C
from onet.geometry.cameras import Camera, ring_cameras
from onet.geometry.mesh_io import load_mesh
from onet.geometry.rendering import render_view
from onet.report.tables import print_table
from onet.resources import assets_dir

SUPERSAMPLING = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("meshes", nargs="*", help="default: a chair of the sample, and a ball")
    parser.add_argument("--size", type=int, default=224, help="pixels along an edge")
    parser.add_argument("--views", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=5)


def run(arguments: argparse.Namespace) -> None:
    meshes = {path: load_mesh(path) for path in arguments.meshes} or {
        "chair (sample)": load_mesh(assets_dir() / "truth" / "chair_chair.ply"),
        "ball": trimesh.creation.icosphere(subdivisions=6),
    }
    rows = []
    for name, mesh in meshes.items():
        cameras = ring_cameras(mesh.bounds, arguments.views, arguments.size)
        contenders = {
            "picture": lambda m=mesh, c=cameras: [render_view(m, k, arguments.size) for k in c],
            "nearest triangles": lambda m=mesh, c=cameras: [
                _rasterize(m, k, arguments.size) for k in c
            ],
        }
        caster = _embree(mesh)
        if caster:
            contenders["Embree"] = lambda r=caster, c=cameras: [
                _cast(r, k, arguments.size) for k in c
            ]
        seconds: dict[str, list[float]] = {key: [] for key in contenders}
        for _ in range(arguments.repeats):
            for key, contender in contenders.items():
                start = time.process_time()
                contender()
                seconds[key].append((time.process_time() - start) / len(cameras))
        for key, values in seconds.items():
            rows.append(
                {
                    "mesh": name,
                    "faces": len(mesh.faces),
                    "what": key,
                    "median [ms]": 1e3 * float(np.median(values)),
                    "fastest [ms]": 1e3 * min(values),
                    "ratio to rasteriser": float(
                        np.median(values) / np.median(seconds["nearest triangles"])
                    ),
                }
            )
    size = arguments.size
    print_table(rows, f"{arguments.views} views of {size} x {size}, {SUPERSAMPLING**2} subpixels")


def _rasterize(mesh: trimesh.Trimesh, camera: Camera, size: int) -> Any:
    pixels, depth = camera.resized(SUPERSAMPLING).project(mesh.vertices)
    faces = np.ascontiguousarray(mesh.faces, dtype=np.int64)
    projected = np.column_stack([pixels, -1 / depth])
    return _C.rasterize(projected, faces, size * SUPERSAMPLING, size * SUPERSAMPLING)


def _embree(mesh: trimesh.Trimesh) -> Any:
    try:
        from trimesh.ray.ray_pyembree import RayMeshIntersector
    except ImportError:
        return None
    caster = RayMeshIntersector(mesh)
    caster.intersects_first([[9, 9, 9]], [[1, 0, 0]])  # builds the hierarchy
    return caster


def _cast(caster: Any, camera: Camera, size: int) -> Any:
    count = size * SUPERSAMPLING
    large = camera.resized(SUPERSAMPLING)
    y, x = np.mgrid[:count, :count].reshape(2, -1) + 0.5
    rays = np.stack([x, y, np.ones_like(x)], axis=1) @ np.linalg.inv(large.intrinsics).T
    origins = np.broadcast_to(camera.centre, rays.shape)
    return caster.intersects_first(origins, rays @ camera.pose[:, :3])
