"""What a reconstruction must not depend on: orientation, scale and place of a scan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from benchmarks._scan_cells import Scan
from benchmarks._scan_peers import Method
from benchmarks._scan_scores import run_method, volume_scores
from benchmarks._scan_truth import Truth
from onet.metrics.penalties import IOU_PENALTY

SCALES = ((1.0, (1e3, -2e3, 5e2)), (1e3, (0.0, 0.0, 0.0)), (1e-3, (1.0, 2.0, 3.0)))
"""Factors and offsets, the latter in units of the longest edge after scaling."""


def turned(scan: Scan, rotation: np.ndarray) -> Scan:
    """Return the same scan in another orientation; `rotation` (3, 3) is applied to what it is."""
    sensor = None if scan.sensor is None else rotation @ scan.sensor
    return Scan(
        scan.points @ rotation.T, scan.normals @ rotation.T, sensor, rotation @ scan.rotation
    )


def rotation_rows(method: Method, scan: Scan, truth: Truth, count: int) -> list[dict[str, Any]]:
    """Return the IoU of one scan in `count` orientations, the given one first."""
    rng = truth.item.generator(0, "rotations")
    turns = (
        [np.eye(3), *Rotation.random(count - 1, rng=rng).as_matrix()] if count > 1 else [np.eye(3)]
    )
    return [
        {"turn": number, "iou": _iou(method, turned(scan, matrix), truth)}
        for number, matrix in enumerate(turns)
    ]


def scale_rows(method: Method, scan: Scan, truth: Truth) -> list[dict[str, Any]]:
    """Return by how much meshes of a scaled and moved scan differ from the mesh as it is.

    `vertices` is the largest distance between equal vertices in units of the longest edge, None
    where the meshes have other faces.
    """
    first = run_method(method, scan).mesh
    rows = []
    for factor, offset in SCALES:
        place = factor * np.asarray(offset)
        outcome = run_method(replace(method, run=_at(method, factor, place)), scan).mesh
        row: dict[str, Any] = {"factor": factor, "offset": float(np.abs(offset).max())}
        row["iou"] = _iou_of(outcome, method, truth)
        row["iou_change"] = row["iou"] - _iou_of(first, method, truth)
        row["vertices"] = _largest_move(first, outcome)
        rows.append(row)
    return rows


def _largest_move(first: trimesh.Trimesh | None, other: trimesh.Trimesh | None) -> float | None:
    if first is None or other is None or not np.array_equal(first.faces, other.faces):
        return None
    return float(np.abs(first.vertices - other.vertices).max())


def _at(method: Method, factor: float, place: np.ndarray) -> Any:
    """Return the method on the scaled and moved scan, with its mesh brought back."""

    def run(given: Any) -> Any:
        scan = given.scan
        sensor = None if scan.sensor is None else factor * scan.sensor + place
        moved = replace(scan, points=factor * scan.points + place, sensor=sensor)
        mesh = method.run(type(given)(moved, given.sensors)).copy()
        mesh.vertices = (mesh.vertices - place) / factor
        return mesh

    return run


def _iou(method: Method, scan: Scan, truth: Truth) -> float:
    return _iou_of(run_method(method, scan).mesh, method, truth)


def _iou_of(mesh: Any, method: Method, truth: Truth) -> float:
    if mesh is None:
        return IOU_PENALTY
    rng = truth.item.generator(0, "scores")
    return float(volume_scores(mesh, truth, method.parity, rng)["iou"])
