"""Latent encoders, from points with occupancies to a Gaussian over latent codes, by name.

A latent encoder is a module in this folder: a class `__init__(self, c_dim, z_dim, **options)` with
`forward(points, occupancies, c) -> (mean, logstd)`, each (B, z_dim), decorated with
`@LATENT_ENCODERS.register(name)` and imported below.
"""

from onet.registry import Registry

LATENT_ENCODERS: Registry = Registry("latent encoder")

from onet.nn.latent_encoders.point_set import PointSetLatentEncoder  # noqa: E402
from onet.nn.latent_encoders.pointnet import PointNetLatentEncoder  # noqa: E402

__all__ = ["LATENT_ENCODERS", "PointNetLatentEncoder", "PointSetLatentEncoder"]
