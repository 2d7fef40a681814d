"""Where the published code of Convolutional Occupancy Networks puts points in planes and grids.

It widens the box [-0.55, 0.55]^3 by a hundred thousandth for planes and by a thousandth for grids.
A point is in the cell that its share of the box says; when it samples, it takes the centres of the
outer cells for the border of the box, so that the two are up to half a cell apart. Weights trained
with this need it: the option `published` of encoders and decoder.
"""

from __future__ import annotations

import torch
from torch import Tensor

_SLACK = {False: 10e-6, True: 10e-4}  # of planes, of a grid


def published_shares(
    coordinates: Tensor,  # of any shape, in the unit frame, float32
    grid: bool,
) -> Tensor:
    """Return coordinates as shares of the box, at least 0 and less than 1.

    Coordinates beyond the box get a share just below 1, or 0. The operations and their order are
    those of the published code: another rounding would put points into other cells.
    """
    slack = _SLACK[grid]
    shares = coordinates / (1 + 0.1 + slack) + 0.5
    return torch.where(shares >= 1, 1 - slack, shares).clamp(min=0)


def published_voxel_places(resolution: int) -> Tensor:
    """Return where voxels are along an axis (R,): from one border of the unit cube to the other."""
    return torch.linspace(-0.5, 0.5, resolution)
