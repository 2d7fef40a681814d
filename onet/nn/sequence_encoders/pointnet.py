"""PointNets that see a motion as clouds of points."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.code import ObservationKind
from onet.nn.encoders.pointnet import PointNetResnetEncoder
from onet.nn.sequence_encoders._registry import SEQUENCE_ENCODERS
from onet.nn.sequence_encoders.frames import at_even_times


@SEQUENCE_ENCODERS.register("pointnet_resnet")
class TemporalPointNetEncoder(PointNetResnetEncoder):
    """The PointNet of a shape, for points with all their places over time.

    A point is seen as its places in `frames` frames, so points have to correspond. Other numbers of
    frames, at any times, are brought to these by straight lines in between. Source: Occupancy
    Flow, supplementary material.

    Args:
        c_dim: size of the code.
        hidden_dim: features of a point.
        frames: 17 in the publication.
        relative: give the places after the first as ways from there, not as coordinates.
        way_scale: factor of these ways, which are short beside coordinates.
    """

    observes: ClassVar[ObservationKind] = "points"
    corresponding: ClassVar[bool] = True

    def __init__(
        self,
        c_dim: int,
        hidden_dim: int = 512,
        frames: int = 17,
        relative: bool = False,
        way_scale: float = 1.0,
    ) -> None:
        super().__init__(c_dim, hidden_dim)
        if frames < 1:
            raise ConfigError(f"model.encoder_temporal.frames: {frames}; give at least 1")
        if not way_scale > 0:
            raise ConfigError(f"model.encoder_temporal.way_scale: {way_scale}; give more than 0")
        if way_scale != 1 and not relative:
            raise ConfigError(
                f"model.encoder_temporal.way_scale: {way_scale:g}, but no ways are given; say "
                "relative: true as well, or way_scale: 1"
            )
        self.frames, self.relative, self.way_scale = frames, relative, way_scale
        self.fc_pos = nn.Linear(3 * frames, 2 * hidden_dim)

    def forward(  # type: ignore[override]
        self,
        frames: Tensor,  # (B, L, N, 3)
        times: Tensor,  # (B, L)
    ) -> Tensor:  # (B, c_dim)
        even = at_even_times(frames, times, self.frames)
        if self.relative:
            even = torch.cat([even[:, :1], self.way_scale * (even[:, 1:] - even[:, :1])], 1)
        return super().forward(even.transpose(1, 2).flatten(2))


@SEQUENCE_ENCODERS.register("pointnet_2stream")
class TwoStreamPointNetEncoder(nn.Module):
    """One PointNet for the first and the last cloud, whose codes follow one another.

    Points need not correspond. Source: published code of Occupancy Flow, interpolation.

    Raises:
        ConfigError: an odd size of the code.
    """

    observes: ClassVar[ObservationKind] = "points"
    corresponding: ClassVar[bool] = False

    def __init__(self, c_dim: int, hidden_dim: int = 512) -> None:
        super().__init__()
        if c_dim % 2:
            raise ConfigError(f"model.c_dim: {c_dim}; two clouds share the code, give an even size")
        self.resnet_pointnet = PointNetResnetEncoder(c_dim // 2, hidden_dim)

    def forward(
        self,
        frames: Tensor,  # (B, L, N, 3)
        times: Tensor,  # (B, L)
    ) -> Tensor:  # (B, c_dim)
        return torch.cat([self.resnet_pointnet(frames[:, i]) for i in (0, -1)], dim=-1)


@SEQUENCE_ENCODERS.register("pointnet_frames")
class FramesPointNetEncoder(nn.Module):
    """One PointNet for every frame, which sees the time beside each point; pooled over time.

    Frames may have any times and their points need not correspond, as depth sensors give them. Over
    time both mean and maximum are taken, so the number of frames may vary.

    Args:
        c_dim: size of the code.
        hidden_dim: features of a point.
    """

    observes: ClassVar[ObservationKind] = "points"
    corresponding: ClassVar[bool] = False

    def __init__(self, c_dim: int, hidden_dim: int = 512) -> None:
        super().__init__()
        self.frame = PointNetResnetEncoder(hidden_dim, hidden_dim)
        self.frame.fc_pos = nn.Linear(4, 2 * hidden_dim)
        self.fc_0 = nn.Linear(2 * hidden_dim, hidden_dim)
        self.fc_c = nn.Linear(hidden_dim, c_dim)

    def forward(
        self,
        frames: Tensor,  # (B, L, N, 3)
        times: Tensor,  # (B, L)
    ) -> Tensor:  # (B, c_dim)
        items, length, count, _ = frames.shape
        time = times.to(frames.dtype)[:, :, None, None].expand(-1, -1, count, 1)
        seen = torch.cat([frames, time], dim=-1).flatten(0, 1)
        features = self.frame(seen).view(items, length, -1)
        pooled = torch.cat([features.mean(1), features.max(1).values], dim=-1)
        code: Tensor = self.fc_c(F.relu(self.fc_0(F.relu(pooled))))
        return code
