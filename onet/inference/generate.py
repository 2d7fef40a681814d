"""Meshes for a whole split of a store, or for a file or folder of scans.

What is written where: see `onet.inference.generation_folder`. Targets are found (`targets`); then
each is observed and reconstructed (`observing`), and its files are written (`writing`).
"""

from __future__ import annotations

import logging
import os
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack
from uuid import uuid4

import numpy as np

from onet._version import __version__
from onet.checkpoints.checkpoint import checksum, resolve_checkpoint
from onet.cluster import kept
from onet.data.segmentation import Segmenter
from onet.errors import ConfigError, DataError
from onet.files import matching
from onet.geometry.mesh_io import MESH_SUFFIXES
from onet.inference import generation_folder as folder
from onet.inference.generation_folder import Key
from onet.inference.observing import observe, reconstruct
from onet.inference.reconstructor import Reconstructor, load
from onet.inference.surface import SURFACE_OPTIONS, SurfaceOptions, renamed_options
from onet.inference.targets import SAMPLES, Target, Wanted, find
from onet.inference.writing import failed, write
from onet.locks import hold, writer
from onet.names import printable
from onet.parallel import run_tasks
from onet.progress import Progress, reports_progress
from onet.records import Row
from onet.storage import refusal

__all__ = ["SAMPLES", "GenerationReport", "generate"]

logger = logging.getLogger(__name__)

COUNTS = ("watertight", "manifold", "oriented", "outward")
WRITE_EVERY = 5.0  # seconds between writes of results.csv

_Maker = Callable[[Target], Row]


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
    def shown(self) -> str:
        """Name of the file in the folder to look at."""
        return folder.REPORT

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


@renamed_options
@reports_progress
@writer
def generate(
    source: str | os.PathLike[str],
    *,
    input: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    categories: Sequence[str] | None = None,
    samples: int | None = None,
    views: int | None = None,
    mask: str | os.PathLike[str] | None = None,
    remove_background: bool | Segmenter | None = None,
    out: str | os.PathLike[str] | None = None,
    format: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    device: str = "auto",
    scheduler: str | None = None,
    progress: Progress | None = None,
    **options: Unpack[SurfaceOptions],
) -> GenerationReport:
    """Reconstruct every item of a split, or every file of a folder, into a generation folder.

    An item that fails (unreadable, no surface) becomes a row with its reason, and the next one is
    taken. Called again with the same settings, it makes only what is missing.

    Args:
        source: run folder or checkpoint file.
        input: a file of what the model observes, a pattern (`scans/*.ply`), or a folder of files,
            searched with its subfolders; for pictures also a collection that
            `onet.data.photographs` knows; or several of these. Without it the items of a store are
            reconstructed. It excludes `data` and `categories`; `split` has no effect.
        data: root of that store; default from the model's configuration.
        split: of the store; default the test split of the configuration.
        categories: of the store; default those of the configuration.
        samples: so many shapes of an unconditional model, in the unit frame, and no store. With
            `input` so many hypotheses of each observation, `NAME-00` and so on: the model has a
            latent code beside that of the observation, which is drawn for each.
        views: fuse so many observations of each object, by the mean of their codes or as the model
            does. Of a store: so many pictures, evenly spaced from the configured one on, or so many
            noisy point clouds. Of an input folder: the files of each folder show one object, at
            most `views` of them are used, evenly spaced by name; scans of an object are in the same
            coordinates.
        mask: of the picture that is `input`, white on the object; or of a folder of pictures a
            folder of masks with their names. Without it `NAME.mask.png` beside a picture, or its
            transparency, says what is the object.
        remove_background: find the object in pictures that have no mask, by the package rembg, or
            by a function from a picture to its mask.
        out: the generation folder; default `generation`, with an input `generation-NAME`, with
            several `generation-inputs`, with
            samples `generation-samples`, in the run folder, or in the working directory where
            `source` is a file.
        format: of the meshes: ply, glb, obj, off or stl; default as configured.
        limit: at most so many items, taken from the categories in turn.
        seed: of the observations. That of an item depends on it and on the item's name only.
        overwrite: delete what was generated in `out` before.
        device: see `onet.load`.
        scheduler: address of a dask scheduler, whose workers load the model each and write the
            meshes; see `onet.parallel.run_tasks`.
        progress: see `onet.progress`.
        options: see `onet.inference.surface.SurfaceOptions`.

    Raises:
        CheckpointError, ConfigError, DataError: nothing can be reconstructed with these arguments;
            among them a generation folder that was made with other settings.
        FolderInUse: another process writes to the generation folder.
    """
    wanted = Wanted(
        _paths(input),
        Path(data) if data else None,
        split,
        tuple(categories or ()),
        samples,
        views,
        limit,
        None if mask is None else Path(mask),
        remove_background or False,
    )
    model = load(source, device)
    settings = _settings(model, resolve_checkpoint(source), seed, wanted, format, options)
    targets, origin = find(model, wanted)
    settings |= origin
    base = Path(source) if Path(source).is_dir() else Path.cwd()
    out = folder.default_folder(base, wanted.named) if out is None else Path(out)
    if out.suffix.lower() in MESH_SUFFIXES and not out.is_dir():
        raise ConfigError(
            f"{out}: looks like a file, and results are a folder; name a folder, such as "
            f"{out.stem}, and the format {out.suffix[1:].lower()}"
        )
    hold(out)
    if overwrite:
        folder.clear(out)
    place = _Place(model, source, device, scheduler)
    return _fill(place, targets, out, settings, options)


