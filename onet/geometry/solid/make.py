"""The solid that a mesh in any condition stands for, with its surface where it was."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
import trimesh
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.extraction import extract_mesh
from onet.geometry.normalization import UnitFrame, without_loose_vertices
from onet.geometry.solid.cleaning import Faces, weld
from onet.geometry.solid.crossings import crossing_faces, move_without_crossing
from onet.geometry.solid.field import INSIDE, SolidField
from onet.geometry.solid.holes import Hole, close_holes
from onet.geometry.solid.orientation import Patches, orient
from onet.geometry.solid.placement import place
from onet.geometry.solid.seen import solid_and_sheets
from onet.geometry.topology import topology
from onet.geometry.watertight import fill_cavities
from onet.geometry.winding import WindingTree

logger = logging.getLogger(__name__)

Cavities = Literal["fill", "keep"]

WALL = 0.004
"""Thickness of the walls that sheets get, in units of the longest edge."""
OFFSET_CELLS = 1.0
"""Cells that the surface of thin parts lies outward while the lattice looks for it."""
RIM_CELLS = 6


@dataclass(frozen=True)
class _Parts:
    """A mesh taken apart, in the unit frame."""

    vertices: NDArray[np.float64]
    solid: Faces
    sheets: Faces
    hidden: int
    holes: list[Hole]
    source: NDArray[np.int64]  # (V,) vertex of the input
    patches: Patches


def make_solid(
    mesh: trimesh.Trimesh,
    resolution: int = 256,
    *,
    wall: float = WALL,
    holes: float | None = None,
    cavities: Cavities = "fill",
    threads: int = 0,
) -> trimesh.Trimesh:
    """Closed, manifold, outward mesh of a solid, without crossing faces, for any triangles."""
    mesh = without_loose_vertices(mesh)
    frame = UnitFrame.of_mesh(mesh)
    parts = take_apart(frame.to_unit(mesh.vertices), np.asarray(mesh.faces, np.int64), holes)
    if (exact := _as_it_is(mesh, parts, cavities, threads)) is not None:
        return exact
    unit = _extracted(parts, resolution, wall, cavities, threads)
    result = frame.mesh_to_source(unit)
    result.metadata["solid"] = unit.metadata["solid"]
    return result


def take_apart(vertices: NDArray[np.float64], faces: Faces, holes: float | None) -> _Parts:
    """Weld, close holes, orient, and ask what is solid, in the unit frame."""
    source, faces = weld(vertices, faces)
    vertices = np.ascontiguousarray(vertices[source])
    if not len(faces):
        raise DataError("mesh: no face has three different corners; export it as a surface")
    patches = orient(vertices, faces)
    caps, found = close_holes(vertices, patches, holes)
    if len(caps):
        patches = orient(vertices, np.concatenate([patches.faces, caps]))
    solid, sheets, hidden = solid_and_sheets(vertices, patches)
    if len(hidden):
        sheets = np.concatenate([sheets, _outside(vertices, solid, hidden)])
    return _Parts(vertices, solid, sheets, len(hidden), found, source, patches)


def _outside(vertices: NDArray[np.float64], solid: Faces, hidden: Faces) -> Faces:
    """Those of the hidden faces (H, 3) that do not lie in the solid."""
    if not len(solid):
        return hidden
    tree = WindingTree(trimesh.Trimesh(vertices, solid, process=False))
    return np.asarray(hidden[tree.winding_number(vertices[hidden].mean(axis=1)) < INSIDE])


def _as_it_is(
    mesh: trimesh.Trimesh, parts: _Parts, cavities: Cavities, threads: int
) -> trimesh.Trimesh | None:
    """The mesh itself, turned outward and with holes closed, if it bounds a solid already."""
    if not parts.patches.closed.all() or cavities == "keep":
        return None
    found = trimesh.Trimesh(parts.vertices, parts.solid, process=False)
    told = topology(found)
    if not (told.watertight and told.manifold and told.oriented):
        return None
    if len(crossing_faces(found, threads)):
        return None
    outer, filled = fill_cavities(found)
    if topology(outer).outward is False:
        return None
    place = {tuple(v): s for v, s in zip(parts.vertices.tolist(), parts.source, strict=True)}
    chosen = np.array([place[tuple(v)] for v in np.asarray(outer.vertices).tolist()])
    result = trimesh.Trimesh(np.asarray(mesh.vertices)[chosen], outer.faces, process=False)
    result.metadata["solid"] = {"method": "as it is", "cavities": filled, "holes": len(parts.holes)}
    return result


def _extracted(
    parts: _Parts, resolution: int, wall: float, cavities: Cavities, threads: int
) -> trimesh.Trimesh:
    """The solid by the winding number and exact distances on a lattice, in the unit frame."""
    cell = 1.0 / resolution
    offset = max(OFFSET_CELLS * cell, 0.55 * wall)
    field = SolidField(parts.vertices, parts.solid, parts.sheets, offset, cell, threads)
    rim = max(RIM_CELLS, int(np.ceil(offset / cell)) + 2)
    half = 0.5 + rim * cell
    raw = extract_mesh(
        field,
        ((-half,) * 3, (half,) * 3),
        resolution=resolution + 2 * rim,
        mode="fast",
        seeds=_seeds(parts, resolution),
        threads=threads,
    )
    if cavities == "fill":
        raw, filled = _filled(raw)
    else:
        filled = 0
    targets = place(raw, field, wall)
    points, left, pairs = move_without_crossing(
        np.asarray(raw.vertices), targets.points, np.asarray(raw.faces), threads
    )
    result = trimesh.Trimesh(points, raw.faces, process=False)
    result.metadata["solid"] = {
        "method": "lattice",
        "resolution": resolution,
        "cavities": filled,
        "holes": len(parts.holes),
        "sheets": len(parts.sheets),
        "hidden": parts.hidden,
        "crossing": len(pairs),
        "held_back": int((left > 0.05).sum()),
        "extraction": raw.metadata["extraction"],
    }
    return result


def _filled(raw: trimesh.Trimesh) -> tuple[trimesh.Trimesh, int]:
    filled, count = fill_cavities(raw)
    filled.metadata["extraction"] = raw.metadata["extraction"]
    return filled, count


def _seeds(parts: _Parts, resolution: int) -> NDArray[np.float64]:
    """Points of the surface, several in each base cell it passes: no thin part is overlooked."""
    from onet.geometry.sampling import sample_surface, surface_area

    faces = np.concatenate([parts.solid, parts.sheets])
    mesh = trimesh.Trimesh(parts.vertices, faces, process=False)
    area = surface_area(mesh)
    corners = parts.vertices[np.unique(faces)]
    if not area > 0:
        return corners
    count = int(np.clip(area * (resolution / 3) ** 2, 1000, 1_000_000))
    return np.concatenate([sample_surface(mesh, count, np.random.default_rng(0))[0], corners])
