"""The colours of the surface points of an item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from onet.data.parts._part import Part, Shape
from onet.data.store import Item
from onet.data.store_folder import POINT_COLORS
from onet.files import replacing
from onet.geometry.color.textured import SurfaceColors
from onet.geometry.color.textured_files import load_textured

if TYPE_CHECKING:
    from onet.data.settings import PrepareSettings


@dataclass(frozen=True)
class ColoredPoints(Part):
    """For each of the points of `pointcloud.npz` the colour of the closest place of the mesh.

    Attributes:
        pictures: how many pictures they were asked for with.
    """

    name: ClassVar[str] = POINT_COLORS
    fields_of: ClassVar[Mapping[str, str]] = {"pictures": "render"}
    needs_closed_mesh: ClassVar[bool] = False
    needs_colors: ClassVar[bool] = True

    pictures: int

    @classmethod
    def wanted(cls, settings: PrepareSettings) -> Self | None:
        """Return the part if colours are asked for."""
        return super().wanted(settings) if settings.colours else None

    @classmethod
    def settings_of(cls, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that ask for the part; see `Part`."""
        found = super().settings_of(record)
        return found | {"colours": True} if found else {}

    def write(self, folder: Path, shape: Shape) -> None:
        item = Item("", folder.name, folder)
        points = item.frame().to_source(item.load_pointcloud()[0].astype(np.float64))
        colors = SurfaceColors(load_textured(shape.path))(points)
        with replacing(folder / self.name) as temporary:
            np.savez(temporary, colors=np.round(255 * colors).astype(np.uint8))
