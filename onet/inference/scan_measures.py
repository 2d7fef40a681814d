"""What a reconstructed scan measures: dimensions, area, volume, and how much of it was seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import trimesh

from onet.geometry.field_values import Field
from onet.inference.scan_intervals import Intervals, per_logit
from onet.inference.scan_output import DISTANCE, SEEN


def measures(
    mesh: trimesh.Trimesh, field: Field | None = None, intervals: Intervals | None = None
) -> dict[str, Any]:
    """Return what a mesh made by `onet.inference.scan_output.finish` measures, as JSON values.

    All is in units of the frame of the mesh. `box` is along its axes, `size` along the main axes of
    its surface, the longest first; `volume` is None where the surface is not closed; `seen_area` is
    the part of the area that the scan shows; `distance_95` the 95th percentile of the distances of
    vertices to the scan, in spacings. With a field of logits in the frame of the mesh, and
    intervals for its network, a closed surface also has `volume_90` and `box_90`: the bounds that
    nine of ten truths are between.
    """
    areas = np.asarray(mesh.area_faces)
    total = float(areas.sum())
    faces = np.asarray(mesh.faces)
    seen = np.asarray(mesh.vertex_attributes[SEEN], dtype=np.float64).reshape(-1)
    distances = np.asarray(mesh.vertex_attributes[DISTANCE], dtype=np.float64).reshape(-1)
    return {
        "box": np.ptp(np.asarray(mesh.vertices), axis=0).tolist(),
        "size": _size(mesh, areas),
        "area": total,
        "volume": float(mesh.volume) if mesh.is_watertight else None,
        "seen_area": float((areas * seen[faces].mean(axis=1)).sum() / total) if total else 0.0,
        "distance_95": float(np.quantile(distances, 0.95)),
        **(_bounds(mesh, field, intervals) if field is not None and intervals else {}),
        **{key: mesh.metadata["scan"][key] for key in ("points", "spacing", "removed", "notes")},
    }


def _bounds(mesh: trimesh.Trimesh, field: Field, intervals: Intervals) -> dict[str, Any]:
    if not mesh.is_watertight:
        return {}
    logit = per_logit(mesh, field, mesh.metadata["scan"]["spacing"])
    low, high = intervals.volume
    box = np.ptp(np.asarray(mesh.vertices), axis=0)
    sides = [box + factor * logit.box for factor in intervals.box]
    return {
        "volume_90": [float(mesh.volume) + factor * logit.volume for factor in (low, high)],
        "box_90": np.stack(sides, axis=1).tolist(),
    }


def _size(mesh: trimesh.Trimesh, areas: Any) -> list[float]:
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    centres = vertices[np.asarray(mesh.faces)].mean(axis=1)
    weights = areas if areas.sum() > 0 else None
    middle = np.average(centres, axis=0, weights=weights)
    _, axes = np.linalg.eigh(np.cov((centres - middle).T, aweights=weights))
    return sorted(np.ptp((vertices - middle) @ axes, axis=0).tolist(), reverse=True)
