"""Whether places are near the points of a scan: a weight that falls continuously to 0."""

from __future__ import annotations

import torch
from torch import Tensor

from onet.nn.sparse_grid import Level, corners, dilated_cells

REACH = 2.0
"""Side of a block in cells of the network. Nearness is 1 up to half of it from every point and 0
from two and a half times that on, along each axis."""

_MARGIN = 3  # blocks that lie below those of the points, and above


class Nearness:
    """Trilinear between blocks of `REACH` cells: 1 for those that hold points or touch such a one.

    Args:
        points: (N, 3) float32, in cells of the network.
    """

    def __init__(self, points: Tensor) -> None:
        self._low = points.min(0).values - REACH * _MARGIN
        blocks = self._blocks(points).floor().long()
        keys = dilated_cells(
            blocks, torch.zeros(len(blocks), dtype=torch.long, device=points.device)
        )
        nothing = keys.new_empty(0)
        self._level = Level(keys, nothing, nothing)
        self._last = blocks.max(0).values + _MARGIN

    def __call__(
        self,
        places: Tensor,  # (Q, 3) float32, in the same cells
    ) -> Tensor:  # (Q,) from 0 to 1
        """Return how near places are."""
        blocks = torch.minimum(self._blocks(places).clamp(min=1), self._last)
        scans = torch.zeros(len(places), dtype=torch.long, device=places.device)
        rows, weights = corners(self._level, blocks, scans)
        return torch.where(rows < len(self._level), weights, 0).sum(1)

    def _blocks(self, places: Tensor) -> Tensor:
        return (places - self._low) / REACH
