"""Training items of texture networks: pixels of pictures with the points that they show."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from onet.data.images import open_image
from onet.data.inputs import Input
from onet.data.inputs.tensors import to_tensors
from onet.data.store import Item, Store
from onet.data.store_folder import POINTCLOUD
from onet.data.view_files import (
    depth_file,
    points_of_view,
    read_depth,
    view_matrices,
    view_pictures,
)
from onet.errors import ConfigError, DataError
from onet.geometry.depth_points import seen
from onet.registry import Registry

VIEWS: Registry = Registry("kind of views")
GROUND = {"white": 255, "black": 0}


@VIEWS.register("depth")
class ViewSettings:
    """How pictures with depth are drawn from items.

    Args:
        size: pixels along an edge that pictures are brought to; depth by the nearest pixel, colours
            by the mean over the pixels of one.
        pixels: pixels of the object that are drawn from a training picture; null for all pixels of
            the picture, in rows, as networks of pictures need them.
        surface_points: points of the geometry that are drawn, with replacement.
        background: that the pictures are laid on where they show nothing; the model's.

    Raises:
        ConfigError: numbers below 1.
    """

    def __init__(
        self,
        size: int = 128,
        pixels: int | None = None,
        surface_points: int = 2048,
        background: Literal["white", "black", "kept"] = "kept",
    ) -> None:
        for name, value in (("size", size), ("pixels", pixels), ("surface_points", surface_points)):
            if value is not None and value < 1:
                raise ConfigError(f"data.views.{name}: {value}; give at least 1")
        self.size, self.pixels = size, pixels
        self.surface_points, self.background = surface_points, background


class ViewDataset(Dataset[dict[str, Any]]):
    """One picture of each item, its points, and points of the geometry with normals.

    Everything random about an item is drawn from a generator seeded with (seed, epoch, index).

    Args:
        store: prepared shapes with pictures and depth; see `onet.data.view_files`.
        split: name of the split.
        input: what the model is given to look at.
        settings: see there.
        seed: of the draws.
        categories: names of the categories to use; None means all.
        training: draw the picture and its pixels; else it is the first, whole.

    Raises:
        DataError: the split has no items.
    """

    def __init__(
        self,
        store: Store,
        split: str,
        input: Input,
        settings: ViewSettings,
        seed: int = 0,
        categories: Iterable[str] | None = None,
        training: bool = True,
    ) -> None:
        self.items = store.items(split, categories)
        if not self.items:
            raise DataError(
                f"{store.root}: the split {split!r} has no items; add model names to its "
                f"{split}.lst files or choose another split"
            )
        self.input, self.settings, self.seed, self.training = input, settings, seed, training
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw other pictures from now on. Call before workers are started."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Item `index`; see `view_of`, with a picture that is drawn in training."""
        rng = np.random.default_rng([self.seed, self.epoch, index])
        count = len(view_pictures(self.items[index].path))
        return self.view_of(index, int(rng.integers(count)) if self.training else 0, rng)

    def view_of(self, index: int, view: int, rng: np.random.Generator) -> dict[str, Any]:
        """Return an item with one of its pictures.

        Returns:
            points (P, 3), what the pixels show, in the unit frame, 0 where nothing is; mask (P,)
            bool; colors (P, 3) in [0, 1]; depth (P,), 0 where nothing is, all float32; surface and
            normals (T, 3) float32; inputs, the observation; index, an int.

        Raises:
            DataError: a file that is missing or damaged, or a picture without the object.
        """
        item, settings = self.items[index], self.settings
        observation = self.input.sample(item, rng, training=self.training)
        colors, depth, points = self._read(item, view)
        mask = seen(depth)
        if not mask.any():
            raise DataError(
                f"{view_pictures(item.path)[view]}: its depth shows nothing of the object; render "
                "the item again"
            )
        if settings.background != "kept":
            colors[~mask] = GROUND[settings.background]
        rows = {
            "points": np.where(mask[..., None], points, 0).reshape(-1, 3).astype(np.float32),
            "mask": mask.ravel(),
            "colors": colors.reshape(-1, 3).astype(np.float32) / np.float32(255),
            "depth": np.where(mask, depth, 0).ravel().astype(np.float32),
        }
        if settings.pixels is not None and self.training:
            shown = np.flatnonzero(mask)
            chosen = shown[rng.integers(len(shown), size=settings.pixels)]
            rows = {name: values[chosen] for name, values in rows.items()}
        surface, normals = item.load_pointcloud()
        drawn = rng.integers(len(surface), size=settings.surface_points)
        rows |= {"surface": surface[drawn], "normals": normals[drawn]}
        tensors = {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in rows.items()}
        return {**tensors, "inputs": to_tensors(observation), "index": index}

    def _read(
        self, item: Item, view: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
        """Return colours (S, S, 3), depth (S, S) and points (S, S, 3) of a picture."""
        path, size = view_pictures(item.path)[view], self.settings.size
        picture = open_image(path).convert("RGB")
        depth = read_depth(depth_file(path))
        if picture.size != depth.shape[::-1] or picture.width != picture.height:
            raise DataError(
                f"{path}: {picture.width} x {picture.height} pixels, and {depth.shape[1]} x "
                f"{depth.shape[0]} of depth; both have to be equal and square: render the item "
                "again"
            )
        points = points_of_view(depth, view_matrices(item.path, view), item.frame)
        if picture.width == size:
            return np.array(picture), depth, points
        # places in the middle of the larger pixels; points go with the pixel that they are of
        places = ((np.arange(size) + 0.5) * (picture.width / size)).astype(int)
        grid = np.ix_(places, places)
        colors = resized_apart(np.asarray(picture), seen(depth), size, seen(depth[grid]))
        return colors, depth[grid], points[grid]

    def fingerprint(self) -> str:
        """SHA-256 over the names of the items and the sizes of their files."""
        digest = hashlib.sha256()
        for item in self.items:
            files = [item.path / POINTCLOUD]
            for picture in view_pictures(item.path):
                files += [picture, depth_file(picture)]
            sizes = [file.stat().st_size if file.is_file() else -1 for file in files]
            digest.update(f"{item.name} {sizes}\n".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def resized_apart(
    colors: NDArray[np.uint8],  # (H, H, 3)
    shown: NDArray[np.bool_],  # (H, H), where the object is
    size: int,
    wanted: NDArray[np.bool_],  # (size, size), where it is in the result
) -> NDArray[np.uint8]:  # (size, size, 3)
    """Return a picture of another size whose pixels are means of the object, or of what is around.

    Means over both would give the outline of the surface the colour of the background.
    """
    means = [_mean_colors(colors, side, size) for side in (~shown, shown)]
    return np.where(wanted[..., None], means[1], means[0])


def _mean_colors(
    colors: NDArray[np.uint8], counted: NDArray[np.bool_], size: int
) -> NDArray[np.uint8]:
    """Return means over the counted pixels within each pixel of a smaller or larger picture."""
    planes = np.dstack([colors * counted[..., None], 255 * counted]).astype(np.float32)
    sums = [
        np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.BOX))
        for plane in np.moveaxis(planes, -1, 0)
    ]
    total, weight = np.stack(sums[:3], axis=-1), np.maximum(sums[3], 1e-6)[..., None] / 255
    return np.clip(np.round(total / weight), 0, 255).astype(np.uint8)
