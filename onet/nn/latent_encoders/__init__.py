"""Latent encoders, from points with occupancies to a Gaussian over latent codes, by name.

A latent encoder is a module in this folder: a class `__init__(self, c_dim, z_dim, **options)` with
`forward(points, occupancies, c) -> (mean, logstd)`, each (B, z_dim), decorated with
`@LATENT_ENCODERS.register(name)` and imported below.
"""

from onet.nn.latent_encoders._registry import LATENT_ENCODERS
from onet.nn.latent_encoders.point_set import PointSetLatentEncoder
from onet.nn.latent_encoders.pointnet import PointNetLatentEncoder

__all__ = ["LATENT_ENCODERS", "PointNetLatentEncoder", "PointSetLatentEncoder"]
