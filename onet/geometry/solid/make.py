"""The solid that a mesh in any condition stands for, with its surface where it was.

The steps, a module each: what lies at one place becomes one vertex (`cleaning`), neighbours are
turned to agree (`orientation`), holes are closed (`holes`), and what looks outside from both sides
is told from what has an inside (`seen`). A mesh that bounds a solid by then is returned as it is.
Of any other the surface is extracted from the field of its winding number and its exact distances
(`field`), its vertices are moved onto the triangles and their edges (`placement`), as far as no
face crosses another (`crossings`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import trimesh
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.extraction import extract_mesh
from onet.geometry.mesh_lattice import MeshLattice
from onet.geometry.mesh_memory import MeshLike, take_mesh
from onet.geometry.normalization import UnitFrame, without_loose_vertices
from onet.geometry.solid.budget import with_fewer_faces
from onet.geometry.solid.cleaning import Faces, weld
from onet.geometry.solid.colours import with_colours_of
from onet.geometry.solid.crossings import crossing_faces, move_without_crossing
from onet.geometry.solid.field import INSIDE, SolidField
from onet.geometry.solid.holes import Hole, close_holes, wide_open
from onet.geometry.solid.orientation import Patches, areas, orient
from onet.geometry.solid.placement import place
from onet.geometry.solid.rounding import storable
from onet.geometry.solid.seen import solid_and_sheets
from onet.geometry.topology import topology
from onet.geometry.watertight import fill_cavities
from onet.geometry.winding import WindingTree

Cavities = Literal["fill", "keep"]

WALL = 0.004
"""Thickness of the walls that sheets get, in units of the longest edge."""
THICKEST = 0.2
"""Of such a wall, in the same units."""
OFFSET_CELLS = 1.0
"""Cells that the surface of thin parts lies outward while the lattice looks for it."""
LEAST = 8
"""Resolution that is refused below."""
HELD_BACK = 0.05
"""Part of their way that vertices may lack without being called held back."""


def make_solid(
    mesh: MeshLike,
    resolution: int = 256,
    *,
    wall: float = WALL,
    holes: float | None = None,
    cavities: Cavities = "fill",
    faces: int | None = None,
    threads: int = 0,
    name: str = "mesh",
) -> trimesh.Trimesh:
    """Return the solid that a mesh in any condition stands for: closed, manifold, outward.

    No face crosses another, as `onet.geometry.solid.crossings` decides it exactly. The surface lies
    on the input's triangles where they bound something. A mesh that bounds a solid already, or once
    its faces are turned and its holes closed, is returned with its own vertices and faces; what is
    enclosed is left out. A sheet, which is seen from both sides, becomes a wall around it.

    Args:
        mesh: triangles in any frame, or what `onet.geometry.mesh_memory.take_mesh` takes.
        resolution: cells along the longest edge of the lattice that the surface is looked for on,
            at least 8. Gaps narrower than a cell may close; walls stay, however thin.
        wall: thickness of the walls that sheets get, in units of the longest edge of the mesh.
        holes: diameter of the widest holes that are closed, in the same units; what has wider ones
            is a sheet. None is 0.3, and ends that were cut off besides, whatever their size;
            what has wider ones is a sheet only if much of its inside can be seen through them.
        cavities: `fill` makes enclosed cavities solid; `keep` leaves those hollow that the winding
            number says are, of closed shells as the file turns them.
        faces: budget; None keeps all. Where fewer faces would cross, more remain.
        threads: 0 for all cores, or OMP_NUM_THREADS if that is set.
        name: what to call the mesh in an error message, its file for instance.

    Returns:
        New mesh in the frame of the input, with its colours at the closest points, but not its
        textures. `metadata["solid"]` tells `method` (`as it is` or `lattice`), `resolution`,
        `cavities` filled, `holes` closed (`size` and `centre` in the frame of the input),
        `sheet_faces` and `sheet_area`, `hidden_faces` that no view saw, `held_back` (vertices short
        of their places, lest faces cross) and `crossing` (places of faces that cross still; none
        are known to happen). `onet.geometry.solid.report` measures the rest.

    Raises:
        DataError: no faces, vertices of faces that are not finite, no extent, or a setting out of
            bounds.
    """
    _check(resolution, wall, holes, cavities, faces)
    given = without_loose_vertices(take_mesh(mesh, name))
    frame = UnitFrame.of_mesh(given, name)
    keep = cavities == "keep"
    unit = frame.to_unit(given.vertices)
    parts = take_apart(unit, np.asarray(given.faces, np.int64), holes, keep, name)
    result = _as_it_is(given, parts, keep, threads)
    if result is None:
        result = surface_of(parts, frame, resolution, wall, keep, threads, name)
    if faces is not None:
        result = with_fewer_faces(result, faces, threads)
    result.metadata["solid"] |= parts.told(frame)
    return with_colours_of(given, result, threads)


@dataclass(frozen=True)
class Parts:
    """A mesh taken apart, in the unit frame.

    Attributes:
        vertices: (V, 3) of the welded mesh.
        source: (V,) a vertex of the input at each place.
        patches: what hangs together.
        solid, sheets: faces of either kind; the first look outward.
        hidden: number of faces that no view saw.
        holes: that were closed.
    """

    vertices: NDArray[np.float64]
    source: NDArray[np.int64]
    patches: Patches
    solid: Faces
    sheets: Faces
    hidden: int
    holes: list[Hole]

    def told(self, frame: UnitFrame) -> dict[str, Any]:
        """Return what is known of the parts, in the frame of the input."""
        area = float(areas(self.vertices, self.sheets).sum())
        return {
            "holes": [
                {
                    "size": hole.size * frame.scale,
                    "centre": frame.to_source(hole.centre).tolist(),
                    "border": hole.vertices,
                }
                for hole in self.holes
            ],
            "sheet_faces": len(self.sheets),
            "sheet_area": area * frame.scale**2,
            "hidden_faces": self.hidden,
        }


def take_apart(
    vertices: NDArray[np.float64],
    faces: Faces,
    holes: float | None = None,
    keep_cavities: bool = False,
    name: str = "mesh",
) -> Parts:
    """Weld, close holes, turn faces, and ask what is solid.

    Args:
        vertices: (V, 3) in the unit frame.
        faces: (F, 3).
        holes, name: see `make_solid`.
        keep_cavities: leave closed patches turned as they are where they lie within others.

    Raises:
        DataError: no face has three different corners.
    """
    source, faces = weld(vertices, faces)
    vertices = np.ascontiguousarray(vertices[source])
    if not len(faces):
        raise DataError(
            f"{name}: no face has three different corners; export it as a surface of triangles"
        )
    patches = orient(vertices, faces)
    caps, found = close_holes(vertices, patches, holes)
    if len(caps):
        patches = orient(vertices, np.concatenate([patches.faces, caps]))
    if keep_cavities:
        patches = patches.with_cavities(vertices)
    opened = np.zeros(len(patches.closed), dtype=bool)
    if holes is not None:
        opened = wide_open(vertices, patches, holes)
    solid, sheets, hidden = solid_and_sheets(vertices, patches, opened)
    if len(hidden):
        sheets = np.concatenate([sheets, _outside(vertices, solid, hidden)])
    return Parts(vertices, source, patches, solid, sheets, len(hidden), found)


def _check(
    resolution: int, wall: float, holes: float | None, cavities: str, faces: int | None
) -> None:
    if int(resolution) != resolution or resolution < LEAST:
        raise DataError(f"make_solid: resolution is {resolution}; give a whole number from {LEAST}")
    if not 0 < wall <= THICKEST:
        raise DataError(
            f"make_solid: wall is {wall:g} of the longest edge; give more than 0 and at most "
            f"{THICKEST}"
        )
    if holes is not None and not 0 <= holes < np.inf:
        raise DataError(f"make_solid: holes is {holes}; give a diameter from 0 on")
    if cavities not in ("fill", "keep"):
        raise DataError(f"make_solid: cavities is {cavities!r}; choose 'fill' or 'keep'")
    if faces is not None and faces < 4:
        raise DataError(f"make_solid: faces is {faces}; a closed mesh has at least 4")


def _outside(vertices: NDArray[np.float64], solid: Faces, hidden: Faces) -> Faces:
    """Return those of the hidden faces (H, 3) that do not lie in the solid."""
    if not len(solid):
        return hidden
    tree = WindingTree(trimesh.Trimesh(vertices, solid, process=False))
    return np.asarray(hidden[tree.winding_number(vertices[hidden].mean(axis=1)) < INSIDE])


def _as_it_is(
    mesh: trimesh.Trimesh, parts: Parts, keep_cavities: bool, threads: int
) -> trimesh.Trimesh | None:
    """Return the mesh itself, turned outward and with holes closed, if that bounds a solid."""
    if not parts.patches.closed.all():
        return None
    found = trimesh.Trimesh(parts.vertices, parts.solid, process=False)
    told = topology(found)
    if not (told.watertight and told.manifold and told.oriented):
        return None
    if len(crossing_faces(found, threads)):
        return None
    corners = np.asarray(mesh.vertices)[parts.source]
    # Indices are what is looked at from here on: the vertices stay those of the input.
    faces, filled = (parts.solid, 0) if keep_cavities else _without_enclosed(found)
    result = trimesh.Trimesh(corners, faces, process=False)
    result.remove_unreferenced_vertices()
    if not topology(result).outward:
        return None
    result.metadata["solid"] = {"method": "as it is", "cavities": filled}
    result.metadata["solid"] |= {"held_back": 0, "crossing": []}
    return result


def _without_enclosed(mesh: trimesh.Trimesh) -> tuple[Faces, int]:
    """Return the faces of the outermost shells, and how many others there were."""
    numbered = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    number = {tuple(face): index for index, face in enumerate(np.sort(mesh.faces).tolist())}
    place = {tuple(point): index for index, point in enumerate(mesh.vertices.tolist())}
    outer, filled = fill_cavities(numbered)
    if filled == 0:
        return np.asarray(mesh.faces), 0
    back = np.array([place[tuple(point)] for point in outer.vertices.tolist()])
    kept = [number[tuple(face)] for face in np.sort(back[outer.faces]).tolist()]
    return np.asarray(mesh.faces[kept]), filled


def surface_of(
    parts: Parts,
    frame: UnitFrame,
    resolution: int,
    wall: float | None,
    keep_cavities: bool,
    threads: int,
    name: str,
) -> trimesh.Trimesh:
    """Return the solid by winding number and distances on a lattice, in the frame of the input.

    Args:
        parts: of the mesh, in the unit frame.
        frame: leads to that of the input.
        wall: thickness of sheets in units of the longest edge; None leaves sheets out.
        resolution, threads, name: see `make_solid`.
        keep_cavities: whether they stay.

    Raises:
        DataError: there is nothing inside.
    """
    cell = 1.0 / resolution
    offset = max(OFFSET_CELLS * cell, 0.55 * (wall or 0.0))
    field = SolidField(
        parts.vertices, parts.solid, parts.sheets, offset, cell, wall is not None, threads
    )
    rim = int(np.ceil(offset / cell)) + 4
    half = 0.5 + rim * cell
    raw = extract_mesh(
        field,
        ((-half,) * 3, (half,) * 3),
        resolution=resolution + 2 * rim,
        mode="fast",
        seeds=_seeds(parts, resolution),
        threads=threads,
    )
    found, filled = (raw, 0) if keep_cavities else fill_cavities(raw)
    if not len(found.faces):
        raise DataError(f"{name}: nothing is left of it as a solid; give a higher resolution")
    found.metadata["extraction"] = raw.metadata["extraction"]
    start, faces = np.asarray(found.vertices), np.asarray(found.faces)
    targets = place(found, field, wall or 0.0)

    def settle(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return storable(frame.to_source(points), cell * frame.scale)

    middles = MeshLattice.of(found).middles(start)
    points, left, pairs = move_without_crossing(
        start, targets.points, targets.plain, targets.corner, middles, faces, settle, threads
    )
    result = trimesh.Trimesh(points, faces, process=False)
    result.metadata["solid"] = {
        "method": "lattice",
        "resolution": resolution,
        "cavities": filled,
        "held_back": int((left > HELD_BACK).sum()),
        "crossing": points[faces[pairs[:, 0]]].mean(axis=1).tolist(),
    }
    return result


def _seeds(parts: Parts, resolution: int) -> NDArray[np.float64]:
    """Return points of the surface, several in each base cell it passes: no part is overlooked."""
    from onet.geometry.sampling import sample_surface, surface_area

    faces = np.concatenate([parts.solid, parts.sheets])
    mesh = trimesh.Trimesh(parts.vertices, faces, process=False)
    area = surface_area(mesh)
    corners = parts.vertices[np.unique(faces)]
    if not area > 0:
        return corners
    count = int(np.clip(area * (resolution / 3) ** 2, 1000, 1_000_000))
    return np.concatenate([sample_surface(mesh, count, np.random.default_rng(0))[0], corners])
