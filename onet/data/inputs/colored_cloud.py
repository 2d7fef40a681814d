"""Sparse, noisy point clouds with colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onet.data.inputs._protocol import UNIT, Input
from onet.data.inputs._registry import INPUTS
from onet.data.store import Item
from onet.errors import ConfigError, DataError
from onet.files import replacing
from onet.geometry.clouds.cloud import PointCloud
from onet.geometry.mesh_writing import points_ply
from onet.geometry.normalization import UnitFrame
from onet.geometry.point_cloud_io import POINT_SUFFIXES, load_cloud, take_cloud
from onet.nn.code import InputKind


@INPUTS.register("colored_pointcloud")
class ColoredCloudInput(Input):
    """A sparse point cloud with Gaussian noise, each point with the colour of its place.

    An observation is (count, 6) float32, places in the unit frame and sRGB in [0, 1]. Prepared
    items need the colours of their surface points (`onet prepare --render 12 --colours`).

    Args:
        count: number of points.
        noise: standard deviation of places, in units of the object's longest edge.
        color_noise: standard deviation of colours, which are cut to [0, 1].

    Raises:
        ConfigError: numbers below 1, or deviations below 0.
    """

    kind: ClassVar[InputKind] = "colored_points"
    suffixes: ClassVar[tuple[str, ...]] = tuple(POINT_SUFFIXES)
    defines_frame: ClassVar[bool] = True
    multiview: ClassVar[bool] = False

    def __init__(self, count: int = 3000, noise: float = 0.005, color_noise: float = 0.0) -> None:
        if count < 1:
            raise ConfigError(f"data.input.count: {count} points; give at least 1")
        for name, value in (("noise", noise), ("color_noise", color_noise)):
            if not value >= 0:
                raise ConfigError(
                    f"data.input.{name}: {value}; give a standard deviation of 0 or more"
                )
        self.count, self.noise, self.color_noise = count, noise, color_noise

    @property
    def shape(self) -> tuple[int, ...]:
        """(count, 6)."""
        return (self.count, 6)

    def sample(
        self, item: Item, rng: np.random.Generator, *, training: bool = True
    ) -> NDArray[np.float32]:
        """Return an observation of a prepared item, with noise; see the class.

        Raises:
            DataError: the item has no colours, or damaged ones.
        """
        points, _ = item.load_pointcloud()
        chosen = rng.integers(len(points), size=self.count)
        places = points[chosen]
        colors = item.load_colors()[chosen] / np.float32(255)
        places += np.float32(self.noise) * rng.standard_normal(places.shape, dtype=np.float32)
        drawn = rng.standard_normal(colors.shape, dtype=np.float32)
        colors = np.clip(colors + np.float32(self.color_noise) * drawn, 0, 1)
        return np.concatenate([places, colors], axis=1, dtype=np.float32)

    def read(self, path: str | Path) -> PointCloud:
        """Return a cloud of a file in its own frame; see `load_cloud`.

        Raises:
            DataError: also where it has no colours.
        """
        return _colored(load_cloud(path), str(path))

    def take(self, observation: Any) -> PointCloud:
        """Return a cloud in any frame, of whatever `take_cloud` takes."""
        return _colored(take_cloud(observation, "observation"), "observation")

    def frame(self, raw: PointCloud, name: str) -> UnitFrame:
        """That of the bounding box of the points."""
        return UnitFrame.of(raw.points, name)

    def observe(
        self, raw: PointCloud, rng: np.random.Generator, frame: UnitFrame = UNIT
    ) -> NDArray[np.float32]:
        """Return a user's cloud as the model expects it.

        Of more points a random subset is used; of fewer some are repeated. No noise is added.
        """
        total = len(raw.points)
        if total >= self.count:
            chosen = rng.choice(total, self.count, replace=False)
        else:
            repeated = rng.integers(total, size=self.count - total)
            chosen = np.concatenate([np.arange(total), repeated])
        assert raw.colors is not None  # `_colored` has looked
        places, colors = frame.to_unit(raw.points[chosen]), raw.colors[chosen] / 255
        return np.concatenate([places, colors], axis=1, dtype=np.float32)

    def write(self, observation: Any, path: Path, frame: UnitFrame) -> Path:
        """Write a PLY file in the source frame, with colours."""
        file = path.with_name(f"{path.name}.ply")
        places, colors = np.split(observation, 2, axis=1)
        colors = np.round(255 * colors).astype(np.uint8)
        with replacing(file) as temporary:
            temporary.write_bytes(points_ply(frame.to_source(places), colors=colors))
        return file


def _colored(cloud: PointCloud, name: str) -> PointCloud:
    """Return the cloud.

    Raises:
        DataError: it has no colours.
    """
    if cloud.colors is None:
        raise DataError(
            f"{name}: the points have no colours; give a file with red, green and blue for each, "
            "or use a network that observes pictures"
        )
    return cloud
