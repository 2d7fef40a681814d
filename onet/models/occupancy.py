"""Occupancy network: the surface of a shape as the decision boundary of a classifier of points.

Source: Mescheder et al., Occupancy Networks: Learning 3D Reconstruction in Function Space, CVPR
2019.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.config import GenerationConfig
from onet.errors import ConfigError
from onet.models import MODELS
from onet.nn.decoders import DECODERS
from onet.nn.encoders import ENCODERS


@MODELS.register("occupancy")
class OccupancyNetwork(nn.Module):
    """Encoder and decoder trained with the cross-entropy of occupancies at query points.

    A batch is a dictionary with `inputs` (the observation, as the encoder wants it), `points`
    (B, T, 3) float32 in the unit frame and `occupancies` (B, T) float32 in [0, 1].

    Raises:
        ConfigError: unknown encoder, decoder or option, or a latent code without its encoder.
    """

    def __init__(
        self,
        encoder: dict[str, Any],
        decoder: dict[str, Any],
        c_dim: int = 512,
        z_dim: int = 0,
    ) -> None:
        super().__init__()
        if c_dim < 1:
            raise ConfigError(f"model.c_dim: must be at least 1, not {c_dim}")
        if z_dim:
            raise ConfigError(
                f"model.z_dim: a latent code ({z_dim}) needs an encoder that infers it, and model "
                "'occupancy' has none; set model.z_dim=0"
            )
        self.decoder = DECODERS.build(decoder, "model.decoder", c_dim=c_dim, z_dim=z_dim)
        self.encoder = ENCODERS.build(encoder, "model.encoder", c_dim=c_dim)

    def encode(self, inputs: Tensor) -> Tensor:
        """The code (B, C) of a batch of observations."""
        code: Tensor = self.encoder(inputs)
        return code

    def decode(
        self,
        points: Tensor,  # (B, T, 3) in the unit frame
        c: Tensor,  # (B, C)
        z: Tensor | None = None,  # (B, Z)
    ) -> Tensor:
        """Logits of occupancy (B, T)."""
        logits: Tensor = self.decoder(points, z, c)
        return logits

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Cross-entropy summed over query points and averaged over items (equation 3).

        Also `loss_per_point`, which does not depend on the number of query points.
        """
        logits = self.decode(batch["points"], self.encode(batch["inputs"]))
        loss = _cross_entropy(logits, batch["occupancies"]).mean()
        return {"loss": loss, "loss_per_point": loss.detach() / logits.shape[1]}

    @torch.no_grad()
    def validate(
        self, batch: dict[str, Tensor], settings: GenerationConfig | None = None
    ) -> dict[str, Tensor]:
        """Per item (B,): `iou` at the generation threshold, `loss` and `loss_per_point`.

        IoU is over the query points; it is 1 where neither truth nor prediction has any inside.
        Points are decoded `settings.batch_size` at a time. The model must be in eval mode.
        """
        settings = settings or GenerationConfig()
        level = math.log(settings.threshold / (1 - settings.threshold))
        code = self.encode(batch["inputs"])
        chunk = max(1, settings.batch_size // len(code))
        loss = torch.zeros(len(code), device=code.device)
        both, either = loss.clone(), loss.clone()
        pairs = zip(
            batch["points"].split(chunk, 1), batch["occupancies"].split(chunk, 1), strict=True
        )
        for points, occupancies in pairs:
            logits = self.decode(points, code)
            loss += _cross_entropy(logits, occupancies)
            predicted, truth = logits > level, occupancies > 0.5
            both += (predicted & truth).sum(1)
            either += (predicted | truth).sum(1)
        iou = torch.where(either > 0, both / either.clamp(min=1), 1.0)
        return {"iou": iou, "loss": loss, "loss_per_point": loss / batch["points"].shape[1]}


def _cross_entropy(logits: Tensor, occupancies: Tensor) -> Tensor:
    """Binary cross-entropy (B,), summed over points in float32."""
    return F.binary_cross_entropy_with_logits(logits.float(), occupancies, reduction="none").sum(-1)
