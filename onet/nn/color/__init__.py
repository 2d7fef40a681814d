"""Parts of networks that give colours to points of a surface, by name.

A geometry encoder is `__init__(self, c_dim, **options)`, `forward(points, normals) -> (B, c_dim)`;
a colour decoder `__init__(self, code_dim, features, **options)`,
`forward(points, code, local) -> (B, T, 3)` in [0, 1], with a set `takes` of the kinds of local
codes that it knows; a picture encoder `__init__(self, c_dim, z_dim, **options)`,
`forward(pictures, code) -> Normal`, the posterior of a latent code.
"""

from onet.nn.color._registry import COLOR_DECODERS, GEOMETRY_ENCODERS, PICTURE_ENCODERS
from onet.nn.color.each_layer import EachLayerDecoder, LargerEachLayerDecoder
from onet.nn.color.local import LocalColorDecoder
from onet.nn.color.pictures import ResnetPictureEncoder
from onet.nn.color.surface_points import ResnetSurfaceEncoder, SimpleSurfaceEncoder

__all__ = [
    "COLOR_DECODERS",
    "GEOMETRY_ENCODERS",
    "PICTURE_ENCODERS",
    "EachLayerDecoder",
    "LargerEachLayerDecoder",
    "LocalColorDecoder",
    "ResnetPictureEncoder",
    "ResnetSurfaceEncoder",
    "SimpleSurfaceEncoder",
]
