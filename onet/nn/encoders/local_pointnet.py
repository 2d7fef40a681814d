"""Local features from points: a PointNet that pools within cells instead of the whole cloud."""

from __future__ import annotations

import logging
from typing import ClassVar

import torch
from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.code import CLOUD, CodeKind, ObservationKind
from onet.nn.encoders._registry import ENCODERS
from onet.nn.encoders.local_maps import LocalMaps
from onet.nn.layers import ResnetBlock, embed_points
from onet.nn.local_features import EXTENT, CellGroups, Plane

logger = logging.getLogger(__name__)


@ENCODERS.register("local_pointnet")
class LocalPointNetEncoder(nn.Module):
    """Residual blocks, between them the maximum over each cell; then features on planes or a grid.

    Between blocks each point gets, beside its own features, the sum over planes and grid of the
    maximum over the points that share its cell. Features are averaged in the cells and pass a
    U-Net. Independent of the order of the points; their number may change. Points outside the box
    [-0.55, 0.55]^3 are counted in its border cells, with a warning the first time.

    Source: Peng et al., Convolutional Occupancy Networks, ECCV 2020, section 3.1 and supplementary
    material.

    Args:
        c_dim: features of the maps.
        hidden_dim: features of the points.
        blocks: number of residual blocks.
        planes, plane_resolution, grid_resolution, unet_depth, unet_width, grid_unet_depth,
            published: see `LocalMaps`.

    Raises:
        ConfigError: sizes that do not fit; see `LocalMaps`.
    """

    observes: ClassVar[ObservationKind] = "points"
    makes: ClassVar[CodeKind] = "maps"
    numbers: ClassVar[int] = 3
    """Known of each point."""

    def __init__(
        self,
        c_dim: int,
        hidden_dim: int = 32,
        blocks: int = 5,
        planes: tuple[Plane, ...] = ("xz", "xy", "yz"),
        plane_resolution: int = 64,
        grid_resolution: int = 0,
        unet_depth: int = 4,
        unet_width: int = 32,
        grid_unet_depth: int = 0,
        published: bool = False,
    ) -> None:
        super().__init__()
        if blocks < 1:
            raise ConfigError(f"model.encoder.blocks: {blocks}; give at least 1")
        self.fc_pos = nn.Linear(self.numbers, 2 * hidden_dim)
        self.blocks = nn.ModuleList(ResnetBlock(2 * hidden_dim, hidden_dim) for _ in range(blocks))
        self.fc_c = nn.Linear(hidden_dim, c_dim)
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
        self._warned = False

    def forward(
        self,
        inputs: Tensor,  # (B, N, 3) float32 in the unit frame
    ) -> dict[str, Tensor]:
        """Maps (B, c_dim, R, R) of the planes and (B, c_dim, R, R, R) of the grid."""
        return self._encode(inputs, inputs)

    def _encode(self, points: Tensor, known: Tensor) -> dict[str, Tensor]:
        """Maps of what is known (B, N, numbers) of points (B, N, 3)."""
        self._warn_outside(points)
        cells = self.maps.cells(points)
        groups = CellGroups(list(cells.values()), self.maps.sizes)
        net = embed_points(self.fc_pos, known)
        for number, block in enumerate(self.blocks):
            if number:
                net = torch.cat([net, groups.sum_of_maxima(net)], dim=-1)
            net = block(net)
        maps: dict[str, Tensor] = self.maps(self.fc_c(net), cells)
        return maps

    def _warn_outside(self, points: Tensor) -> None:
        if self._warned or torch.compiler.is_compiling():  # a program has no log
            return
        outside = int((points.abs() > EXTENT / 2).any(-1).sum())
        if outside:
            self._warned = True
            logger.warning(
                "%d of %d points are outside the box [-0.55, 0.55]^3 and count as points of its "
                "border; scale the cloud into the unit cube (said once)",
                outside,
                points.shape[:2].numel(),
            )


@ENCODERS.register("colored_pointnet")
class ColoredPointNetEncoder(LocalPointNetEncoder):
    """The same for a cloud with colours, which are known of each point beside its place.

    The input is `colored_pointcloud`.
    """

    observes: ClassVar[ObservationKind] = "colored_points"
    numbers: ClassVar[int] = 6

    def forward(
        self,
        inputs: Tensor,  # (B, N, 6) float32, places in the unit frame and RGB in [0, 1]
    ) -> dict[str, Tensor]:
        """Maps (B, c_dim, R, R) of planes and (B, c_dim, R, R, R) of the grid, and the cloud."""
        points, colors = inputs.split(3, -1)
        maps = self._encode(points, torch.cat([points, 2 * colors - 1], -1))
        return {**maps, CLOUD: inputs}
