"""Sparse, noisy point clouds."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onet.data.inputs import INPUTS, UNIT
from onet.data.store import POINTCLOUD, Item
from onet.errors import ConfigError
from onet.files import replacing
from onet.geometry.normalization import UnitFrame
from onet.geometry.point_cloud_io import POINT_SUFFIXES, check_points, load_points

logger = logging.getLogger(__name__)


@INPUTS.register("pointcloud")
class PointCloudInput:
    """A sparse point cloud with Gaussian noise (Occupancy Networks, section 4.2).

    Args:
        count: number of points.
        noise: standard deviation of the noise, in units of the object's longest edge. The published
            configuration says 0.005, the thesis 0.05.
    """

    suffixes: ClassVar[tuple[str, ...]] = tuple(POINT_SUFFIXES)
    defines_frame: ClassVar[bool] = True

    def __init__(self, count: int = 300, noise: float = 0.005) -> None:
        if count < 1:
            raise ConfigError(f"data.input.count: {count} points; give at least 1")
        if not noise >= 0:
            raise ConfigError(f"data.input.noise: {noise}; give a standard deviation of 0 or more")
        self.count = count
        self.noise = noise

    def sample(
        self, item: Item, rng: np.random.Generator, *, training: bool = True
    ) -> NDArray[np.float32]:
        """An observation of a prepared item: (count, 3) float32 in the unit frame."""
        return self.draw(item.points(POINTCLOUD), rng)

    def draw(
        self,
        surface: NDArray[np.floating],  # (N, 3) in the unit frame
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        """An observation of a surface: (count, 3) of its points, with noise."""
        chosen = surface.take(rng.integers(len(surface), size=self.count), axis=0).astype(
            np.float32
        )
        noise = rng.standard_normal(chosen.shape, dtype=np.float32)
        return chosen + np.float32(self.noise) * noise

    def read(self, path: str | Path) -> NDArray[np.float64]:
        """Points (N, 3) of a file in its own frame; see `load_points`."""
        return load_points(path)

    def take(self, observation: Any) -> NDArray[np.float64]:
        """Points (N, 3) in any frame; see `check_points`."""
        return check_points(observation, "observation")

    def frame(self, raw: NDArray[np.float64], name: str) -> UnitFrame:
        """That of the bounding box of the points."""
        return UnitFrame.of(raw, name)

    def observe(
        self,
        points: NDArray[np.floating],  # (N, 3)
        rng: np.random.Generator,
        frame: UnitFrame = UNIT,
    ) -> NDArray[np.float32]:
        """A user's observation as the model expects it: (count, 3) float32 in the unit frame.

        Of more points a random subset is used. Of fewer all are used and some repeated, with a
        warning. No noise is added.

        Raises:
            DataError: see `check_points`.
        """
        checked = check_points(frame.to_unit(points)).astype(np.float32)
        if len(checked) >= self.count:
            return checked[rng.choice(len(checked), self.count, replace=False)]
        logger.warning(
            "the input has %d points and the model was trained with %d: repeating some of them",
            len(checked),
            self.count,
        )
        repeated = rng.integers(len(checked), size=self.count - len(checked))
        return np.concatenate([checked, checked[repeated]])

    def write(self, observation: NDArray[Any], path: Path, frame: UnitFrame) -> Path:
        """A PLY file in the source frame."""
        import trimesh

        file = path.with_name(f"{path.name}.ply")
        cloud = trimesh.PointCloud(frame.to_source(observation)).export(file_type="ply")
        with replacing(file) as temporary:
            temporary.write_bytes(cloud)
        return file
