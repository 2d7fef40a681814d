"""The colours of the surface points of an item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from onet.data.parts._part import ColoredPart, Shape
from onet.data.store import Item
from onet.data.store_folder import POINT_COLORS
from onet.files import replacing
from onet.geometry.color.textured import SurfaceColors
from onet.geometry.color.textured_files import load_textured


@dataclass(frozen=True)
class ColoredPoints(ColoredPart):
    """For each of the points of `pointcloud.npz` the colour of the closest place of the mesh.

    Attributes:
        pictures: how many pictures they were asked for with.
    """

    name: ClassVar[str] = POINT_COLORS
    fields_of: ClassVar[Mapping[str, str]] = {"pictures": "render"}
    pictures: int

    def write(self, folder: Path, shape: Shape) -> None:
        item = Item("", folder.name, folder)
        points = item.frame().to_source(item.load_pointcloud()[0].astype(np.float64))
        colors = SurfaceColors(load_textured(shape.path))(points)
        with replacing(folder / self.name) as temporary:
            np.savez(temporary, colors=np.round(255 * colors).astype(np.uint8))
