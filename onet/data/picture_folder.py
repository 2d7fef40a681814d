"""Pictures of a folder, to learn their distribution from: any folder, or the renderings of a store.

    ROOT/**/NAME.png           all pictures below, whatever the folders in between
    ROOT/CATEGORY/**/NAME.png  with categories: those below the folders of these names
    ROOT/CATEGORY/SPLIT.lst    where there are such lists, as in prepared data, pictures belong to
                               the split of the model CATEGORY/MODEL that they lie in; elsewhere a
                               share of them is held out, chosen by their names

`NAME.mask.png` is a mask and no picture. Hidden files and folders are left out.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from onet.data.images import IMAGE_SUFFIXES, middle_square, open_image
from onet.data.lists import read_list
from onet.data.store_folder import SPLITS, list_file
from onet.errors import ConfigError, DataError
from onet.files import files_below
from onet.registry import Registry, nearest

PICTURES: Registry = Registry("kind of pictures")


@PICTURES.register("folder")
class PictureSettings:
    """How pictures are read.

    Args:
        size: pixels along an edge that the middle square of a picture is brought to; the model's.
        flip: mirror half of the training pictures.
        folder: only pictures that lie in folders of this name (`image`, say, of prepared data).
        held_out: share of the pictures that training does not see, where no lists tell; 0 validates
            on those that it does see.
        validation: held-out pictures that are compared with samples, at most.

    Raises:
        ConfigError: values that cannot be.
    """

    def __init__(
        self,
        size: int = 64,
        flip: bool = True,
        folder: str | None = None,
        held_out: float = 0.1,
        validation: int = 64,
    ) -> None:
        for name, value in (("size", size), ("validation", validation)):
            if value < 1:
                raise ConfigError(f"data.pictures.{name}: {value}; give at least 1")
        if not 0 <= held_out < 1:
            raise ConfigError(f"data.pictures.held_out: {held_out}; give 0 or more, and below 1")
        self.size, self.flip, self.folder = size, flip, folder
        self.held_out, self.validation = held_out, validation


@dataclass(frozen=True)
class PictureFile:
    """A picture and the number of its category, 0 without categories."""

    path: Path
    label: int = 0


def find_pictures(
    root: Path, categories: Sequence[str] | None = None, folder: str | None = None
) -> list[PictureFile]:
    """Return the pictures below a folder, in the order of categories and names.

    Args:
        root: the folder.
        categories: names of folders in it, in the order of their numbers; None for all pictures.
        folder: only those that lie in folders of this name.

    Raises:
        DataError: no such folder, an unknown category, or one without pictures.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; name a folder of pictures")
    places = [root] if categories is None else [root / name for name in categories]
    found = []
    for label, place in enumerate(places):
        if not place.is_dir():
            there = sorted(p.name for p in root.iterdir() if p.is_dir())
            raise DataError(f"{place}: no such category; {nearest(place.name, there)}")
        files = [
            path
            for path in sorted(files_below(place))
            if _is_picture(path) and folder in (None, path.parent.name)
        ]
        if not files:
            inside = f" in folders named {folder!r}" if folder else ""
            raise DataError(
                f"{place}: no pictures below it{inside}; give a folder with files of "
                f"{', '.join(suffix[1:] for suffix in IMAGE_SUFFIXES)}"
            )
        found += [PictureFile(path, label) for path in files]
    return found


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.stem.endswith(".mask")


class PictureDataset(Dataset[dict[str, Any]]):
    """The pictures of a split.

    Everything random about an item is drawn from a generator seeded with (seed, epoch, index).

    Args:
        root: folder of the pictures.
        split: name of a list, where there are lists.
        settings: how pictures are read.
        seed: of the draws.
        categories: see `find_pictures`.
        training: mirror pictures, and leave out those held out; else only these, a few of them.
        cache: keep pictures in memory, as they are brought to size.

    Raises:
        DataError: see `find_pictures`, or no pictures in the split.
    """

    def __init__(
        self,
        root: Path,
        split: str,
        settings: PictureSettings,
        seed: int = 0,
        categories: Sequence[str] | None = None,
        training: bool = True,
        cache: bool = True,
    ) -> None:
        self.root, self.settings, self.seed, self.training = root, settings, seed, training
        every = find_pictures(root, categories, settings.folder)
        listed, others = _listed(root, every, split)
        shared = _shared(others, root, settings.held_out, training)
        self.files = sorted([*listed, *shared], key=lambda file: (file.label, file.path))
        if not self.files:
            raise DataError(
                f"{root}: no pictures to {'train on' if training else 'validate with'} (split "
                f"{split!r}, {len(every)} pictures in all); give more, or set "
                "data.pictures.held_out=0"
            )
        if not training and len(self.files) > settings.validation:
            chosen = np.random.default_rng(0).permutation(len(self.files))[: settings.validation]
            self.files = [self.files[place] for place in sorted(chosen)]
        self._kept: dict[int, NDArray[np.uint8]] | None = {} if cache else None
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw anew from now on. Call before workers are started."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return `pictures` (3, S, S) float32 in [0, 1], `labels` and `index`, whole numbers.

        Raises:
            DataError: a file that is no picture.
        """
        picture = self._picture(index)
        rng = np.random.default_rng([self.seed, self.epoch, index])
        if self.training and self.settings.flip and rng.random() < 0.5:
            picture = picture[:, ::-1]
        values = np.ascontiguousarray(picture.transpose(2, 0, 1)).astype(np.float32) / 255
        return {
            "pictures": torch.from_numpy(values),
            "labels": self.files[index].label,
            "index": index,
        }

    def _picture(self, index: int) -> NDArray[np.uint8]:
        if self._kept is not None and index in self._kept:
            return self._kept[index]
        picture = middle_square(open_image(self.files[index].path), self.settings.size)
        if self._kept is not None:
            self._kept[index] = picture
        return picture

    def fingerprint(self) -> str:
        """SHA-256 over the names of the files and their sizes."""
        digest = hashlib.sha256()
        for file in self.files:
            name = file.path.relative_to(self.root).as_posix()
            line = f"{file.label} {name} {file.path.stat().st_size}\n"
            digest.update(line.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def _listed(
    root: Path, files: Sequence[PictureFile], split: str
) -> tuple[list[PictureFile], list[PictureFile]]:
    """Return those whose model is on the list of a split, and those of categories without lists."""
    parts = [file.path.relative_to(root).parts for file in files]
    categories = {part[0] for part in parts if len(part) > 2}
    lists = {
        name: set(read_list(path)) if (path := list_file(root / name, split)).is_file() else set()
        for name in categories
        if any(list_file(root / name, known).is_file() for known in SPLITS)
    }
    listed, others = [], []
    for file, part in zip(files, parts, strict=True):
        if len(part) < 3 or part[0] not in lists:
            others.append(file)
        elif part[1] in lists[part[0]]:
            listed.append(file)
    return listed, others


def _shared(
    files: Sequence[PictureFile], root: Path, held_out: float, training: bool
) -> list[PictureFile]:
    """Return those that are trained on, or those that are held out, of each category a share."""
    if held_out == 0:
        return [*files]
    chosen = []
    for label in sorted({file.label for file in files}):
        these = [file for file in files if file.label == label]
        by_name = sorted(these, key=lambda file: zlib.crc32(_name(file, root)))
        count = min(max(1, round(held_out * len(these))), len(these) - 1)
        chosen += by_name[count:] if training else by_name[:count]
    return sorted(chosen, key=lambda file: (file.label, file.path))


def _name(file: PictureFile, root: Path) -> bytes:
    return file.path.relative_to(root).as_posix().encode("utf-8", "surrogatepass")
