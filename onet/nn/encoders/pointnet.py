"""PointNets with a global max-pool after each layer or block, its result given to all points."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from onet.nn.code import ObservationKind
from onet.nn.encoders._registry import ENCODERS
from onet.nn.layers import ResnetBlock, embed_points, split_linear


@ENCODERS.register("pointnet_resnet")
class PointNetResnetEncoder(nn.Module):
    """Five residual blocks, between them the max over points appended to each point's features.

    Independent of the order and the number of the points. Source: Occupancy Networks,
    supplementary material 1.1, point cloud completion.
    """

    observes: ClassVar[ObservationKind] = "points"

    def __init__(self, c_dim: int, hidden_dim: int = 512) -> None:
        super().__init__()
        self.fc_pos = nn.Linear(3, 2 * hidden_dim)
        self.block_0 = ResnetBlock(2 * hidden_dim, hidden_dim)
        self.block_1 = ResnetBlock(2 * hidden_dim, hidden_dim)
        self.block_2 = ResnetBlock(2 * hidden_dim, hidden_dim)
        self.block_3 = ResnetBlock(2 * hidden_dim, hidden_dim)
        self.block_4 = ResnetBlock(2 * hidden_dim, hidden_dim)
        self.fc_c = nn.Linear(hidden_dim, c_dim)

    def forward(
        self,
        inputs: Tensor,  # (B, N, 3) float32 in the unit frame
    ) -> Tensor:  # (B, c_dim)
        net = self.block_0(embed_points(self.fc_pos, inputs))
        for block in (self.block_1, self.block_2, self.block_3, self.block_4):
            net = block(net, net.max(dim=1, keepdim=True).values)
        code: Tensor = self.fc_c(F.relu(net.max(dim=1).values))
        return code


@ENCODERS.register("pointnet_simple")
class PointNetSimpleEncoder(nn.Module):
    """As `pointnet_resnet`, with four linear layers in place of the blocks.

    Source: published code of Occupancy Networks.
    """

    observes: ClassVar[ObservationKind] = "points"

    def __init__(self, c_dim: int, hidden_dim: int = 128) -> None:
        super().__init__()
        self.fc_pos = nn.Linear(3, 2 * hidden_dim)
        self.fc_0 = nn.Linear(2 * hidden_dim, hidden_dim)
        self.fc_1 = nn.Linear(2 * hidden_dim, hidden_dim)
        self.fc_2 = nn.Linear(2 * hidden_dim, hidden_dim)
        self.fc_3 = nn.Linear(2 * hidden_dim, hidden_dim)
        self.fc_c = nn.Linear(hidden_dim, c_dim)

    def forward(
        self,
        inputs: Tensor,  # (B, N, 3) float32 in the unit frame
    ) -> Tensor:  # (B, c_dim)
        net = self.fc_0(F.relu(embed_points(self.fc_pos, inputs)))
        for layer in (self.fc_1, self.fc_2, self.fc_3):
            net = F.relu(net)
            net = split_linear(layer, net, net.max(dim=1, keepdim=True).values)
        code: Tensor = self.fc_c(F.relu(net.max(dim=1).values))
        return code
