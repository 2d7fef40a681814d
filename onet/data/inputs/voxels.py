"""Occupancy grids."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onet.data.inputs._protocol import UNIT, Input
from onet.data.inputs._registry import INPUTS
from onet.data.store import Item
from onet.data.store_folder import VOXELS
from onet.errors import ConfigError
from onet.geometry.normalization import UnitFrame
from onet.geometry.voxels import (
    VOXEL_SUFFIXES,
    VoxelGrid,
    check_voxels,
    read_voxels,
    resample_voxels,
    write_binvox,
)

if TYPE_CHECKING:
    from onet.nn.code import InputKind


@INPUTS.register("voxels")
class VoxelInput(Input):
    """A coarse grid of the object, for super-resolution (Occupancy Networks, section 4.3).

    A grid of another resolution is resampled where one of the two divides the other
    (`resample_voxels`), and refused otherwise.

    Args:
        file: the file of an item that holds the grid.
        resolution: voxels along an edge of what the network sees.
    """

    kind: ClassVar[InputKind] = "voxels"
    suffixes: ClassVar[tuple[str, ...]] = VOXEL_SUFFIXES
    defines_frame: ClassVar[bool] = True

    def __init__(self, file: str = VOXELS, resolution: int = 32) -> None:
        if resolution < 1:
            raise ConfigError(f"data.input.resolution: {resolution} voxels; give at least 1")
        self.file = file
        self.resolution = resolution

    @property
    def shape(self) -> tuple[int, ...]:
        """(resolution, resolution, resolution)."""
        return (self.resolution,) * 3

    def sample(
        self, item: Item, rng: np.random.Generator, *, training: bool = True
    ) -> NDArray[np.float32]:
        """Return the grid of a prepared item: (R, R, R) float32 of 0 and 1, indexed [x, y, z]."""
        return self._fit(item.voxels(self.file), str(item.path / self.file))

    def read(self, path: str | Path) -> VoxelGrid:
        """Read a grid and its place; see `read_voxels`."""
        grid = read_voxels(path)
        resample_voxels(grid.full, self.resolution, str(path))  # the error that names the file
        return grid

    def take(self, observation: Any) -> VoxelGrid:
        """Return a `VoxelGrid`, or an array (R, R, R) that fills the unit cube."""
        if isinstance(observation, VoxelGrid):
            return observation
        return VoxelGrid(check_voxels(observation, "observation"), UNIT)

    def frame(self, raw: VoxelGrid, name: str) -> UnitFrame:
        """The cube of the grid is the unit cube."""
        return raw.frame

    def observe(
        self, raw: VoxelGrid, rng: np.random.Generator, frame: UnitFrame = UNIT
    ) -> NDArray[np.float32]:
        """Return the grid at the network's resolution, float32."""
        return self._fit(raw.full, "voxels")

    def write(self, observation: NDArray[Any], path: Path, frame: UnitFrame) -> Path:
        """Write a binvox file, in the source frame."""
        file = path.with_name(f"{path.name}.binvox")
        write_binvox(file, VoxelGrid(observation > 0.5, frame))
        return file

    def _fit(self, full: NDArray[np.bool_], name: str) -> NDArray[np.float32]:
        return resample_voxels(full, self.resolution, name).astype(np.float32)
