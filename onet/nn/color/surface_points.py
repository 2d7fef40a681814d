"""Codes of a geometry from points of its surface with normals.

Source: Oechsle et al., Texture Fields: Learning Texture Representations in Function Space, ICCV
2019, supplementary material; names and shapes of the weights are those of the published code.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.nn.color._registry import GEOMETRY_ENCODERS
from onet.nn.layers import PointwiseConv, embed_points, rectifier


class _PooledBlock(nn.Module):
    """Residual block of pointwise convolutions with a linear shortcut, as published."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.fc_0 = PointwiseConv(in_features, out_features)
        self.fc_1 = PointwiseConv(out_features, out_features)
        self.shortcut = nn.Conv1d(in_features, out_features, 1, bias=False)
        nn.init.zeros_(self.fc_1.weight)

    def forward(
        self,
        x: Tensor,  # (B, T, F)
    ) -> Tensor:
        hidden = self.fc_1(F.relu(self.fc_0(F.relu(x))))
        return F.linear(x, self.shortcut.weight.squeeze(-1)) + hidden


@GEOMETRY_ENCODERS.register("resnet")
class ResnetSurfaceEncoder(nn.Module):
    """Five residual blocks, between them the maximum over points appended to each point's features.

    Published with the network that is conditioned on a picture.

    Args:
        c_dim: size of the code.
        hidden_dim: features of a point.
    """

    def __init__(self, c_dim: int, hidden_dim: int = 128) -> None:
        super().__init__()
        self.fc_pos = PointwiseConv(6, 2 * hidden_dim)
        for number in range(5):
            self.add_module(f"block_{number}", _PooledBlock(2 * hidden_dim, hidden_dim))
        self.fc_c = nn.Linear(hidden_dim, c_dim)

    def forward(
        self,
        points: Tensor,  # (B, T, 3) float32 in the unit frame
        normals: Tensor,  # (B, T, 3) of length 1
    ) -> Tensor:  # (B, c_dim)
        net = embed_points(self.fc_pos, torch.cat([points, normals], -1))
        net = self.get_submodule("block_0")(net)
        for number in range(1, 5):
            pooled = net.max(dim=1, keepdim=True).values.expand_as(net)
            net = self.get_submodule(f"block_{number}")(torch.cat([net, pooled], -1))
        code: Tensor = self.fc_c(F.relu(net.max(dim=1).values))
        return code


@GEOMETRY_ENCODERS.register("simple")
class SimpleSurfaceEncoder(nn.Module):
    """Four layers, between them what is pooled over points appended to each point's features.

    Published with the generative networks, there leaky.

    Args:
        c_dim: size of the code.
        hidden_dim: features of a point.
        leaky: leaky activations, and the mean over points in place of the maximum, as published.
    """

    def __init__(self, c_dim: int, hidden_dim: int = 128, leaky: bool = True) -> None:
        super().__init__()
        self.leaky, self.activation = leaky, rectifier(leaky)
        self.conv_p = PointwiseConv(6, 2 * hidden_dim)
        for number in range(4):
            self.add_module(f"conv_{number}", PointwiseConv(2 * hidden_dim, hidden_dim))
        self.fc_c = nn.Linear(hidden_dim, c_dim)

    def forward(
        self,
        points: Tensor,  # (B, T, 3) float32 in the unit frame
        normals: Tensor,  # (B, T, 3) of length 1
    ) -> Tensor:  # (B, c_dim)
        net = embed_points(self.conv_p, torch.cat([points, normals], -1))
        net = self.get_submodule("conv_0")(self.activation(net))
        for number in range(1, 4):
            net = torch.cat([net, self._pooled(net).expand_as(net)], -1)
            net = self.get_submodule(f"conv_{number}")(self.activation(net))
        code: Tensor = self.fc_c(self.activation(self._pooled(net).squeeze(1)))
        return code

    def _pooled(self, net: Tensor) -> Tensor:
        return net.mean(1, keepdim=True) if self.leaky else net.max(1, keepdim=True).values
