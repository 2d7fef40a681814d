"""Decoders, from query points and codes to values (B, T), by name.

A decoder is a module in this folder: a class `__init__(self, c_dim, z_dim, **options)` with
`forward(points, z, c) -> (B, T)`, decorated with `@DECODERS.register(name)` and imported below. One
that takes codes of other kinds than global ones has `takes`, see `onet.nn.code`. One that can be
evaluated faster for a fixed code offers `fold(c, z, dtype)`: a callable that takes points (N, 3) to
values (N,), with a method `value_and_gradient`.
"""

from onet.registry import Registry

DECODERS: Registry = Registry("decoder")

from onet.nn.decoders.batchnorm import BatchNormDecoder  # noqa: E402
from onet.nn.decoders.cbatchnorm import CBatchNormDecoder  # noqa: E402
from onet.nn.decoders.cbatchnorm2 import CBatchNorm2Decoder  # noqa: E402
from onet.nn.decoders.cbatchnorm_noresnet import CBatchNormNoResnetDecoder  # noqa: E402
from onet.nn.decoders.cross_attention import CrossAttentionDecoder  # noqa: E402
from onet.nn.decoders.local import LocalDecoder  # noqa: E402
from onet.nn.decoders.pixel_aligned import PixelAlignedDecoder  # noqa: E402
from onet.nn.decoders.simple import SimpleDecoder  # noqa: E402

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
