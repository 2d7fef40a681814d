"""What a prepared item may hold besides its points: pictures, a grid, near-surface points."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from PIL import Image

from onet.data.solid import Solid
from onet.data.store import CAMERAS, NEAR_SURFACE, RENDERINGS, VOXELS, write_points
from onet.errors import DataError
from onet.files import replacing_folder
from onet.geometry.cameras import (
    PUBLISHED_SIZE,
    Camera,
    random_cameras,
    ring_cameras,
    write_cameras,
)
from onet.geometry.inside import contains
from onet.geometry.rendering import on_white, render_view
from onet.geometry.sampling import sample_box, sample_surface
from onet.geometry.voxels import VoxelGrid, voxelize, write_binvox

if TYPE_CHECKING:
    import trimesh

Views = Literal["ring", "random"]

JPEG_QUALITY = 92


@dataclass(frozen=True)
class Extras:
    """What to write besides points, and how.

    Attributes:
        render: number of pictures; None for none.
        views: `ring`, around the object from slightly above, as the published pictures are, or
            `random`, from all sides; see `onet.geometry.cameras`.
        render_size: pixels along an edge of a picture; published are 137.
        alpha: write PNG with transparency around the object in place of JPEG on white.
        voxels: resolution of the occupancy grid; published is 32.
        near_surface: standard deviation, in units of the longest edge, of points near the surface,
            which are half of `points_surface.npz`; the thesis (its ablation study) says 0.1, the
            published script has 0.01 as its default.
    """

    render: int | None = None
    views: Views = "ring"
    render_size: int = PUBLISHED_SIZE
    alpha: bool = False
    voxels: int | None = None
    near_surface: float | None = None

    def __post_init__(self) -> None:
        numbers = {"render": self.render, "render_size": self.render_size, "voxels": self.voxels}
        for name, value in numbers.items():
            if value is not None and value < 1:
                raise DataError(f"prepare: {name} = {value}; give at least 1")
        if self.near_surface is not None and not self.near_surface > 0:
            raise DataError(
                f"prepare: near_surface = {self.near_surface}; give a standard deviation above 0"
            )
        if self.views not in get_args(Views):
            raise DataError(
                f"prepare: views = {self.views!r}; choose one of {', '.join(get_args(Views))}"
            )

    def parts(self, seed: int, points: int) -> dict[str, dict[str, Any]]:
        """The settings of each part that is asked for, by the name of its file or folder."""
        parts: dict[str, dict[str, Any]] = {}
        if self.render is not None:
            parts[RENDERINGS] = {
                "count": self.render,
                "views": self.views,
                "size": self.render_size,
                "alpha": self.alpha,
                "seed": seed,
            }
        if self.voxels is not None:
            parts[VOXELS] = {"resolution": self.voxels}
        if self.near_surface is not None:
            parts[NEAR_SURFACE] = {"noise": self.near_surface, "points": points, "seed": seed}
        return parts


def needs_solid(part: str) -> bool:
    """Whether a part is made from the watertight mesh."""
    return part != RENDERINGS


def remove_part(folder: Path, part: str) -> None:
    """Delete a part that belongs to another mesh or to other settings."""
    if part == RENDERINGS:
        shutil.rmtree(folder / part, ignore_errors=True)
    elif part in (VOXELS, NEAR_SURFACE):
        (folder / part).unlink(missing_ok=True)


def write_part(
    folder: Path,
    part: str,
    settings: dict[str, Any],
    name: str,
    source: trimesh.Trimesh,
    solid: Solid | None,
    padding: float,
) -> None:
    """Make one part of an item.

    Args:
        folder: of the item.
        part, settings: as `Extras.parts` gives them.
        name: of the item; with the seed it decides all that is random.
        source: the mesh as it was read, with its colours, for pictures.
        solid: the watertight mesh, for everything else.
        padding: of the cube of query points.
    """
    seeds = [settings.get("seed", 0), zlib.crc32(name.encode()), zlib.crc32(part.encode())]
    rng = np.random.default_rng(seeds)
    if part == RENDERINGS:
        size, count = settings["size"], settings["count"]
        if settings["views"] == "ring":
            cameras = ring_cameras(source.bounds, count, size, rng)
        else:
            cameras = random_cameras(source.bounds, count, size, rng)
        write_renderings(folder / part, source, cameras, size, settings["alpha"])
        return
    if solid is None:
        raise ValueError(f"{part} is made from the watertight mesh")
    if part == VOXELS:
        full = voxelize(solid.mesh, settings["resolution"])
        write_binvox(folder / part, VoxelGrid(full, solid.frame))
        return
    uniform = settings["points"] // 2
    surface = sample_surface(solid.mesh, settings["points"] - uniform, rng)[0]
    near = surface + settings["noise"] * rng.standard_normal(surface.shape)
    points = np.concatenate([sample_box(uniform, padding, rng), near]).astype(np.float16)
    occupancies = contains(solid.mesh, points.astype(np.float32))
    write_points(folder / part, points, occupancies, solid.frame)


def write_renderings(
    folder: Path, mesh: trimesh.Trimesh, cameras: Sequence[Camera], size: int, alpha: bool
) -> None:
    """Pictures `000.jpg`, ... (or png with alpha) and `cameras.npz`, in the published layout.

    The folder appears with all its files at once, in the place of an older one.

    Raises:
        DataError: a picture shows nothing.
    """
    with replacing_folder(folder) as temporary:
        for number, camera in enumerate(cameras):
            image = render_view(mesh, camera, size)
            if not image[..., 3].any():
                raise DataError(f"picture {number} shows nothing of the mesh; check its faces")
            stem = temporary / f"{number:03d}"
            if alpha:
                Image.fromarray(image).save(stem.with_suffix(".png"), optimize=True)
            else:
                picture = Image.fromarray(on_white(image))
                picture.save(stem.with_suffix(".jpg"), quality=JPEG_QUALITY)
        write_cameras(temporary / CAMERAS, cameras)
