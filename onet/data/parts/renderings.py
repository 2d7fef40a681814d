"""Pictures of a mesh with their cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from PIL import Image

from onet.data.parts._part import Part, Shape
from onet.data.settings import Views
from onet.data.store_folder import CAMERAS, RENDERINGS
from onet.errors import DataError
from onet.files import replacing_folder
from onet.geometry.cameras import Camera, cameras_by_name, write_cameras
from onet.geometry.color.textured import TexturedMesh
from onet.geometry.color.textured_files import load_textured
from onet.geometry.color.views import render_textured
from onet.geometry.rendering import on_white, render_view

if TYPE_CHECKING:
    import trimesh

JPEG_QUALITY = 92


@dataclass(frozen=True)
class Renderings(Part):
    """Pictures of the mesh as it was read, in light and shade; see `onet.geometry.cameras`.

    Attributes:
        count: number of pictures.
        views: `ring`, around the object from slightly above, as the published pictures are, or
            `random`, from all sides.
        size: pixels along an edge; published are 137.
        alpha: PNG with transparency around the object in place of JPEG on white.
        seed: of the cameras.
        textured: with the textures of its file; else each face has one colour.
    """

    name: ClassVar[str] = RENDERINGS
    fields_of: ClassVar = {
        "count": "render",
        "views": "views",
        "size": "render_size",
        "alpha": "alpha",
        "seed": "seed",
        "textured": "colours",
    }
    needs_closed_mesh: ClassVar[bool] = False
    needs_colors: ClassVar[bool] = True

    count: int
    views: Views
    size: int
    alpha: bool
    seed: int
    textured: bool = False

    def settings(self) -> dict[str, Any]:
        """Return the settings; records of the time before textures do not name them."""
        made = super().settings()
        return made if self.textured else {k: v for k, v in made.items() if k != "textured"}

    def write(self, folder: Path, shape: Shape) -> None:
        rng = shape.rng(self.seed, self.name)
        cameras = cameras_by_name(self.views, shape.mesh.bounds, self.count, self.size, rng)
        mesh = load_textured(shape.path) if self.textured else shape.mesh
        write_renderings(folder / self.name, mesh, cameras, self.size, self.alpha)


def write_renderings(
    folder: Path,
    mesh: trimesh.Trimesh | TexturedMesh,
    cameras: Sequence[Camera],
    size: int,
    alpha: bool,
) -> None:
    """Write pictures `000.jpg`, ... (or png with alpha) and `cameras.npz`, in the published layout.

    The folder appears with all its files at once, in the place of an older one.

    Raises:
        DataError: a picture shows nothing.
    """
    with replacing_folder(folder) as temporary:
        for number, camera in enumerate(cameras):
            if isinstance(mesh, TexturedMesh):
                image = render_textured(mesh, camera, size, lit=True).image
            else:
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
