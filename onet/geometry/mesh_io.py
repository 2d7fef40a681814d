"""Meshes from and to files, validated on the way in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from onet.archives import as_path
from onet.geometry.mesh_reading.formats import READERS
from onet.geometry.mesh_reading.read import read_mesh
from onet.geometry.mesh_writing import MESH_SUFFIXES, save_mesh

if TYPE_CHECKING:
    import trimesh

__all__ = ["MESH_SUFFIXES", "load_mesh", "readable_suffixes", "save_mesh"]


def readable_suffixes() -> frozenset[str]:
    """Suffixes of files that `load_mesh` reads, `.stl` for instance."""
    return frozenset(READERS)


def load_mesh(
    path: str | os.PathLike[str], colors: bool = False, data: bytes | None = None
) -> trimesh.Trimesh:
    """Read the geometry of one mesh file; scenes become one mesh, with their transforms applied.

    Colours and textures are left out, or with `colors` become one colour a face, where the file
    has any (then `mesh.visual.defined`); parts without stay grey. Polygons become triangles.
    Vertices stay as the file lists them, in its precision, except that those without a face are
    dropped, and that STL, which has no shared vertices, gets equal ones merged.

    What the file refers to is read from inside its own folder only. `metadata["sources"]` of the
    mesh holds the SHA-256 of each file that was read, by its name relative to that folder.

    Args:
        path: the file; its suffix is the format, see `docs/data.md`.
        colors: whether to read colours.
        data: the content to parse in place of the file's.

    Returns:
        A mesh in the frame of the file, with at least one face and finite vertices.

    Raises:
        DataError: a missing, damaged or unreadable file, a format or extension that is not read, no
            faces, NaN vertices, or zero extent.
    """
    return read_mesh(as_path(path), colors, data)
