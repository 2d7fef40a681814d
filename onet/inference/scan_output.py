"""What a mesh tells of the scan that it was made from."""

from __future__ import annotations

import logging
import math

import numpy as np
import trimesh
from numpy.typing import NDArray

from onet.errors import ConfigError
from onet.geometry.carried_colors import carry_colors
from onet.geometry.nearest import NearestNeighbors
from onet.geometry.pieces import pieces_of_vertices
from onet.geometry.trimming import with_vertices
from onet.inference.scan_input import ScanInput

logger = logging.getLogger(__name__)

DISTANCE = "scan_distance"
"""Attribute of vertices: way to the nearest point of the scan, in units of the spacing there."""

SEEN = "seen"
"""Attribute of vertices: 1 where the scan shows the surface, 0 where it was completed."""

SEEN_WITHIN = 2.5
"""Spacings. Of points at random on a surface one place in 300 million is farther from all."""

SEEN_OF_PIECE = 0.05
"""Part of the vertices of a closed piece of surface below which all of it is invented."""


def finish(
    mesh: trimesh.Trimesh,
    scan: ScanInput,
    trim: float | None = None,
    closed: bool = True,
) -> trimesh.Trimesh:
    """Give the vertices of a mesh what the scan says of them, and remove what was invented.

    Pieces of surface of which the scan shows next to nothing, such as bubbles inside of a solid,
    are removed in any case; where it shows nothing of any piece, all stay. Vertices get the
    attributes `DISTANCE` and `SEEN`, both float32, which PLY and GLB files keep, and the colours of
    the scan where it has any. `metadata["scan"]` has `points`, `spacing` (the median, in the frame
    of the mesh), `seen` (part of the vertices, pieces removed apart), `removed` (faces), `trim`,
    `closed` and `notes`.

    Args:
        mesh: in the frame of the scan. It is changed, and is the result where nothing is removed.
        scan: what it was made from.
        trim: remove faces with a corner farther than that from every point, in units of the frame.
        closed: without `trim`: keep completed surface. If not, faces with a completed corner are
            removed, too.

    Raises:
        ConfigError: `trim` is not above 0.
    """
    check_trim(trim)
    told = {
        "points": len(scan),
        "spacing": scan.spacing.typical,
        "seen": 0.0,
        "removed": 0,
        "trim": trim,
        "closed": closed and trim is None,
        "notes": list(scan.notes),
    }
    mesh.metadata["scan"] = told
    if len(mesh.faces) == 0:
        return mesh
    distances, spacings = _distances(mesh, scan)
    relative = (distances / spacings).astype(np.float32)
    seen = (relative <= SEEN_WITHIN).astype(np.float32)
    mesh.vertex_attributes[DISTANCE] = relative
    mesh.vertex_attributes[SEEN] = seen
    stay = _shown(mesh, seen)
    told["seen"] = float(seen[stay].mean())
    if trim is not None:
        stay &= distances <= trim
    elif not closed:
        stay &= seen > 0
    kept = mesh if stay.all() else with_vertices(mesh, stay)
    if scan.colors is not None:
        vertices = scan.frame.to_unit(kept.vertices)
        rgb = carry_colors(vertices, scan.frame.to_unit(scan.points), scan.colors)
        kept.visual = trimesh.visual.ColorVisuals(kept, vertex_colors=rgb)
    kept.metadata["scan"] = told | {"removed": len(mesh.faces) - len(kept.faces)}
    if len(kept.faces) == 0:
        logger.warning("%s: all of the surface was removed; trim at a larger distance", scan.name)
    return kept


def check_trim(trim: float | None) -> None:
    """See that a distance to trim at can be one.

    Raises:
        ConfigError: it is not above 0.
    """
    if trim is not None and not 0 < trim < math.inf:
        raise ConfigError(f"trim: {trim}; give a distance above 0, in the unit of the scan")


def _shown(mesh: trimesh.Trimesh, seen: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which vertices are of pieces that the scan shows something of; all if it shows no piece."""
    pieces = pieces_of_vertices(np.asarray(mesh.faces, dtype=np.int64), len(mesh.vertices))
    shown = np.bincount(pieces, seen) / np.bincount(pieces) >= SEEN_OF_PIECE
    return shown[pieces] if shown.any() else np.ones(len(seen), dtype=np.bool_)


def _distances(
    mesh: trimesh.Trimesh, scan: ScanInput
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Way of each vertex to the nearest point, and the spacing there; in the frame of the scan."""
    vertices = scan.frame.to_unit(mesh.vertices)
    away, _ = NearestNeighbors(scan.frame.to_unit(scan.points)).query(vertices)
    return away * scan.frame.scale, scan.spacing.at(np.asarray(mesh.vertices, dtype=np.float64))
