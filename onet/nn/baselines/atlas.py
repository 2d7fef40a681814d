"""Layers that bend a patch or a sphere.

Source: Groueix et al., AtlasNet, CVPR 2018. Names of weights are those of the published decoders.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Chart(nn.Module):
    """Four convolutions of width 1 from places on a template and the code to points in space.

    Args:
        inputs: size of the code and of a place together; the layers have this many features, half
            and a quarter of them.
    """

    conv1: nn.Module
    conv2: nn.Module
    conv3: nn.Module
    bn1: nn.Module
    bn2: nn.Module
    bn3: nn.Module

    def __init__(self, inputs: int) -> None:
        super().__init__()
        widths = (inputs, inputs, inputs // 2, inputs // 4)
        for number in range(1, 4):
            self.add_module(f"conv{number}", nn.Conv1d(widths[number - 1], widths[number], 1))
        self.conv4 = nn.Conv1d(widths[3], 3, 1)
        for number in range(1, 4):
            self.add_module(f"bn{number}", nn.BatchNorm1d(widths[number]))

    def forward(
        self,
        places: Tensor,  # (B, N, D)
        c: Tensor,  # (B, C)
    ) -> Tensor:  # (B, N, 3) in [-1, 1]
        net = torch.cat([places.transpose(1, 2), c[..., None].expand(-1, -1, places.shape[1])], 1)
        for conv, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            net = F.relu(norm(conv(net)))
        return torch.tanh(self.conv4(net)).transpose(1, 2)
