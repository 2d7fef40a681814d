"""Which reader reads which format, and what every mesh has to be."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.mesh_reading.files import MeshFiles
from onet.geometry.mesh_reading.formats import READERS, advice, begins_as
from onet.geometry.mesh_reading.raw import RawMesh
from onet.mistaken import mistaken_content, mistaken_for

if TYPE_CHECKING:
    import trimesh


def read_mesh(path: Path, colors: bool, data: bytes | None) -> trimesh.Trimesh:
    """Read one mesh file; see `onet.geometry.mesh_io.load_mesh`."""
    import trimesh

    if data is None and not path.exists():
        raise DataError(f"{path}: no such file; check the path")
    module = READERS.get(path.suffix.lower())
    if module is None:
        suffix = path.suffix.lower()
        raise DataError(
            f"{path}: cannot be read as a mesh: the format {suffix!r} is not read; {advice(suffix)}"
        )
    read: Callable[[MeshFiles, bool], RawMesh] = getattr(
        import_module(f"onet.geometry.mesh_reading.{module}"), f"read_{module}"
    )
    if what := mistaken_for(path) if data is None else mistaken_content(data, path.suffix):
        raise DataError(f"{path}: {what}")
    files = MeshFiles(path, data)
    try:
        raw = read(files, colors)
        raw.vertices, raw.faces = _without_loose(raw.vertices, raw.faces)
        _check(raw, files)
    except DataError as error:
        other = begins_as(files.data, path.suffix)
        if other is None:
            raise
        raise files.error(
            f"begins as {other} files do, and cannot be read as {path.suffix}; rename it"
        ) from error
    except (RecursionError, MemoryError, ArithmeticError, LookupError, TypeError, ValueError,
            AttributeError) as error:  # fmt: skip
        raise files.error(  # damage of a kind that no check foresaw
            f"cannot be read as a mesh ({type(error).__name__}: {error}); the file is damaged, "
            "export it again"
        ) from error
    if module == "stl":
        raw.vertices, raw.faces = _merged(raw.vertices, raw.faces)
    mesh: Any = trimesh.Trimesh(vertices=raw.vertices, faces=raw.faces, process=False)
    if raw.colors is not None:
        mesh.visual.face_colors = raw.colors
    mesh.metadata["sources"] = dict(files.sources)
    result: trimesh.Trimesh = mesh
    return result


def _check(raw: RawMesh, files: MeshFiles) -> None:
    if not len(raw.faces):
        raise files.error(
            "has no faces; export it as a surface, not as points or curves (`onet scan` makes a "
            "surface of points)"
        )
    bad = int((~np.isfinite(raw.vertices).all(axis=1)).sum())
    if bad:
        raise files.error(
            f"{bad} of {len(raw.vertices)} vertices are NaN or infinite; repair and export it again"
        )
    if not np.ptp(raw.vertices, axis=0).max() > 0:
        raise files.error("has zero extent, all vertices coincide; export it again")


def _without_loose(
    vertices: NDArray[np.float64], faces: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Drop vertices that no face uses, which would widen the bounding box."""
    used = np.zeros(len(vertices), dtype=bool)
    used[faces.reshape(-1)] = True
    if used.all():
        return vertices, faces
    return vertices[used], (np.cumsum(used) - 1)[faces]


def _merged(
    vertices: NDArray[np.float64], faces: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Merge equal vertices; what is left is in the order of x, then y, then z.

    Rows are numbered axis by axis, which is several times faster than `np.unique(axis=0)`.
    """
    _, numbers = np.unique(vertices[:, 0], return_inverse=True)
    for axis in (1, 2):
        _, ranks = np.unique(vertices[:, axis], return_inverse=True)
        numbers = numbers * (int(ranks.max()) + 1) + ranks
        _, first, numbers = np.unique(numbers, return_index=True, return_inverse=True)
    return vertices[first], numbers[faces]
