"""Meshes for a whole split of a store, or for a file or folder of scans.

What is written where: see `onet.inference.generation_folder`.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Unpack, cast

import numpy as np

from onet._version import __version__
from onet.checkpoints.checkpoint import checksum, resolve_checkpoint
from onet.data.inputs import ImageInput
from onet.data.inputs.image import MASK_SUFFIX
from onet.data.inputs.several import check_several_of_item, evenly, sample_several
from onet.data.photographs import Photograph, find_photographs
from onet.data.store import Item, Store
from onet.errors import ConfigError, DataError
from onet.geometry.normalization import UnitFrame
from onet.geometry.written import save_and_examine
from onet.inference import generation_folder as folder
from onet.inference.generation_folder import Row
from onet.inference.reconstructor import Reconstructor, check_several, load
from onet.inference.surface import SURFACE_OPTIONS, SurfaceOptions
from onet.locks import hold, writer
from onet.names import printable, told_apart
from onet.parallel import run_tasks
from onet.storage import refusal

logger = logging.getLogger(__name__)

COUNTS = ("watertight", "manifold", "oriented", "outward")
SAMPLES = "samples"
WRITE_EVERY = 5.0  # seconds between writes of results.csv


@dataclass(frozen=True)
class GenerationReport:
    """What a call of `generate` left behind.

    Attributes:
        out: the generation folder.
        settings: contents of its generation.json.
        rows: one row per item asked for, keys as in `generation_folder.COLUMNS`.
        skipped: how many of them an earlier call had made.
    """

    out: Path
    settings: dict[str, Any]
    rows: list[Row]
    skipped: int

    @property
    def failures(self) -> list[Row]:
        """Rows of the items without a mesh."""
        return [row for row in self.rows if row["status"] != folder.OK]

    @property
    def ok(self) -> bool:
        """Every item has a mesh."""
        return not self.failures

    def summary(self) -> str:
        """What is there, in a few words."""
        meshes = len(self.rows) - len(self.failures)
        counts = ", ".join(f"{self.count(key)} {key}" for key in COUNTS)
        again = f" ({self.skipped} from before)" if self.skipped else ""
        cut = sum(bool(row["box_contacts"]) for row in self.rows)
        return (
            f"{self.out}: {meshes} of {len(self.rows)} items have a mesh{again}; {counts}"
            + (f"; {cut} cut off at the box" if cut else "")
            + (f"; failures in {self.out / folder.FAILURES}" if self.failures else "")
        )

    def count(self, column: str) -> int:
        """How many meshes are `watertight`, `manifold`, `oriented` or `outward`."""
        return sum(row[column] is True for row in self.rows)


@dataclass(frozen=True)
class _Target:
    """One item to reconstruct: of a store, files of it, a photograph, or nothing at all."""

    category: str
    model: str
    origin: Item | tuple[Path, ...] | Photograph | None

    @property
    def name(self) -> str:
        return f"{self.category}/{self.model}" if self.category else self.model


@writer
def generate(
    source: str | os.PathLike[str],
    *,
    input: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    categories: Sequence[str] | None = None,
    samples: int | None = None,
    views: int | None = None,
    out: str | os.PathLike[str] | None = None,
    format: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    device: str = "auto",
    **options: Unpack[SurfaceOptions],
) -> GenerationReport:
    """Reconstruct every item of a split, or every file of a folder, into a generation folder.

    An item that fails (unreadable, no surface) becomes a row with its reason, and the next one is
    taken. Called again with the same settings, it makes only what is missing.

    Args:
        source: run folder or checkpoint file.
        input: a file of what the model observes, or a folder of them, searched with its
            subfolders; for pictures also a collection that `onet.data.photographs` knows. Without
            it the items of a store are reconstructed. It excludes `data` and `categories`; `split`
            has no effect.
        data: root of that store; default from the model's configuration.
        split: of the store; default the test split of the configuration.
        categories: of the store; default those of the configuration.
        samples: so many shapes of an unconditional model, in the unit frame, and no store.
        views: average the codes of so many observations of each object. Of a store: so many
            pictures, evenly spaced from the configured one on, or so many noisy point clouds. Of an
            input folder: the files of each folder show one object, at most `views` of them are
            used, evenly spaced by name; scans of an object are in the same coordinates.
        out: the generation folder; default `generation`, with an input `generation-NAME`, with
            samples `generation-samples`, in the run folder, or in the working directory where
            `source` is a file.
        format: of the meshes: ply, glb, obj, off or stl; default as configured.
        limit: at most so many items, taken from the categories in turn.
        seed: of the observations. That of an item depends on it and on the item's name only.
        overwrite: delete what was generated in `out` before.
        device: see `onet.load`.
        options: see `onet.inference.surface.SurfaceOptions`.

    Raises:
        CheckpointError, ConfigError, DataError: nothing can be reconstructed with these arguments;
            among them a generation folder that was made with other settings.
        FolderInUse: another process writes to the generation folder.
    """
    checkpoint = resolve_checkpoint(source)
    model = load(source, device)
    surface = model.generation_settings(format=format, **options)
    if limit is not None and limit < 1:
        raise ConfigError(f"limit: {limit}; give at least 1")
    if samples is not None and samples < 1:
        raise ConfigError(f"samples: {samples}; give at least 1")
    if views is not None:
        if views < 1:
            raise ConfigError(f"views: {views}; give at least 1")
        check_several(model.config)
    settings: dict[str, Any] = {
        "checkpoint": {"path": str(checkpoint.resolve()), "sha256": checksum(checkpoint)},
        "format": surface.format,
        **surface.model_dump(include=SURFACE_OPTIONS),
        **(asdict(model.scaling) if model.calibration else {}),
        "applied_threshold": model.metadata.get("applied_threshold"),
        "seed": seed,
        "views": views,
        "version": __version__,
        "limit": limit,
        "config": model.config.model_dump(mode="json"),
    }
    if samples is not None:
        if input is not None or data or categories:
            raise ConfigError("samples excludes input, data and categories; give one or the other")
        if model.config.data.input["type"] != "none":
            raise ConfigError("samples: the model observes something; give input or data instead")
        settings |= {"input": SAMPLES}
        targets = [_Target("", f"{number:04d}", None) for number in range(samples)]
    elif input is None:
        if views is not None:
            check_several_of_item(model.input)
        root = Path(data or model.config.data.path)
        split = split or model.config.data.test_split
        chosen = list(categories or model.config.data.categories or Store(root).categories)
        settings |= {"data": str(root.resolve()), "split": split, "categories": chosen}
        targets = _items(root, split, chosen)
    elif data or categories:
        raise ConfigError("input excludes data and categories; give one or the other")
    else:
        settings |= {"input": str(Path(input).resolve())}
        targets = _files(Path(input), model) if views is None else _objects(Path(input), model)
    targets = folder.take_in_turn(targets, limit, lambda target: target.category)

    base = Path(source) if Path(source).is_dir() else Path.cwd()
    named = Path(SAMPLES) if samples is not None else None if input is None else Path(input)
    out = folder.default_folder(base, named) if out is None else Path(out)
    hold(out)
    if overwrite:
        folder.clear(out)
    rows = folder.finished(out, settings)
    folder.write_json(out / folder.SETTINGS, settings)
    todo = [target for target in targets if (target.category, target.model) not in rows]
    skipped = len(targets) - len(todo)
    if skipped:
        logger.info("%s: %d of %d meshes are there already", out, skipped, len(targets))

    def one(target: _Target) -> Row:
        return _generate_one(model, target, out, settings, options)

    written = time.monotonic()
    try:
        tasks = run_tasks(one, todo, 1, describe=lambda t: t.name, title="reconstructing")
        for target, outcome in tasks:
            if isinstance(outcome, ConfigError) or (
                isinstance(outcome, Exception) and refusal(outcome, out)
            ):
                raise outcome  # no other item would do better
            if isinstance(outcome, Exception):
                outcome = _failed(target, f"{type(outcome).__name__}: {outcome}")
            if outcome["status"] != folder.OK:
                logger.warning("%s: %s", printable(target.name), outcome["reason"])
            rows[target.category, target.model] = outcome
            if time.monotonic() - written > WRITE_EVERY:
                folder.write_results(out, rows.values())
                written = time.monotonic()
    finally:
        folder.write_results(out, rows.values())
    asked = [rows[target.category, target.model] for target in targets]
    return GenerationReport(out, settings, asked, skipped)


def _generate_one(
    model: Reconstructor,
    target: _Target,
    out: Path,
    settings: dict[str, Any],
    options: SurfaceOptions,
) -> Row:
    start = time.perf_counter()
    try:
        name = target.name.encode()
    except UnicodeEncodeError:
        shown = printable(repr(target.name))
        return _failed(target, f"its name {shown} is not valid UTF-8; rename it")
    rng = np.random.default_rng([settings["seed"], zlib.crc32(name)])
    observations, frame = _observe(model, target.origin, rng, settings["views"])
    several = settings["views"] is not None
    code = model.encode_several(observations) if several else model.encode(observations[0])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="no surface")  # the failure says so
        mesh = model.surface(code, seed=int(rng.integers(2**63)), **options)
    seconds = time.perf_counter() - start

    for number, observation in enumerate(observations):
        file = f"{target.model}.view{number}" if number else target.model
        model.input.write(observation, out / folder.INPUTS / target.category / file, frame)
    statistics = mesh.metadata["extraction"]
    measured = {
        "evaluations": statistics["evaluations"],
        "box_contacts": statistics["box_contacts"],
        "seconds": round(seconds, 4),
    }
    if len(mesh.faces) == 0:
        reason = f"no surface: nowhere above probability {settings['threshold']:g}"
        return _failed(target, reason) | measured
    path = Path(folder.MESHES) / target.category / f"{target.model}.{settings['format']}"
    shape = save_and_examine(frame.mesh_to_source(mesh), out / path).as_dict()
    return {
        "category": target.category,
        "model": target.model,
        "status": folder.OK,
        "mesh": path.as_posix(),
        **{key: shape[key] for key in folder.COLUMNS if key in shape},
        **measured,
        "reason": "",
    }


def _failed(target: _Target, reason: str) -> Row:
    return dict.fromkeys(folder.COLUMNS, "") | {
        "category": target.category,
        "model": target.model,
        "status": folder.FAILED,
        "reason": " ".join(reason.split()),
    }


def _items(root: Path, split: str, categories: Sequence[str]) -> list[_Target]:
    items = Store(root).items(split, categories)
    if not items:
        raise DataError(f"{root}: the split {split!r} has no items; choose another split")
    return [_Target(item.category, item.model, item) for item in items]


def _observe(
    model: Reconstructor,
    origin: Item | tuple[Path, ...] | Photograph | None,
    rng: np.random.Generator,
    views: int | None,
) -> tuple[list[Any], UnitFrame]:
    """What the model observes of an object, prepared for it, and the object's frame."""
    if isinstance(origin, Item):
        if views is None:
            return [model.input.sample(origin, rng, training=False)], origin.frame()
        return sample_several(model.input, origin, rng, views), origin.frame()
    raws: list[Any]
    name = str(origin)
    if isinstance(origin, Photograph):
        raws = [cast(ImageInput, model.input).read(origin.image, origin.mask)]
    elif origin is None:
        raws = [model.input.take(None)]
    else:
        chosen = origin if views is None else evenly(origin, min(views, len(origin)))
        raws = [model.input.read(path) for path in chosen]
        name = str(origin[0] if views is None else origin[0].parent)
    frame = model.common_frame(raws, name)
    return [model.input.observe(raw, rng, frame) for raw in raws], frame


