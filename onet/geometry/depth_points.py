"""Points of a surface from pictures of its depth.

Two conventions of cameras. Ours (`onet.geometry.cameras`): K (3, 3) in pixels, x right, y down,
z forward, the centre of a pixel at its number plus 1/2. That of the published Texture Fields:
K (3, 4) without pixels, the picture reaching from 0 to 2 both ways, x right, y up, z backward, and
the place of a pixel at its lower left corner, without the half; square pictures alone are right
there. Depth is along the axis of the camera in both, positive, and infinite where nothing is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.geometry.cameras import Camera


def seen(
    depth: ArrayLike,  # (H, W)
) -> NDArray[np.bool_]:  # (H, W)
    """Return where a picture of depth shows something: finite and above 0."""
    values = np.asarray(depth)
    return np.isfinite(values) & (values > 0)


def depth_points(
    depth: ArrayLike,  # (H, W)
    camera: Camera,
) -> NDArray[np.float64]:  # (H, W, 3)
    """Return the points in the world that the pixels show, the camera's centre where nothing is."""
    values = np.where(seen(depth), depth, 0.0)
    rows, columns = np.indices(values.shape) + 0.5
    pixels = np.stack([columns, rows, np.ones_like(rows)], -1)
    rays = pixels @ np.linalg.inv(camera.intrinsics).T
    rotation, offset = camera.pose[:, :3], camera.pose[:, 3]
    return np.asarray((rays * values[..., None] - offset) @ np.linalg.inv(rotation).T)


def published_depth_points(
    depth: ArrayLike,  # (S, S)
    camera_mat: ArrayLike,  # (3, 4)
    world_mat: ArrayLike,  # (3, 4)
) -> NDArray[np.float64]:  # (S, S, 3)
    """Return the same by the published convention, exactly as the published networks were trained.

    Raises:
        ValueError: the picture is not square.
    """
    values = np.where(seen(depth), depth, 0.0)
    size, width = values.shape
    if size != width:
        raise ValueError(f"pictures of {width} x {size} pixels: the convention is for square ones")
    camera, world = (np.asarray(mat, dtype=np.float64) for mat in (camera_mat, world_mat))
    rows, columns = np.indices(values.shape)
    places = np.stack([columns, size - rows], -1) * (2 / size)
    along = -values[..., None]
    flat = (places * camera[2, 2] - camera[:2, 2]) * along @ np.linalg.inv(camera[:2, :2]).T
    inside = np.concatenate([flat, along], -1) - world[:, 3]
    return np.asarray(inside @ np.linalg.inv(world[:, :3]).T)


def published_matrices(
    camera: Camera, size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `camera_mat` and `world_mat` (3, 4) by which the published way finds our points.

    The half pixel that it leaves out is part of `camera_mat`: of depth at the middles of pixels it
    makes points of the surface.

    Args:
        camera: ours, of a picture of `size` pixels without skew.
        size: pixels along an edge of the square picture.
    """
    focal = np.diag(camera.intrinsics)[:2] * (2 / size)
    middle = camera.intrinsics[:2, 2] * (2 / size)
    # Places count to 2 both ways and upwards; the middle of a pixel is 1 / size further.
    shift = np.array([middle[0] - 1 / size, 2 - middle[1] + 1 / size])
    camera_mat = np.zeros((3, 4))
    camera_mat[:2, :2] = np.diag(focal)
    camera_mat[:, 2] = [*-shift, -1]
    world_mat = np.diag([1.0, -1.0, -1.0]) @ camera.pose
    return camera_mat, world_mat
