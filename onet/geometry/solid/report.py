"""What became of a mesh that was made solid: measured, for a table and for JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import trimesh

from onet.geometry.distance import TriangleTree
from onet.geometry.normalization import UnitFrame, without_loose_vertices
from onet.geometry.sampling import sample_surface, surface_area
from onet.geometry.topology import topology
from onet.geometry.winding import WindingTree

SAMPLES = 20_000
FAR = 0.01
"""Units of the longest edge from which on a distance between the surfaces is doubtful."""
OUTSIDE = 0.5
"""Winding number of the solid below which a point is outside."""


@dataclass(frozen=True)
class Distance:
    """Distances of points of one surface to another, in units of the file.

    Attributes:
        median, most, largest: the second is that of 95 % of the points.
    """

    median: float
    most: float
    largest: float


@dataclass(frozen=True)
class SolidReport:
    """What `make_solid` did to a mesh. Lengths are in units of the file.

    Attributes:
        method: `as it is` or `lattice`, see `make_solid`.
        faces, components: of the solid.
        volume, area: of the solid.
        cavities: pieces of surface left out, because the solid encloses them.
        holes: that were closed.
        largest_hole: diameter of the widest; 0 without any.
        sheets: faces of the input that became walls.
        sheet_area: their area.
        hidden: faces that no view sees, and that therefore say nothing.
        held_back: vertices that do not lie on the input, lest faces cross.
        to_input: distances of the solid's surface to the input.
        from_input: distances of the input's surface to that of the solid; what is enclosed and left
            out counts.
        doubtful: what to look at, with its place; empty if nothing is.
    """

    method: str
    faces: int
    components: int
    volume: float
    area: float
    cavities: int
    holes: int
    largest_hole: float
    sheets: int
    sheet_area: float
    hidden: int
    held_back: int
    to_input: Distance
    from_input: Distance
    doubtful: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, nested, for JSON."""
        return asdict(self)

    def row(self) -> dict[str, Any]:
        """Return the most of it on one level, for a table."""
        return {
            "method": self.method,
            "faces": self.faces,
            "components": self.components,
            "volume": float(f"{self.volume:.4g}"),
            "cavities": self.cavities,
            "holes": self.holes,
            "sheets": self.sheets,
            "to_input_95": float(f"{self.to_input.most:.3g}"),
            "to_input_max": float(f"{self.to_input.largest:.3g}"),
            "doubtful": len(self.doubtful),
        }


def solid_report(source: trimesh.Trimesh, solid: trimesh.Trimesh, threads: int = 0) -> SolidReport:
    """Compare a solid with the mesh that `make_solid` made it of.

    Args:
        source: the mesh, in its frame.
        solid: as `make_solid` returned it, in the same frame.
        threads: 0 for all cores, or OMP_NUM_THREADS if that is set.
    """
    told = solid.metadata["solid"]
    source = without_loose_vertices(source)
    frame = UnitFrame.of_mesh(source)
    before, after = frame.mesh_to_unit(source), frame.mesh_to_unit(solid)
    rng = np.random.default_rng(0)
    on_solid = sample_surface(after, SAMPLES, rng)[0]
    on_source = _points_of(before, rng)
    there = TriangleTree(before).closest(on_solid, threads)[1]
    back = TriangleTree(after).closest(on_source, threads)[1]
    seen = topology(solid)
    return SolidReport(
        method=told["method"],
        faces=len(solid.faces),
        components=seen.components,
        volume=float(after.volume) * frame.scale**3,
        area=float(after.area) * frame.scale**2,
        cavities=told["cavities"],
        holes=len(told["holes"]),
        largest_hole=max((hole["size"] for hole in told["holes"]), default=0.0),
        sheets=told["sheet_faces"],
        sheet_area=told["sheet_area"],
        hidden=told["hidden_faces"],
        held_back=told["held_back"],
        to_input=_distance(there, frame.scale),
        from_input=_distance(back, frame.scale),
        doubtful=[
            *_crossing(told["crossing"]),
            *_closed_wide(told["holes"], frame.scale),
            *_added(frame, on_solid, there),
            *_lost(frame, after, on_source, back, threads),
        ],
    )


def _points_of(mesh: trimesh.Trimesh, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    if surface_area(mesh) > 0:
        return sample_surface(mesh, SAMPLES, rng)[0]
    return np.ascontiguousarray(mesh.vertices)


def _distance(values: np.ndarray[Any, Any], scale: float) -> Distance:
    median, most, largest = np.quantile(values, [0.5, 0.95, 1.0]) * scale
    return Distance(float(median), float(most), float(largest))


def _crossing(places: list[list[float]]) -> list[str]:
    return [f"faces cross at {_place(place)}" for place in places[:5]]


def _closed_wide(holes: list[dict[str, Any]], scale: float) -> list[str]:
    wide = [hole for hole in holes if hole["size"] > 0.1 * scale]
    return [
        f"a hole {hole['size']:.4g} wide was closed at {_place(hole['centre'])}"
        for hole in sorted(wide, key=lambda hole: -hole["size"])[:5]
    ]


def _added(
    frame: UnitFrame, points: np.ndarray[Any, Any], distance: np.ndarray[Any, Any]
) -> list[str]:
    far = distance > FAR
    if not far.any():
        return []
    place = frame.to_source(points[distance.argmax()])
    return [
        f"{far.mean():.1%} of the surface is new, up to {distance.max() * frame.scale:.4g} off the "
        f"input, at {_place(place)}"
    ]


def _lost(
    frame: UnitFrame,
    solid: trimesh.Trimesh,
    points: np.ndarray[Any, Any],
    distance: np.ndarray[Any, Any],
    threads: int,
) -> list[str]:
    """What of the input lies outside of the solid and far from it."""
    far = np.flatnonzero(distance > FAR)
    winding = WindingTree(solid).winding_number(points[far], threads=threads)
    far = far[winding < OUTSIDE]
    if not len(far):
        return []
    place = frame.to_source(points[far[distance[far].argmax()]])
    return [
        f"{len(far) / len(points):.1%} of the input's surface is outside of the solid, up to "
        f"{distance[far].max() * frame.scale:.4g} off it, at {_place(place)}"
    ]


def _place(point: Any) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in point) + ")"
