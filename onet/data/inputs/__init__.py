"""What a model is given to look at: observations drawn from a prepared item, or from a user's data.

An input is a class registered in `INPUTS`; its constructor's arguments are its configuration. It
inherits from the protocol `Input`, which is what the rest of the package uses of it: nobody asks
for the name or the class of an input, but for what it says of itself.
"""

from __future__ import annotations

from onet.data.inputs._protocol import UNIT, Arrays, Collected, Input
from onet.data.inputs._registry import INPUTS
from onet.data.inputs.colored_cloud import ColoredCloudInput
from onet.data.inputs.image import ImageInput
from onet.data.inputs.index import IndexInput
from onet.data.inputs.none import NoInput
from onet.data.inputs.pointcloud import PointCloudInput
from onet.data.inputs.sequences import ImageSequenceInput, PointSequenceInput
from onet.data.inputs.voxels import VoxelInput

__all__ = [
    "INPUTS",
    "UNIT",
    "Arrays",
    "Collected",
    "ColoredCloudInput",
    "ImageInput",
    "ImageSequenceInput",
    "IndexInput",
    "Input",
    "NoInput",
    "PointCloudInput",
    "PointSequenceInput",
    "VoxelInput",
]
