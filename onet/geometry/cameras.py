"""Pinhole cameras around an object, and the file format of the published renderings.

Conventions: the world is the source frame of a mesh, y up; camera axes are x right, y down, z
forward; pixel (column i, row j) has its centre at (i + 0.5, j + 0.5). So
`depth * (u, v, 1) = K @ (R @ point + t)`.

Published (renderings of Choy et al., 3D-R2N2, with the cameras of Occupancy Networks): pictures of
137 x 137 pixels, a focal length of 35 mm on a sensor of 32 mm, principal point in the middle, the
camera at azimuth, elevation and 1.75 times a ratio from the origin, looking at it, `world_mat`
with the change from y up to z up multiplied in, so that it takes y-up points.

Chosen here, because the published values are one random list per object: azimuths of the ring in
equal steps from 0, elevations uniform in 25 to 30 degrees, ratios uniform in 0.70 to 0.95 (from
0.687 on an object of diagonal 1 never leaves the picture), and all of `random_cameras`.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.archives import as_path, read_member
from onet.errors import DataError
from onet.files import replacing
from onet.geometry.normalization import UnitFrame

PUBLISHED_SIZE = 137
PUBLISHED_VIEWS = 24
FOCAL_MM, SENSOR_MM = 35.0, 32.0
MAX_DISTANCE = 1.75  # of a camera with ratio 1, in units of the object's diagonal

RING_ELEVATION = (25.0, 30.0)
RANDOM_ELEVATION = (-15.0, 60.0)
DISTANCE_RATIO = (0.70, 0.95)
_RENDER_AGAIN = "render the item again with `onet prepare --render`"


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera.

    Attributes:
        intrinsics: (3, 3) float64, K, in pixels.
        pose: (3, 4) float64, [R | t], from the world to the camera.
    """

    intrinsics: NDArray[np.float64]
    pose: NDArray[np.float64]

    @property
    def centre(self) -> NDArray[np.float64]:
        """Position (3,) in the world."""
        return np.asarray(-np.linalg.solve(self.pose[:, :3], self.pose[:, 3]), dtype=np.float64)

    def project(
        self,
        points: ArrayLike,  # (N, 3) in the world
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixels (N, 2), column and row, and depths (N,), positive in front of the camera."""
        seen = np.asarray(points, dtype=np.float64) @ self.pose[:, :3].T + self.pose[:, 3]
        image = seen @ self.intrinsics.T
        with np.errstate(divide="ignore", invalid="ignore"):
            return image[:, :2] / image[:, 2:], seen[:, 2]

    @property
    def projection(self) -> NDArray[np.float64]:
        """P (3, 4): `depth * (u, v, 1) = P @ (point, 1)`."""
        return self.intrinsics @ self.pose

    def resized(self, factor: float, down: float | None = None) -> Camera:
        """Return the same camera with `factor` times as many pixels along each edge of the picture.

        Pictures that are stretched have `down` times as many rows.
        """
        scale = np.diag([factor, factor if down is None else down, 1.0])
        return Camera(scale @ self.intrinsics, self.pose)

    def in_frame(self, frame: UnitFrame) -> Camera:
        """Return the camera for points in a unit frame, where the world is its source frame.

        Pixels stay; depths are in the units of the frame.
        """
        offset = self.pose[:, :3] @ frame.loc + self.pose[:, 3]
        return Camera(self.intrinsics, np.column_stack([self.pose[:, :3], offset / frame.scale]))


def sees_unit_cube(
    projection: ArrayLike,  # (3, 4) from the unit frame to pixels
    size: int,
) -> bool:
    """Return whether a square picture of `size` pixels may show a part of [-0.5, 0.5]^3.

    It cannot where all corners are behind the camera or beyond the same edge of the picture.
    """
    corners = np.stack(np.meshgrid(*[(-0.5, 0.5)] * 3, [1.0]), -1).reshape(8, 4)
    x, y, depth = np.asarray(projection, dtype=np.float64) @ corners.T
    sides = (depth, x, y, size * depth - x, size * depth - y)
    return all(bool((side > 0).any()) for side in sides)


def pinhole(
    size: int = PUBLISHED_SIZE, focal_mm: float = FOCAL_MM, sensor_mm: float = SENSOR_MM
) -> NDArray[np.float64]:
    """K (3, 3) of a square picture of `size` pixels with the principal point in its middle."""
    focal = focal_mm * size / sensor_mm
    return np.array([[focal, 0.0, size / 2], [0.0, focal, size / 2], [0.0, 0.0, 1.0]])


def look_at(
    eye: ArrayLike,  # (3,)
    target: ArrayLike = (0.0, 0.0, 0.0),  # (3,)
    up: ArrayLike = (0.0, 1.0, 0.0),  # (3,)
) -> NDArray[np.float64]:
    """Pose (3, 4) of a camera at `eye` that has `target` in its middle and `up` upwards.

    Raises:
        ValueError: `eye` is at `target`, or `up` is along the line between them.
    """
    position = np.asarray(eye, dtype=np.float64)
    forward = np.asarray(target, dtype=np.float64) - position
    right = np.cross(forward, np.asarray(up, dtype=np.float64))
    if not np.linalg.norm(right) > 1e-12 * np.linalg.norm(forward):
        raise ValueError(f"eye {position.tolist()} is at the target, or looks along up")
    forward /= np.linalg.norm(forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return np.column_stack([rotation, -rotation @ position])


def published_camera(
    azimuth: float,
    elevation: float,
    ratio: float,
    size: int = PUBLISHED_SIZE,
    centre: ArrayLike = (0.0, 0.0, 0.0),  # (3,)
    diagonal: float = 1.0,
) -> Camera:
    """Return the camera of a rendering of 3D-R2N2.

    Args:
        azimuth, elevation: in degrees; azimuth 0 looks from +x, 90 from +z.
        ratio: distance in units of `MAX_DISTANCE`.
        size: pixels along an edge of the picture.
        centre, diagonal: of the object's bounding box; published are objects of ShapeNet, which
            have about the default.
    """
    a, e = np.radians([azimuth, elevation])
    towards = np.array([np.cos(a) * np.cos(e), np.sin(e), np.sin(a) * np.cos(e)])
    target = np.asarray(centre, dtype=np.float64)
    eye = target + ratio * MAX_DISTANCE * diagonal * towards
    return Camera(pinhole(size), look_at(eye, target))


def ring_cameras(
    bounds: ArrayLike,  # (2, 3) of the object
    count: int = PUBLISHED_VIEWS,
    size: int = PUBLISHED_SIZE,
    rng: np.random.Generator | None = None,
) -> list[Camera]:
    """Cameras at equal steps of azimuth, slightly above; the ring of 3D-R2N2, see the module.

    Elevations and distances are drawn from `rng`; without one they are the middles of their ranges.
    """
    return _around(bounds, np.arange(count) * 360.0 / count, RING_ELEVATION, size, rng)


def random_cameras(
    bounds: ArrayLike,  # (2, 3) of the object
    count: int,
    size: int,
    rng: np.random.Generator,
) -> list[Camera]:
    """Cameras from all sides, uniform over the band of the sphere from 15 degrees below to 60
    above."""
    return _around(bounds, rng.uniform(0, 360, count), RANDOM_ELEVATION, size, rng)


def cameras_by_name(
    name: Literal["ring", "random"],
    bounds: ArrayLike,  # (2, 3) of the object
    count: int,
    size: int,
    rng: np.random.Generator,
) -> list[Camera]:
    """Return those of `ring_cameras` or of `random_cameras`."""
    arrange = ring_cameras if name == "ring" else random_cameras
    return arrange(bounds, count, size, rng)


def _around(
    bounds: ArrayLike,
    azimuths: NDArray[np.float64],
    elevations: tuple[float, float],
    size: int,
    rng: np.random.Generator | None,
) -> list[Camera]:
    box = np.asarray(bounds, dtype=np.float64)
    centre, diagonal = box.mean(axis=0), float(np.linalg.norm(box[1] - box[0]))
    sines = np.sin(np.radians(elevations))
    draws = np.full((len(azimuths), 2), 0.5) if rng is None else rng.random((len(azimuths), 2))
    low, high = DISTANCE_RATIO
    return [
        published_camera(
            float(azimuth),
            float(np.degrees(np.arcsin(sines[0] + (sines[1] - sines[0]) * up))),
            low + (high - low) * far,
            size,
            centre,
            diagonal,
        )
        for azimuth, (up, far) in zip(azimuths, draws, strict=True)
    ]


def write_cameras(path: str | os.PathLike[str], cameras: Sequence[Camera]) -> None:
    """Write `cameras.npz` atomically: `camera_mat_{i}` (3, 3) and `world_mat_{i}` (3, 4)."""
    arrays = {f"camera_mat_{i}": camera.intrinsics for i, camera in enumerate(cameras)}
    arrays |= {f"world_mat_{i}": camera.pose for i, camera in enumerate(cameras)}
    with replacing(Path(path)) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]


def read_cameras(path: str | os.PathLike[str]) -> list[Camera]:
    """Return the cameras of a `cameras.npz`, ours or published, in the order of their numbers.

    Raises:
        DataError: missing, damaged, or matrices of another shape.
    """
    path = as_path(path)
    cameras: list[Camera] = []
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            while f"world_mat_{len(cameras)}" in archive:
                number = len(cameras)
                keys = [f"{name}_{number}" for name in ("camera_mat", "world_mat")]
                pair = [read_member(archive, key, path, _RENDER_AGAIN) for key in keys]
                cameras.append(Camera(*(np.asarray(matrix, dtype=np.float64) for matrix in pair)))
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file; render again with `onet prepare --render`"
        ) from None
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read ({error}); render the item again") from error
    good = all(c.intrinsics.shape == (3, 3) and c.pose.shape == (3, 4) for c in cameras)
    if not cameras or not good:
        raise DataError(
            f"{path}: expected camera_mat_0 (3, 3), world_mat_0 (3, 4), ... ; render the item again"
        )
    return cameras
