"""`onet bake` as a function: the colours of a scan or of a textured mesh on another mesh."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onet.errors import ConfigError, DataError
from onet.geometry.carried_colors import CloudColors
from onet.geometry.color.baked import BAKED_SUFFIXES, BakedMesh
from onet.geometry.color.baking import MOST_FACES, ColorField, bake, check_size
from onet.geometry.color.textured import SurfaceColors
from onet.geometry.color.textured_files import load_textured
from onet.geometry.mesh_io import load_mesh, readable_suffixes
from onet.geometry.point_cloud_io import load_cloud
from onet.names import printable, told_apart


def bake_file(
    mesh: str | os.PathLike[str],
    colours: str | os.PathLike[str],
    out: str | os.PathLike[str],
    size: int = 1024,
    max_faces: int = MOST_FACES,
) -> BakedMesh:
    """Write a mesh with the colours of a coloured cloud, or of a mesh with colours or textures.

    Args:
        mesh: file of the mesh.
        colours: file of a cloud or mesh, in the same frame.
        out: file to write, of a suffix of `BAKED_SUFFIXES`.
        size, max_faces: see `onet.bake`.

    Returns:
        What was written.

    Raises:
        ConfigError: see `onet.bake`; or another suffix.
        DataError: a file that cannot be read, has no colours, or lies elsewhere.
    """
    check_size(size)
    mesh, colours, out = Path(mesh), Path(colours), Path(out)
    if out.suffix.lower() not in BAKED_SUFFIXES:
        raise ConfigError(f"{out}: name a file that ends in {', '.join(BAKED_SUFFIXES)}")
    return _baked(mesh, colours, color_field(colours), out, size, max_faces)


def _baked(
    mesh: Path,
    colours: Path,
    known: tuple[ColorField, NDArray[np.float64]],
    out: Path,
    size: int,
    max_faces: int,
) -> BakedMesh:
    """Write a mesh with colours that were read already, and their box."""
    for path in (mesh, colours):
        if out.resolve() == path.resolve():
            raise DataError(f"{out}: is read; choose another file to write")
    shape = load_mesh(mesh)
    field, bounds = known
    if (shape.bounds[0] > bounds[1]).any() or (shape.bounds[1] < bounds[0]).any():
        raise DataError(f"{mesh}: lies beside {colours}; bring both into one frame")
    try:
        baked = bake(shape, field, size, max_faces=max_faces)
    except DataError as error:
        raise DataError(f"{mesh}: {error}") from None
    baked.save(out)
    return baked


@dataclass
class BakeReport:
    """What `bake_files` did.

    Attributes:
        files: the textured meshes.
        failures: why other meshes could not get colours, by their files.
    """

    files: list[Path] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def bake_files(
    meshes: Sequence[Path],
    colours: str | os.PathLike[str],
    out: str | os.PathLike[str],
    size: int = 1024,
    max_faces: int = MOST_FACES,
    told: Callable[[Path, BakedMesh], object] = lambda file, baked: None,
) -> BakeReport:
    """Write several meshes with the colours of one file; a mesh that fails costs only itself.

    Args:
        meshes: files of the meshes.
        colours, size, max_faces: see `bake_file`.
        out: folder of the results, `NAME.glb`.
        told: hears of each file when it is written.

    Raises:
        ConfigError: see `onet.bake`.
        DataError: the colours cannot be read, or there are none.
    """
    check_size(size)
    report, folder, source = BakeReport(), Path(out), Path(colours)
    known = color_field(source)
    stems = [path.stem for path in meshes]
    names = told_apart(stems, [path.name for path in meshes], [str(path) for path in meshes])
    for mesh, name in zip(meshes, names, strict=True):
        file = folder / f"{name}.glb"
        try:
            baked = _baked(mesh, source, known, file, size, max_faces)
        except DataError as error:
            report.failures[printable(str(mesh))] = str(error)
            continue
        report.files.append(file)
        told(file, baked)
    return report


def color_field(path: Path) -> tuple[ColorField, NDArray[np.float64]]:
    """Return the field of colour that a file stands for, and its box (2, 3).

    Raises:
        DataError: it cannot be read, or has no colours.
    """
    try:
        if path.suffix.lower() not in readable_suffixes():
            return _of_cloud(path)
        textured = load_textured(path)
    except DataError as error:
        if path.suffix.lower() not in readable_suffixes():
            raise
        try:  # a cloud in a format of meshes
            return _of_cloud(path)
        except DataError as other:
            raise error if "no colours" not in str(other) else other from None
    if not textured.painted:
        raise DataError(f"{path}: has no colours; give a scan or a mesh that has")
    return SurfaceColors(textured), np.asarray(textured.mesh.bounds, dtype=np.float64)


def _of_cloud(path: Path) -> tuple[ColorField, NDArray[np.float64]]:
    cloud = load_cloud(path)
    if cloud.colors is None:
        raise DataError(f"{path}: has no colours; give a scan or a mesh that has")
    box = np.array([cloud.points.min(axis=0), cloud.points.max(axis=0)])
    return CloudColors(cloud.points, cloud.colors), box
