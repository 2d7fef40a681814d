"""Meshes from and to files, validated on the way in."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onet.errors import DataError
from onet.files import replacing
from onet.geometry.mesh_reading.formats import READERS
from onet.geometry.mesh_reading.read import read_mesh

if TYPE_CHECKING:
    import trimesh

MESH_SUFFIXES = (".glb", ".ply", ".obj", ".off", ".stl")
"""Formats that `save_mesh` writes."""


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
    return read_mesh(Path(path), colors, data)


def save_mesh(mesh: trimesh.Trimesh, path: str | os.PathLike[str]) -> Path:
    """Write `mesh` in the format of the suffix (one of `MESH_SUFFIXES`), atomically.

    Vertices keep the mesh's own frame. GLB, PLY and STL store float32, OBJ and OFF nine significant
    digits of the object's size; STL repeats the vertices for each face.

    Raises:
        DataError: a suffix that is not one of `MESH_SUFFIXES`.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in MESH_SUFFIXES:
        raise DataError(
            f"{path}: cannot write the format {suffix!r}; use one of {', '.join(MESH_SUFFIXES)}"
        )
    options: dict[str, Any] = {}
    if suffix in (".obj", ".off") and len(mesh.vertices):
        # These count decimals, which would merge the vertices of an object measured in light years.
        size = float(np.ptp(mesh.vertices, axis=0).max()) or 1.0
        options["digits"] = max(0, 8 - math.floor(math.log10(size)))
    data: Any = mesh.export(file_type=suffix[1:], **options)
    with replacing(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
    return path
