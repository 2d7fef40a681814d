"""Point clouds from files and arrays, validated."""

from __future__ import annotations

import logging
import os
from array import array
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError

logger = logging.getLogger(__name__)

TEXT_SUFFIXES = (".xyz", ".txt", ".csv")
GEOMETRY_SUFFIXES = (".ply", ".obj", ".off", ".stl", ".glb")
POINT_SUFFIXES = (*GEOMETRY_SUFFIXES, *TEXT_SUFFIXES, ".npy", ".npz")
"""Formats that `load_points` reads."""


def load_points(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Read a point cloud.

    Of a mesh the vertices are taken; of an `.npz` the key `points`; of a text file (separated by
    spaces, commas or semicolons, with or without a heading line) the first three columns.

    Returns:
        (N, 3) float64 in the frame of the file, which may be far from its origin.

    Raises:
        DataError: a missing or unreadable file, another format, or points that `check_points`
            refuses.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in POINT_SUFFIXES:
        raise DataError(
            f"{path}: cannot read points from the format {suffix!r}; "
            f"convert it to one of {', '.join(POINT_SUFFIXES)}"
        )
    if not path.is_file():
        raise DataError(f"{path}: no such file; check the path")
    try:
        points = _read(path, suffix)
    except DataError:
        raise
    except Exception as error:  # the readers of the many formats raise whatever they like
        raise DataError(
            f"{path}: cannot be read as a point cloud ({type(error).__name__}: {error}); "
            "export it again, for instance as .ply"
        ) from error
    return check_points(points, str(path))


def _read(path: Path, suffix: str) -> Any:
    if suffix == ".npy":
        return np.load(path, allow_pickle=False)
    if suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            if "points" not in archive:
                raise DataError(
                    f"{path}: has no array 'points' (found: {', '.join(archive.files) or 'none'}); "
                    "save the (N, 3) array under that name"
                )
            return archive["points"]
    if suffix in TEXT_SUFFIXES:
        return _read_text(path)
    import trimesh

    loaded: Any = trimesh.load(path, process=False)
    parts: list[Any] = loaded.dump() if isinstance(loaded, trimesh.Scene) else [loaded]
    return np.concatenate([part.vertices for part in parts])


def _read_text(path: Path) -> NDArray[np.float64]:
    numbers, widths = array("d"), set()  # eight bytes a number: clouds have millions of lines
    heading = True
    with path.open(encoding="utf-8-sig") as lines:
        for line in lines:
            row = line.partition("#")[0].replace(",", " ").replace(";", " ").split()
            if row and not (heading and not _is_number(row[0])):
                widths.add(len(row))
                numbers.extend(map(float, row))
            heading = heading and not row
    if len(widths) > 1:
        raise DataError(
            f"{path}: lines have between {min(widths)} and {max(widths)} columns; "
            "give each point x, y, z on a line of its own"
        )
    table = np.asarray(numbers).reshape(-1, *widths)
    if table.ndim == 2 and table.shape[1] > 3:
        logger.info("%s: using the first 3 of %d columns as x, y, z", path, table.shape[1])
        table = table[:, :3]
    return table


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def check_points(points: Any, source: str = "points") -> NDArray[np.float64]:
    """The points as a contiguous (N, 3) float64 array.

    Args:
        points: anything that `np.asarray` takes, torch CPU tensors included.
        source: what to call them in an error message, a file name for instance.

    Raises:
        DataError: no points, not numbers, a shape other than (N, 3), NaN or infinite values.
    """
    given = np.asarray(points)
    if given.size == 0:
        raise DataError(f"{source}: contains no points; give at least one")
    if given.dtype.kind not in "fiu":
        raise DataError(
            f"{source}: expected numbers, found {given.dtype}; give x, y, z for each point"
        )
    if given.ndim != 2 or given.shape[1] != 3:
        hint = "give x, y, z for each point"
        if given.ndim == 2 and given.shape[1] > 3:
            hint = "keep the first three columns: points[:, :3]"
        raise DataError(f"{source}: expected points of shape (N, 3), found {given.shape}; {hint}")
    result = np.ascontiguousarray(given, dtype=np.float64)
    bad = int((~np.isfinite(result).all(axis=1)).sum())
    if bad:
        raise DataError(
            f"{source}: {bad} of {len(result)} points are NaN or infinite; remove them first"
        )
    return result
