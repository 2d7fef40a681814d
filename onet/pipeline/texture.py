"""`onet texture`: meshes in the colours of a texture network."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Unpack

import numpy as np
import trimesh
from numpy.typing import NDArray

from onet.errors import ConfigError, DataError
from onet.files import replacing
from onet.geometry.cameras import published_camera
from onet.geometry.color.baked import BAKED_SUFFIXES
from onet.geometry.color.baking import ColorField, bake, check_size
from onet.geometry.color.field_pictures import picture_of
from onet.geometry.color.textured import SurfaceColors
from onet.geometry.color.textured_files import load_textured
from onet.geometry.mesh_io import load_mesh
from onet.inference.painting import Appearance, Painter
from onet.inference.reconstructor import load
from onet.inference.surface import SurfaceOptions
from onet.report.contact_sheet import draw_grid

logger = logging.getLogger(__name__)

SHEET = "contact_sheet.png"
_AZIMUTHS = (40.0, 160.0, 280.0)
_SHOWN = 192  # pixels of a picture on the sheet

Path_ = str | os.PathLike[str]


@dataclass(frozen=True)
class TextureReport:
    """What was made.

    Attributes:
        files: the textured meshes.
        sheet: pictures of all of them.
        failures: why meshes could not be used, by their files.
    """

    files: list[Path]
    sheet: Path
    failures: dict[Path, str]

    def summary(self) -> str:
        """Return one line about it."""
        made = f"{len(self.files)} textured {'mesh' if len(self.files) == 1 else 'meshes'}"
        return made + (f"; {len(self.failures)} failed" if self.failures else "")


def texture(
    run: Path_,
    meshes: Path_ | Sequence[Path_],
    *,
    image: Path_ | None = None,
    samples: int | None = None,
    like: Path_ | Sequence[Path_] = (),
    between: tuple[Path_, Path_] | None = None,
    scan: Path_ | None = None,
    steps: int = 6,
    size: int = 1024,
    out: Path_ = "textured",
    seed: int = 0,
    device: str = "auto",
) -> TextureReport:
    """Give meshes textures by a trained network, each with each appearance, and draw one sheet.

    Args:
        run: a run of a texture network, a checkpoint, or a published file.
        meshes: files of meshes, y up.
        image: a picture, for a network that observes one.
        samples: so many appearances drawn from the prior of a generative network.
        like: textured meshes whose appearances are taken over.
        between: two pictures, or two textured meshes, with `steps` appearances from one to the
            other.
        scan: points with colours in the frame of the meshes, for a network that observes them.
        steps: with both ends, at least 2.
        size: texels along the edge of a texture.
        out: folder of the results, GLB files and `contact_sheet.png`.
        seed: of samples, and of the points of the surfaces.
        device: where the network works.

    Raises:
        ConfigError: not exactly one of image, samples, like, between and scan; or one that the
            network cannot do.
        DataError: no mesh can be used, or a picture or textured mesh cannot.
        CheckpointError: see `Painter.load`.
    """
    given = [given is not None for given in (image, samples, between, scan)]
    if sum(given) + bool(like) != 1:
        raise ConfigError("texture: give one of image, samples, like, between and scan")
    if (samples is not None and samples < 1) or steps < 2:
        raise ConfigError(f"texture: {samples} samples, {steps} steps: give at least 1 and 2")
    check_size(size)
    painter = Painter.load(run, device)
    wanted: dict[str, Appearance | Callable[[trimesh.Trimesh], Appearance]]
    if image is not None:
        wanted = {Path(image).stem: painter.of_picture(image, seed)}
    elif samples is not None:
        wanted = {f"sample{n:02d}": painter.sample(seed + n) for n in range(samples)}
    elif between is not None:
        first, last = (_appearance(painter, Path(end), seed) for end in between)
        wanted = {f"step{n:02d}": first.towards(last, n / (steps - 1)) for n in range(steps)}
    elif scan is not None:
        wanted = {Path(scan).stem: partial(painter.of_scan, scan, seed=seed)}
    else:
        wanted = {path.stem: _appearance(painter, path, seed) for path in _distinct(like, "like")}
    return _paint(painter, _distinct(meshes, "meshes"), wanted, size, Path(out), seed)


def textured_reconstruction(
    shapes: Path_,
    run: Path_,
    image: Path_,
    out: Path_,
    *,
    size: int = 1024,
    seed: int = 0,
    device: str = "auto",
    **options: Unpack[SurfaceOptions],
) -> Path:
    """Reconstruct a shape of one picture, and give it its colours by another network.

    Args:
        shapes: a run, checkpoint or packaged network that observes pictures.
        run: a run of a texture network that observes pictures.
        image: the picture.
        out: file of the mesh, GLB, OBJ or PLY.
        size: texels along the edge of the texture.
        seed: of both networks.
        device: where they work.
        options: of the surface; see `SurfaceOptions`.

    Raises:
        ConfigError: a network that does not observe pictures.
        DataError: a picture that cannot be read, no surface, or another suffix.
        CheckpointError: see `load`.
    """
    if Path(out).suffix.lower() not in BAKED_SUFFIXES:
        raise DataError(f"{out}: name a file with one of the suffixes {', '.join(BAKED_SUFFIXES)}")
    check_size(size)
    painter = Painter.load(run, device)
    model = load(shapes, device)
    if model.input.kind != "image":
        raise ConfigError(f"{shapes}: observes {model.input.kind}; name a run that observes images")
    mesh = model.reconstruct(image, seed=seed, **options)
    if len(mesh.faces) == 0:
        raise DataError(f"{image}: the network finds no surface; try another --probability")
    field = painter.field(mesh, painter.of_picture(image, seed), seed)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    return bake(mesh, field, size).save(out)


def _distinct(given: Path_ | Sequence[Path_], what: str) -> list[Path]:
    """Return the files, whose names are those of what is made.

    Raises:
        ConfigError: two have the same name.
    """
    several = [given] if isinstance(given, str | os.PathLike) else given
    paths = [Path(path) for path in several]
    for name, count in Counter(path.stem for path in paths).items():
        if count > 1:
            raise ConfigError(
                f"{what}: {count} files are called {name}, and results would be, too; rename them, "
                "or give them in calls of their own"
            )
    return paths


def _appearance(painter: Painter, path: Path, seed: int) -> Appearance:
    """Return the appearance in a picture, or that of a textured mesh."""
    if path.suffix.lower() in painter.input.suffixes:
        return painter.of_picture(path, seed)
    textured = load_textured(path)
    return painter.like(textured.mesh, SurfaceColors(textured), seed)


def _paint(
    painter: Painter,
    meshes: list[Path],
    appearances: Mapping[str, Appearance | Callable[[trimesh.Trimesh], Appearance]],
    size: int,
    out: Path,
    seed: int,
) -> TextureReport:
    """Bake every mesh with every appearance; on the sheet each has a row."""
    files, rows, labels = [], [], []
    failures: dict[Path, str] = {}
    out.mkdir(parents=True, exist_ok=True)
    for path in meshes:
        try:
            mesh = load_mesh(path)
            for name, appearance in appearances.items():
                own = appearance if isinstance(appearance, Appearance) else appearance(mesh)
                field = painter.field(mesh, own, seed)
                target = out / f"{path.stem}_{name}.glb"
                files.append(bake(mesh, field, size).save(target))
                logger.info("%s: written", target)
                rows.append([_shown(mesh, field, azimuth) for azimuth in _AZIMUTHS])
                labels.append([path.stem, name])
        except DataError as error:
            logger.warning("%s: %s", path, error)
            failures[path] = str(error)
    if not files:
        raise DataError(f"none of the meshes can be used: {'; '.join(failures.values())}")
    sheet = out / SHEET
    with replacing(sheet) as temporary:
        draw_grid(rows, labels, [f"{a:.0f}°" for a in _AZIMUTHS], _SHOWN).save(temporary)
    return TextureReport(files, sheet, failures)


def _shown(mesh: trimesh.Trimesh, field: ColorField, azimuth: float) -> NDArray[np.uint8]:
    bounds = np.asarray(mesh.bounds)
    diagonal = float(np.linalg.norm(bounds[1] - bounds[0]))
    camera = published_camera(azimuth, 25, 0.9, _SHOWN, bounds.mean(0), diagonal)
    return picture_of(mesh, field, camera, _SHOWN)[0]
