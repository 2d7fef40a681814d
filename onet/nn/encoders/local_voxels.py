"""Local features from voxel grids."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.errors import DataError
from onet.nn.code import CodeKind, ObservationKind
from onet.nn.encoders._registry import ENCODERS
from onet.nn.encoders.local_maps import LocalMaps
from onet.nn.local_features import Plane
from onet.nn.published_cells import published_voxel_places


@ENCODERS.register("local_voxels")
class LocalVoxelEncoder(nn.Module):
    """One 3D convolution; the features of each voxel go to the cell of its centre, then a U-Net.

    The cells of planes and grid cover the box [-0.55, 0.55]^3, those of the observation the unit
    cube. Source: Peng et al., Convolutional Occupancy Networks, ECCV 2020, section 3.1.

    Args:
        c_dim: features of the maps.
        resolution: voxels along an edge of the observation.
        planes, plane_resolution, grid_resolution, unet_depth, unet_width, grid_unet_depth,
            published: see `LocalMaps`; with `published` the outer voxels are on the borders of the
            unit cube.

    Raises:
        ConfigError: sizes that do not fit; see `LocalMaps`.
    """

    observes: ClassVar[ObservationKind] = "voxels"
    makes: ClassVar[CodeKind] = "maps"

    def __init__(
        self,
        c_dim: int,
        resolution: int = 32,
        planes: tuple[Plane, ...] = ("xz", "xy", "yz"),
        plane_resolution: int = 64,
        grid_resolution: int = 0,
        unet_depth: int = 4,
        unet_width: int = 32,
        grid_unet_depth: int = 0,
        published: bool = False,
    ) -> None:
        super().__init__()
        self.conv_in = nn.Conv3d(1, c_dim, 3, padding=1)
        self.maps = LocalMaps(
            c_dim,
            planes,
            plane_resolution,
            grid_resolution,
            unet_depth,
            unet_width,
            grid_unet_depth,
            published,
        )
        axis = (torch.arange(resolution) + 0.5) / resolution - 0.5
        if published:
            axis = published_voxel_places(resolution)
        centres = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).view(1, -1, 3)
        self.register_buffer("centres", centres, persistent=False)
        self.resolution = resolution

    @property
    def observed_shape(self) -> tuple[int, ...]:
        """Shape of the grids that it takes."""
        return (self.resolution,) * 3

    def forward(
        self,
        inputs: Tensor,  # (B, R, R, R) float32 in [0, 1], indexed [x, y, z]
    ) -> dict[str, Tensor]:
        """Maps (B, c_dim, R, R) of the planes and (B, c_dim, R, R, R) of the grid.

        Raises:
            DataError: a grid of another resolution.
        """
        if inputs.shape[1:] != (self.resolution,) * 3:
            raise DataError(
                f"inputs: voxel grids of shape {tuple(inputs.shape[1:])}, but the encoder is made "
                f"for {self.resolution} cells an edge; give data.input and model.encoder the same "
                "resolution"
            )
        net = F.relu(self.conv_in(inputs.unsqueeze(1)))
        cells = self.maps.cells(self.centres.expand(len(inputs), -1, -1))  # type: ignore[operator]
        maps: dict[str, Tensor] = self.maps(net.flatten(2).transpose(1, 2), cells)
        return maps
