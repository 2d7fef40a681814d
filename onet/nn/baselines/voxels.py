"""From a code to a grid of occupancies.

Source: Choy et al., 3D-R2N2, ECCV 2016, with the decoder of the comparison in Mescheder et al.,
Occupancy Networks, CVPR 2019, appendix.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EMPTY = -10.0
"""Logit of the cells outside the grid."""


class VoxelDeconvolution(nn.Module):
    """A linear layer to 4³ cells and three transposed convolutions to 32³.

    Args:
        c_dim: size of the code; None where it is the 4³ cells themselves, without that layer.
        width: features at 4³; each convolution halves them. Published: 256.
    """

    def __init__(self, c_dim: int | None, width: int = 256) -> None:
        super().__init__()
        self.width = width
        self.fc_in = nn.Identity() if c_dim is None else nn.Linear(c_dim, width * 4**3)
        self.convtrp_0 = _doubled(width, width // 2)
        self.convtrp_1 = _doubled(width // 2, width // 4)
        self.convtrp_2 = _doubled(width // 4, width // 8)
        self.conv_out = nn.Conv3d(width // 8, 1, 1)

    def forward(
        self,
        c: Tensor,  # (B, c_dim), or (B, width * 64)
    ) -> Tensor:  # (B, 32, 32, 32) logits, indexed [x, y, z]
        net = self.fc_in(c).view(-1, self.width, 4, 4, 4)
        for layer in (self.convtrp_0, self.convtrp_1, self.convtrp_2):
            net = layer(F.relu(net))
        logits: Tensor = self.conv_out(F.relu(net))[:, 0]
        return logits


def _doubled(inputs: int, outputs: int) -> nn.ConvTranspose3d:
    return nn.ConvTranspose3d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)


def sample_grid(
    grid: Tensor,  # (B, R, R, R) logits of the cells of the unit cube, indexed [x, y, z]
    points: Tensor,  # (B, T, 3) in the unit frame
) -> Tensor:  # (B, T)
    """Interpolate between the centres of cells, linearly; cells outside the cube are `EMPTY`."""
    places = 2 * points.flip(-1)[:, :, None, None].to(grid.dtype)  # the last axis comes first
    raised = F.grid_sample(grid[:, None] - EMPTY, places, align_corners=False)
    values: Tensor = raised[:, 0, :, 0, 0] + EMPTY
    return values


def overlap(one: Tensor, other: Tensor) -> Tensor:  # (B, ...) bool each -> (B,)
    """Intersection over union of sets of cells or points; 1 where both are empty."""
    one, other = one.flatten(1), other.flatten(1)
    both, either = (one & other).sum(1), (one | other).sum(1)
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)