def _files(path: Path, model: Reconstructor) -> list[_Target]:
    """A file of what the model observes, or all in a folder and its subfolders, by name."""
    kind, suffixes = model.config.data.input["type"], model.input.suffixes
    if not suffixes:
        raise ConfigError(f"input: the model observes {kind!r}, of which there are no files")
    if path.is_file():
        return [_Target("", path.stem, (path,))]
    if (collection := _collection(path, model)) is not None:
        return [_Target(p.category, p.model, p) for p in collection]
    files = [file.relative_to(path) for file in _find(path, model)]
    origins = [file.as_posix() for file in files]
    names = told_apart([file.with_suffix("").as_posix() for file in files], origins, origins)
    return [
        _Target(_category((path / name).parent, path), Path(name).name, (path / file,))
        for file, name in zip(files, names, strict=True)
    ]


def _objects(path: Path, model: Reconstructor) -> list[_Target]:
    """One target for each folder with files of what the model observes, named like the folder."""
    if path.is_file():
        raise ConfigError(f"{path}: views: needs a folder with several files of each object")
    if _collection(path, model) is not None:
        raise ConfigError(f"{path}: views: each picture of this collection shows its own object")
    files: dict[Path, list[Path]] = {}
    for file in _find(path, model):
        files.setdefault(file.parent, []).append(file)
    targets: dict[str, _Target] = {}
    for place, of_object in files.items():
        category = "" if place == path else _category(place.parent, path)
        target = _Target(category, place.resolve().name, tuple(of_object))
        if target.name in targets:
            raise DataError(f"{place}: has the same name as the folder that it is in; rename it")
        targets[target.name] = target
    names = told_apart([*targets], [*targets], [*targets])
    return [
        replace(target, model=Path(name).name)
        for target, name in zip(targets.values(), names, strict=True)
    ]


def _category(place: Path, root: Path) -> str:
    category = place.relative_to(root).as_posix()
    return "" if category == "." else category


def _collection(path: Path, model: Reconstructor) -> list[Photograph] | None:
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder of scans or pictures")
    return find_photographs(path) if isinstance(model.input, ImageInput) else None


def _find(path: Path, model: Reconstructor) -> list[Path]:
    """All files of what the model observes in a folder and its subfolders, by name.

    Hidden files and folders are left out, and what an earlier generation wrote below.
    """
    kind, suffixes = model.config.data.input["type"], model.input.suffixes
    files = []
    for place, folders, names in os.walk(path):
        if Path(place) != path and folder.SETTINGS in names:
            folders.clear()
            continue
        folders[:] = [name for name in folders if name[0] != "."]
        files += [
            Path(place, name)
            for name in names
            if name[0] != "."
            and Path(name).suffix.lower() in suffixes
            and os.path.isfile(os.path.join(place, name))
            and not name.endswith(MASK_SUFFIX)
        ]
    files.sort()
    if not files:
        raise DataError(
            f"{path}: holds no scans for a model that observes {kind!r}; put files of "
            f"{', '.join(suffixes)} there"
        )
    return files
