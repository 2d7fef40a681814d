"""Sparse, noisy point clouds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onet.data.inputs._protocol import UNIT, Input
from onet.data.inputs._registry import INPUTS
from onet.data.rows import rows_at
from onet.data.store import Item
from onet.data.store_folder import POINTCLOUD
from onet.data.transforms import Transforms
from onet.errors import ConfigError
from onet.files import replacing
from onet.geometry.extraction import UNIT_BOX
from onet.geometry.mesh_writing import points_ply
from onet.geometry.normalization import UnitFrame
from onet.geometry.point_cloud_io import (
    POINT_SUFFIXES,
    check_points,
    load_points,
    take_cloud,
)

if TYPE_CHECKING:
    from onet.nn.code import InputKind

logger = logging.getLogger(__name__)

SAME = 0.9  # of the points are different, or it is said
FLAT = 1e-3  # deviation from a plane or line, in units of the largest
HALF = UNIT_BOX[1][0]  # edge of the box that surfaces are searched in


@INPUTS.register("pointcloud")
class PointCloudInput(Input):
    """A sparse point cloud with Gaussian noise (Occupancy Networks, section 4.2).

    Args:
        count: number of points.
        noise: standard deviation of the noise, in units of the object's longest edge. The published
            configuration says 0.005, the thesis 0.05.
        transforms: sections `{type: name, **options}` of `onet.data.transforms.TRANSFORMS`, applied
            in this order to all surface points of a prepared item; `count` are then drawn of what
            they leave, and `noise` comes last. A user's own points are left as they are.
    """

    kind: ClassVar[InputKind] = "points"
    suffixes: ClassVar[tuple[str, ...]] = tuple(POINT_SUFFIXES)
    defines_frame: ClassVar[bool] = True

    def __init__(
        self,
        count: int = 300,
        noise: float = 0.005,
        transforms: list[dict[str, Any]] | None = None,
    ) -> None:
        if count < 1:
            raise ConfigError(f"data.input.count: {count} points; give at least 1")
        if not noise >= 0:
            raise ConfigError(f"data.input.noise: {noise}; give a standard deviation of 0 or more")
        self.count = count
        self.noise = noise
        self.transforms = Transforms(transforms or [], "data.input.transforms")

    @property
    def shape(self) -> tuple[int, ...]:
        """(count, 3)."""
        return (self.count, 3)

    def sample(
        self, item: Item, rng: np.random.Generator, *, training: bool = True
    ) -> NDArray[np.float32]:
        """Return an observation of a prepared item: (count, 3) float32 in the unit frame.

        Transforms that turn the object are left out; see `sample_moved`.
        """
        if not self.transforms:
            return self._choose(item.points(POINTCLOUD), rng)
        points, _ = self.transforms(*self._surface(item), rng, turn=False)
        return self._choose(points, rng)

    def sample_moved(
        self, item: Item, rng: np.random.Generator, *, training: bool = True
    ) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
        """Return the same after all transforms, and the rotation (3, 3) of those that turn it."""
        if not self.transforms:
            return self.sample(item, rng, training=training), None
        points, rotation = self.transforms(*self._surface(item), rng)
        return self._choose(points, rng), rotation

    def _surface(self, item: Item) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return all surface points (N, 3) of an item.

        Their normals (N, 3) too, if a transform needs them.
        """
        if self.transforms.need_normals:
            return item.load_pointcloud()
        return item.points(POINTCLOUD).astype(np.float32), None

    def _choose(self, surface: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float32]:
        """Points (count, 3) drawn from a surface (N, 3) with replacement, and noise."""
        chosen = rows_at(surface, rng.integers(len(surface), size=self.count))
        moved = rng.standard_normal(chosen.shape, dtype=np.float32)
        moved *= np.float32(self.noise)
        moved += chosen
        return moved

    def check_views_of_item(self) -> None:
        """Accept: clouds of an item are drawn independently, each with its own noise."""

    def read(self, path: str | Path) -> NDArray[np.float64]:
        """Points (N, 3) of a file in its own frame; see `load_points`."""
        return load_points(path)

    def take(self, observation: Any) -> NDArray[np.float64]:
        """Points (N, 3) in any frame, of whatever `take_cloud` takes."""
        return take_cloud(observation, "observation").points

    def frame(self, raw: NDArray[np.float64], name: str) -> UnitFrame:
        """That of the bounding box of the points."""
        return UnitFrame.of(raw, name)

    def common_frame(self, raws: Sequence[NDArray[np.float64]], name: str) -> UnitFrame:
        """That of the bounding box of all points together."""
        return self.frame(np.concatenate(raws), name)

    def observe(
        self,
        points: NDArray[np.floating],  # (N, 3)
        rng: np.random.Generator,
        frame: UnitFrame = UNIT,
    ) -> NDArray[np.float32]:
        """Return a user's observation as the model expects it: (count, 3) float32, unit frame.

        Of more points a random subset is used. Of fewer all are used and some repeated, with a
        warning. Others say how many are outside the box in which the surface will be searched, as
        they can be in a frame of one's own, how many of those used are the same, and that they lie
        in a plane or on a line. No noise is added.

        Raises:
            DataError: see `check_points`.
        """
        checked = check_points(points)
        if len(checked) >= self.count:  # chosen first: of many points few have to be moved
            checked = checked[rng.choice(len(checked), self.count, replace=False)]
        exact = frame.to_unit(checked)
        _say_degenerate(exact)
        placed = exact.astype(np.float32)
        outside = int((np.abs(placed) > HALF).any(axis=1).sum())
        if outside:
            logger.warning(
                "%d of %d points are outside the box [%g, %g]^3 of the unit frame, where the model "
                "knows nothing and no surface is searched; give the frame of the whole object",
                outside, len(placed), -HALF, HALF,
            )  # fmt: skip
        if len(placed) == self.count:
            return placed
        logger.warning(
            "the input has %d points and the model was trained with %d: repeating some of them",
            len(placed),
            self.count,
        )
        repeated = rng.integers(len(placed), size=self.count - len(placed))
        return np.concatenate([placed, placed[repeated]])

    def write(self, observation: NDArray[Any], path: Path, frame: UnitFrame) -> Path:
        """Write a PLY file in the source frame."""
        file = path.with_name(f"{path.name}.ply")
        with replacing(file) as temporary:
            temporary.write_bytes(points_ply(frame.to_source(observation)))
        return file


def _say_degenerate(points: NDArray[np.floating]) -> None:
    """Warn of points (N, 3) in the unit frame of which many are the same, or that are flat."""
    count = len(points)
    distinct = len(np.unique(points, axis=0))
    if count > 1 and distinct < SAME * count:
        logger.warning(
            "only %d of %d points are different; where the input repeats points, its surface is "
            "known worse than their number says", distinct, count,
        )  # fmt: skip
    if distinct < 4:
        return
    extents = np.linalg.svd(points - points.mean(axis=0), compute_uv=False) / np.sqrt(count)
    if extents[2] < FLAT * extents[0]:
        what = "on a line" if extents[1] < FLAT * extents[0] else "in a plane"
        logger.warning(
            "the points lie %s (they deviate by %.2g of their extent): they enclose no volume, and "
            "a solid cannot be told from them", what,
            extents[1 if what == "on a line" else 2] / extents[0],
        )  # fmt: skip
