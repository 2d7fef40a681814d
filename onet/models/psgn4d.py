"""Points over time as the output of a network: the baseline PSGN-4D of Occupancy Flow.

Source: Fan et al., A Point Set Generation Network, CVPR 2017; Niemeyer et al., Occupancy Flow, ICCV
2019, section 4 and published code.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.config import GenerationConfig
from onet.data.inputs import INPUTS
from onet.errors import ConfigError
from onet.models._registry import MODELS
from onet.models.motion_code import MotionCode, check_sequence_input, encoded
from onet.nn.sequence_encoders import SEQUENCE_ENCODERS
from onet.nn.sequence_encoders.frames import at_times, even_times


class TrajectoryDecoder(nn.Module):
    """Four linear layers from a code (B, C) to the ways of points (B, frames, points, 3)."""

    def __init__(self, c_dim: int, points: int, frames: int, hidden_dim: int) -> None:
        super().__init__()
        self.shape = (frames, points, 3)
        self.fc_0 = nn.Linear(c_dim, hidden_dim)
        self.fc_1 = nn.Linear(hidden_dim, hidden_dim)
        self.fc_2 = nn.Linear(hidden_dim, hidden_dim)
        self.fc_out = nn.Linear(hidden_dim, 3 * points * frames)

    def forward(self, c: Tensor) -> Tensor:
        net = self.fc_0(c)
        for layer in (self.fc_1, self.fc_2, self.fc_out):
            net = layer(F.relu(net))
        return net.view(len(c), *self.shape)


@MODELS.register("psgn4d")
class PointSetNetwork4D(nn.Module):
    """Ways of points from the code of a sequence, compared with ways of surface points.

    Batches are those of `onet.models.flow.OccupancyFlow`.

    Args:
        encoder_temporal: section of a sequence encoder.
        c_dim: size of the code.
        points: that are made.
        frames: evenly over the sequence, at which they are made.
        hidden_dim: features of the decoder.
        correspondence: compare whole ways, by their mean distance over time; else the points of
            each time on their own.

    Raises:
        ConfigError: unknown part or option.
    """

    moves = True
    z_dim = 0

    def __init__(
        self,
        encoder_temporal: dict[str, Any],
        c_dim: int = 512,
        points: int = 1024,
        frames: int = 17,
        hidden_dim: int = 512,
        correspondence: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (("points", points), ("frames", frames), ("hidden_dim", hidden_dim)):
            if value < 1:
                raise ConfigError(f"model.{name}: {value}; give at least 1")
        self.frames, self.correspondence = frames, correspondence
        self.encoder_temporal = SEQUENCE_ENCODERS.build(
            encoder_temporal, "model.encoder_temporal", c_dim=c_dim
        )
        self.decoder = TrajectoryDecoder(c_dim, points, frames, hidden_dim)

    def check_observation(self, input: Any) -> None:
        """Refuse an input that the encoder does not take; see `check_sequence_input`."""
        parts = {"encoder_temporal": self.encoder_temporal}
        check_sequence_input(input, parts, INPUTS.name_of(input))

    def observe(self, inputs: dict[str, Tensor]) -> MotionCode:
        """Return the codes of observed sequences."""
        code = encoded(self.encoder_temporal, inputs["frames"], inputs["times"])
        return MotionCode(code, code)

    def points_at(self, times: Tensor, code: MotionCode) -> Tensor:
        """Return the points (B, K, N, 3) at times (B, K), on straight lines between frames."""
        made: Tensor = self.decoder(code.motion)
        return at_times(made, even_times(self.frames, times).expand(len(times), -1), times)

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Return the Chamfer distance of points, or of their whole ways.

        Raises:
            ConfigError: the data have no points that correspond over time.
        """
        distance = self._compare(batch, self.correspondence)[0]
        return {"loss": distance.mean()}

    def _compare(self, batch: dict[str, Any], whole: bool) -> tuple[Tensor, Tensor]:
        """Chamfer distance (B,), and the distance (B,) of ways that are nearest at time 0."""
        if "trajectories" not in batch:
            raise ConfigError(
                "model: the data have no points that correspond over time, from which this model "
                "learns; prepare meshes of one topology"
            )
        truth = batch["trajectories"]
        made = self.points_at(batch["trajectory_times"], self.observe(batch["inputs"]))
        pairs = torch.stack(
            [torch.cdist(t, m) for t, m in zip(truth.unbind(1), made.unbind(1), strict=True)], 1
        )  # (B, K, M, N)
        nearest = pairs[:, 0].argmin(-1, keepdim=True)  # (B, M, 1)
        tracked = pairs.mean(1).gather(2, nearest).mean((1, 2))
        if whole:
            pairs = pairs.mean(1, keepdim=True)
        chamfer = pairs.amin(3).mean((1, 2)) + pairs.amin(2).mean((1, 2))
        return chamfer, tracked

    @torch.no_grad()
    def validate(
        self, batch: dict[str, Any], settings: GenerationConfig | None = None
    ) -> dict[str, Tensor]:
        """Per item (B,): `chamfer`, and `l2` of true points and the nearest made ones at time 0."""
        chamfer, tracked = self._compare(batch, False)
        return {"chamfer": chamfer, "l2": tracked}
