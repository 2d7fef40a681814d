"""The vertices of mesh files, with normals and colours, by the readers of meshes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from onet.errors import DataError
from onet.geometry.clouds.cloud import PointCloud, make_cloud
from onet.geometry.clouds.columns import Columns, find_columns
from onet.geometry.mesh_reading.files import MeshFiles
from onet.geometry.mesh_reading.gltf import read_gltf_points
from onet.geometry.mesh_reading.obj import read_obj_points
from onet.geometry.mesh_reading.off import read_off_points
from onet.geometry.mesh_reading.ply_file import Element, PlyFile
from onet.geometry.mesh_reading.raw import RawPoints
from onet.geometry.mesh_reading.stl import read_stl_points


def read_mesh_file(path: Path) -> PointCloud:
    """Return a `PointCloud` of the vertices of a mesh file, whether faces use them or not.

    Raises:
        DataError: see the readers; also no vertices.
    """
    files = MeshFiles(path)
    raw = _READERS[path.suffix.lower()](files)
    return make_cloud(raw.points, raw.normals, raw.colors, str(path))


def _ply_points(files: MeshFiles) -> RawPoints:
    """Vertices of a PLY file: properties of any order and type, behind whatever other elements."""
    file = PlyFile(files)
    element, found = _vertices(files, file.elements)
    columns = file.tables(last=element)[element.name.lower()].columns

    def three(numbers: tuple[int, int, int] | None) -> np.ndarray | None:
        return (
            None if numbers is None else np.stack([np.asarray(columns[n]) for n in numbers], axis=1)
        )

    points = three(found.points)
    assert points is not None
    return RawPoints(points, three(found.normals), three(found.colors))


def _vertices(files: MeshFiles, elements: list[Element]) -> tuple[Element, Columns]:
    """Return the element `vertex`, or else the first one with x, y and z, and their columns."""
    named = [element for element in elements if element.name.lower() in ("vertex", "vertices")]
    for element in named or elements:
        names = ["" if p.counted_by else p.name for p in element.properties]
        found = find_columns(names, f"{files.path}: element {element.name!r}")
        if found is not None:
            return element, found
    raise DataError(f"{files.path}: has no vertices with x, y and z; export it again")


_READERS = {
    ".ply": _ply_points,
    ".obj": read_obj_points,
    ".off": read_off_points,
    ".stl": read_stl_points,
    ".glb": read_gltf_points,
    ".gltf": read_gltf_points,
}
MESH_FILE_SUFFIXES = (*_READERS,)
