"""A grid of occupancies from an observation: 3D-R2N2, as occupancy networks are compared with it.

Source: Choy et al., ECCV 2016; decoder and loss as in Mescheder et al., CVPR 2019.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.config import GenerationConfig
from onet.data.targets import Targets
from onet.models._registry import MODELS
from onet.models.matching import check_global
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

    Args:
        encoder: section of an encoder of a global code.
        c_dim: size of the code.
        width: features of the decoder at 4³ cells.
    """

    z_dim = 0
    targets = Targets(voxels=RESOLUTION)

    def __init__(self, encoder: dict[str, Any], c_dim: int = 256, width: int = 256) -> None:
        super().__init__()
        self.encoder = ENCODERS.build(encoder, "model.encoder", c_dim=c_dim)
        check_global(encoder, "r2n2")
        self.decoder = VoxelDeconvolution(c_dim, width)

    def encode(self, inputs: Tensor) -> Tensor:  # (B, C)
        code: Tensor = self.encoder(inputs)
        return code

    def decode(
        self,
        points: Tensor,  # (B, T, 3) in the unit frame
        c: Tensor,  # (B, C)
        z: Tensor | None = None,
    ) -> Tensor:  # (B, T) logits
        return sample_grid(self.decoder(c), points)

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Mean cross-entropy of a cell."""
        logits = at_least_single(self.decoder(self.encode(batch["inputs"])))
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
