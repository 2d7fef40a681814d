"""Single pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onet.data.images import (
    IMAGE_SIZE,
    IMAGE_SUFFIXES,
    fit_image,
    image_of,
    open_image,
    random_resized_crop,
    read_image,
    resize_image,
)
from onet.data.inputs import INPUTS, UNIT
from onet.data.store import RENDERINGS, Item
from onet.errors import ConfigError, DataError
from onet.files import replacing
from onet.geometry.normalization import UnitFrame

MASK_SUFFIX = ".mask.png"


@INPUTS.register("image")
class ImageInput:
    """One view of the object, RGB on white (Occupancy Networks, section 4.1).

    In training a random one of all views, as published; in validation and test always the same.

    Args:
        folder: the folder of an item that holds the pictures, numbered by their names.
        size: pixels along an edge of what the network sees.
        view: number of the picture in validation and test; published is 0. None draws one there
            too.
        augment: in training, use a random square of 75 to 100 % of the area. The published legacy
            network and table 11.1 of the thesis had this; without it the results are better.
    """

    suffixes: ClassVar[tuple[str, ...]] = IMAGE_SUFFIXES
    defines_frame: ClassVar[bool] = False

    def __init__(
        self,
        folder: str = RENDERINGS,
        size: int = IMAGE_SIZE,
        view: int | None = 0,
        augment: bool = False,
    ) -> None:
        if size < 1:
            raise ConfigError(f"data.input.size: {size} pixels; give at least 1")
        if view is not None and view < 0:
            raise ConfigError(f"data.input.view: {view}; give 0 or more, or null for a random view")
        self.folder = folder
        self.size = size
        self.view = view
        self.augment = augment

    def sample(
        self, item: Item, rng: np.random.Generator, *, training: bool = True
    ) -> NDArray[np.float32]:
        """A rendering of a prepared item: (3, size, size) float32 RGB in [0, 1]."""
        files = item.pictures(self.folder)
        if not training:
            return self.open(files[self.choose(item, rng)])
        image = open_image(files[int(rng.integers(len(files)))])
        return (
            random_resized_crop(image, rng, self.size)
            if self.augment
            else resize_image(image, self.size)
        )

    def choose(self, item: Item, rng: np.random.Generator) -> int:
        """Number of the picture of an item in validation and test.

        Raises:
            DataError: the item has no such picture.
        """
        files = item.pictures(self.folder)
        if self.view is None:
            return int(rng.integers(len(files)))
        if self.view < len(files):
            return self.view
        raise DataError(
            f"{files[0].parent}: has {len(files)} pictures, data.input.view is {self.view}; "
            "choose another view, or render more with `onet prepare --render`"
        )

    def open(self, path: Path) -> NDArray[np.float32]:
        """A rendering (3, size, size) float32 as in validation and test."""
        return resize_image(open_image(path), self.size)

    def read(self, path: str | Path, mask: Path | None = None) -> NDArray[np.float32]:
        """A photograph; see `onet.data.images.read_image`.

        A file `NAME.mask.png` beside it, where there is one, is its mask if none is given.
        """
        beside = Path(path).with_suffix(MASK_SUFFIX)
        if mask is None and beside.is_file():
            mask = beside
        return read_image(path, mask, self.size)

    def take(self, observation: Any) -> NDArray[np.float32]:
        """A PIL image, an array (H, W), (H, W, 3), (H, W, 4), or a finished one (3, size, size)."""
        if isinstance(observation, Image.Image):
            return fit_image(observation, None, self.size)
        if np.shape(observation) == (3, self.size, self.size):
            finished = np.asarray(observation, dtype=np.float32)
            if not (finished.min() >= 0 and finished.max() <= 1):
                raise DataError("image: values leave [0, 1]; give RGB in that range")
            return finished
        return fit_image(image_of(observation), None, self.size)

    def frame(self, raw: NDArray[np.float32], name: str) -> UnitFrame:
        """The unit frame: one picture does not say where and how large the object is."""
        return UNIT

    def observe(
        self, raw: NDArray[np.float32], rng: np.random.Generator, frame: UnitFrame = UNIT
    ) -> NDArray[np.float32]:
        """What was read is what the network sees."""
        return raw

    def write(self, observation: NDArray[Any], path: Path, frame: UnitFrame) -> Path:
        """A PNG file of what the network sees."""
        file = path.with_name(f"{path.name}.png")
        pixels = np.round(255 * np.moveaxis(observation, 0, -1)).astype(np.uint8)
        with replacing(file) as temporary:
            Image.fromarray(pixels).save(temporary)
        return file
