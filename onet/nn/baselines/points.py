"""From an observation to a set of points.

Sources: Fan et al., A Point Set Generation Network, CVPR 2017; the simple decoder is that of
Mescheder et al., Occupancy Networks, CVPR 2019. Names of weights are those published with the
latter.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.code import Code, ObservationKind

PICTURE = (192, 256)
"""Rows and columns that the encoder of two branches looks at; 3 by 4 cells remain of it."""
BRANCH_POINTS = 768
"""Points of the branch of convolutions: its last map has 24 by 32 cells."""


class PointSetDecoder(nn.Module):
    """Four linear layers from a code to points.

    Args:
        c_dim: size of the code.
        n_points: how many points.
        hidden_size: width of the layers. Published: 512.
    """

    def __init__(self, c_dim: int, n_points: int, hidden_size: int = 512) -> None:
        super().__init__()
        self.fc_0 = nn.Linear(c_dim, hidden_size)
        self.fc_1 = nn.Linear(hidden_size, hidden_size)
        self.fc_2 = nn.Linear(hidden_size, hidden_size)
        self.fc_out = nn.Linear(hidden_size, 3 * n_points)

    def forward(
        self,
        c: Tensor,  # (B, c_dim)
    ) -> Tensor:  # (B, n_points, 3)
        net = self.fc_0(c)
        for layer in (self.fc_1, self.fc_2, self.fc_out):
            net = layer(F.relu(net))
        return net.view(len(c), -1, 3)


def _convolutions(inputs: int, outputs: int, count: int, stride: int, kernel: int = 3) -> nn.Module:
    """Some 3x3 convolutions with activations, the first one of which may have a stride."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.ReLU()]
    for _ in range(count - 1):
        layers += [nn.Conv2d(outputs, outputs, 3, 1, 1), nn.ReLU()]
    return nn.Sequential(*layers)


class TwoBranchEncoder(nn.Module):
    """Convolutions of a picture, which is stretched to 192 by 256 pixels, with three skipped maps.

    Args:
        c_dim: features of the last map, a multiple of 32.

    Raises:
        ConfigError: another number of features.
    """

    observes: ClassVar[ObservationKind] = "image"

    conv_block2: nn.Module
    conv_block3: nn.Module
    conv_block4: nn.Module
    conv_block5: nn.Module

    def __init__(self, c_dim: int = 512) -> None:
        super().__init__()
        if c_dim < 32 or c_dim % 32:
            raise ConfigError(f"model.c_dim: {c_dim}; two branches take a multiple of 32")
        f = c_dim // 32
        self.conv_block1 = _convolutions(3, f, 2, 1)
        for number, width in ((2, 1), (3, 2), (4, 4), (5, 8)):
            block = _convolutions(width * f, 2 * width * f, 3, 2)
            self.add_module(f"conv_block{number}", block)
        self.conv_block6 = _convolutions(16 * f, 32 * f, 4, 2)
        self.conv_block7 = _convolutions(32 * f, 32 * f, 1, 2, kernel=5)
        self.trans_conv1 = nn.Conv2d(8 * f, 4 * f, 3, 1, 1)
        self.trans_conv2 = nn.Conv2d(16 * f, 8 * f, 3, 1, 1)
        self.trans_conv3 = nn.Conv2d(32 * f, 16 * f, 3, 1, 1)

    def forward(
        self,
        inputs: Tensor,  # (B, 3, H, W) float32 RGB in [0, 1]
    ) -> dict[str, Tensor]:
        """Return `last` (B, c_dim, 3, 4), and the skipped maps `6x8`, `12x16` and `24x32`."""
        net = F.interpolate(inputs, PICTURE, mode="bilinear", align_corners=False)
        for block in (self.conv_block1, self.conv_block2, self.conv_block3, self.conv_block4):
            net = block(net)
        fine = self.trans_conv1(net)
        net = self.conv_block5(net)
        middle = self.trans_conv2(net)
        net = self.conv_block6(net)
        coarse = self.trans_conv3(net)
        return {"last": self.conv_block7(net), "6x8": coarse, "12x16": middle, "24x32": fine}


class TwoBranchDecoder(nn.Module):
    """One linear branch and one of transposed convolutions, of 768 points, which skip maps enter.

    Args:
        c_dim: features of the last map.
        n_points: of both branches together, more than 768.

    Raises:
        ConfigError: fewer points.
    """

    deconv_1: nn.Module
    deconv_2: nn.Module
    deconv_3: nn.Module

    def __init__(self, c_dim: int, n_points: int) -> None:
        super().__init__()
        if n_points <= BRANCH_POINTS:
            raise ConfigError(f"model.n_points: {n_points}; two branches make more than 768")
        f = c_dim // 32
        linear = nn.Linear(12 * 32 * f, 3 * (n_points - BRANCH_POINTS))
        self.fc_branch = nn.Sequential(linear, nn.ReLU())
        for number, (inputs, outputs) in enumerate(
            ((c_dim, 16 * f), (16 * f, 8 * f), (8 * f, 4 * f), (4 * f, 3)), 1
        ):  # the fourth is in published files and unused there too
            layer = nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, 1)
            self.add_module(f"deconv_{number}", layer)
        self.conv_1 = _convolutions(16 * f, 16 * f, 1, 1)
        self.conv_2 = _convolutions(8 * f, 8 * f, 1, 1)
        self.conv_3 = _convolutions(4 * f, 4 * f, 1, 1)
        self.conv_4 = nn.Conv2d(4 * f, 3, 3, 1, 1)
        # The published branch ends in a ReLU: it makes no negative coordinates. So does this one.

    def forward(
        self,
        c: Code,  # of `TwoBranchEncoder`
    ) -> Tensor:  # (B, n_points, 3)
        assert isinstance(c, dict)
        linear = self.fc_branch(c["last"].flatten(1)).view(len(c["last"]), -1, 3)
        net = self.conv_1(F.relu(self.deconv_1(c["last"]) + c["6x8"]))
        net = self.conv_2(F.relu(self.deconv_2(net) + c["12x16"]))
        net = self.conv_3(F.relu(self.deconv_3(net) + c["24x32"]))
        # published files have coordinates of places one after the other, not of points
        return torch.cat([linear, self.conv_4(net).reshape(len(net), -1, 3)], 1)
