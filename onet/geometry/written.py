"""What a mesh is like once it is in a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from onet.geometry.mesh_io import load_mesh
from onet.geometry.mesh_writing import save_mesh
from onet.geometry.topology import Topology, topology

if TYPE_CHECKING:
    import trimesh


def save_and_examine(mesh: trimesh.Trimesh, path: str | os.PathLike[str]) -> Topology:
    """Write a mesh with faces and tell the topology of what is read back.

    A format can lose what the mesh had: rounding merges vertices, and STL knows no shared ones.

    Raises:
        DataError: see `save_mesh`; or what was written cannot be read, as where single precision
            has left one place of the whole object.
    """
    return topology(load_mesh(save_mesh(mesh, path)))
