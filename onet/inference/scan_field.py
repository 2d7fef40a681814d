"""The field that the network for scans makes of one scan, and the cells that it lives in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onet.geometry.normalization import UnitFrame
from onet.inference.scan_nearness import Nearness
from onet.inference.scan_views import Seen, views_of
from onet.models.scan_model import ScanModel
from onet.nn.cell_size import cell_size

QUERIES_AT_ONCE = 1 << 13
"""So many that what the network computes of them stays in the processor's caches."""

MARGIN = 3
"""Cells between the points and the box in which the surface is looked for."""


@dataclass(frozen=True, eq=False)
class View:
    """What the network makes of a scan in one orientation.

    Attributes:
        code: what the network knows of the scan.
        turn, shift: the way to the cells of the view, `cells @ turn.T + shift`; where those are
            longer than the scan's, `turn` shrinks too.
        near: where the view counts, of places in its cells; None for everywhere.
    """

    code: Any
    turn: Tensor
    shift: Tensor
    near: Nearness | None


class ScanField:
    """Logits of occupancy of one scan, in cells: lengths of the finest grid round its points.

    The network is asked several times, with the scan turned and its grids elsewhere each time, of
    dense scans also with fewer points (`scan_views`), and the logits are averaged: what depends on
    how a scan lies is gone, and so is most of the ripple. Far from the points those of the views
    with the largest cells count alone.
    """

    def __init__(self, model: ScanModel, views: list[View]) -> None:
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
        total, weights = (torch.zeros(len(queries), device=self.device) for _ in range(2))
        for view in self.views:
            places = queries @ view.turn.T + view.shift
            logits = self.model.decode(places, scans, view.code)
            weight = 1.0 if view.near is None else view.near(places)
            total += weight * logits
            weights += weight
        return total / weights


@dataclass(frozen=True, eq=False)
class EncodedScan:
    """What the network made of a scan.

    Attributes:
        field: its logits, in cells.
        frame: of the cells: source = cells * frame.scale + frame.loc.
        points: (N, 3) float32 in cells.
        seen: how many points each view shows.
    """

    field: ScanField
    frame: UnitFrame
    points: NDArray[np.float32]
    seen: tuple[int, ...]

    @property
    def bounds(self) -> NDArray[np.float32]:
        """Corners (2, 3), in cells, of the box in which the surface is looked for."""
        return np.stack([self.points.min(0) - MARGIN, self.points.max(0) + MARGIN])


@torch.no_grad()
def encode_scan(
    model: ScanModel,
    points: NDArray[np.float64],  # (N, 3) in the frame of the scan
    normals: NDArray[np.float64] | None = None,  # (N, 3) of length 1, or 0 where unknown
    directions: NDArray[np.float64] | None = None,  # (N, 3) to the sensor, likewise
    views: int | None = None,
) -> EncodedScan:
    """Return what the network makes of all points of a scan.

    Args:
        model: the network.
        points, normals, directions: the scan.
        views: in how many orientations all points are seen; fewer by default where they are many.
    """
    device = next(model.parameters()).device
    middle = np.median(points, axis=0)
    near = torch.from_numpy((points - middle).astype(np.float32)).to(device)
    cell = cell_size(near)
    outward, towards = (_vectors(given, near) for given in (normals, directions))
    chosen = list(views_of(near, cell, views))
    widest = max(view.cell for view in chosen)
    seen = [_view(model, near, outward, towards, view, cell, widest) for view in chosen]
    return EncodedScan(
        ScanField(model, seen),
        UnitFrame(middle, cell),
        (near / cell).cpu().numpy(),
        tuple(len(view.rows) for view in chosen),
    )


def _vectors(given: NDArray[np.float64] | None, points: Tensor) -> Tensor:
    if given is None:
        return torch.zeros_like(points)
    return torch.from_numpy(given.astype(np.float32)).to(points.device)


def _view(
    model: ScanModel,
    points: Tensor,
    normals: Tensor,
    directions: Tensor,
    seen: Seen,
    cell: float,
    widest: float,
) -> View:
    turn, rows = seen.turn.to(points.device), seen.rows
    cells = points[rows] @ turn.T / seen.cell
    shift = model.pad + 1 - cells.min(0).values  # 1 more: rounding must bring none below `pad`
    scans = torch.zeros(len(cells), dtype=torch.long, device=cells.device)
    code = model.encode(cells + shift, scans, normals[rows] @ turn.T, directions[rows] @ turn.T)
    near = Nearness(cells + shift) if seen.cell < widest else None
    return View(code, turn * (cell / seen.cell), shift, near)
