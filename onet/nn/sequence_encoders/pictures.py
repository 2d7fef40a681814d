"""Convolutions over pictures and time."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from onet.nn.code import ObservationKind
from onet.nn.sequence_encoders._registry import SEQUENCE_ENCODERS


@SEQUENCE_ENCODERS.register("conv_3d")
class Conv3dEncoder(nn.Module):
    """Six convolutions over time, rows and columns, and the mean of what they leave.

    Source: published code of Occupancy Flow, image sequences.
    """

    observes: ClassVar[ObservationKind] = "image"
    corresponding: ClassVar[bool] = False

    def __init__(self, c_dim: int, hidden_dim: int = 32) -> None:
        super().__init__()
        widths = [3, *(hidden_dim * factor for factor in (1, 2, 4, 8, 16, 16))]
        for number, through_time in enumerate((1, 2, 1, 2, 2, 2)):
            layer = nn.Conv3d(
                widths[number], widths[number + 1], 3, stride=(through_time, 2, 2), padding=1
            )
            self.add_module(f"conv{number}", layer)
        self.fc_out = nn.Linear(widths[-1], c_dim)

    def forward(
        self,
        frames: Tensor,  # (B, L, 3, H, W) in [0, 1]
        times: Tensor,  # (B, L)
    ) -> Tensor:  # (B, c_dim)
        net = self.get_submodule("conv0")(frames.transpose(1, 2))
        for number in range(1, 6):
            net = self.get_submodule(f"conv{number}")(F.relu(net))
        code: Tensor = self.fc_out(F.relu(net.flatten(2).mean(2)))
        return code
