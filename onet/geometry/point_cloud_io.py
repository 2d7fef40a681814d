"""Point clouds from files, validated: the format by the suffix, the readers in `clouds/`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onet.archives import members, read_npy, read_npz
from onet.errors import DataError, MissingDependency
from onet.geometry.clouds.cloud import PointCloud, check_points, make_cloud
from onet.geometry.clouds.memory import take_cloud
from onet.geometry.clouds.mesh_files import MESH_FILE_SUFFIXES, read_mesh_file
from onet.geometry.clouds.pcd import read_pcd
from onet.geometry.clouds.scans import LAS_SUFFIXES, read_e57, read_las
from onet.geometry.clouds.text import TABLE_SUFFIXES, read_ptx, read_table
from onet.geometry.mesh_reading.formats import begins_as
from onet.mistaken import mistaken_for

__all__ = [
    "GEOMETRY_SUFFIXES",
    "POINT_SUFFIXES",
    "TEXT_SUFFIXES",
    "PointCloud",
    "check_points",
    "load_cloud",
    "load_points",
    "take_cloud",
]

TEXT_SUFFIXES = (*TABLE_SUFFIXES, ".ptx")
GEOMETRY_SUFFIXES = MESH_FILE_SUFFIXES
SCAN_SUFFIXES = (".pcd", *LAS_SUFFIXES, ".e57")
POINT_SUFFIXES = (*GEOMETRY_SUFFIXES, *TEXT_SUFFIXES, *SCAN_SUFFIXES, ".npy", ".npz")
"""Formats that `load_points` reads."""

_NPZ_KEYS = ("points", "normals", "colors", "sensors")


def load_points(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Return the points of a file, (N, 3) float64; see `load_cloud`."""
    return load_cloud(path).points


def load_cloud(path: str | os.PathLike[str]) -> PointCloud:
    """Read a point cloud with the normals and colours that the file has.

    Of a mesh the vertices are taken; of an `.npz` the keys `points`, `normals`, `colors` and
    `sensors` (where the sensor of each point was; PTX and E57 tell it, too); of a table (`.csv`,
    `.txt`, `.xyz`, ...) the columns that the heading names. docs/data.md says what is kept of each
    format.

    Returns:
        Points in the frame of the file, which may be far from its origin.

    Raises:
        DataError: a missing or unreadable file, another format, a table that can be read in
            several ways, or points that `check_points` refuses.
        MissingDependency: LAS, LAZ, E57 or compressed PCD without the package that reads it.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not path.exists():
        raise DataError(f"{path}: no such file; check the path")
    if suffix not in POINT_SUFFIXES:
        raise DataError(
            f"{path}: cannot read points from the format {suffix!r}; "
            f"convert it to one of {', '.join(POINT_SUFFIXES)}"
        )
    if what := mistaken_for(path):
        raise DataError(f"{path}: {what}")
    try:
        return _READERS[suffix](path)
    except MissingDependency:
        raise
    except Exception as error:  # the readers of the many formats raise whatever they like
        with path.open("rb") as stream:
            other = begins_as(stream.read(4096), suffix)
        if other is not None:
            raise DataError(
                f"{path}: begins as {other} files do, and cannot be read as {suffix}; rename it"
            ) from error
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path}: cannot be read as a point cloud ({type(error).__name__}: {error}); "
            "export it again, for instance as .ply"
        ) from error


def _read_npy(path: Path) -> PointCloud:
    array = read_npy(path)
    if array.dtype.names:
        return take_cloud(array, str(path))
    return make_cloud(array, name=str(path))


def _read_npz(path: Path) -> PointCloud:
    arrays = read_npz(path, *_NPZ_KEYS)
    if "points" not in arrays:
        raise DataError(
            f"{path}: has no array 'points' (found: {', '.join(members(path)) or 'none'}); "
            "save the (N, 3) array under that name"
        )
    normals, colors = arrays.get("normals"), arrays.get("colors")
    return make_cloud(arrays["points"], normals, colors, str(path), _every(arrays))


def _every(arrays: dict[str, NDArray[np.generic]]) -> NDArray[np.generic] | None:
    """The place of the sensor for each point, of a file that has one for all, or one for each."""
    sensors = arrays.get("sensors")
    if sensors is None or sensors.shape not in ((3,), (1, 3)):
        return sensors
    return np.broadcast_to(sensors, (len(arrays["points"]), 3))


_READERS: dict[str, Callable[[Path], PointCloud]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".pcd": read_pcd,
    ".ptx": read_ptx,
    ".e57": read_e57,
    **dict.fromkeys(MESH_FILE_SUFFIXES, read_mesh_file),
    **dict.fromkeys(LAS_SUFFIXES, read_las),
    **dict.fromkeys(TABLE_SUFFIXES, read_table),
}
