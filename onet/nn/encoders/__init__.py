"""Encoders, from an observation to a code (B, C), by name.

An encoder is a module in this folder: a class `__init__(self, c_dim, **options)` with
`forward(inputs) -> (B, c_dim)`, decorated with `@ENCODERS.register(name)` and imported below. It
says what it `observes`, and one that makes codes of another kind what it `makes`, see
`onet.nn.code`, which lists what else it may say of itself. One that can start from weights trained
elsewhere offers `load_pretrained()`, called when training starts, not when a trained model is
loaded.
"""

from onet.nn.encoders._registry import ENCODERS
from onet.nn.encoders.efficientnet import EfficientnetEncoder
from onet.nn.encoders.index import IndexEncoder
from onet.nn.encoders.local_pointnet import ColoredPointNetEncoder, LocalPointNetEncoder
from onet.nn.encoders.local_voxels import LocalVoxelEncoder
from onet.nn.encoders.pixel import EfficientnetPixelEncoder, Resnet18PixelEncoder
from onet.nn.encoders.point_set import PointSetEncoder
from onet.nn.encoders.pointnet import (
    PointNetResnetEncoder,
    PointNetSimpleEncoder,
)
from onet.nn.encoders.resnet import (
    Resnet18Encoder,
    Resnet34Encoder,
    Resnet50Encoder,
    Resnet101Encoder,
)
from onet.nn.encoders.resnet_planes import Resnet18PlanesEncoder
from onet.nn.encoders.voxels import VoxelEncoder

__all__ = [
    "ENCODERS",
    "ColoredPointNetEncoder",
    "EfficientnetEncoder",
    "EfficientnetPixelEncoder",
    "IndexEncoder",
    "LocalPointNetEncoder",
    "LocalVoxelEncoder",
    "PointNetResnetEncoder",
    "PointNetSimpleEncoder",
    "PointSetEncoder",
    "Resnet18Encoder",
    "Resnet18PixelEncoder",
    "Resnet18PlanesEncoder",
    "Resnet34Encoder",
    "Resnet50Encoder",
    "Resnet101Encoder",
    "VoxelEncoder",
]
