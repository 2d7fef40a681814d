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

MARGIN = 3
"""Cells between the points and the box in which the surface is looked for."""

MOST_CELLS = 512
"""Of extraction along the longest side by default."""


class ScanField:
    """Logits of occupancy, in cells of the finest grid round the points of one scan."""

    def __init__(self, model: ScanNetwork, code: ScanCode) -> None:
        self.model, self.code = model, code
        self.device = next(model.parameters()).device

    @torch.no_grad()
    def __call__(
        self,
        points: Any,  # (N, 3) in cells
    ) -> Tensor:  # (N,)
        queries = torch.as_tensor(points, dtype=torch.float32, device=self.device)
        return self.model.decode(
            queries, torch.zeros_like(queries[:, 0], dtype=torch.long), self.code
        )


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
    ) -> EncodedScan:
        """Return what the network makes of all points."""
        middle = np.median(points, axis=0)
        near = torch.from_numpy((points - middle).astype(np.float32)).to(self.device)
        cell = cell_size(near)
        shift = self.model.pad + 0.5 - (near.min(0).values / cell)
        cells = near / cell + shift
        frame = UnitFrame(middle - shift.double().cpu().numpy() * cell, cell)
        none = torch.zeros_like(cells)
        code = self.model.encode(
            cells,
            torch.zeros(len(cells), dtype=torch.long, device=self.device),
            none if normals is None else self._tensor(normals),
            none if sensors is None else self._directions(points, sensors),
        )
        return EncodedScan(ScanField(self.model, code), frame, cells.cpu().numpy())

    def reconstruct(
        self,
        points: ArrayLike,  # (N, 3) any frame and unit
        normals: ArrayLike | None = None,
        sensors: ArrayLike | None = None,
        *,
        resolution: int | None = None,
        level: float = 0.0,
    ) -> trimesh.Trimesh:
        """Return the closed mesh of what was scanned, in the frame of the points."""
        begun = time.perf_counter()
        given: NDArray[np.float64] = np.asarray(points, dtype=np.float64)
        scan = self.encode(
            given,
            None if normals is None else np.asarray(normals),
            None if sensors is None else np.asarray(sensors),
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

    def _directions(self, points: NDArray[np.float64], sensors: NDArray[np.floating]) -> Tensor:
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
