"""Occupancy in space and time, without a motion: the baseline ONet-4D of Occupancy Flow.

Source: Niemeyer et al., Occupancy Flow, ICCV 2019, section 4 and published code.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from onet.config import GenerationConfig
from onet.data.inputs import INPUTS
from onet.errors import ConfigError
from onet.models._registry import MODELS
from onet.models.motion_code import (
    MotionCode,
    check_sequence_input,
    cross_entropy,
    encoded,
    overlap,
)
from onet.nn.decoders import DECODERS
from onet.nn.sequence_encoders import SEQUENCE_ENCODERS


@MODELS.register("onet4d")
class OccupancyNetwork4D(nn.Module):
    """A decoder of points with a time, from the code of a sequence. Nothing corresponds over time.

    Batches are those of `onet.models.flow.OccupancyFlow`.

    Args:
        decoder: section of a decoder that knows `dimensions`.
        encoder_temporal: section of a sequence encoder.
        c_dim: size of the code.

    Raises:
        ConfigError: unknown part or option, or a decoder of points in space alone.
    """

    moves = True
    z_dim = 0

    def __init__(
        self, decoder: dict[str, Any], encoder_temporal: dict[str, Any], c_dim: int = 512
    ) -> None:
        super().__init__()
        if "dimensions" not in DECODERS.options(decoder.get("type", "cbatchnorm")).model_fields:
            raise ConfigError(
                f"model.decoder.type: {decoder['type']!r} takes points in space alone; use "
                "cbatchnorm or simple"
            )
        self.decoder = DECODERS.build(decoder, "model.decoder", c_dim=c_dim, z_dim=0, dimensions=4)
        self.encoder_temporal = SEQUENCE_ENCODERS.build(
            encoder_temporal, "model.encoder_temporal", c_dim=c_dim
        )

    def check_observation(self, input: Any) -> None:
        """Refuse an input that the encoder does not take; see `check_sequence_input`."""
        parts = {"encoder_temporal": self.encoder_temporal}
        check_sequence_input(input, parts, INPUTS.name_of(input))

    def observe(self, inputs: dict[str, Tensor]) -> MotionCode:
        """Return the codes of observed sequences."""
        code = encoded(self.encoder_temporal, inputs["frames"], inputs["times"])
        return MotionCode(code, code)

    def occupancy(
        self,
        points: Tensor,  # (B, T, 3)
        times: Tensor,  # (B,)
        code: MotionCode,
    ) -> Tensor:  # (B, T) logits
        """Return occupancy at any time."""
        time = times.to(points.dtype).view(-1, 1, 1).expand(-1, points.shape[1], 1)
        logits: Tensor = self.decoder(torch.cat([points, time], -1), None, code.shape)
        return logits

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Return the mean cross-entropy at time 0 plus that at a random time."""
        code = self.observe(batch["inputs"])
        start = torch.zeros_like(batch["later_time"])
        now = cross_entropy(self.occupancy(batch["points"], start, code), batch["occupancies"])
        logits = self.occupancy(batch["later_points"], batch["later_time"], code)
        later = cross_entropy(logits, batch["later_occupancies"])
        return {"loss": (now + later).mean()}

    @torch.no_grad()
    def validate(
        self, batch: dict[str, Any], settings: GenerationConfig | None = None
    ) -> dict[str, Tensor]:
        """Per item (B,): `iou`, the mean over all times, and `loss`."""
        settings = settings or GenerationConfig()
        code, times = self.observe(batch["inputs"]), batch["trajectory_times"]
        logits = torch.stack(
            [
                self.occupancy(batch["frame_points"][:, k], times[:, k], code)
                for k in range(times.shape[1])
            ],
            1,
        )
        truth = batch["frame_occupancies"]
        iou = overlap(logits > settings.level, truth > 0.5)
        return {
            "loss": cross_entropy(logits, truth), "iou": iou.mean(1), "iou_end": iou[:, -1]
        }  # fmt: skip
