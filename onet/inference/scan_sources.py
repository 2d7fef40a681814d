"""Which files of scans are meant, how each is read, and what its mesh is called."""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onet.checkpoints.kinds_of_files import no_scan
from onet.errors import DataError, OnetError
from onet.files import matching
from onet.geometry.mesh_io import load_mesh
from onet.geometry.point_cloud_io import (
    GEOMETRY_SUFFIXES,
    POINT_SUFFIXES,
    PointCloud,
    load_cloud,
)
from onet.names import told_apart

logger = logging.getLogger(__name__)

RECORD = "scans.json"
"""File that a folder of results is known by; of such folders no results are taken as scans."""
TABLE = "scans.csv"
"""Of such a folder, what was made of what."""


@dataclass(frozen=True)
class ScanFile:
    """A file of a scan.

    Attributes:
        path: of the file.
        name: of its mesh without suffix; with `/` where it lies below a folder that was given.
    """

    path: Path
    name: str


def find_scans(given: Iterable[str | os.PathLike[str]]) -> list[ScanFile]:
    """Return the files that paths mean: files, patterns such as `*.ply`, and folders.

    Folders are searched with those in them for formats that hold points; hidden files and results
    of earlier scans are left out. No file is named twice, and no two have the same name.

    Raises:
        DataError: nothing given, a pattern that fits nothing, a folder without scans, or files
            none of which exists, or can be a scan.
    """
    found: dict[Path, tuple[Path, Path]] = {}
    for text in given:
        for path, base in _files(os.fspath(text)):
            found.setdefault(path.resolve(), (path, base))
    if not found:
        raise DataError("no scans given; name files, patterns or folders")
    paths = [path for path, _ in found.values()]
    if not any(path.exists() for path in paths):
        raise DataError(f"{paths[0]}: no such file or folder; check the path")
    problems = [no_scan(path) for path in paths]
    if problems[0] and all(problems):
        raise DataError(problems[0])
    if all(path.is_file() and path.suffix.lower() not in POINT_SUFFIXES for path in paths):
        load_cloud(paths[0])  # which says so
    short = [path.relative_to(base).with_suffix("").as_posix() for path, base in found.values()]
    long = [path.relative_to(base).as_posix() for path, base in found.values()]
    names = told_apart(short, long, [str(path) for path in found])
    return [ScanFile(path, name) for path, name in zip(paths, names, strict=True)]


def read_scan(
    path: Path,
    sensor: Sequence[float] | None = None,  # x, y, z
) -> PointCloud:
    """Return the points of a file with the normals, colours and sensors that it has.

    Of a mesh with faces and without normals these are those of the faces round each vertex, as far
    as all faces are turned alike.

    Args:
        path: of the scan.
        sensor: where it was, for all points, in place of what the file says.

    Raises:
        DataError, MissingDependency: see `onet.geometry.point_cloud_io.load_cloud`.
    """
    if problem := no_scan(path):
        raise DataError(problem)
    cloud = load_cloud(path)
    if cloud.normals is None and path.suffix.lower() in GEOMETRY_SUFFIXES:
        cloud = replace(cloud, normals=_of_faces(path, cloud.points))
    if sensor is None:
        return cloud
    return replace(cloud, sensors=np.broadcast_to(np.asarray(sensor, float), cloud.points.shape))


def _of_faces(path: Path, points: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Normals of the vertices of a mesh file; None if it has no faces, or they disagree."""
    try:
        mesh = load_mesh(path)
    except OnetError:  # a cloud, or faces that no mesh can be made of: the points are there anyway
        return None
    if not mesh.is_winding_consistent or len(mesh.faces) < 4:
        logger.info("%s: its faces are not turned alike; normals are not used", path)
        return None
    if mesh.is_watertight and mesh.volume < 0:
        mesh.invert()
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    normals = np.asarray(mesh.vertex_normals, dtype=np.float64)
    if len(vertices) == len(points) and np.array_equal(vertices, points):
        return normals
    from onet.geometry.nearest import NearestNeighbors

    away, nearest = NearestNeighbors(vertices).query(points)  # vertices were merged, or left out
    extent = float(np.ptp(vertices, axis=0).max())
    return np.where((away <= 1e-6 * extent)[:, None], normals[nearest], 0.0)


def _files(text: str) -> list[tuple[Path, Path]]:
    """Files that one path means, each with the folder that its name is relative to."""
    path = Path(text)
    if path.is_dir():
        return [(file, path) for file in _below(path)]
    matches = matching(text)
    if matches == [path]:
        return [(path, path.parent)]  # if it is missing, reading it says so
    results = {made for folder in {match.parent for match in matches} for made in _results(folder)}
    files = [match for match in matches if match.is_file() and match not in results]
    if not files:
        raise DataError(f"{text}: no file fits this pattern; check it")
    return [(file, file.parent) for file in files]


def _results(folder: Path) -> set[Path]:
    """Return the files that an earlier call has made in a folder."""
    if not (folder / RECORD).is_file() or not (folder / TABLE).is_file():
        return set()
    with (folder / TABLE).open(newline="", encoding="utf-8") as file:
        made = {folder / row["mesh"] for row in csv.DictReader(file) if row.get("mesh")}
    return made | {folder / RECORD, folder / TABLE}


def _below(folder: Path) -> list[Path]:
    files: list[Path] = []
    for place, folders, names in os.walk(folder):
        if RECORD in names and Path(place) != folder:
            folders.clear()
            continue
        folders[:] = [name for name in folders if name[0] != "."]
        files += [
            Path(place, name)
            for name in names
            if name[0] != "." and Path(name).suffix.lower() in POINT_SUFFIXES
        ]
    results = _results(folder)
    files = [file for file in files if file not in results]
    if not files:
        raise DataError(f"{folder}: holds no scans; put files of {', '.join(POINT_SUFFIXES)} there")
    return sorted(files)
