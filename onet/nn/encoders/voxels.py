"""A 3D convolutional network for voxel grids."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from onet.errors import ConfigError, DataError
from onet.nn.code import ObservationKind
from onet.nn.encoders._registry import ENCODERS


@ENCODERS.register("voxel_simple")
class VoxelEncoder(nn.Module):
    """Convolutions that halve the grid until 2^3 cells are left, then a linear layer.

    The published network is that for 32^3: four halvings, with 64, 128, 256 and 512 features. A
    grid of 2^k cells has k - 1 halvings; features double from 64 to at most 512, and the last layer
    takes 8 times the last of them. So 16^3 ends with 256 features, 64^3 has a fifth halving with
    512. Source: Occupancy Networks, supplementary material 1.1, voxel super-resolution.

    Args:
        c_dim: size of the code.
        resolution: cells along an edge; a power of two, at least 16.

    Raises:
        ConfigError: another resolution.
    """

    observes: ClassVar[ObservationKind] = "voxels"

    def __init__(self, c_dim: int, resolution: int = 32) -> None:
        super().__init__()
        if resolution < 16 or resolution & (resolution - 1):
            raise ConfigError(
                f"model.encoder.resolution: {resolution}; give a power of two, at least 16"
            )
        self.resolution = resolution
        halvings = resolution.bit_length() - 2
        features = [32, *(min(64 * 2**i, 512) for i in range(halvings))]
        self.conv_in = nn.Conv3d(1, features[0], 3, padding=1)
        for i, (before, after) in enumerate(pairwise(features)):
            self.add_module(f"conv_{i}", nn.Conv3d(before, after, 3, padding=1, stride=2))
        self.halvings = halvings
        self.fc = nn.Linear(features[-1] * 2**3, c_dim)

    @property
    def observed_shape(self) -> tuple[int, ...]:
        """Shape of the grids that it takes."""
        return (self.resolution,) * 3

    def forward(
        self,
        inputs: Tensor,  # (B, R, R, R) float32 in [0, 1]
    ) -> Tensor:  # (B, c_dim)
        if inputs.shape[1:] != (self.resolution,) * 3:
            raise DataError(
                f"inputs: voxel grids of shape {tuple(inputs.shape[1:])}, but the encoder is made "
                f"for {self.resolution} cells an edge; give data.input and model.encoder the same "
                "resolution"
            )
        net = self.conv_in(inputs.unsqueeze(1))
        for i in range(self.halvings):
            net = self.get_submodule(f"conv_{i}")(F.relu(net, inplace=True))
        code: Tensor = self.fc(F.relu(net.flatten(1), inplace=True))
        return code
