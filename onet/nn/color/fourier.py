"""Points as sines and cosines, for decoders that are to hold detail."""

from __future__ import annotations

import math

import torch
from torch import Tensor

MOST_OCTAVES = 16


def encoded_size(octaves: int) -> int:
    """Return how many numbers `encode_points` makes of a point."""
    return 3 + 6 * octaves


def encode_points(
    points: Tensor,  # (..., 3)
    octaves: int,
) -> Tensor:  # (..., 3 + 6 octaves)
    """Return the points with sines and cosines of their coordinates, of 1, 2, 4, ... half waves
    over an edge of the unit cube.

    Source: Tancik et al., Fourier Features Let Networks Learn High Frequency Functions in Low
    Dimensional Domains, NeurIPS 2020.
    """
    if not octaves:
        return points
    waves = math.pi * 2.0 ** torch.arange(octaves, dtype=points.dtype, device=points.device)
    angles = (points[..., None] * waves).flatten(-2)
    return torch.cat([points, angles.sin(), angles.cos()], -1)
