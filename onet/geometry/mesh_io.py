"""Meshes from and to files of any format that trimesh knows, validated on the way in."""

from __future__ import annotations

import hashlib
import io
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onet.errors import DataError
from onet.files import replacing

if TYPE_CHECKING:
    import trimesh

MESH_SUFFIXES = (".glb", ".ply", ".obj", ".off", ".stl")
"""Formats that `save_mesh` writes."""

_UNPAINTED = np.array([184, 184, 184, 255], dtype=np.uint8)


def readable_suffixes() -> frozenset[str]:
    """Suffixes of files that `load_mesh` may be able to read, `.stl` for instance."""
    from trimesh.exchange.load import mesh_formats

    return frozenset(f".{name}" for name in mesh_formats())


def load_mesh(
    path: str | os.PathLike[str], colors: bool = False, data: bytes | None = None
) -> trimesh.Trimesh:
    """Read the geometry of one mesh file; scenes are concatenated with their transforms applied.

    Colours and textures are left out, or with `colors` become one colour a face, where the file
    has any (then `mesh.visual.defined`); parts without stay grey. Polygons become triangles.
    Vertices stay as the file lists them (`process=False`), except that STL, which has no shared
    vertices, gets equal ones merged.

    Args:
        path: of the file.
        colors: see above.
        data: parsed in place of the file's content.

    Returns:
        A mesh in the frame of the file, with at least one face and finite vertices. Its metadata
        have under `sources` the SHA-256 of each file read, by its name relative to the folder of
        `path`, of the very bytes that were parsed.

    Raises:
        DataError: a missing or unreadable file, no faces, NaN vertices, or zero extent.
    """
    import trimesh

    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; check the path")
    if data is None:
        data = path.read_bytes()
    sources = {path.name: hashlib.sha256(data).hexdigest()}
    try:
        loaded = trimesh.load(
            io.BytesIO(data),
            file_type=path.suffix[1:].lower(),
            resolver=_resolver(path, sources),
            process=False,
        )
        parts = loaded.dump() if isinstance(loaded, trimesh.Scene) else [loaded]
    except Exception as error:  # the readers of the many formats raise whatever they like
        raise DataError(
            f"{path}: cannot be read as a mesh ({type(error).__name__}: {error}); "
            f"export it again as one of {', '.join(MESH_SUFFIXES)}"
        ) from error
    solid = [part for part in parts if isinstance(part, trimesh.Trimesh) and len(part.faces) > 0]
    meshes = [
        trimesh.Trimesh(vertices=part.vertices, faces=part.faces, process=False) for part in solid
    ]
    if not meshes:
        raise DataError(f"{path}: has no faces; export it as a surface, not as points or curves")
    if colors:
        _paint(meshes, solid)
    mesh: Any = meshes[0] if len(meshes) == 1 else trimesh.util.concatenate(meshes)
    _check(mesh, path)
    mesh.remove_unreferenced_vertices()  # loose vertices would widen the bounding box
    if path.suffix.lower() == ".stl":
        _merge_equal_vertices(mesh)
    mesh.metadata["sources"] = sources
    return mesh


def _resolver(path: Path, sources: dict[str, str]) -> Any:
    """Finds the files that a mesh file names, and notes what was read of them."""
    from trimesh.resolvers import FilePathResolver

    class Noting(FilePathResolver):
        def get(self, name: str) -> bytes:
            data: bytes = super().get(name)
            sources[name] = hashlib.sha256(data).hexdigest()
            return data

    return Noting(str(path))


def _paint(meshes: list[Any], parts: list[Any]) -> None:
    """Give the meshes the face colours of their originals; none where no original has any."""
    if not any(part.visual.defined for part in parts):
        return
    for mesh, part in zip(meshes, parts, strict=True):
        visual = part.visual
        if not visual.defined:
            colors = np.tile(_UNPAINTED, (len(part.faces), 1))
        elif visual.kind == "texture":  # in the middle of each face
            middles = None if visual.uv is None else visual.uv[part.faces].mean(axis=1)
            shades = visual.material.to_color(middles)
            if shades is None:
                shades = visual.material.main_color
            colors = np.broadcast_to(shades, (len(part.faces), 4))
        else:
            colors = visual.face_colors
        mesh.visual.face_colors = colors


def _check(mesh: trimesh.Trimesh, path: Path) -> None:
    count = len(mesh.vertices)
    if mesh.faces.min() < 0 or mesh.faces.max() >= count:
        raise DataError(
            f"{path}: a face names a vertex outside 0..{count - 1}; the file is damaged, "
            "export it again"
        )
    used = mesh.vertices[np.unique(mesh.faces)]
    bad = int((~np.isfinite(used).all(axis=1)).sum())
    if bad:
        raise DataError(
            f"{path}: {bad} of {len(used)} vertices are NaN or infinite; repair and export it again"
        )
    if not np.ptp(used, axis=0).max() > 0:
        raise DataError(f"{path}: has zero extent, all vertices coincide; export it again")


def _merge_equal_vertices(mesh: trimesh.Trimesh) -> None:
    vertices, inverse = np.unique(mesh.vertices, axis=0, return_inverse=True)
    faces = inverse.reshape(-1)[mesh.faces]
    mesh.vertices, mesh.faces = vertices, faces


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
