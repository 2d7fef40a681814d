"""The closed mesh that a mesh in any condition stands for, and labelled points of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.inside import contains
from onet.geometry.normalization import UnitFrame, without_loose_vertices
from onet.geometry.sampling import sample_box, sample_surface

if TYPE_CHECKING:
    import trimesh


Kind = Literal["solid", "published", "winding", "auto"]
"""Which solid a mesh stands for, see `close_mesh`."""


@dataclass(frozen=True)
class ClosedMesh:
    """A watertight mesh, the boundary of a solid.

    Attributes:
        mesh: in the unit frame.
        frame: takes it to the source frame.
        method: how it was made; see `make_watertight`.
        thickness: added to the surface, in the unit frame and in source units.
    """

    mesh: trimesh.Trimesh
    frame: UnitFrame
    method: dict[str, Any]
    thickness: dict[str, float]


def close_mesh(
    mesh: trimesh.Trimesh,  # in the source frame
    name: str,
    resolution: int = 256,
    thickness: float | None = None,
    kind: Kind = "published",
) -> ClosedMesh:
    """Make a mesh watertight and normalise it again, so that the result has the longest edge 1.

    `solid` is what `onet.make_solid` makes of it, `published` what `make_watertight` does, which
    moves the surface outward; `winding` is the set where its winding number is above a half, and
    `auto` that of meshes that are closed, else `solid`.

    Args:
        mesh: triangles in any condition.
        name: what to call it in an error message, its file for instance.
        resolution: of the lattice.
        thickness: of `published`, see `make_watertight`.
        kind: which solid.

    Raises:
        DataError: nothing is left of it as a solid.
    """
    from onet.geometry.watertight import make_watertight

    if kind != "published":
        return _solid(mesh, name, resolution, kind)
    outer = UnitFrame.of_mesh(mesh, name)
    closed = make_watertight(outer.mesh_to_unit(mesh), resolution, thickness=thickness)
    if len(closed.faces) == 0:
        raise DataError(
            f"{name}: nothing is left of it as a solid; increase thickness "
            f"(now {thickness}) or resolution (now {resolution})"
        )
    method = closed.metadata["watertight"]
    inner = UnitFrame.of_mesh(closed, name)
    added = method["thickness"]
    return ClosedMesh(
        inner.mesh_to_unit(closed),
        outer.compose(inner),
        method,
        {"unit": added / inner.scale, "source": added * outer.scale},
    )


def _solid(mesh: trimesh.Trimesh, name: str, resolution: int, kind: Kind) -> ClosedMesh:
    """Return the solid whose surface is that of the mesh."""
    from onet.geometry.closed import open_edges
    from onet.geometry.solid.make import make_solid
    from onet.geometry.solid.winding_solid import winding_solid

    mesh = without_loose_vertices(mesh)
    if kind == "auto":
        UnitFrame.of_mesh(mesh, name)  # refuses what has no edges to ask for
        kind = "solid" if open_edges(mesh) else "winding"
    if kind == "solid":
        closed = make_solid((mesh.vertices, mesh.faces), resolution, name=name)  # without colours
    else:
        closed = winding_solid(mesh, resolution, name=name)
    told = closed.metadata["solid"]
    frame = UnitFrame.of_mesh(closed, name)
    method = {
        "method": kind,
        "surface": told["method"],
        "resolution": resolution,
        "cavities_filled": told["cavities"],
        "holes_closed": len(told["holes"]),
        "sheets": told["sheet_faces"],
        "crossing": len(told["crossing"]),
    }
    return ClosedMesh(frame.mesh_to_unit(closed), frame, method, {"unit": 0.0, "source": 0.0})


def trust_mesh(
    mesh: trimesh.Trimesh,  # in the source frame
    name: str,
) -> ClosedMesh:
    """Return a mesh that is closed already, as it is.

    Raises:
        DataError: it is not watertight.
    """
    from onet.geometry.topology import topology

    mesh = without_loose_vertices(mesh)
    frame = UnitFrame.of_mesh(mesh, name)
    if not topology(mesh).watertight:
        raise DataError(f"{name}: is not watertight; have it closed (leave out `closed`)")
    return ClosedMesh(
        frame.mesh_to_unit(mesh), frame, {"method": "given"}, {"unit": 0.0, "source": 0.0}
    )


def label_points(
    closed: ClosedMesh,
    uniform: int,
    near: int,
    noise: float,
    rng: np.random.Generator,
    padding: float = 0.1,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Points (N, 3) in the unit frame with their occupancies (N,).

    Args:
        closed: labels are those of its mesh.
        uniform: number of points anywhere in the padded unit cube; they come first.
        near: number of points near the surface.
        noise: their standard deviation from it, in units of the longest edge.
        rng: of the draws.
        padding: the cube is this much larger than the unit cube.
    """
    points = sample_box(uniform, padding, rng)
    if near:
        surface = sample_surface(closed.mesh, near, rng)[0]
        moved = surface + noise * rng.standard_normal(surface.shape)
        points = np.concatenate([points, moved.astype(np.float32)])
    return points, contains(closed.mesh, points)
