"""Normals of a mesh from the field behind it, sharper than those of its triangles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onet.geometry.field_gradient import value_and_gradient
from onet.geometry.field_values import Field
from onet.geometry.mesh_lattice import MeshLattice

if TYPE_CHECKING:
    import trimesh

STEP = 1 / 32
"""Step of central differences in cells of the lattice, for fields that give no gradient."""


def vertex_normals(
    field: Field,
    mesh: trimesh.Trimesh,
    *,
    batch_size: int = 65536,
) -> tuple[NDArray[np.float64], int]:
    """Unit normals (V, 3), towards smaller values, and how many of them are not the field's.

    They are the negative gradient. The mean of the faces' normals takes its place where it is zero,
    and on the flat ends where the surface was cut off at the box.

    Args:
        field: the one that `mesh` was extracted from.
        mesh: made by `extract_mesh`, then refined or simplified as you like.
        batch_size: most points handed to one call of `field`.

    Raises:
        ValueError: the mesh is not one that `extract_mesh` made.
        FieldError: see `value_and_gradient`.
    """
    lattice = MeshLattice.of(mesh)
    vertices = np.asarray(mesh.vertices)
    _, gradient = value_and_gradient(
        field, vertices, STEP * lattice.cell, batch_size=batch_size, dtype=lattice.dtype
    )
    length = np.linalg.norm(gradient, axis=1)
    unusable = (length == 0) | lattice.beyond(vertices).any(axis=1)
    normals = -gradient / np.where(unusable, 1.0, length)[:, None]
    if unusable.any():
        normals[unusable] = mesh.vertex_normals[unusable]
    return normals, int(unusable.sum())


def with_field_normals(
    field: Field, mesh: trimesh.Trimesh, *, batch_size: int = 65536
) -> trimesh.Trimesh:
    """Return a copy of the mesh that carries `vertex_normals`, which PLY, GLB and OBJ files keep.

    `metadata["normals"]` tells where they come from: `source` and `from_faces`, the vertices whose
    normal is that of the faces around.
    """
    import trimesh

    normals, from_faces = vertex_normals(field, mesh, batch_size=batch_size)
    result = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_normals=normals, process=False)
    result.metadata.update(mesh.metadata)
    result.metadata["normals"] = {"source": "field", "from_faces": from_faces}
    return result
