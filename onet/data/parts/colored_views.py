"""Pictures of a mesh in its own colours, with depth and cameras, as texture networks learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onet.data.parts._part import ColoredPart, Shape
from onet.data.settings import Views
from onet.data.store import Item
from onet.data.view_files import CAMERAS, DEPTH, IMAGE, depth_file, write_depth
from onet.errors import DataError
from onet.files import replacing, replacing_folder
from onet.geometry.cameras import Camera, cameras_by_name
from onet.geometry.color.textured import TexturedMesh
from onet.geometry.color.textured_files import load_textured
from onet.geometry.color.views import View, render_textured
from onet.geometry.depth_points import published_matrices

_DRAWN = "colored views"  # both parts have the same cameras


@dataclass(frozen=True)
class _ColoredViews(ColoredPart):
    """What pictures with colours and those of depth have in common.

    Attributes:
        count, views, size, seed: see `onet.data.parts.renderings.Renderings`.
    """

    fields_of: ClassVar = {
        "count": "render",
        "views": "views",
        "size": "render_size",
        "seed": "seed",
    }
    count: int
    views: Views
    size: int
    seed: int

    def cameras(self, shape: Shape) -> list[Camera]:
        """Return the cameras, in the source frame."""
        rng = shape.rng(self.seed, _DRAWN)
        return cameras_by_name(self.views, shape.mesh.bounds, self.count, self.size, rng)


@dataclass(frozen=True)
class ColoredPictures(_ColoredViews):
    """Pictures `image/000.png`, ... on white, without light, shade, or a blend at the outline."""

    name: ClassVar[str] = IMAGE

    def write(self, folder: Path, shape: Shape) -> None:
        textured, cameras = load_textured(shape.path), self.cameras(shape)
        with replacing_folder(folder / self.name) as temporary:
            for number, camera in enumerate(cameras):
                view = render_textured(textured, camera, self.size)
                if not view.image[..., 3].any():
                    raise DataError(f"picture {number} shows nothing of the mesh; check its faces")
                Image.fromarray(colors_by_depth(view)).save(temporary / f"{number:03d}.png")


@dataclass(frozen=True)
class ColoredDepth(_ColoredViews):
    """Depth `depth/000.exr`, ... and `depth/cameras.npz`, in the frame of the item's points."""

    name: ClassVar[str] = DEPTH

    def write(self, folder: Path, shape: Shape) -> None:
        cameras = self.cameras(shape)
        write_views_depth(folder, load_textured(shape.path), cameras, self.size)


def colors_by_depth(view: View) -> NDArray[np.uint8]:
    """Return a picture (S, S, 3) in which a pixel is either the object's or white.

    A pixel whose depth is that of the object has the object's colour alone. Laid on white by their
    coverage, those at its outline would teach a network a white rim of the surface.
    """
    colors = np.full((*view.depth.shape, 3), 255, dtype=np.uint8)
    seen = np.isfinite(view.depth)
    colors[seen] = view.image[seen, :3]
    return colors


def write_views_depth(
    item: Path, textured: TexturedMesh, cameras: Sequence[Camera], size: int
) -> None:
    """Write the depth that cameras see, and their matrices, in the published layout.

    The half pixel between the published convention and the middles of pixels, which are what is
    drawn, is part of the matrices: by either convention the points lie on the surface.

    Args:
        item: the folder, with the points whose frame is used.
        textured: in the source frame.
        cameras: in the source frame, of pictures of `size` pixels.
        size: pixels along an edge.

    Raises:
        DataError: the item has no frame.
        MissingDependency: without OpenEXR.
    """
    frame = Item("", item.name, item).frame()
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    with replacing_folder(item / DEPTH) as temporary:
        for number, camera in enumerate(cameras):
            view = render_textured(textured, camera, size, supersampling=1)
            path = temporary / depth_file(Path(IMAGE, f"{number:03d}.png")).name
            write_depth(path, (view.depth / frame.scale).astype(np.float32))
            camera_mat, world_mat = published_matrices(camera.in_frame(frame), size)
            arrays |= {f"camera_mat_{number}": camera_mat, f"world_mat_{number}": world_mat}
        with replacing(temporary / CAMERAS) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
