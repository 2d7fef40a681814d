"""Items and stores for the tests of packed stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from onet.data.item_writing import write_pointcloud, write_points
from onet.data.store_folder import POINTCLOUD, POINTS, VOXELS
from onet.geometry.cameras import published_camera, write_cameras
from onet.geometry.normalization import UnitFrame
from onet.geometry.voxels import VoxelGrid, write_binvox

FRAME = UnitFrame(np.array([0.02, 0.01, -0.03]), 1.1)


def write_item(folder: Path, number: int) -> None:
    """An item with everything that an item may have, in several forms."""
    rng = np.random.default_rng(number)
    points = rng.uniform(-0.55, 0.55, (701, 3)).astype(np.float16)
    inside = np.linalg.norm(points.astype(np.float64), axis=1) < 0.4
    normals = rng.standard_normal((303, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    write_points(folder / POINTS, points, inside, FRAME)
    write_pointcloud(folder / POINTCLOUD, 0.4 * normals, normals, FRAME)
    frame: dict[str, Any] = {"loc": FRAME.loc, "scale": FRAME.scale}
    if number % 3 == 1:  # unpacked occupancies, compressed
        np.savez_compressed(folder / POINTS, points=points, occupancies=inside, **frame)
    if number % 3 == 2:  # single precision, columns first
        np.savez(folder / POINTS, points=np.asfortranarray(points.astype(np.float32)),
                 occupancies=np.packbits(inside), **frame)  # fmt: skip
    pictures = folder / "img_choy2016"
    pictures.mkdir()
    for view in range(3):
        picture = rng.integers(0, 255, (20, 20, 3)).astype(np.uint8)
        Image.fromarray(picture).save(pictures / f"{view:03d}.jpg")
    write_cameras(
        pictures / "cameras.npz", [published_camera(90 * k, 25, 0.9, 20) for k in range(3)]
    )
    write_binvox(folder / VOXELS, VoxelGrid(rng.random((8, 8, 8)) > 0.5, FRAME))
    (folder / "item.json").write_text('{"note": "é"}\r\n', encoding="utf-8")


def write_store(root: Path) -> None:
    """Write nine items of two categories in the published layout, and what else may lie there."""
    for category, models in {"ball": range(6), "häuser": range(6, 9)}.items():
        for number in models:
            write_item(root / category / f"m {number}", number)
        (root / category / "train.lst").write_bytes(
            "".join(f"m {n}\r\n" for n in [*models][:-1]).encode()
        )
        (root / category / "val.lst").write_text(f"\nm {models[-1]}")
    write_item(root / "ball" / "in no list", 40)
    (root / "ball" / "empty").mkdir()
    (root / "ball" / "m 0" / "empty folder").mkdir()
    (root / "ball" / "m 0" / "nothing").touch()
    (root / "metadata.yaml").write_text("# mine\nball: {id: '1', name: balls}\n")
    (root / "failures.csv").write_text("file,reason\n")


def content(root: Path) -> dict[str, tuple[bytes | None, int]]:
    """All below a folder: bytes and time of files, nothing of folders."""
    return {
        path.relative_to(root).as_posix(): (
            (path.read_bytes(), path.stat().st_mtime_ns if len(path.relative_to(root).parts) > 2
             else 0) if path.is_file() else (None, 0)
        )
        for path in root.rglob("*")
    }  # fmt: skip
