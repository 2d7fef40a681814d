"""Pictures with depth and cameras of an object, in the layout of the published Texture Fields.

    ITEM/image/000.png, ...     RGB, 8-bit
    ITEM/depth/000.exr, ...     depth in the first channel, infinite where nothing is
    ITEM/depth/cameras.npz      camera_mat_{i}, world_mat_{i} (3, 4); or ours, camera_mat_{i} (3, 3)
    ITEM/pointcloud.npz         points and normals of the surface

The shape of the matrices tells the convention (`onet.geometry.depth_points`): published ones are
for the frame of the point cloud, ours for the source frame.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.archives import read_npz
from onet.data.images import IMAGE_SUFFIXES
from onet.data.packed.path import PackedPath
from onet.data.store_folder import CAMERAS
from onet.errors import DataError, MissingDependency
from onet.files import replacing
from onet.geometry.cameras import Camera
from onet.geometry.depth_points import depth_points, published_depth_points
from onet.geometry.normalization import UnitFrame

IMAGE, DEPTH = "image", "depth"
LARGEST_EDGE = 1 << 14
_AGAIN = "render the item again with colours and depth, or copy it again"


def view_pictures(item: Path) -> list[Path]:
    """Return the pictures of an item, in the order of their names.

    Raises:
        DataError: there are none.
    """
    folder = item / IMAGE
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise DataError(f"{folder}: no pictures of the object with colours; {_AGAIN}")
    return found


def depth_file(picture: Path) -> Path:
    """Return the file of the depth of a picture."""
    return picture.parent.with_name(DEPTH) / f"{picture.stem}.exr"


def read_depth(path: Path) -> NDArray[np.float32]:
    """Return the first channel (H, W) of an EXR file.

    Raises:
        DataError: missing, damaged, or too large.
        MissingDependency: OpenEXR is not installed.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; {_AGAIN}")
    exr = _openexr()
    if isinstance(path, PackedPath):
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, path.name)
            copy.write_bytes(path.read_bytes())
            return _read_exr(exr, copy, path)
    return _read_exr(exr, path, path)


def _read_exr(exr: Any, file_path: Path, path: Path) -> NDArray[np.float32]:
    """Return the first channel of a file; messages call it `path`."""
    try:
        with exr.File(str(file_path), header_only=True) as file:
            (left, top), (right, bottom) = file.header()["dataWindow"]
        if max(right - left, bottom - top) >= LARGEST_EDGE:
            raise DataError(
                f"{path}: {right - left + 1} x {bottom - top + 1} pixels are too many; {_AGAIN}"
            )
        with exr.File(str(file_path), separate_channels=True) as file:
            channels = file.channels()
            name = next((n for n in ("Z", "R", "Y") if n in channels), next(iter(channels)))
            return np.array(channels[name].pixels, dtype=np.float32)
    except DataError:
        raise
    except Exception as error:  # what the library raises is not documented
        raise DataError(f"{path}: not a readable EXR file ({error}); {_AGAIN}") from error


def write_depth(path: Path, depth: NDArray[np.float32]) -> None:
    """Write an EXR file with the channel Z, whole or not at all.

    Raises:
        MissingDependency: OpenEXR is not installed.
    """
    exr = _openexr()
    header = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
    with replacing(path) as temporary:
        exr.File(header, {"Z": np.ascontiguousarray(depth, dtype=np.float32)}).write(str(temporary))


def view_matrices(item: Path, number: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `camera_mat` (3, 3) or (3, 4) and `world_mat` (3, 4) of a picture.

    Raises:
        DataError: missing, damaged, of another shape, or not invertible.
    """
    path = item / DEPTH / CAMERAS
    keys = f"camera_mat_{number}", f"world_mat_{number}"
    found = read_npz(path, *keys)
    camera, world = (np.asarray(found[key], dtype=np.float64) for key in keys)
    good = camera.shape in ((3, 3), (3, 4)) and world.shape == (3, 4)
    good = good and bool(np.isfinite(camera).all() and np.isfinite(world).all())
    if not good or not _invertible(camera[:2, :2]) or not _invertible(world[:, :3]):
        raise DataError(
            f"{path}: {keys[0]} {camera.shape} and {keys[1]} {world.shape}: expected finite ones "
            f"of shape (3, 3) or (3, 4), and (3, 4), that can be inverted; {_AGAIN}"
        )
    return camera, world


def points_of_view(
    depth: NDArray[np.float32],  # (H, W)
    matrices: tuple[NDArray[np.float64], NDArray[np.float64]],
    frame: Callable[[], UnitFrame],  # of the item, for matrices of ours
) -> NDArray[np.float32]:  # (H, W, 3) in the frame of the point cloud
    """Return the points that the pixels show, by the convention that the matrices are of."""
    camera, world = matrices
    if camera.shape == (3, 4):
        return published_depth_points(depth, camera, world).astype(np.float32)
    unit = frame()
    points = depth_points(depth / unit.scale, Camera(camera, world).in_frame(unit))
    return points.astype(np.float32)


def _invertible(matrix: NDArray[np.float64]) -> bool:
    return bool(abs(np.linalg.det(matrix)) > 1e-12)


def _openexr() -> Any:
    try:
        import OpenEXR
    except ImportError:
        raise MissingDependency(
            "pictures of depth are EXR files; install OpenEXR: pip install 'onet[colors]'"
        ) from None
    return OpenEXR
