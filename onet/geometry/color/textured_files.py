"""Textured meshes from files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.color.srgb import LINEAR_OF_BYTE
from onet.geometry.color.textured import SurfaceMaterial, TexturedMesh
from onet.geometry.mesh_io import load_mesh
from onet.geometry.mesh_reading.files import MeshFiles
from onet.geometry.mesh_reading.raw import UNPAINTED
from onet.geometry.mesh_reading.textured_parts import TexturedPart
from onet.geometry.point_cloud_io import load_cloud

if TYPE_CHECKING:
    import trimesh

_GLTF = (".glb", ".gltf")


def load_textured(path: str | os.PathLike[str]) -> TexturedMesh:
    """Read a mesh with its materials, textures and colours.

    Of glTF these are the base colour with its texture (any of the sets of texture coordinates, with
    KHR_texture_transform, repeated, mirrored or clamped), colours of vertices and alpha, of OBJ the
    materials beside it, of others colours of vertices or faces. Faces come in the order of
    `load_mesh`. What the file refers to is read from inside its own folder only; a texture that is
    missing, damaged, outside, or has more than 2^26 pixels is left out with a warning.

    Raises:
        DataError: see `load_mesh`.
    """
    path = Path(path)
    mesh = load_mesh(path)
    if path.suffix.lower() in _GLTF:
        from onet.geometry.mesh_reading.gltf_textured import read_gltf_textured

        return _joined(mesh, read_gltf_textured(MeshFiles(path)), path)
    if path.suffix.lower() == ".obj":
        from onet.geometry.mesh_reading.obj_textured import read_obj_textured

        return _joined(mesh, read_obj_textured(MeshFiles(path)), path)
    return _colored(mesh, path)


def _joined(mesh: trimesh.Trimesh, parts: list[TexturedPart], path: Path) -> TexturedMesh:
    """Return one mesh of all parts, whose faces are those of `mesh`."""
    counts = [len(part.faces) for part in parts]
    if sum(counts) != len(mesh.faces):
        raise DataError(f"{path}: has {sum(counts)} faces with materials of {len(mesh.faces)}")
    materials: list[SurfaceMaterial] = []
    numbers: dict[int, int] = {}
    for part in parts:
        if id(part.material) not in numbers:
            numbers[id(part.material)] = len(materials)
            materials.append(part.material)
    used = np.repeat([numbers[id(part.material)] for part in parts], counts).astype(np.int64)
    uv = np.concatenate(
        [np.zeros((len(part.faces), 3, 2)) if part.uv is None else part.uv for part in parts]
    )
    light = None
    if any(part.light is not None for part in parts):
        light = np.concatenate(
            [
                np.ones((len(part.faces), 3, 4)) if part.light is None else part.light
                for part in parts
            ]
        )
    return TexturedMesh(mesh, materials, used, np.nan_to_num(uv), light)


def _colored(mesh: trimesh.Trimesh, path: Path) -> TexturedMesh:
    """Return a mesh with the colours of vertices or faces that a file has, grey without any."""
    material = np.zeros(len(mesh.faces), dtype=np.int64)
    uv = np.zeros((len(mesh.faces), 3, 2))
    colors = _of_vertices(mesh, path)
    if colors is None:
        visual: Any = load_mesh(path, colors=True).visual
        if not visual.defined:
            grey = SurfaceMaterial(np.append(LINEAR_OF_BYTE[UNPAINTED[:3]], 1))
            return TexturedMesh(mesh, [grey], material, uv)
        each = np.asarray(visual.face_colors)[:, None]
        colors = np.broadcast_to(each, (len(mesh.faces), 3, 4))
    light = np.ones((len(mesh.faces), 3, 4))
    light[..., :3] = LINEAR_OF_BYTE[colors[..., :3]]
    return TexturedMesh(mesh, [SurfaceMaterial()], material, uv, light)


def _of_vertices(mesh: trimesh.Trimesh, path: Path) -> NDArray[np.uint8] | None:
    """Return colours (F, 3, 3) of the corners of a file that has colours of vertices."""
    if path.suffix.lower() not in (".ply", ".off"):
        return None
    cloud = load_cloud(path)
    if cloud.colors is None or not np.array_equal(cloud.points, mesh.vertices):
        return None
    return cloud.colors[np.asarray(mesh.faces)]
