"""Points of a surface that sensors see, by depth maps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.sampling import sample_surface
from onet.geometry.watertight import sphere_directions

VIEWS = 48  # directions from which an object is seen all around
PIXELS = 768  # along an edge of a depth map
NEAR = 2e-4  # of depth, what counts as no difference
TRIES = 400  # samples for each point that is wanted, before giving up

Vectors = NDArray[np.float64]  # (N, 3)


@dataclass(frozen=True, eq=False)
class Sensor:
    """One look at an object in the unit frame: from a place, or from far away in a direction.

    Attributes:
        towards: (3,) unit vector from the object to the sensor.
        distance: from the middle of the unit frame; infinite for parallel rays.
    """

    towards: NDArray[np.float64]
    distance: float = np.inf

    @property
    def position(self) -> NDArray[np.float64]:
        return self.towards * self.distance

    def axes(self) -> NDArray[np.float64]:
        """Return rows (3, 3): right, up, from the sensor to the object."""
        helper = np.eye(3)[int(np.argmin(np.abs(self.towards)))]
        right = np.cross(helper, self.towards)
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(self.towards, right), -self.towards])

    def project(self, points: Vectors) -> Vectors:
        """Return pixels and depth (N, 3) of points; of a place, the third is -1 / depth."""
        x, y, depth = self.axes() @ points.T
        if np.isfinite(self.distance):
            depth = depth + self.distance
            # A ball around the unit cube fills the picture.
            focal = np.sqrt(self.distance**2 - 0.75) / 0.75**0.5
            x, y, depth = focal * x / depth, focal * y / depth, -1 / depth
        else:
            x, y = x / 0.75**0.5, y / 0.75**0.5
        half = PIXELS / 2
        return np.column_stack([half + 0.98 * half * x, half + 0.98 * half * y, depth])


class DepthMap:
    """What a sensor sees of a mesh in the unit frame."""

    def __init__(self, mesh: trimesh.Trimesh, sensor: Sensor) -> None:
        from onet import _C

        self.sensor = sensor
        corners = sensor.project(np.asarray(mesh.vertices, dtype=np.float64))[mesh.faces]
        vertices = np.ascontiguousarray(corners.reshape(-1, 3))
        faces = np.arange(len(vertices), dtype=np.int64).reshape(-1, 3)
        _, front = _C.rasterize(vertices, faces, PIXELS, PIXELS)
        self.front = np.pad(front, 1, constant_values=-1)
        # Depth is linear in pixels over a face: depth = at + slope . (x, y).
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        with np.errstate(divide="ignore", invalid="ignore"):
            self.slope = -normal[:, :2] / normal[:, 2:]
        self.at = corners[:, 0, 2] - (self.slope * corners[:, 0, :2]).sum(axis=1)

    def sees(self, points: Vectors, faces: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each point (N, 3) of its face (N,) is seen.

        It is where its face is the front one in its pixel or one beside it, and where it is not
        behind the plane of the front one, as points of faces smaller than pixels are. Where there
        is none in all of these pixels, as at needles, it is seen too.
        """
        projected = self.sensor.project(points)
        places = projected[:, :2]
        column, row = np.clip(np.floor(places).astype(int) + 1, 1, PIXELS).T
        seen, alone = np.zeros(len(points), dtype=bool), np.ones(len(points), dtype=bool)
        for down, right in np.ndindex(3, 3):
            beside = self.front[row + down - 1, column + right - 1]
            seen |= beside == faces
            alone &= beside < 0
        front, own = self.front[row, column], projected[:, 2]
        with np.errstate(invalid="ignore"):  # planes along the ray are never in front
            depth = self.at[front] + (self.slope[front] * places).sum(axis=1)
        near = NEAR if np.isinf(self.sensor.distance) else NEAR * own**2
        seen |= alone | ((front >= 0) & (own <= depth + near))
        return seen


def seen_points(
    mesh: trimesh.Trimesh,  # in the unit frame
    sensors: Iterable[Sensor],
    count: int,
    rng: np.random.Generator,
) -> tuple[Vectors, Vectors]:
    """Draw points uniformly over the part of a surface that at least one sensor sees.

    Returns:
        points (count, 3) and their normals (count, 3), those of their faces turned to the sensors
        that see them, by the sum of cosines.

    Raises:
        DataError: nothing of the mesh is seen.
    """
    maps = [DepthMap(mesh, sensor) for sensor in sensors]
    points, normals, found, drawn = [], [], 0, 0
    while found < count:
        if drawn > TRIES * count:
            raise DataError(f"{found} of {drawn} points of the surface are seen; turn the sensor")
        some, directions, faces = sample_surface(mesh, count, rng)
        sign = _facing(maps, some, directions, faces)
        seen = sign != 0
        points.append(some[seen])
        normals.append(directions[seen] * sign[seen, None])
        found, drawn = found + int(seen.sum()), drawn + count
    return np.concatenate(points)[:count], np.concatenate(normals)[:count]


def _facing(
    maps: list[DepthMap], points: Vectors, normals: Vectors, faces: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return 0 where no sensor sees a point, else 1 or -1: whether its normal faces the sensor."""
    total = np.zeros(len(points))
    for depth_map in maps:
        sensor = depth_map.sensor
        if np.isfinite(sensor.distance):
            ray = sensor.position - points
            ray /= np.linalg.norm(ray, axis=1, keepdims=True)
            cosine = np.einsum("ij,ij->i", normals, ray)
        else:
            cosine = normals @ sensor.towards
        total += np.where(depth_map.sees(points, faces), cosine, 0.0)
    return np.sign(total)


def all_around() -> list[Sensor]:
    """Return sensors far away on all sides."""
    return [Sensor(direction) for direction in sphere_directions(VIEWS)]


def one_sensor(rng: np.random.Generator) -> Sensor:
    """Return a sensor in a random direction, 1.5 to 3 longest edges from the middle."""
    direction = rng.standard_normal(3)
    return Sensor(direction / np.linalg.norm(direction), float(rng.uniform(1.5, 3)))
