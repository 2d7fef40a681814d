"""What a reconstructed scan measures: dimensions, area, volume, and how much of it was seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import trimesh

from onet.inference.scan_output import DISTANCE, SEEN


def measures(mesh: trimesh.Trimesh) -> dict[str, Any]:
    """Return what a mesh made by `onet.inference.scan_output.finish` measures, as JSON values.

    All is in units of the frame of the mesh. `box` is along its axes, `size` along the main axes of
    its surface, the longest first; `volume` is None where the surface is not closed; `seen_area` is
    the part of the area that the scan shows; `distance_95` the 95th percentile of the distances of
    vertices to the scan, in spacings.
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
        **{key: mesh.metadata["scan"][key] for key in ("points", "spacing", "removed", "notes")},
    }


def _size(mesh: trimesh.Trimesh, areas: Any) -> list[float]:
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    centres = vertices[np.asarray(mesh.faces)].mean(axis=1)
    weights = areas if areas.sum() > 0 else None
    middle = np.average(centres, axis=0, weights=weights)
    _, axes = np.linalg.eigh(np.cov((centres - middle).T, aweights=weights))
    return sorted(np.ptp((vertices - middle) @ axes, axis=0).tolist(), reverse=True)
