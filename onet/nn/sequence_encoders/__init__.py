"""Encoders of sequences, from the frames of a motion to a code (B, C), by name.

A sequence encoder is a class `__init__(self, c_dim, **options)` with `forward(frames, times)`:
frames (B, L, ...), clouds (B, L, N, 3) or pictures (B, L, 3, H, W) as it `observes`, and their
times (B, L) in [0, 1], increasing. It says in `corresponding` whether the n-th points of all frames
have to be one point of the body. A latent one has `forward(frames, times, c)` and returns mean and
logarithm of the deviation (B, z_dim).
"""

from onet.nn.sequence_encoders._registry import SEQUENCE_ENCODERS, SEQUENCE_LATENT_ENCODERS
from onet.nn.sequence_encoders.latent import PointNetSequenceLatentEncoder
from onet.nn.sequence_encoders.pictures import Conv3dEncoder
from onet.nn.sequence_encoders.pointnet import (
    FramesPointNetEncoder,
    TemporalPointNetEncoder,
    TwoStreamPointNetEncoder,
)

__all__ = [
    "SEQUENCE_ENCODERS",
    "SEQUENCE_LATENT_ENCODERS",
    "Conv3dEncoder",
    "FramesPointNetEncoder",
    "PointNetSequenceLatentEncoder",
    "TemporalPointNetEncoder",
    "TwoStreamPointNetEncoder",
]
