"""Point clouds that are in memory, of whichever package."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.clouds.cloud import PointCloud, make_cloud
from onet.geometry.clouds.columns import find_columns

_POINTS = ("points", "vertices", "positions", "xyz")
_NORMALS = ("normals", "vertex_normals")
_COLORS = ("colors", "vertex_colors")


def take_cloud(given: Any, name: str = "observation") -> PointCloud:
    """Return a `PointCloud` of what a user has in memory.

    Taken are arrays and lists (N, 3), tensors, tables with columns x, y, z (structured arrays, data
    frames, dictionaries), and the clouds and meshes of trimesh, Open3D, PyVista and laspy; of a
    mesh its vertices, as of a mesh file.

    Raises:
        DataError: see `check_points`; also columns of other names.
    """
    if isinstance(given, PointCloud):
        return given
    if given is None:
        raise DataError(f"{name}: is None; give points (N, 3), or a file of points")
    if isinstance(given, str | os.PathLike):
        raise DataError(
            f"{name}: {str(given)[:80]!r} is the name of a file, not points; read it with "
            "load_cloud"
        )
    names = getattr(getattr(given, "dtype", None), "names", None)
    if names:
        return _from_columns(list(names), lambda key: given[key], name)
    if isinstance(given, Mapping):
        return _from_mapping(given, name)
    if hasattr(given, "columns") and hasattr(given, "to_numpy"):  # data frames
        return _from_frame(given, name)
    return _from_object(given, name)


def _from_object(given: Any, name: str) -> PointCloud:
    if hasattr(given, "dump") and hasattr(given, "geometry"):  # a scene of trimesh
        parts = [_from_object(part, name) for part in given.dump()]
        return joined(parts, name)
    if isinstance(getattr(given, "point", None), Mapping) or hasattr(
        getattr(given, "point", None), "positions"
    ):
        return _from_mapping(given.point, name)  # tensor clouds of Open3D
    if hasattr(given, "x") and hasattr(given, "y") and hasattr(given, "z"):  # laspy
        return make_cloud(np.stack([_array(getattr(given, a), name) for a in "xyz"], axis=-1),
                          name=name)  # fmt: skip
    if isinstance(given, np.ndarray | list | tuple) or hasattr(given, "detach"):
        return make_cloud(_array(given, name), name=name)
    points = next((getattr(given, key) for key in _POINTS if hasattr(given, key)), None)
    if points is None or callable(points):
        return make_cloud(_array(given, name), name=name)
    mesh = bool(len(getattr(given, "faces", ())))
    normals = None if mesh else _attribute(given, _NORMALS, name)  # of a mesh they are computed
    return make_cloud(_array(points, name), normals, _colors(given, name), name)


def joined(parts: list[PointCloud], name: str) -> PointCloud:
    """Clouds as one; normals and colours where all parts have them.

    Raises:
        DataError: there are none.
    """
    if not parts:
        raise DataError(f"{name}: contains no points; give at least one")
    normals = [part.normals for part in parts if part.normals is not None]
    colors = [part.colors for part in parts if part.colors is not None]
    return PointCloud(
        np.concatenate([part.points for part in parts]),
        np.concatenate(normals) if len(normals) == len(parts) else None,
        np.concatenate(colors) if len(colors) == len(parts) else None,
    )


def _attribute(given: Any, keys: tuple[str, ...], name: str) -> NDArray[Any] | None:
    for key in keys:
        value = getattr(given, key, None)
        if value is not None and not callable(value) and np.size(value):
            return _array(value, name)
    return None


def _colors(given: Any, name: str) -> NDArray[Any] | None:
    visual = getattr(given, "visual", None)
    if visual is None:
        return _attribute(given, _COLORS, name)
    if getattr(visual, "kind", None) == "vertex":
        return _array(visual.vertex_colors, name)
    return None


def _from_mapping(given: Any, name: str) -> PointCloud:
    def value(key: str) -> Any:
        try:
            return given[key]
        except (KeyError, RuntimeError):
            return None

    for key in _POINTS:
        if (points := value(key)) is not None:
            normals, colors = (
                next((_array(v, name) for k in keys if (v := value(k)) is not None), None)
                for keys in (_NORMALS, _COLORS)
            )
            return make_cloud(_array(points, name), normals, colors, name)
    return _from_columns([str(key) for key in given], lambda key: given[key], name)


def _from_frame(given: Any, name: str) -> PointCloud:
    names = [str(column) for column in given.columns]
    try:
        return _from_columns(names, lambda key: given.iloc[:, names.index(key)], name)
    except AttributeError:  # of frames without positions, as polars has
        return _from_columns(names, lambda key: given[key], name)


def _from_columns(names: list[str], column: Any, name: str) -> PointCloud:
    found = find_columns(names, name)
    if found is None:
        if len(names) == 3 and all(key.isdecimal() for key in names):  # a table without names
            return make_cloud(_stacked(names, (0, 1, 2), column, name), name=name)
        raise DataError(
            f"{name}: the columns {', '.join(names[:12])} have no x, y, z; call them so"
        )
    return make_cloud(
        _stacked(names, found.points, column, name),
        _stacked(names, found.normals, column, name),
        _stacked(names, found.colors, column, name),
        name,
    )


def _stacked(
    names: list[str], numbers: tuple[int, int, int] | None, column: Any, name: str
) -> NDArray[Any] | None:
    if numbers is None:
        return None
    try:
        return np.stack([_array(column(names[number]), name) for number in numbers], axis=-1)
    except ValueError as error:
        raise DataError(f"{name}: columns of several lengths ({error}); make them equal") from error


def _array(given: Any, name: str) -> NDArray[Any]:
    """Return an array of what is one, tensors on any device included."""
    try:
        if hasattr(given, "detach"):
            given = given.detach().cpu()
            if not hasattr(given, "numpy"):
                return np.asarray(given)
            if str(getattr(given, "dtype", "")) == "torch.bfloat16":
                given = given.float()
            return np.asarray(given.numpy())
        if hasattr(given, "numpy") and not isinstance(given, np.ndarray):
            return np.asarray(given.numpy())
        return np.asanyarray(given)  # masks stay
    except Exception as error:  # rows of several lengths, whatever other packages raise
        raise DataError(
            f"{name}: cannot be read as an array ({error}); give an array of shape (N, 3)"
        ) from error
