"""What there is of an item of a generation folder: what was observed, and what is true."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import trimesh
from numpy.typing import NDArray
from PIL import Image

from onet.data.images import open_image
from onet.data.store import Item
from onet.errors import DataError
from onet.geometry.mesh_io import load_mesh
from onet.geometry.point_cloud_io import load_points
from onet.geometry.voxels import read_voxels, voxel_mesh

logger = logging.getLogger(__name__)

T = TypeVar("T")
Geometry = trimesh.Trimesh | NDArray  # or points (N, 3)

TRUTH_POINTS = 4000
"""Drawn where a store has no meshes."""


def readable(read: Callable[[], T]) -> T | str:
    """Return what `read` returns; of damaged files a word: they cost one picture, not all."""
    try:
        return read()
    except DataError as error:
        logger.warning("not drawn: %s", error)
        return "unreadable"


def observed_of(place: Path, model: str) -> Geometry | Image.Image | None:
    """Return what the network observed: points, a picture, or the mesh of a grid, in the source
    frame.

    Args:
        place: the folder of the inputs of a category.
        model: name of the item.

    Raises:
        DataError: a damaged file.
    """
    points, picture, grid = (place / f"{model}{suffix}" for suffix in (".ply", ".png", ".binvox"))
    if points.is_file():
        return load_points(points)
    if picture.is_file():
        return open_image(picture)
    if grid.is_file():
        voxels = read_voxels(grid)
        return voxels.frame.mesh_to_source(voxel_mesh(voxels.full))
    return None


def truth_of(item: Item) -> Geometry:
    """Return the watertight mesh of an item in the source frame.

    Where the store has none, return points of its surface.

    Raises:
        DataError: a damaged or missing file.
    """
    frame = item.frame()
    if item.mesh_path.is_file():
        return frame.mesh_to_source(load_mesh(item.mesh_path))
    return frame.to_source(item.load_pointcloud()[0][:TRUTH_POINTS])
