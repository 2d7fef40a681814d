"""The solid that a mesh's own winding number tells, whatever can be seen of it."""

from __future__ import annotations

import numpy as np
import trimesh

from onet.geometry.normalization import UnitFrame, without_loose_vertices
from onet.geometry.solid.cleaning import merge
from onet.geometry.solid.crossings import crossing_faces
from onet.geometry.solid.make import Parts, surface_of
from onet.geometry.solid.orientation import orient
from onet.geometry.topology import topology


def winding_solid(
    mesh: trimesh.Trimesh, resolution: int = 256, *, threads: int = 0, name: str = "mesh"
) -> trimesh.Trimesh:
    """Return the boundary of the set where the winding number of a mesh is above a half.

    Its faces count as the file turns them, all at once turned over if they enclose a negative
    volume; holes are closed by the winding number alone, sheets vanish, cavities stay.

    Args:
        mesh: any frame.
        resolution: cells along the longest edge.
        threads: 0 for all cores, or OMP_NUM_THREADS if that is set.
        name: what to call it in an error message.

    Returns:
        New mesh in the same frame, closed, manifold, oriented, with `metadata["solid"]` as of
        `make_solid`.

    Raises:
        DataError: no faces, vertices that are not finite, no extent, or nothing inside.
    """
    mesh = without_loose_vertices(mesh)
    frame = UnitFrame.of_mesh(mesh, name)
    vertices, faces = merge(frame.to_unit(mesh.vertices), np.asarray(mesh.faces, np.int64))
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    if np.einsum("ij,ij->", a, np.cross(b, c)) < 0:
        faces = np.ascontiguousarray(faces[:, ::-1])
    parts = Parts(
        vertices, np.arange(len(vertices)), orient(vertices, faces), faces, faces[:0], 0, []
    )
    unit = trimesh.Trimesh(vertices, faces, process=False)
    if topology(unit).solid and not len(crossing_faces(unit, threads)):
        unit.metadata["solid"] = {"method": "as it is", "cavities": 0}
        unit.metadata["solid"] |= {"held_back": 0, "crossing": []}
        result = frame.mesh_to_source(unit)
        result.metadata.update(unit.metadata)
    else:
        result = surface_of(parts, frame, resolution, None, True, threads, name)
    result.metadata["solid"] |= parts.told(frame)
    return result
