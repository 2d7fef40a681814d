"""Photographs without their background: by masks in files, or by a segmenter."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from onet.data.images import IMAGE_SUFFIXES, open_image
from onet.data.inputs import INPUTS, Input
from onet.data.inputs.image import MASK_SUFFIX
from onet.data.segmentation import Segmenter, rembg_segmenter
from onet.errors import ConfigError, DataError


@dataclass(frozen=True)
class Background:
    """How the background of pictures is told.

    Attributes:
        mask: file of the mask of one picture, or a folder with masks named like the pictures, in
            the same subfolders; None where there is none.
        remove: find the object in pictures that have no mask; True takes the segmenter that is
            installed, a function is one itself.
    """

    mask: Path | None = None
    remove: bool | Segmenter = False

    def __bool__(self) -> bool:
        return self.mask is not None or bool(self.remove)

    @property
    def settings(self) -> dict[str, Any]:
        """What generation.json tells of it; nothing where there is nothing to tell."""
        told: dict[str, Any] = {}
        if self.mask is not None:
            told["mask"] = str(self.mask.resolve())
        if self.remove:
            told["remove_background"] = True
        return told

    def check(self, root: Path, input: Input) -> None:
        """See that pictures of a file or folder can be read without their background.

        Raises:
            ConfigError: a model that observes no pictures, or one mask for many pictures.
            DataError: no such mask.
            MissingDependency: no segmenter is installed.
        """
        if not input.masks:
            raise ConfigError(
                f"mask: the model observes {INPUTS.name_of(input)!r}, and masks are of pictures; "
                "leave it out"
            )
        if self.mask is not None and not self.mask.exists():
            raise DataError(f"{self.mask}: no such mask, file or folder; check the path")
        if self.mask is not None and self.mask.is_file() != root.is_file():
            raise ConfigError(
                f"mask: {self.mask}: give a file for a picture, and for a folder of pictures a "
                "folder of masks with the same names"
            )
        if self.remove:
            _ = self._segmenter  # whether there is one is known before the first picture

    def reader(self, path: Path, root: Path, input: Input) -> Callable[[], Any]:
        """Return what reads a picture below `root`, as the input does, without its background."""
        return partial(self._read, input, path, root)

    def _read(self, input: Any, path: Path, root: Path) -> Any:
        """Read a picture with its mask.

        Raises:
            DataError: a picture without a mask, or files that cannot be used.
        """
        mask: Path | Image.Image | None = None
        if self.mask is not None:
            mask = self.mask if root.is_file() else self._beside(path.relative_to(root))
        if mask is None and self.remove and not _is_cut_out(path):
            mask = self._segmenter(open_image(path))
        if mask is None and self.mask is not None and not _is_cut_out(path):
            raise DataError(f"{path}: has no mask in {self.mask}; put one named like it there")
        return input.read(path, mask)

    def _beside(self, name: Path) -> Path | None:
        assert self.mask is not None
        endings = (MASK_SUFFIX, *IMAGE_SUFFIXES)
        places = [self.mask / name.with_suffix(ending) for ending in endings]
        return next((place for place in places if place.is_file()), None)

    @functools.cached_property
    def _segmenter(self) -> Segmenter:
        return self.remove if callable(self.remove) else rembg_segmenter()


def _is_cut_out(path: Path) -> bool:
    """Whether a picture says itself what is background: by transparency, or a mask beside it."""
    if path.with_suffix(MASK_SUFFIX).is_file():
        return True
    picture = open_image(path)
    if picture.mode != "RGBA":
        return False
    return bool(np.asarray(picture.getchannel("A")).min() < 128)
