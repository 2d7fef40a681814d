"""The field that the network for scans makes of one scan, and the cells that it lives in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onet.geometry.normalization import UnitFrame
from onet.models.scan import ScanCode, ScanNetwork
from onet.nn.cell_size import cell_size
from onet.training.scan_batches import random_rotation

QUERIES_AT_ONCE = 1 << 13
"""So many that what the network computes of them stays in the processor's caches."""

MARGIN = 3
"""Cells between the points and the box in which the surface is looked for."""

MANY, VERY_MANY = 12_000, 60_000
"""Points above which a scan is seen from fewer sides: its detail makes up for it."""


@dataclass(frozen=True, eq=False)
class View:
    """What the network makes of a scan in one orientation.

    Attributes:
        code: features of the grids.
        turn, shift: the way to the cells of the view, `cells @ turn.T + shift`.
    """

    code: ScanCode
    turn: Tensor
    shift: Tensor


class ScanField:
    """Logits of occupancy of one scan, in cells: lengths of the finest grid round its points.

    The network is asked several times, with the scan turned and its grids elsewhere each time, and
    the logits are averaged: what depends on how a scan lies is gone, and so is most of the ripple.
    """

    def __init__(self, model: ScanNetwork, views: list[View]) -> None:
        self.model, self.views = model, views
        self.device = next(model.parameters()).device

    @torch.no_grad()
    def __call__(
        self,
        points: Any,  # (N, 3) in cells
    ) -> Tensor:  # (N,)
        queries = torch.as_tensor(points, dtype=torch.float32, device=self.device)
        return torch.cat([self._logits(part) for part in queries.split(QUERIES_AT_ONCE)])

    def _logits(self, queries: Tensor) -> Tensor:
        scans = torch.zeros(len(queries), dtype=torch.long, device=self.device)
        total = torch.zeros(len(queries), device=self.device)
        for view in self.views:
            total += self.model.decode(queries @ view.turn.T + view.shift, scans, view.code)
        return total / len(self.views)


@dataclass(frozen=True, eq=False)
class EncodedScan:
    """What the network made of a scan.

    Attributes:
        field: its logits, in cells.
        frame: of the cells: source = cells * frame.scale + frame.loc.
        points: (N, 3) float32 in cells.
    """

    field: ScanField
    frame: UnitFrame
    points: NDArray[np.float32]

    @property
    def bounds(self) -> NDArray[np.float32]:
        """Corners (2, 3), in cells, of the box in which the surface is looked for."""
        return np.stack([self.points.min(0) - MARGIN, self.points.max(0) + MARGIN])


@torch.no_grad()
def encode_scan(
    model: ScanNetwork,
    points: NDArray[np.float64],  # (N, 3) in the frame of the scan
    normals: NDArray[np.float64] | None = None,  # (N, 3) of length 1, or 0 where unknown
    directions: NDArray[np.float64] | None = None,  # (N, 3) to the sensor, likewise
    views: int | None = None,
) -> EncodedScan:
    """Return what the network makes of all points of a scan.

    Args:
        model: the network.
        points, normals, directions: the scan.
        views: in how many orientations it is seen; fewer by default where there are many points.
    """
    device = next(model.parameters()).device
    middle = np.median(points, axis=0)
    near = torch.from_numpy((points - middle).astype(np.float32)).to(device)
    cell = cell_size(near)
    cells = near / cell
    count = _views(len(points)) if views is None else views
    outward, towards = (_vectors(given, cells) for given in (normals, directions))
    seen = [_view(model, cells, outward, towards, turn.to(device)) for turn in orientations(count)]
    return EncodedScan(ScanField(model, seen), UnitFrame(middle, cell), cells.cpu().numpy())


def orientations(count: int) -> list[Tensor]:
    """Return rotations (3, 3), the first of which changes nothing; the same at every call."""
    generator = torch.Generator().manual_seed(0)
    return [torch.eye(3), *(random_rotation(generator) for _ in range(count - 1))]


def _vectors(given: NDArray[np.float64] | None, cells: Tensor) -> Tensor:
    if given is None:
        return torch.zeros_like(cells)
    return torch.from_numpy(given.astype(np.float32)).to(cells.device)


def _views(points: int) -> int:
    return 4 if points <= MANY else 2 if points <= VERY_MANY else 1


def _view(
    model: ScanNetwork, cells: Tensor, normals: Tensor, directions: Tensor, turn: Tensor
) -> View:
    turned = cells @ turn.T
    shift = model.pad + 1 - turned.min(0).values  # 1 more: rounding must bring none below `pad`
    scans = torch.zeros(len(cells), dtype=torch.long, device=cells.device)
    code = model.encode(turned + shift, scans, normals @ turn.T, directions @ turn.T)
    return View(code, turn, shift)
