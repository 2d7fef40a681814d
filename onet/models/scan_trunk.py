"""What networks on sparse grids make of scans before query points come in: features of cells."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from onet.models.scan_model import ScanModel
from onet.nn.point_cells import PointCells
from onet.nn.sparse_grid import SparsePyramid, build_pyramid, pad_of
from onet.nn.sparse_unet import SparseUNet

POINT_FEATURES = 9
"""Place in the cell, normal, direction to the sensor; zeros where one is not known."""


class SparseScanModel(ScanModel):
    """A network for scans with a U-Net on sparse grids round the points.

    Args:
        widths: features of the cells of each level of the U-Net, the finest first.
        features: features that leave a level.
        levels_out: of so many of the finest levels; all by default.
    """

    def __init__(self, widths: Sequence[int], features: int, levels_out: int | None = None) -> None:
        super().__init__()
        self.depth = len(widths)
        self.pad = pad_of(self.depth)
        self.points = PointCells(POINT_FEATURES, widths[0])
        self.unet = SparseUNet(widths, features, levels_out)

    def cell_features(
        self, points: Tensor, scans: Tensor, normals: Tensor, sensors: Tensor
    ) -> tuple[SparsePyramid, list[Tensor]]:
        """Return the grids round the points, and features (Ml, C) of the levels that give them.

        Arguments are those of `encode`.
        """
        pyramid = build_pyramid(points, scans, self.depth)
        seen = torch.cat([pyramid.local, normals, sensors], dim=1)
        cells = self.points(seen, pyramid.point_cells, len(pyramid.levels[0]))
        return pyramid, self.unet(cells, pyramid)
