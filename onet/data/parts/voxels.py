"""The occupancy grid of an item."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from onet.data.parts._part import Part, Shape
from onet.data.store_folder import VOXELS
from onet.geometry.voxels import VoxelGrid, voxelize, write_binvox


@dataclass(frozen=True)
class Voxels(Part):
    """A grid of the unit cube; voxels that the closed mesh touches or encloses are full.

    Attributes:
        resolution: voxels along an edge; published is 32.
    """

    name: ClassVar[str] = VOXELS
    fields_of: ClassVar = {"resolution": "voxels"}

    resolution: int

    def write(self, folder: Path, shape: Shape) -> None:
        closed = shape.require_closed()
        full = voxelize(closed.mesh, self.resolution)
        write_binvox(folder / self.name, VoxelGrid(full, closed.frame))
