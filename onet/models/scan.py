"""Occupancy from scans of anything: features on sparse grids that are as fine as the points lie.

All lengths are in cells of the finest grid, whose side follows the spacing of the points
(`onet.nn.cell_size`), so the network knows neither the size nor the place nor the kind of what was
scanned. Scans of a batch are one long list of points with the number of the scan beside each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.models._registry import SCAN_NETWORKS
from onet.models.scan_trunk import SparseScanModel
from onet.nn.sparse_grid import SparseCells, SparsePyramid, corners


@dataclass(frozen=True, eq=False)
class ScanCode:
    """What the network knows of some scans: features of the cells of every level."""

    pyramid: SparsePyramid
    features: list[Tensor]  # (Ml + 1, C) float32 for each level; the last row is of absent cells, 0

    @cached_property
    def cells(self) -> SparseCells:
        """The same for lookups on the processor, without gradients."""
        return SparseCells(self.pyramid.levels, self.features)


@SCAN_NETWORKS.register("sparse")
class ScanNetwork(SparseScanModel):
    """Features on a pyramid of sparse grids, and a small decoder of those between the cells.

    Args:
        widths: features of the cells of each level of the U-Net, the finest first.
        features: features that query points see.
        hidden: width of the decoder.
        blocks: residual blocks of the decoder.

    Attributes:
        options: these arguments, all of them: what a file of weights says of its network.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 64, 64, 64, 64, 64),
        features: int = 32,
        hidden: int = 64,
        blocks: int = 2,
    ) -> None:
        super().__init__(widths, features)
        self.options = {
            "widths": list(widths), "features": features, "hidden": hidden, "blocks": blocks
        }  # fmt: skip
        self.enter = nn.Linear(features, hidden)
        self.inner = nn.ModuleList([nn.Linear(hidden, hidden) for _ in range(2 * blocks)])
        self.leave = nn.Linear(hidden, 1)

    def encode(self, points: Tensor, scans: Tensor, normals: Tensor, sensors: Tensor) -> ScanCode:
        """Return the features of some scans' cells."""
        pyramid, features = self.cell_features(points, scans, normals, sensors)
        # float32: gradients of many query points add up in one cell
        return ScanCode(pyramid, [_with_absent(level) for level in features])

    def decode(
        self,
        queries: Tensor,  # (Q, 3) float32 in cells
        scans: Tensor,  # (Q,) int64
        code: ScanCode,
    ) -> Tensor:  # (Q,)
        """Return logits of occupancy."""
        x = self.enter(blended(queries, scans, code))
        for first, second in zip(self.inner[::2], self.inner[1::2], strict=True):
            x = x + second(F.silu(first(F.silu(x))))
        logits: Tensor = self.leave(F.silu(x))[:, 0]
        return logits.float()


def blended(
    queries: Tensor,  # (Q, 3) in cells
    scans: Tensor,  # (Q,)
    code: ScanCode,
) -> Tensor:  # (Q, C)
    """Return features between the cells: of the finest level, and where it ends of the next one.

    The weight that a level's absent cells would have is what the coarser levels share, so features
    are continuous; where all eight cells are there nothing coarser is looked up.
    """
    if not (torch.is_grad_enabled() or queries.is_cuda):
        return code.cells.blend(queries, scans)
    width = code.features[0].shape[1]
    out = torch.zeros((len(queries), width), device=queries.device)
    open_ = torch.arange(len(queries), device=queries.device)
    share = torch.ones(len(queries), device=queries.device)
    for number, (level, features) in enumerate(
        zip(code.pyramid.levels, code.features, strict=True)
    ):
        rows, weights = corners(level, queries[open_] * 0.5**number, scans[open_])
        weights = torch.where(rows < len(level), weights, 0)
        given = weights.sum(1)
        weights = weights * share[:, None]
        if torch.is_grad_enabled():
            near = features.index_select(0, rows.flatten()).view(*rows.shape, -1)
            seen = (near * weights[:, :, None]).sum(1)
        else:
            seen = F.embedding_bag(rows, features, mode="sum", per_sample_weights=weights)
        out = out.index_add(0, open_, seen)
        share = share * (1 - given)
        left = (share > 1e-6).nonzero()[:, 0]
        if not len(left):
            break
        open_, share = open_[left], share[left]
    return out


def _with_absent(features: Tensor) -> Tensor:
    """Features (M, C) as float32, and a row of zeros."""
    return F.pad(features.float(), (0, 0, 0, 1))
