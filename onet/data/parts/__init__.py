"""What a prepared item may hold besides points, surface and mesh: one class a part.

A new part is a file with a class derived from `Part`, a line in `PARTS`, and the setting that asks
for it in `onet.data.settings.PrepareSettings`; the command line has it then too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onet.data.parts._part import PARTS_KEY, Part, Shape
from onet.data.parts.colored_points import ColoredPoints
from onet.data.parts.colored_views import ColoredDepth, ColoredPictures
from onet.data.parts.near_surface import NearSurface
from onet.data.parts.renderings import Renderings
from onet.data.parts.voxels import Voxels

if TYPE_CHECKING:
    from onet.data.settings import PrepareSettings

__all__ = [
    "PARTS",
    "PARTS_KEY",
    "ColoredDepth",
    "ColoredPictures",
    "ColoredPoints",
    "NearSurface",
    "Part",
    "Renderings",
    "Shape",
    "Voxels",
    "wanted_parts",
]

PARTS: list[type[Part]] = [
    Renderings,
    ColoredPictures,
    ColoredDepth,
    ColoredPoints,
    Voxels,
    NearSurface,
]
"""All parts, in the order in which they are made."""


def wanted_parts(settings: PrepareSettings) -> list[Part]:
    """Return the parts that the settings ask for."""
    return [part for kind in PARTS if (part := kind.wanted(settings)) is not None]
