"""A grid of occupancies from an observation: 3D-R2N2, as occupancy networks are compared with it.

Source: Choy et al., ECCV 2016; decoder and loss as in Mescheder et al., CVPR 2019.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.config import GenerationConfig
from onet.data.targets import Targets
from onet.errors import ConfigError
from onet.models._registry import MODELS
from onet.models.matching import check_global
from onet.nn.baselines.recurrence import VoxelLSTM
from onet.nn.baselines.voxels import VoxelDeconvolution, overlap, sample_grid
from onet.nn.encoders import ENCODERS
from onet.nn.precision import at_least_single

RESOLUTION = 32


@MODELS.register("r2n2")
class VoxelGridNetwork(nn.Module):
    """Encoder and transposed convolutions, trained with the cross-entropy of 32³ cells.

    The grid is a field: it is interpolated between the centres of cells. With
    `generation.resolution=33` and `generation.padding=0.03125` these are the places where
    extraction looks.

    With `fusion: lstm` the views of an object go through a recurrent network in their order, and
    the code is its state. Training takes a random number of the views that a batch has, of which
    `data.input.views` says how many.

    Args:
        encoder: section of an encoder of a global code; of pictures, where views are fused.
        c_dim: size of the code of an observation.
        width: features of the decoder at 4³ cells.
        fusion: of several views of an object: `mean` of their codes, which training knows nothing
            of, or `lstm`.

    Raises:
        ConfigError: an encoder that does not go with this.
    """

    z_dim = 0
    targets = Targets(voxels=RESOLUTION)

    def __init__(
        self,
        encoder: dict[str, Any],
        c_dim: int = 256,
        width: int = 256,
        fusion: Literal["mean", "lstm"] = "mean",
    ) -> None:
        super().__init__()
        self.encoder = ENCODERS.build(encoder, "model.encoder", c_dim=c_dim)
        check_global(encoder, "r2n2")
        if fusion == "lstm" and self.encoder.observes != "image":
            raise ConfigError(
                f"model.fusion: lstm fuses pictures, and model.encoder.type {encoder['type']!r} "
                f"observes {self.encoder.observes}; set model.fusion=mean"
            )
        self.fusion = VoxelLSTM(c_dim, width) if fusion == "lstm" else None
        self.decoder = VoxelDeconvolution(None if self.fusion else c_dim, width)

    @property
    def fuses_views(self) -> bool:
        """Whether `encode` takes several views of each object."""
        return self.fusion is not None

    def encode(
        self,
        inputs: Tensor,  # (B, ...) observations; or, where views are fused, (B, V, 3, H, W)
    ) -> Tensor:  # (B, C)
        if self.fusion is None:
            code: Tensor = self.encoder(inputs)
            return code
        views = inputs if inputs.ndim == 5 else inputs[:, None]
        codes = self.encoder(views.flatten(0, 1)).unflatten(0, views.shape[:2])
        state: Tensor = self.fusion(codes).flatten(1)
        return state

    def decode(
        self,
        points: Tensor,  # (B, T, 3) in the unit frame
        c: Tensor,  # (B, C)
        z: Tensor | None = None,
    ) -> Tensor:  # (B, T) logits
        return sample_grid(self.decoder(c), points)

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Mean cross-entropy of a cell, from a random number of the views."""
        inputs = batch["inputs"]
        if self.fusion is not None and inputs.ndim == 5:
            inputs = inputs[:, : int(torch.randint(inputs.shape[1], ())) + 1]
        logits = at_least_single(self.decoder(self.encode(inputs)))
        return {"loss": F.binary_cross_entropy_with_logits(logits, batch["voxels"])}

    @torch.no_grad()
    def validate(
        self, batch: dict[str, Any], settings: GenerationConfig | None = None
    ) -> dict[str, Tensor]:
        """Per item (B,): `iou` at the query points, `iou_voxels` and `loss` of the cells."""
        level = (settings or GenerationConfig()).level
        grid = at_least_single(self.decoder(self.encode(batch["inputs"])))
        losses = F.binary_cross_entropy_with_logits(grid, batch["voxels"], reduction="none")
        inside = sample_grid(grid, batch["points"]) > level
        return {
            "iou": overlap(inside, batch["occupancies"] > 0.5),
            "iou_voxels": overlap(grid > level, batch["voxels"] > 0.5),
            "loss": losses.flatten(1).mean(1),
        }
