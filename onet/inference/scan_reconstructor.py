"""From a scan of anything to a mesh: the network for scans, on all points, in their own frame."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import ArrayLike

from onet.checkpoints.checkpoint import read_safetensors
from onet.checkpoints.scan_weights import scan_options
from onet.errors import CheckpointError, ConfigError
from onet.geometry.extraction import extract_mesh
from onet.geometry.fitted_surface import fitted_to_points
from onet.inference.devices import choose_device
from onet.inference.scan_field import EncodedScan, encode_scan
from onet.inference.scan_frame_field import ScanFrameField
from onet.inference.scan_input import ScanInput, clean_scan
from onet.inference.scan_output import check_trim, finish
from onet.inference.scan_views import MANY, VERY_MANY
from onet.models.scan_networks import ScanModel, build_scan_network

MOST_CELLS = 512
"""Of extraction along the longest side by default."""

REACH = 0.8
"""Cells of the network from a vertex to the points of the scan that it is moved to."""


class ScanReconstructor:
    """The network for scans, ready to use.

    Attributes:
        model: the network, on its device, without gradients.
        source: where it was loaded from.
    """

    def __init__(self, model: ScanModel, source: str = "model") -> None:
        self.model = model.eval().requires_grad_(False)
        self.source = source
        self.device = next(model.parameters()).device

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "auto") -> ScanReconstructor:
        """Load a file of weights, as `tools/train_scan.py` writes it.

        Raises:
            CheckpointError: it is missing or damaged, or holds another network.
            ConfigError: there is no such device.
        """
        file = read_safetensors(Path(path))
        try:
            model = build_scan_network(scan_options(file.header, file.path))
        except ConfigError as error:
            raise CheckpointError(f"{path}: the options of its network: {error}") from None
        try:
            model.load_state_dict({key: value.float() for key, value in file.tensors().items()})
        except RuntimeError as error:
            raise CheckpointError(f"{path}: its weights are of another network ({error})") from None
        return cls(model.to(choose_device(device)), str(path))

    def encode(self, scan: ScanInput, views: int | None = None) -> EncodedScan:
        """Return the field of one part of a scan; see `ScanInput.parts`."""
        return encode_scan(self.model, scan.points, scan.normals, scan.directions(), views)

    def field(
        self,
        points: Any,  # (N, 3) any frame and unit
        normals: ArrayLike | None = None,  # (N, 3)
        sensors: ArrayLike | None = None,  # (3,) or (N, 3)
        *,
        views: int | None = None,
    ) -> ScanFrameField:
        """Return the occupancy of space, in the frame of the points; arguments of `reconstruct`.

        Raises:
            DataError: see `clean_scan`.
        """
        scan = clean_scan(points, normals, sensors)
        return ScanFrameField([self.encode(part, views) for part in scan.parts()])

    def reconstruct(
        self,
        points: Any,  # (N, 3) any frame and unit
        normals: ArrayLike | None = None,  # (N, 3)
        sensors: ArrayLike | None = None,  # (3,) or (N, 3)
        colors: ArrayLike | None = None,  # (N, 3)
        *,
        resolution: int | None = None,
        trim: float | None = None,
        closed: bool = True,
        views: int | None = None,
        level: float = 0.0,
        fit: bool = True,
        seed: int = 0,
    ) -> trimesh.Trimesh:
        """Return the mesh of what was scanned, in the frame of the points.

        Args:
            points: an array (N, 3), a tensor, a table with columns x, y, z, a cloud of trimesh or
                Open3D, a file, or what `clean_scan` returned; see there for normals, sensors and
                colours, and for what is left out.
            normals: outward.
            sensors: where the sensor was, for all points or for each.
            colors: are carried over to the vertices.
            resolution: cells of extraction along the longest side; by default twice as fine as the
                cells of the network, which follow the spacing of the points, and coarser than that
                where there are many.
            trim: remove surface farther than that from every point, in the unit of the points.
            closed: keep surface that the scan does not show; else the mesh is open there.
            views: in how many orientations the network sees all points; 4 by default, 2 above
                12,000 points, 1 above 60,000. Above 60,000 it sees fewer of them as well.
            level: logit on the surface.
            fit: move the vertices to the points where points that are held out gain by it, as they
                do where there is little noise; see `onet.geometry.fitted_surface`. Not done at
                another level than 0.
            seed: of which points are held out for that.

        Returns:
            Mesh with vertex attributes and `metadata["scan"]` as `scan_output.finish` says;
            `metadata["reconstruction"]` names the network, the side of its cells in the unit of the
            points, how many of them each view showed, in how many rounds the vertices were
            moved to them, and the seconds. Closed, if nothing is trimmed or opened.

        Raises:
            DataError: see `clean_scan`.
            ConfigError: `trim` is not above 0.
        """
        begun = time.perf_counter()
        check_trim(trim)
        scan = clean_scan(points, normals, sensors, colors)
        meshes, cells, seen, fitted, encoding = [], [], [], [], 0.0
        for part in scan.parts():
            start = time.perf_counter()
            encoded = self.encode(part, views)
            encoding += time.perf_counter() - start
            own, rounds = take_mesh(encoded, resolution, level, fit, seed)
            meshes.append(encoded.frame.mesh_to_source(own))
            fitted.append(rounds)
            cells.append(encoded.frame.scale)
            seen.append(encoded.seen)
        mesh = meshes[0]
        if len(meshes) > 1:
            mesh = trimesh.Trimesh(
                *trimesh.util.append_faces([m.vertices for m in meshes], [m.faces for m in meshes]),
                process=False,
                metadata=dict(mesh.metadata),
            )
        mesh = finish(mesh, scan, trim, closed)
        mesh.metadata["reconstruction"] = {
            "model": self.source,
            "points": len(scan),
            "cell": cells[0],
            "points_seen": seen[0] if len(seen) == 1 else seen,
            "rounds_fitted": fitted[0] if len(fitted) == 1 else fitted,
            "level": level,
            "seed": seed,
            "seconds": round(time.perf_counter() - begun, 4),
            "seconds_encoding": round(encoding, 4),
        }
        return mesh


def take_mesh(
    scan: EncodedScan,
    resolution: int | None = None,
    level: float = 0.0,
    fit: bool = True,
    seed: int = 0,
) -> tuple[trimesh.Trimesh, int]:
    """Return the surface, in cells of the network, and how often its vertices were moved.

    Arguments are those of `ScanReconstructor.reconstruct`.
    """
    low, high = scan.bounds
    if resolution is None:
        count = max(scan.seen)
        finer = 2.0 if count <= MANY else 1.5 if count <= VERY_MANY else 1.0
        resolution = min(MOST_CELLS, int(np.ceil(finer * (high - low).max())))
    mesh = extract_mesh(scan.field, (low, high), resolution, level, seeds=scan.points)
    if not (fit and level == 0 and len(mesh.faces)):
        return mesh, 0
    return fitted_to_points(mesh, scan.points, REACH, seed=seed)
