"""From features of points to maps of features, for all encoders that end with such maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.local_features import AXES, cells_of, scatter_mean
from onet.nn.unet import UNet, check_resolution


class LocalMaps(nn.Module):
    """The mean over the points of each cell of planes and grid, then U-Nets.

    All planes go through one U-Net with the same weights, as published; the grid has its own.

    Args:
        features: of the points and of the maps.
        planes: some of `xz`, `xy`, `yz`, or none.
        plane_resolution: cells along an edge of a plane.
        grid_resolution: cells along an edge of the grid; 0 for no grid.
        unet_depth: levels of the U-Nets.
        unet_width: features of their first level.
        grid_unet_depth: levels of the grid's U-Net; 0 for as many as those of the planes.
        published: cells and U-Nets to the letter of the published code, for its weights. Its maps
            have their axes in the opposite order, and so have the U-Nets' kernels.

    Raises:
        ConfigError: neither planes nor grid, a plane named twice, or a resolution that the U-Net
            cannot halve.
    """

    def __init__(
        self,
        features: int,
        planes: Sequence[str],
        plane_resolution: int,
        grid_resolution: int,
        unet_depth: int,
        unet_width: int,
        grid_unet_depth: int = 0,
        published: bool = False,
    ) -> None:
        super().__init__()
        if len(set(planes)) < len(planes):
            raise ConfigError(f"model.encoder.planes: {list(planes)} names a plane twice")
        if not planes and not grid_resolution:
            raise ConfigError(
                "model.encoder: neither planes nor a grid; give planes=[xz, xy, yz] or a "
                "grid_resolution"
            )
        if unet_width < 1:
            raise ConfigError(f"model.encoder.unet_width: {unet_width} features; give at least 1")
        self.published = published
        self.resolutions = dict.fromkeys(planes, plane_resolution)
        if planes:
            check_resolution("model.encoder.plane_resolution", plane_resolution, unet_depth)
            self.unet = UNet(2, features, unet_width, unet_depth, published)
        if grid_resolution:
            depth = grid_unet_depth or unet_depth
            check_resolution("model.encoder.grid_resolution", grid_resolution, depth)
            self.resolutions["grid"] = grid_resolution
            self.unet3d = UNet(3, features, unet_width, depth, published)

    @property
    def sizes(self) -> list[int]:
        """How many cells each map has."""
        return [r ** len(AXES[name]) for name, r in self.resolutions.items()]

    def cells(
        self,
        points: Tensor,  # (B, N, 3) in the unit frame
    ) -> dict[str, Tensor]:
        """Return the cells (B, N) of every map that points are in."""
        return {
            name: cells_of(points, name, r, self.published) for name, r in self.resolutions.items()
        }

    def forward(
        self,
        features: Tensor,  # (B, N, F)
        cells: dict[str, Tensor],  # as `cells` gives them
    ) -> dict[str, Tensor]:
        """Maps (B, F, R, R) of the planes and (B, F, R, R, R) of the grid, by their names."""
        maps = {
            name: scatter_mean(features, cells[name], name, r)
            for name, r in self.resolutions.items()
        }
        planes = [name for name in maps if name != "grid"]
        if planes:
            together = self._turned(self.unet, torch.cat([maps[name] for name in planes]))
            maps.update(zip(planes, together.chunk(len(planes)), strict=True))
        if "grid" in maps:
            maps["grid"] = self._turned(self.unet3d, maps["grid"])
        return maps

    def _turned(self, unet: nn.Module, maps: Tensor) -> Tensor:
        """The U-Net on maps whose axes are in the order that its kernels were trained with."""
        if not self.published:
            return cast(Tensor, unet(maps))
        axes = (0, 1, *range(maps.ndim - 1, 1, -1))
        return cast(Tensor, unet(maps.permute(axes).contiguous()).permute(axes))
