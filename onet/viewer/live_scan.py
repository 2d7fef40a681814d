"""Meshes of `onet scan`, made again from their scans while one looks."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from onet.checkpoints.checkpoint import checksum
from onet.errors import ConfigError, DataError
from onet.inference.scan_field import EncodedScan
from onet.inference.scan_input import ScanInput, clean_scan
from onet.inference.scan_output import finish
from onet.inference.scan_reconstructor import ScanReconstructor, take_mesh
from onet.inference.scan_sources import read_scan

AUTOMATIC = 0
"""Resolution that follows the spacing of the points."""


class LiveScans:
    """The network of a folder of scans.

    Nothing is loaded before the first mesh is asked for; the scan seen last stays encoded, so that
    its sliders wait for the extraction alone.

    Attributes:
        probability, resolution: those that the meshes were made with.
        blends: False.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = {"closed": True} | settings
        self._one_at_a_time = threading.Lock()
        self._model: ScanReconstructor | None = None
        self._encoded: tuple[str, ScanInput, list[EncodedScan]] | None = None
        self.blends = False
        self.probability = 0.5
        self.resolution = int(settings.get("resolution") or AUTOMATIC)

    def mesh(
        self, key: str, probability: float, resolution: int, toward: str = "", share: float = 0.0
    ) -> trimesh.Trimesh:
        """Return the mesh of a scan, in its frame.

        Args:
            key: file of the scan.
            probability: on the surface.
            resolution: cells along the longest side, or AUTOMATIC.
            toward: empty: codes of scans have no way between them.
            share: see there.

        Raises:
            OnetError: the network or the scan is not there any more.
        """
        if toward and share:
            raise ConfigError("the codes of scans belong to places; there is nothing between two")
        level = float(np.log(probability / (1 - probability)))
        with self._one_at_a_time, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="no surface")
            scan, parts = self._parts(key)
            seed = int(self._settings.get("seed", 0))
            meshes = [
                part.frame.mesh_to_source(take_mesh(part, resolution or None, level, seed=seed)[0])
                for part in parts
            ]
            mesh: Any = meshes[0] if len(meshes) == 1 else trimesh.util.concatenate(meshes)
            return finish(mesh, scan, self._settings.get("trim"), self._settings["closed"])

    def _parts(self, key: str) -> tuple[ScanInput, list[EncodedScan]]:
        if self._encoded is None or self._encoded[0] != key:
            model = self._network()
            scan = clean_scan(read_scan(Path(key), self._settings.get("sensor")), name=key)
            self._encoded = (key, scan, [model.encode(part) for part in scan.parts()])
        return self._encoded[1:]

    def _network(self) -> ScanReconstructor:
        if self._model is None:
            told = self._settings["network"]
            path = Path(told["path"])
            if not path.is_file():
                raise DataError(f"{path}: no such file; the network was moved or removed")
            if checksum(path) != told["sha256"]:
                raise DataError(f"{path}: holds another network than made these meshes")
            self._model = ScanReconstructor.load(path)
        return self._model
