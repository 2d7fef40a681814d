"""Moving meshes that were written to a generation folder, read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.mesh_io import load_mesh
from onet.geometry.mesh_reading.files import MeshFiles
from onet.geometry.mesh_reading.gltf_asset import Asset
from onet.geometry.point_cloud_io import load_points
from onet.geometry.sequences.moving_mesh import MovingMesh
from onet.geometry.sequences.reading import frame_files
from onet.names import checked_path
from onet.records import read_json


def read_motion(out: Path, mesh: str) -> MovingMesh:
    """Read what `generate_motion` wrote as `mesh` below a folder.

    Raises:
        DataError: it is missing or damaged.
    """
    path = out / checked_path(mesh, f"{out}: mesh")
    place = path.with_suffix("") if path.is_file() else path
    times = np.asarray(read_json(place.with_name(f"{place.name}.json"))["times"], np.float64)
    moving = _animation(path, times) if path.is_file() else _frames(path, times)
    if len(moving) != len(times):
        raise DataError(f"{path}: {len(moving)} frames of {len(times)} times; generate it again")
    return moving


def _animation(path: Path, times: NDArray[np.float64]) -> MovingMesh:
    """The morph targets of an animation, which are its frames."""
    asset = Asset(MeshFiles(path))
    primitive = asset.list_of(asset.entry("meshes", 0), "primitives")[0]
    middle = asset.floats(asset.entry("nodes", 0).get("translation", [0, 0, 0]), 3)
    first = asset.vectors(primitive["attributes"]["POSITION"], 3)
    moved = [first + asset.vectors(t["POSITION"], 3) for t in primitive.get("targets", [])]
    faces = asset.scalars(primitive["indices"]).reshape(-1, 3)
    places = [v + middle for v in (first, *moved)]
    return MovingMesh(places, [faces] * len(places), times, str(path))


def _frames(path: Path, times: NDArray[np.float64]) -> MovingMesh:
    files = frame_files(path, frozenset({".ply"}))
    vertices, faces = [], []
    for file in files:
        try:
            shape = load_mesh(file)
            vertices.append(np.asarray(shape.vertices, np.float64))
            faces.append(np.asarray(shape.faces, np.int64))
        except DataError:
            vertices.append(load_points(file))
            faces.append(np.zeros((0, 3), np.int64))
    return MovingMesh(vertices, faces, times, str(path))
