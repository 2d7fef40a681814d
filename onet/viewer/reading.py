"""From a file to what is seen of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onet.archives import members
from onet.data.images import IMAGE_SUFFIXES, open_image
from onet.errors import DataError
from onet.geometry.color.textured import SurfaceColors
from onet.geometry.color.textured_files import load_textured
from onet.geometry.mesh_io import readable_suffixes
from onet.geometry.mesh_reading.files import MeshFiles
from onet.geometry.mesh_reading.gltf_asset import Asset
from onet.geometry.mesh_reading.ply_file import Lists, PlyFile
from onet.geometry.point_cloud_io import POINT_SUFFIXES, load_cloud
from onet.geometry.sequences.moving_mesh import MovingMesh
from onet.geometry.sequences.reading import ANIMATED, DEFAULT_FPS, read_sequence
from onet.geometry.voxels import read_voxels, voxel_mesh
from onet.inference.scan_output import SEEN
from onet.report.shape import Shape
from onet.viewer.entry import Panel

if TYPE_CHECKING:
    import trimesh

GRIDS = (".binvox",)
SUFFIXES = frozenset({*readable_suffixes(), *POINT_SUFFIXES, *GRIDS, *IMAGE_SUFFIXES})
"""Of files that the viewer shows."""

PAINTED_FACES = 30_000
"""A textured mesh with fewer is divided until it has as many, since vertices carry the colours."""

NOT_SEEN = "not seen"
"""1 where the surface was completed, which the attribute `seen` of `onet scan` says is 0."""

MOST_FRAMES = 250
"""Of something that moves; of more, as many are shown, evenly."""

_NOT_SHOWN = frozenset(
    ("x", "y", "z", "nx", "ny", "nz", "red", "green", "blue", "alpha", "r", "g", "b", "a", "s",
     "t", "u", "v", "texture_u", "texture_v", "diffuse_red", "diffuse_green", "diffuse_blue")
)  # fmt: skip


def read_panel(path: Path, title: str | None = None) -> Panel:
    """Return what is seen of a file: mesh, cloud, voxel grid, picture, or an animation.

    Raises:
        DataError: missing, damaged, or of a format that is not shown.
    """
    name, suffix = title or path.name, path.suffix.lower()
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder; check the path")
    if suffix in IMAGE_SUFFIXES:
        return Panel(name, picture=open_image(path))
    if suffix in GRIDS:
        grid = read_voxels(path)
        return Panel(name, [Shape.of_mesh(grid.frame.mesh_to_source(voxel_mesh(grid.full)))])
    if suffix not in SUFFIXES:
        raise DataError(
            f"{path}: files {suffix or 'without a suffix'} are not shown; give a mesh, a cloud, a "
            f"picture, a run or a folder of them: {', '.join(sorted(SUFFIXES))}"
        )
    if _moves(path):
        return moving_panel(read_sequence(path, DEFAULT_FPS), name)
    return Panel(name, [read_shape(path)])


def moving_panel(moving: MovingMesh, title: str) -> Panel:
    """Return a moving mesh as a panel with a slider."""
    count = len(moving)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_FRAMES)).round().astype(int))
    shapes = [Shape(moving.vertices[k], moving.faces[k]) for k in chosen]
    return Panel(title, shapes, [f"{moving.times[k]:.3g}" for k in chosen], "time")


def read_shape(path: Path) -> Shape:
    """Return the mesh or the cloud of a file, with its colours and the numbers of its vertices.

    Raises:
        DataError: missing or damaged.
    """
    suffix = path.suffix.lower()
    if suffix not in readable_suffixes():
        return _cloud(path)
    try:
        textured = load_textured(path)
    except DataError:
        if suffix not in POINT_SUFFIXES or _has_faces(path):
            raise
        return _cloud(path)  # a file of vertices alone
    mesh, colors = textured.mesh, None
    if textured.painted:
        cloud = load_cloud(path) if suffix == ".ply" else None
        if cloud is not None and cloud.colors is not None and len(cloud) == len(mesh.vertices):
            colors = cloud.colors
        else:
            mesh = _divided(mesh)
            colors = np.rint(255 * SurfaceColors(textured)(mesh.vertices)).astype(np.uint8)
    shape = Shape.of_mesh(mesh)
    return Shape(shape.vertices, shape.faces, colors, _numbers(path, len(shape.vertices)))


def made_shape(mesh: trimesh.Trimesh) -> Shape:
    """Return a mesh that a model made, with the colours and numbers of its vertices."""
    visual: Any = mesh.visual
    shape = Shape.of_mesh(mesh)
    colors = visual.vertex_colors[:, :3] if visual.kind == "vertex" else None
    given = {name: np.asarray(values) for name, values in mesh.vertex_attributes.items()}
    numbers = _named(given, len(shape.vertices))
    return Shape(shape.vertices, shape.faces, colors, numbers)


def _cloud(path: Path) -> Shape:
    cloud = load_cloud(path)
    return Shape.of_points(cloud.points, cloud.colors)


def _divided(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    while len(mesh.faces) < PAINTED_FACES:
        mesh = mesh.subdivide()
    return mesh


def _has_faces(path: Path) -> bool:
    """Whether a file that cannot be read as a mesh should have been one."""
    if path.suffix.lower() != ".ply":
        return path.suffix.lower() != ".obj"
    elements = PlyFile(MeshFiles(path)).elements
    return any(element.name.lower() == "face" and element.count for element in elements)


def _moves(path: Path) -> bool:
    if path.suffix.lower() == ".npz":
        return "vertices" in members(path)
    if path.suffix.lower() not in ANIMATED:
        return False
    asset = Asset(MeshFiles(path))
    return bool(asset.list_of(asset.json, "animations"))


def _numbers(path: Path, count: int) -> dict[str, NDArray[np.floating]]:
    """Return the numbers of vertices that a file has beside places, normals and colours."""
    suffix = path.suffix.lower()
    if suffix == ".ply":
        found = _ply_numbers(path)
    elif suffix in ANIMATED:
        found = _gltf_numbers(path)
    else:
        return {}
    return _named(found, count)


def _named(found: Mapping[str, NDArray[np.generic]], count: int) -> dict[str, NDArray[np.floating]]:
    """Return numbers of `count` vertices by what they are called in the viewer."""
    numbers: dict[str, NDArray[np.floating]] = {
        name: values.astype(np.float64)
        for name, values in found.items()
        if values.shape == (count,)
    }
    if SEEN in numbers:  # what stands out is what was completed
        numbers = {NOT_SEEN: 1 - numbers.pop(SEEN), **numbers}
    return numbers


def _ply_numbers(path: Path) -> dict[str, NDArray[np.generic]]:
    file = PlyFile(MeshFiles(path))
    elements = [element for element in file.elements if element.name.lower() == "vertex"]
    if not elements:
        return {}
    table = file.tables(last=elements[0])["vertex"]
    return {
        part.name: column
        for part, column in zip(table.element.properties, table.columns, strict=True)
        if not isinstance(column, Lists) and part.name.lower() not in _NOT_SHOWN
    }


def _gltf_numbers(path: Path) -> dict[str, NDArray[np.generic]]:
    """Return the attributes of one's own (`_SEEN`) of a file with a single part."""
    asset = Asset(MeshFiles(path))
    meshes = asset.list_of(asset.json, "meshes")
    parts = [part for mesh in meshes for part in asset.list_of(asset.mapping(mesh), "primitives")]
    if len(parts) != 1:
        return {}
    attributes = asset.mapping(asset.mapping(parts[0])["attributes"])
    found: dict[str, NDArray[np.generic]] = {}
    for name, number in attributes.items():
        if name.startswith("_"):
            values = asset.accessor(number)
            if values.ndim == 1 or values.shape[1] == 1:
                found[name[1:].lower()] = values.reshape(-1)
    return found
