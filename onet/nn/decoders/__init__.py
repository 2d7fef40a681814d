"""Decoders, from query points and codes to values (B, T), by name.

A decoder is a module in this folder: a class `__init__(self, c_dim, z_dim, **options)` with
`forward(points, z, c) -> (B, T)`, decorated with `@DECODERS.register(name)` and imported below. One
that takes codes of other kinds than global ones has `takes`, see `onet.nn.code`. One that can be
evaluated faster for a fixed code offers `fold(c, z, dtype)`: a callable that takes points (N, 3) to
values (N,), with a method `value_and_gradient`.
"""

from onet.nn.decoders._registry import DECODERS
from onet.nn.decoders.batchnorm import BatchNormDecoder
from onet.nn.decoders.cbatchnorm import CBatchNormDecoder
from onet.nn.decoders.cbatchnorm2 import CBatchNorm2Decoder
from onet.nn.decoders.cbatchnorm_noresnet import CBatchNormNoResnetDecoder
from onet.nn.decoders.cross_attention import CrossAttentionDecoder
from onet.nn.decoders.local import LocalDecoder
from onet.nn.decoders.pixel_aligned import PixelAlignedDecoder
from onet.nn.decoders.simple import SimpleDecoder

__all__ = [
    "DECODERS",
    "BatchNormDecoder",
    "CBatchNorm2Decoder",
    "CBatchNormDecoder",
    "CBatchNormNoResnetDecoder",
    "CrossAttentionDecoder",
    "LocalDecoder",
    "PixelAlignedDecoder",
    "SimpleDecoder",
]
