"""From a scan of anything to a mesh: the network for scans, on all points, in their own frame."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import trimesh
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from onet.geometry.extraction import extract_mesh
from onet.geometry.normalization import UnitFrame
from onet.inference.reconstructor import choose_device
from onet.models.scan import ScanCode, ScanNetwork
from onet.nn.cell_size import cell_size
from onet.training.scan_batches import random_rotation

MARGIN = 3
"""Cells between the points and the box in which the surface is looked for."""

QUERIES_AT_ONCE = 1 << 13
"""So many that what the network computes of them stays in the processor's caches."""

MOST_CELLS = 512
"""Of extraction along the longest side by default."""


class ScanField:
    """Logits of occupancy of one scan, in cells of its finest grid.

    The network is asked several times, with the scan turned and its grids elsewhere each time, and
    the logits are averaged: what depends on how a scan lies is gone, and so is most of the ripple.

    Attributes:
        model: the network.
        views: what it made of the scan in each orientation: the code, and (3, 3) and (3,) of the
            way from cells to the cells of that view, `points @ turn.T + shift`.
    """

    def __init__(self, model: ScanNetwork, views: list[tuple[ScanCode, Tensor, Tensor]]) -> None:
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
        for code, turn, shift in self.views:
            total += self.model.decode(queries @ turn.T + shift, scans, code)
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


class ScanReconstructor:
    """The network for scans, ready to use.

    Attributes:
        model: the network, on its device, without gradients.
        source: where it was loaded from.
    """

    def __init__(self, model: ScanNetwork, source: str = "model") -> None:
        self.model = model.eval().requires_grad_(False)
        self.source = source
        self.device = next(model.parameters()).device

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "auto") -> ScanReconstructor:
        """Load a file of weights, as `tools/train_scan.py` writes it."""
        from safetensors import safe_open

        with safe_open(path, "pt") as file:
            options = json.loads(file.metadata()["options"])
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
        model = ScanNetwork(**options)
        model.load_state_dict(state)
        return cls(model.to(choose_device(device)), str(path))

    @torch.no_grad()
    def encode(
        self,
        points: NDArray[np.float64],  # (N, 3)
        normals: NDArray[np.floating] | None = None,  # (N, 3) unit length or zero
        sensors: NDArray[np.floating] | None = None,  # (N, 3) or (3,), NaN where unknown
        views: int | None = None,
    ) -> EncodedScan:
        """Return what the network makes of all points."""
        middle = np.median(points, axis=0)
        near = torch.from_numpy((points - middle).astype(np.float32)).to(self.device)
        cell = cell_size(near)
        cells = near / cell
        seen = (
            torch.zeros_like(cells) if normals is None else self._tensor(normals),
            torch.zeros_like(cells) if sensors is None else self._directions(points, sensors),
        )
        frame = UnitFrame(middle, cell)
        count = views_for(len(points)) if views is None else views
        seen_from = [self._view(cells, *seen, turn) for turn in orientations(count)]
        return EncodedScan(ScanField(self.model, seen_from), frame, cells.cpu().numpy())

    def _view(
        self, cells: Tensor, normals: Tensor, sensors: Tensor, turn: Tensor
    ) -> tuple[ScanCode, Tensor, Tensor]:
        turn = turn.to(self.device)
        turned = cells @ turn.T
        shift = self.model.pad + 1 - turned.min(0).values
        scans = torch.zeros(len(cells), dtype=torch.long, device=self.device)
        code = self.model.encode(turned + shift, scans, normals @ turn.T, sensors @ turn.T)
        return code, turn, shift

    def reconstruct(
        self,
        points: ArrayLike,  # (N, 3) any frame and unit
        normals: ArrayLike | None = None,
        sensors: ArrayLike | None = None,
        *,
        resolution: int | None = None,
        level: float = 0.0,
        views: int | None = None,
    ) -> trimesh.Trimesh:
        """Return the closed mesh of what was scanned, in the frame of the points."""
        begun = time.perf_counter()
        given: NDArray[np.float64] = np.asarray(points, dtype=np.float64)
        scan = self.encode(
            given,
            None if normals is None else np.asarray(normals),
            None if sensors is None else np.asarray(sensors),
            views,
        )
        encoded = time.perf_counter()
        mesh = take_mesh(scan, resolution, level)
        mesh = scan.frame.mesh_to_source(mesh)
        mesh.metadata["reconstruction"] = {
            "model": self.source,
            "points": len(given),
            "cell": scan.frame.scale,
            "seconds": {
                "encode": round(encoded - begun, 4),
                "extract": round(time.perf_counter() - encoded, 4),
            },
        }
        return mesh

    def _tensor(self, array: NDArray[np.floating]) -> Tensor:
        return torch.from_numpy(array.astype(np.float32)).to(self.device)

    def _directions(
        self, points: NDArray[np.float64], sensors: NDArray[np.floating]
    ) -> Tensor:
        towards = np.broadcast_to(sensors, points.shape) - points
        length = np.linalg.norm(towards, axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._tensor(np.nan_to_num(towards / length))


def take_mesh(
    scan: EncodedScan, resolution: int | None = None, level: float = 0.0
) -> trimesh.Trimesh:
    """Return the surface, in cells; a cell of extraction is one of the network by default."""
    low, high = scan.points.min(0) - MARGIN, scan.points.max(0) + MARGIN
    if resolution is None:
        resolution = min(MOST_CELLS, int(np.ceil((high - low).max())))
    return extract_mesh(
        scan.field,
        (low, high),
        resolution,
        level,
        mode="exact",
        seeds=scan.points,
        batch_size=1 << 16,
    )


def views_for(points: int) -> int:
    """Return in how many orientations a scan of so many points is seen by default."""
    return 4 if points <= 12_000 else 2 if points <= 60_000 else 1


def orientations(count: int) -> list[Tensor]:
    """Return rotations (3, 3), the first of which changes nothing; the same at every call."""
    generator = torch.Generator().manual_seed(0)
    return [torch.eye(3), *(random_rotation(generator) for _ in range(count - 1))]
