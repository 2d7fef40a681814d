"""Single pictures."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

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
from onet.data.inputs._protocol import UNIT, Arrays, Collected, Input
from onet.data.inputs._registry import INPUTS
from onet.data.inputs.views import evenly
from onet.data.photographs import find_photographs
from onet.data.store import Item
from onet.data.store_folder import CAMERAS, RENDERINGS
from onet.errors import ConfigError, DataError
from onet.files import replacing
from onet.geometry.cameras import sees_unit_cube
from onet.geometry.normalization import UnitFrame

if TYPE_CHECKING:
    from onet.nn.code import InputKind

MASK_SUFFIX = ".mask.png"
CAMERA = "camera"  # the same name as in `onet.nn.code`


@INPUTS.register("image")
class ImageInput(Input):
    """One view of the object, RGB on white (Occupancy Networks, section 4.1).

    In training a random one of all views, as published; in validation and test always the same.

    Args:
        folder: the folder of an item that holds the pictures, numbered by their names.
        size: pixels along an edge of what the network sees.
        view: number of the picture in validation and test; published is 0. None draws one there
            too.
        augment: in training, use a random square of 75 to 100 % of the area. The published legacy
            network and table 11.1 of the thesis had this; without it the results are better.
        camera: an observation is a dictionary of `image` and, where it is known, `camera` (3, 4)
            float32: `depth * (u, v, 1) = camera @ (point, 1)` for points in the unit frame, with u
            and v in pixels of the picture that the network sees. Prepared items know it; of a
            user's photograph it is not known. Excludes `augment`.
        views: in training, so many different pictures of an item at once, in random order, for a
            model that fuses them. Excludes `camera`.
    """

    kind: ClassVar[InputKind] = "image"
    masks: ClassVar[bool] = True
    suffixes: ClassVar[tuple[str, ...]] = IMAGE_SUFFIXES
    defines_frame: ClassVar[bool] = False

    def __init__(
        self,
        folder: str = RENDERINGS,
        size: int = IMAGE_SIZE,
        view: int | None = 0,
        augment: bool = False,
        camera: bool = False,
        views: int = 1,
    ) -> None:
        if size < 1:
            raise ConfigError(f"data.input.size: {size} pixels; give at least 1")
        if view is not None and view < 0:
            raise ConfigError(f"data.input.view: {view}; give 0 or more, or null for a random view")
        if augment and camera:
            raise ConfigError(
                "data.input: augment takes a part of the picture, which camera does not know; set "
                "one of them to false"
            )
        if views < 1 or (views > 1 and camera):
            raise ConfigError(
                f"data.input.views: {views}; give at least 1, and 1 where data.input.camera is set"
            )
        self.folder = folder
        self.size = size
        self.view = view
        self.augment = augment
        self.camera = camera
        self.views = views

    @property
    def views_in_training(self) -> int:
        """As configured."""
        return self.views

    @property
    def shape(self) -> tuple[int, ...]:
        """(3, size, size)."""
        return (3, self.size, self.size)

    @property
    def parts(self) -> frozenset[str]:
        """The camera, where it is asked for."""
        return frozenset({CAMERA}) if self.camera else frozenset()

    def sample(self, item: Item, rng: np.random.Generator, *, training: bool = True) -> Arrays:
        """Return a rendering of a prepared item: (3, size, size) float32 RGB in [0, 1].

        With `camera` a dictionary; see there. In training with `views` above 1 an array (views, 3,
        size, size).

        Raises:
            DataError: a missing or damaged picture or camera, or one that sees nothing of the unit
                cube.
        """
        if not training:
            return self.view_of(item, self.choose(item, rng))
        files = item.pictures(self.folder)
        if self.views == 1:
            return self._drawn(item, int(rng.integers(len(files))), rng)
        if self.views > len(files):
            raise DataError(
                f"{files[0].parent}: has {len(files)} pictures, data.input.views is {self.views}; "
                "set it lower, or render more with `onet prepare --render`"
            )
        chosen = rng.permutation(len(files))[: self.views]
        return np.stack([self._drawn(item, int(number), rng) for number in chosen])  # type: ignore[misc]

    def _drawn(self, item: Item, number: int, rng: np.random.Generator) -> Arrays:
        """Return a rendering as for training."""
        if self.augment:
            file = item.pictures(self.folder)[number]
            return random_resized_crop(open_image(file), rng, self.size)
        return self.view_of(item, number)

    def sample_views(self, item: Item, rng: np.random.Generator, count: int) -> list[Arrays]:
        """Return `count` pictures evenly spaced among the item's, from the configured one on.

        Raises:
            DataError: the item has fewer pictures.
        """
        files = item.pictures(self.folder)
        if count > len(files):
            raise DataError(
                f"{files[0].parent}: has {len(files)} pictures, {count} views are asked for; ask "
                "for fewer, or render more with `onet prepare --render`"
            )
        first = self.choose(item, rng)
        numbers = evenly(range(first, first + len(files)), count)
        return [self.view_of(item, number % len(files)) for number in numbers]

    def check_views_of_item(self) -> None:
        """Accept: an item may have several pictures."""

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

    def view_of(self, item: Item, number: int) -> Arrays:
        """Return the rendering with this number, without augmentation; see `sample`."""
        file = item.pictures(self.folder)[number]
        image = open_image(file)
        picture = resize_image(image, self.size)
        if not self.camera:
            return picture
        camera = item.cameras(self.folder)[number]
        camera = camera.resized(self.size / image.width, self.size / image.height)
        if not sees_unit_cube(camera.projection, self.size):
            raise DataError(
                f"{file.with_name(CAMERAS)}: camera {number} does not see the object: the unit "
                f"cube is behind it or outside {file.name}; render the item again"
            )
        return {"image": picture, "camera": camera.projection.astype(np.float32)}

    def read(self, path: str | Path, mask: Path | Image.Image | None = None) -> NDArray[np.float32]:
        """Read a photograph; see `onet.data.images.read_image`.

        A file `NAME.mask.png` beside it, where there is one, is its mask if none is given.
        """
        if isinstance(mask, Image.Image):
            return fit_image(open_image(path), mask, self.size, str(path))
        beside = Path(path).with_suffix(MASK_SUFFIX)
        if mask is None and beside.is_file():
            mask = beside
        return read_image(path, mask, self.size)

    def collection(self, folder: Path) -> list[Collected] | None:
        """Return the photographs of a collection; see `onet.data.photographs`.

        Raises:
            DataError: the collection is damaged or empty, or files that it names are absent.
        """
        photographs = find_photographs(folder)
        if photographs is None:
            return None
        return [
            Collected(p.category, p.model, str(p.image), partial(self.read, p.image, p.mask))
            for p in photographs
        ]

    def take(self, observation: Any) -> Arrays:
        """Take a PIL image, an array (H, W), (H, W, 3 or 4), or a finished one (3, size, size).

        With `camera` also a dictionary of a finished one as `image` and a `camera`.
        """
        if self.camera and isinstance(observation, dict):
            return self._take_both(observation)
        if isinstance(observation, Image.Image):
            return fit_image(observation, None, self.size)
        if np.shape(observation) == (3, self.size, self.size):
            finished = np.asarray(observation, dtype=np.float32)
            if not (finished.min() >= 0 and finished.max() <= 1):
                raise DataError("image: values leave [0, 1]; give RGB in that range")
            return finished
        return fit_image(image_of(observation), None, self.size)

    def _take_both(self, observation: dict[str, Any]) -> Arrays:
        image, camera = (np.asarray(observation.get(key)) for key in ("image", "camera"))
        if image.shape != (3, self.size, self.size) or camera.shape != (3, 4):
            raise DataError(
                f"observation: expected image (3, {self.size}, {self.size}) and camera (3, 4), "
                f"found {image.shape} and {camera.shape}"
            )
        if not (np.isfinite(camera).all() and sees_unit_cube(camera, self.size)):
            raise DataError(
                "observation: the camera does not see the unit cube, or is not finite; it takes "
                "points of the unit frame to pixels and depth"
            )
        return {"image": self.take(image), "camera": camera.astype(np.float32)}  # type: ignore[dict-item]

    def frame(self, raw: Arrays, name: str) -> UnitFrame:
        """The unit frame: one picture does not say where and how large the object is."""
        return UNIT

    def observe(self, raw: Arrays, rng: np.random.Generator, frame: UnitFrame = UNIT) -> Arrays:
        """What was read is what the network sees."""
        return {"image": raw} if self.camera and not isinstance(raw, dict) else raw

    def write(self, observation: Arrays, path: Path, frame: UnitFrame) -> Path:
        """Write a PNG file of what the network sees."""
        if isinstance(observation, dict):
            observation = observation["image"]
        file = path.with_name(f"{path.name}.png")
        pixels = np.round(255 * np.moveaxis(observation, 0, -1)).astype(np.uint8)
        with replacing(file) as temporary:
            Image.fromarray(pixels).save(temporary)
        return file
