"""What `generate` makes meshes of: items of a store, files of a user, or samples of a model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onet.checkpoints.kinds_of_files import not_observed
from onet.data.inputs import INPUTS, Collected, Input
from onet.data.inputs.image import MASK_SUFFIX
from onet.data.store import Item, Store
from onet.errors import ConfigError, DataError
from onet.inference import generation_folder as folder
from onet.inference.backgrounds import Background
from onet.inference.reconstructor import Reconstructor, check_multiview
from onet.names import told_apart

if TYPE_CHECKING:
    from onet.data.segmentation import Segmenter

SAMPLES = "samples"
INPUTS_NAME = "inputs"
"""What a generation folder of several files is called after."""


@dataclass(frozen=True)
class Target:
    """One object to reconstruct.

    Attributes:
        category, model: its name; the category may be empty.
        origin: an item of a store, the files of observations, one of a collection, or None for a
            sample.
        sampled: whether the latent code is drawn though the model observes something.
    """

    category: str
    model: str
    origin: Item | tuple[Path, ...] | Collected | None
    sampled: bool = False

    @property
    def name(self) -> str:
        """`category/model`."""
        return f"{self.category}/{self.model}" if self.category else self.model


@dataclass(frozen=True)
class Wanted:
    """What meshes are asked for; see the arguments of `onet.inference.generate.generate`.

    Raises:
        ConfigError: a number below 1, or arguments that exclude one another.
    """

    input: tuple[Path, ...] = ()
    data: Path | None = None
    split: str | None = None
    categories: tuple[str, ...] = ()
    samples: int | None = None
    views: int | None = None
    limit: int | None = None
    mask: Path | None = None
    remove_background: bool | Segmenter = False

    def __post_init__(self) -> None:
        for key in ("limit", "samples", "views"):
            number = getattr(self, key)
            if number is not None and number < 1:
                raise ConfigError(f"{key}: {number}; give at least 1")
        of_store = self.data is not None or self.categories
        if self.samples is not None and of_store:
            raise ConfigError("samples excludes data and categories; give one or the other")
        if self.input and of_store:
            raise ConfigError("input excludes data and categories; give one or the other")
        if self.mask is not None or self.remove_background:
            if not self.input:
                raise ConfigError("mask and remove_background are of pictures given as input")
            if self.mask is not None and len(self.input) > 1:
                raise ConfigError("mask: of several inputs; give one picture, or one folder")
            if self.views is not None:
                raise ConfigError(
                    "views: not with mask or remove_background; put NAME.mask.png "
                    "beside the pictures"
                )

    @property
    def named(self) -> Path | None:
        """What a generation folder is called after; None for items of a store."""
        if self.samples is not None and not self.input:
            return Path(SAMPLES)
        return self.input[0] if len(self.input) == 1 else Path(INPUTS_NAME) if self.input else None


def find(model: Reconstructor, wanted: Wanted) -> tuple[list[Target], dict[str, Any]]:
    """Return the targets of a model, and the settings that say where they are from.

    Raises:
        ConfigError: the model cannot make what is wanted.
        DataError: there is nothing, or it is damaged.
    """
    if wanted.views is not None:
        check_multiview(model.input)
    origin: dict[str, Any]
    if wanted.samples is not None and not wanted.input:
        targets, origin = _samples(model, wanted.samples), {"input": SAMPLES}
    elif not wanted.input:
        targets, origin = _items(model, wanted)
    else:
        targets = _observed(wanted, model.input)
        given = [str(path.resolve()) for path in wanted.input]
        origin = {"input": given[0] if len(given) == 1 else given}
        background = Background(wanted.mask, wanted.remove_background)
        if background:
            root = wanted.input[0]
            background.check(root, model.input)
            targets = [_masked(target, background, root, model.input) for target in targets]
            origin |= background.settings
        if wanted.samples is not None:
            targets = _hypotheses(model, targets, wanted.samples)
            origin["samples"] = wanted.samples
    return folder.take_in_turn(targets, wanted.limit, lambda target: target.category), origin


def _samples(model: Reconstructor, count: int) -> list[Target]:
    if model.input.conditions:
        raise ConfigError(
            "samples: the model observes something; give it as input, and a model with a latent "
            "code makes so many hypotheses of each"
        )
    return [Target("", f"{number:04d}", None) for number in range(count)]


def _masked(target: Target, background: Background, root: Path, input: Input) -> Target:
    """Return a target whose picture is read without its background."""
    if not isinstance(target.origin, tuple):
        raise ConfigError(f"{root}: mask: this collection of pictures has its own masks")
    (path,) = target.origin
    read = background.reader(path, root, input)
    return replace(target, origin=Collected(target.category, target.model, str(path), read))


def _hypotheses(model: Reconstructor, targets: Sequence[Target], count: int) -> list[Target]:
    """Return `count` targets in place of each: the same observation with other latent codes."""
    if not model.model.z_dim:
        raise ConfigError(
            "samples: the model makes one shape of an observation, since it has no latent code "
            "(model.z_dim is 0); leave samples out, or train one like configs/img_latent_small.yaml"
        )
    return [
        replace(target, model=f"{target.model}-{number:02d}", sampled=True)
        for target in targets
        for number in range(count)
    ]


def _items(model: Reconstructor, wanted: Wanted) -> tuple[list[Target], dict[str, Any]]:
    """Return the items of a split of a store."""
    if wanted.views is not None:
        model.input.check_views_of_item()
    settings = model.config.data
    root, split = wanted.data or settings.path, wanted.split or settings.test_split
    chosen = list(wanted.categories or settings.categories or Store(root).categories)
    items = Store(root).items(split, chosen)
    if not items:
        raise DataError(f"{root}: the split {split!r} has no items; choose another split")
    targets = [Target(item.category, item.model, item) for item in items]
    return targets, {"data": str(root.resolve()), "split": split, "categories": chosen}


def _observed(wanted: Wanted, input: Input) -> list[Target]:
    """Return what the model is to observe of files and folders of a user."""
    if wanted.views is None and not input.suffixes:
        raise ConfigError(
            f"input: the model observes {INPUTS.name_of(input)!r}, of which there are no files"
        )
    problems = [not_observed(path, input) for path in wanted.input]
    if problems[0] and all(problems):
        raise DataError(problems[0])
    if len(wanted.input) > 1:
        return _many(wanted, input)
    of_input = _files if wanted.views is None else _objects
    return of_input(wanted.input[0], input)


def _many(wanted: Wanted, input: Input) -> list[Target]:
    """Return a target for each of several files, and for those in folders among them."""
    if wanted.views is not None:
        raise ConfigError("views: name one folder, with a folder of observations of each object")
    found: dict[Path, tuple[Path, Path]] = {}
    masks: list[Path] = []
    for path in wanted.input:
        if path.is_dir() and _collection(path, input) is not None:
            raise ConfigError(f"{path}: is a collection of pictures; name it alone")
        files = _observable(path, input) if path.is_dir() else [path]
        for file in files:
            if file.name.endswith(MASK_SUFFIX):
                masks.append(file)  # a pattern takes them along
                continue
            found.setdefault(file.resolve(), (file, path if path.is_dir() else path.parent))
    for mask in masks:
        beside = mask.name.removesuffix(MASK_SUFFIX)
        if not any(file.parent == mask.resolve().parent and file.stem == beside for file in found):
            raise DataError(f"{mask}: is a mask; name the picture that it is of")
    if not any(file.exists() for file in found):
        raise DataError(f"{wanted.input[0]}: no such file or folder of scans or pictures")
    below = [file.relative_to(base) for file, base in found.values()]
    names = told_apart(
        [path.with_suffix("").as_posix() for path in below],
        [path.as_posix() for path in below],
        [str(file) for file in found],
    )
    return [
        Target(_category(Path(name).parent, Path()), Path(name).name, (file,))
        for name, (file, _) in zip(names, found.values(), strict=True)
    ]


def _files(path: Path, input: Input) -> list[Target]:
    """Return a file of what the model observes, or all in a folder and its subfolders, by name."""
    if path.is_file():
        return [Target("", path.stem, (path,))]
    if (collection := _collection(path, input)) is not None:
        return [Target(c.category, c.model, c) for c in collection]
    files = [file.relative_to(path) for file in _observable(path, input)]
    origins = [file.as_posix() for file in files]
    names = told_apart([file.with_suffix("").as_posix() for file in files], origins, origins)
    return [
        Target(_category((path / name).parent, path), Path(name).name, (path / file,))
        for file, name in zip(files, names, strict=True)
    ]


def _objects(path: Path, input: Input) -> list[Target]:
    """One target for each folder with files of what the model observes, named like the folder."""
    if path.is_file():
        raise ConfigError(f"{path}: views: needs a folder with several files of each object")
    if _collection(path, input) is not None:
        raise ConfigError(f"{path}: views: each picture of this collection shows its own object")
    files: dict[Path, list[Path]] = {}
    for file in _observable(path, input):
        files.setdefault(file.parent, []).append(file)
    targets: dict[str, Target] = {}
    for directory, of_object in files.items():
        category = "" if directory == path else _category(directory.parent, path)
        target = Target(category, directory.resolve().name, tuple(of_object))
        if target.name in targets:
            raise DataError(
                f"{directory}: has the same name as the folder that it is in; rename it"
            )
        targets[target.name] = target
    return _told_apart(targets)


def _told_apart(targets: dict[str, Target]) -> list[Target]:
    """Return the targets with models whose names differ on every file system."""
    names = told_apart([*targets], [*targets], [*targets])
    return [
        replace(target, model=Path(name).name)
        for target, name in zip(targets.values(), names, strict=True)
    ]


def _category(directory: Path, root: Path) -> str:
    category = directory.relative_to(root).as_posix()
    return "" if category == "." else category


def _collection(path: Path, input: Input) -> Sequence[Collected] | None:
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder of scans or pictures")
    return input.collection(path)


def _observable(path: Path, input: Input) -> list[Path]:
    """Return all files of what the model observes in a folder and its subfolders, by name.

    Hidden files and folders are left out, and what an earlier generation wrote below.
    """
    files = []
    for directory, folders, names in os.walk(path):
        if Path(directory) != path and folder.SETTINGS in names:
            folders.clear()
            continue
        folders[:] = [name for name in folders if name[0] != "."]
        files += [
            Path(directory, name)
            for name in names
            if name[0] != "."
            and Path(name).suffix.lower() in input.suffixes
            and os.path.isfile(os.path.join(directory, name))
            and not name.endswith(MASK_SUFFIX)
        ]
    if not files:
        raise DataError(
            f"{path}: holds no scans for a model that observes {INPUTS.name_of(input)!r}; put "
            f"files of {', '.join(input.suffixes)} there"
        )
    return sorted(files)