@dataclass(frozen=True)
class _Place:
    """Where meshes are made: here, with the model, or by workers that load it as this does.

    Attributes:
        model: what reconstructs.
        source: what it was loaded from: of a run, what was applied to it counts too.
        device: where it works.
        scheduler: address of a cluster, or None.
    """

    model: Reconstructor
    source: str | os.PathLike[str]
    device: str
    scheduler: str | None

    def maker(self, out: Path, settings: dict[str, Any], options: SurfaceOptions) -> _Maker:
        """Return what makes the row of a target."""
        if self.scheduler is None:
            return partial(_make, self.model, out=out, settings=settings, options=options)
        kept = partial(_make_there, os.fspath(self.source), self.device, uuid4().hex)
        return partial(kept, out=out, settings=settings, options=options)


def _make_there(source: str, device: str, call: str, target: Target, **rest: Any) -> Row:
    """Make a mesh on a worker of a cluster, which keeps the model for the rest of the call."""
    model = kept((source, device, call), lambda: load(source, device))
    return _make(model, target, **rest)


def _paths(
    given: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None,
) -> tuple[Path, ...]:
    """Return the paths that are meant, each once, in the order given."""
    if given is None:
        return ()
    several = [given] if isinstance(given, str | os.PathLike) else [*given]
    if not several:
        raise DataError("input: names nothing; give files or folders of what the model observes")
    return tuple(dict.fromkeys(path for one in several for path in matching(one)))


def _fill(
    place: _Place,
    targets: Sequence[Target],
    out: Path,
    settings: dict[str, Any],
    options: SurfaceOptions,
) -> GenerationReport:
    """Make the meshes of a generation folder that are not there yet."""
    rows = folder.finished(out, settings)
    folder.write_settings(out, settings)
    todo = [target for target in targets if (target.category, target.model) not in rows]
    skipped = len(targets) - len(todo)
    if skipped:
        logger.info("%s: %d of %d meshes are there already", out, skipped, len(targets))
    _make_all(place, todo, out, settings, options, rows)
    asked = [rows[target.category, target.model] for target in targets]
    return GenerationReport(out, settings, asked, skipped)


def _settings(
    model: Reconstructor,
    checkpoint: Path,
    seed: int,
    wanted: Wanted,
    format: str | None,
    options: SurfaceOptions,
) -> dict[str, Any]:
    """What generation.json tells but for where the targets are from."""
    surface = model.generation_settings(format=format, **options)
    return {
        "checkpoint": {"path": str(checkpoint.resolve()), "sha256": checksum(checkpoint)},
        "format": surface.format,
        **surface.model_dump(include=SURFACE_OPTIONS),
        **(asdict(model.scaling) if model.calibration else {}),
        "applied_threshold": model.metadata.get("applied_threshold"),
        "seed": seed,
        "views": wanted.views,
        "version": __version__,
        "limit": wanted.limit,
        "config": model.config.model_dump(mode="json"),
    }


def _make_all(
    place: _Place,
    targets: Sequence[Target],
    out: Path,
    settings: dict[str, Any],
    options: SurfaceOptions,
    rows: dict[Key, Row],
) -> None:
    """Make the meshes of all targets, adding their rows to those of the table."""

    one = place.maker(out, settings, options)
    tasks = run_tasks(
        one, targets, 1, place.scheduler, lambda target: target.name, "reconstructing"
    )
    with closing(tasks), _table(out, rows) as write_now_and_then:
        for target, outcome in tasks:
            if isinstance(outcome, ConfigError) or (
                isinstance(outcome, Exception) and refusal(outcome, out)
            ):
                raise outcome  # no other item would do better
            if isinstance(outcome, Exception):
                outcome = failed(target, f"{type(outcome).__name__}: {outcome}")
            if outcome["status"] != folder.OK:
                logger.warning("%s: %s", printable(target.name), outcome["reason"])
            rows[target.category, target.model] = outcome
            write_now_and_then()


def _make(
    model: Reconstructor,
    target: Target,
    out: Path,
    settings: dict[str, Any],
    options: SurfaceOptions,
) -> Row:
    """Observe a target, reconstruct it, write its files; returns its row."""
    start = time.perf_counter()
    try:
        name = target.name.encode()
    except UnicodeEncodeError:
        shown = printable(repr(target.name))
        return failed(target, f"its name {shown} is not valid UTF-8; rename it")
    rng = np.random.default_rng([settings["seed"], zlib.crc32(name)])
    observed = observe(model.input, target, rng, settings["views"])
    mesh = reconstruct(model, observed, rng, options, target.sampled)
    seconds = round(time.perf_counter() - start, 4)
    return write(out, target, model.input, observed, mesh, settings) | {"seconds": seconds}


@contextmanager
def _table(out: Path, rows: dict[Key, Row]) -> Iterator[Callable[[], None]]:
    """Write the table of results at the end, come what may, and when called, if it was long ago."""
    written = time.monotonic()

    def write_now_and_then() -> None:
        nonlocal written
        if time.monotonic() - written > WRITE_EVERY:
            folder.write_results(out, rows.values())
            written = time.monotonic()

    try:
        yield write_now_and_then
    finally:
        folder.write_results(out, rows.values())
