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
        self.corners = sensor.project(np.asarray(mesh.vertices, dtype=np.float64))[mesh.faces]
        vertices = self.corners.reshape(-1, 3)
        faces = np.arange(len(vertices), dtype=np.int64).reshape(-1, 3)
        self.depth, _ = _C.rasterize(np.ascontiguousarray(vertices), faces, PIXELS, PIXELS)
        first, second = (self.corners[:, k] - self.corners[:, 0] for k in (1, 2))
        normal = np.cross(first, second)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.abs(normal[:, :2]).sum(axis=1) / np.abs(normal[:, 2])
        # How much deeper a face may be at a point than at the middle of the point's pixel.
        self.slack = np.where(np.isfinite(slope), 0.5 * slope, 0.0)

    def sees(self, points: Vectors, faces: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each point (N, 3) of its face (N,) is seen.

        A face may hide itself by no more than its slope within a pixel; what is within a thousandth
        of the unit behind another face counts as seen.
        """
        projected = self.sensor.project(points)
        column, row = np.clip(np.floor(projected[:, :2]).astype(int), 0, PIXELS - 1).T
        front = self.depth[row, column]
        own = projected[:, 2]
        near = 1e-3 if np.isinf(self.sensor.distance) else 1e-3 * own**2
        return own <= front + self.slack[faces].clip(max=20 * near) + near


def seen_points(
    mesh: trimesh.Trimesh,  # in the unit frame
    sensors: Iterable[Sensor],
    count: int,
    rng: np.random.Generator,
) -> tuple[Vectors, Vectors]:
    """Draw points uniformly over the part of a surface that at least one sensor sees.

    Returns:
        points (count, 3) and their normals (count, 3), those of their faces turned to the sensor
        that sees them least at a slant.

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
    best = np.zeros(len(points))
    for depth_map in maps:
        sensor = depth_map.sensor
        if np.isfinite(sensor.distance):
            ray = sensor.position - points
            ray /= np.linalg.norm(ray, axis=1, keepdims=True)
            cosine = np.einsum("ij,ij->i", normals, ray)
        else:
            cosine = normals @ sensor.towards
        better = np.flatnonzero(np.abs(cosine) > np.abs(best))
        better = better[depth_map.sees(points[better], faces[better])]
        best[better] = cosine[better]
    return np.sign(best)


def all_around() -> list[Sensor]:
    """Return sensors far away on all sides."""
    return [Sensor(direction) for direction in sphere_directions(VIEWS)]


def one_sensor(rng: np.random.Generator) -> Sensor:
    """Return a sensor in a random direction, 1.5 to 3 longest edges from the middle."""
    direction = rng.standard_normal(3)
    return Sensor(direction / np.linalg.norm(direction), float(rng.uniform(1.5, 3)))
