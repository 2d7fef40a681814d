"""Encoders, from an observation to a code (B, C), by name.

An encoder is a module in this folder: a class `__init__(self, c_dim, **options)` with
`forward(inputs) -> (B, c_dim)`, decorated with `@ENCODERS.register(name)` and imported below.
"""

from onet.registry import Registry

ENCODERS: Registry = Registry("encoder")

from onet.nn.encoders.pointnet import PointNetResnetEncoder  # noqa: E402

__all__ = ["ENCODERS", "PointNetResnetEncoder"]
