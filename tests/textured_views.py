"""A small store of pictures with depth of a coloured ball, for tests of texture networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onet.data.view_files import write_depth
from onet.geometry.cameras import Camera, published_camera, write_cameras
from onet.geometry.depth_points import depth_points, published_matrices

RADIUS = 0.45


def ball_depth(camera: Camera, size: int) -> NDArray[np.float32]:
    """Depth (S, S) of a ball around the origin, along the camera's axis; infinite beside it."""
    one = depth_points(np.ones((size, size)), camera)
    rays, eye = one - camera.centre, camera.centre
    a, b, c = (rays**2).sum(-1), 2 * (rays @ eye), eye @ eye - RADIUS**2
    root = b**2 - 4 * a * c
    near = (-b - np.sqrt(np.maximum(root, 0))) / (2 * a)
    return np.where(root > 0, near, np.inf).astype(np.float32)


def ball_colors(points: NDArray[np.float64], phase: float = 0.0) -> NDArray[np.float64]:
    """Colours (..., 3) in [0, 1] of places on the ball."""
    return 0.5 + 0.4 * np.sin(6 * points + phase)


def write_item(
    item: Path, size: int = 16, views: int = 3, phase: float = 0.0, published: bool = False
) -> list[Camera]:
    """Write an item of the layout that `onet.data.view_files` tells."""
    cameras = [published_camera(40 + 110 * k, 25, 0.9, size) for k in range(views)]
    for name in ("image", "depth", "img_choy2016"):
        (item / name).mkdir(parents=True)
    arrays = {}
    for number, camera in enumerate(cameras):
        depth = ball_depth(camera, size)
        colors = ball_colors(depth_points(depth, camera), phase)
        colors[~np.isfinite(depth)] = 1
        picture = Image.fromarray(np.round(255 * colors).astype(np.uint8))
        picture.save(item / "image" / f"{number:03d}.png")
        picture.save(item / "img_choy2016" / f"{number:03d}.png")
        write_depth(item / "depth" / f"{number:03d}.exr", depth)
        pair = published_matrices(camera, size)
        arrays |= {f"camera_mat_{number}": pair[0], f"world_mat_{number}": pair[1]}
    write_cameras(item / "img_choy2016" / "cameras.npz", cameras)
    if published:
        np.savez(item / "depth" / "cameras.npz", **arrays)  # type: ignore[arg-type]
    else:
        write_cameras(item / "depth" / "cameras.npz", cameras)
    normals = np.random.default_rng(0).normal(size=(500, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    frame = {"loc": np.zeros(3), "scale": np.float64(1)}
    np.savez(item / "pointcloud.npz", points=RADIUS * normals, normals=normals, **frame)
    surface = np.round(255 * ball_colors(RADIUS * normals, phase)).astype(np.uint8)
    np.savez(item / "pointcloud_colors.npz", colors=surface)
    if not published:
        box = np.random.default_rng(0).uniform(-0.5, 0.5, (100, 3))
        inside = np.packbits((box**2).sum(1) < RADIUS**2)
        np.savez(item / "points.npz", points=box, occupancies=inside, **frame)
    return cameras


def write_store(root: Path, items: int = 2, published: bool = False, size: int = 16) -> Path:
    """Write a store of one category, all items in every split."""
    for number in range(items):
        write_item(root / "balls" / f"ball{number}", size, 3, float(number), published)
    names = "".join(f"ball{number}\n" for number in range(items))
    for split in ("train", "val", "test"):
        (root / "balls" / f"{split}.lst").write_text(names, encoding="utf-8")
    return root
