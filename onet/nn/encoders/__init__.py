"""Encoders, from an observation to a code (B, C), by name.

An encoder is a module in this folder: a class `__init__(self, c_dim, **options)` with
`forward(inputs) -> (B, c_dim)`, decorated with `@ENCODERS.register(name)` and imported below. One
that makes codes of another kind has `makes`, see `onet.nn.code`. One that can start from weights
trained elsewhere offers `load_pretrained()`, called when training starts, not when a trained model
is loaded.
"""

from onet.registry import Registry

ENCODERS: Registry = Registry("encoder")

from onet.nn.encoders.index import IndexEncoder  # noqa: E402
from onet.nn.encoders.local_pointnet import LocalPointNetEncoder  # noqa: E402
from onet.nn.encoders.local_voxels import LocalVoxelEncoder  # noqa: E402
from onet.nn.encoders.point_set import PointSetEncoder  # noqa: E402
from onet.nn.encoders.pointnet import (  # noqa: E402
    PointNetResnetEncoder,
    PointNetSimpleEncoder,
)
from onet.nn.encoders.resnet import (  # noqa: E402
    Resnet18Encoder,
    Resnet34Encoder,
    Resnet50Encoder,
    Resnet101Encoder,
)
from onet.nn.encoders.resnet_pixel import Resnet18PixelEncoder  # noqa: E402
from onet.nn.encoders.resnet_planes import Resnet18PlanesEncoder  # noqa: E402
from onet.nn.encoders.voxels import VoxelEncoder  # noqa: E402

__all__ = [
    "ENCODERS",
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
