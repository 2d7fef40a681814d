"""Parts of a mesh with all that its vertices carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import trimesh


def with_faces(
    mesh: trimesh.Trimesh,
    kept: NDArray[np.bool_],  # (F,)
) -> trimesh.Trimesh:
    """Return a mesh of some of the faces and of the vertices that they use.

    Attributes, colours and normals of the vertices and the metadata stay; order stays too.
    """
    import trimesh

    faces = np.asarray(mesh.faces)[kept]
    used = np.zeros(len(mesh.vertices), dtype=np.bool_)
    used[faces] = True
    number = np.cumsum(used) - 1
    options: dict[str, Any] = {}
    if "vertex_normals" in mesh._cache.cache:
        options["vertex_normals"] = np.asarray(mesh.vertex_normals)[used]
    visual: Any = mesh.visual
    if visual.kind == "vertex":
        options["vertex_colors"] = np.asarray(visual.vertex_colors)[used]
    return trimesh.Trimesh(
        np.asarray(mesh.vertices)[used],
        number[faces],
        vertex_attributes={
            key: np.asarray(value)[used] for key, value in mesh.vertex_attributes.items()
        },
        metadata=dict(mesh.metadata),
        process=False,
        **options,
    )


def with_vertices(
    mesh: trimesh.Trimesh,
    kept: NDArray[np.bool_],  # (V,)
) -> trimesh.Trimesh:
    """Return a mesh of the faces all of whose corners are among some of the vertices."""
    return with_faces(mesh, kept[np.asarray(mesh.faces)].all(axis=1))
