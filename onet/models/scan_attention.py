"""Occupancy from scans by attention over the nearest points, in place of features between cells.

Source: Boulch and Marlet, POCO: Point Convolution for Surface Reconstruction, CVPR 2022, section
3.3. The features of the points are those of the sparse U-Net here, so that a comparison tells what
the way from them to a query point brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor, nn

from onet.models._registry import SCAN_NETWORKS
from onet.models.scan_trunk import SparseScanModel

NEAR = 0.25
"""Factor of offsets from a query point to its neighbours, in cells: about 1 for the farthest."""


@dataclass(frozen=True, eq=False)
class PointCode:
    """What the network knows of some scans: features of their points.

    Attributes:
        points: (N, 3) float32 in cells.
        features: (N, C).
        rows: of the points of each scan, (Nk,) int64.
        trees: for the nearest points of each scan.
    """

    points: Tensor
    features: Tensor
    rows: list[NDArray[np.int64]]
    trees: list[cKDTree]


@SCAN_NETWORKS.register("attention")
class AttentionScanNetwork(SparseScanModel):
    """Features of the points, of which a query point sees the nearest, weighed by attention.

    Args:
        widths: features of the cells of each level of the U-Net, the finest first.
        hidden: width of the decoder.
        neighbours: points that a query point sees; scans have as many or more.
        heads: ways of weighing them, whose mean is taken.

    Attributes:
        options: these arguments and the type: what a file of weights says of its network.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 64, 64, 64, 64, 64),
        hidden: int = 32,
        neighbours: int = 16,
        heads: int = 32,
    ) -> None:
        super().__init__(widths, hidden, levels_out=1)
        self.options = {
            "type": "attention", "widths": list(widths), "hidden": hidden,
            "neighbours": neighbours, "heads": heads,
        }  # fmt: skip
        self.neighbours = neighbours
        self.place = nn.Linear(3, hidden)
        self.inner = nn.ModuleList([nn.Linear(hidden, hidden) for _ in range(2)])
        self.weigh = nn.Linear(hidden, heads)
        self.leave = nn.Linear(hidden, 1)

    def encode(self, points: Tensor, scans: Tensor, normals: Tensor, sensors: Tensor) -> PointCode:
        """Return the features of some scans' points: those of their cells of the finest level."""
        pyramid, cells = self.cell_features(points, scans, normals, sensors)
        features = cells[0].float().index_select(0, pyramid.point_cells)
        places, numbers = points.detach().cpu().numpy(), scans.cpu().numpy()
        rows = [np.flatnonzero(numbers == k) for k in range(int(numbers.max()) + 1)]
        return PointCode(points, features, rows, [cKDTree(places[these]) for these in rows])

    def decode(
        self,
        queries: Tensor,  # (Q, 3) float32 in cells
        scans: Tensor,  # (Q,) int64
        code: PointCode,
    ) -> Tensor:  # (Q,)
        """Return logits of occupancy."""
        rows = self._nearest(queries, scans, code)
        offsets = code.points[rows] - queries[:, None]
        x = code.features.index_select(0, rows.flatten()).view(*rows.shape, -1)
        x = x + self.place(NEAR * offsets)  # (Q, K, H)
        for layer in self.inner:
            x = layer(F.relu(x))
        weights = self.weigh(x).softmax(dim=1).mean(dim=2)  # (Q, K)
        logits: Tensor = self.leave((weights[:, :, None] * x).sum(1))[:, 0]
        return logits.float()

    def _nearest(self, queries: Tensor, scans: Tensor, code: PointCode) -> Tensor:
        """Rows (Q, K) of the nearest points of the same scan."""
        places, numbers = queries.detach().cpu().numpy(), scans.cpu().numpy()
        rows = np.empty((len(places), self.neighbours), np.int64)
        for number, (own, tree) in enumerate(zip(code.rows, code.trees, strict=True)):
            mine = numbers == number
            count = range(1, self.neighbours + 1)
            rows[mine] = own[tree.query(places[mine], count, workers=torch.get_num_threads())[1]]
        return torch.from_numpy(rows).to(queries.device)
