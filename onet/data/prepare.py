"""From a folder of meshes to a store: find the meshes, plan, make the items, draw the splits.

The first folder below that of the meshes is the category; deeper folders become part of the model's
name, joined by `__`. Meshes directly in it get its name as their category. Each mesh is moved to
the unit frame, made watertight, and normalised again, so that the watertight mesh has the longest
edge 1. Query points are rounded to float16 before they are labelled. What is random about an item
depends on the seed and its name alone.

An item is finished when its `item.json` is there, which is written last; finished items are kept if
mesh and settings are the same, and all files have the sizes and hashes that `item.json` tells
(`onet.data.integrity`). Optional parts (`onet.data.parts`) can be added to a store later: only they
are made then. Meshes that fail cost only themselves: they are logged, listed in `failures.csv` and
in the report, and left out of the split lists. So are files that may be meshes, but have a format
that is not read, unless a listing says which files to take.
"""

from __future__ import annotations

import csv
import io
import logging
import os
import time
from collections import Counter
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from onet.data import integrity
from onet.data.item import ItemPlan, finish_record, plan_item, prepare_item
from onet.data.mesh_files import (
    MeshFile,
    Selection,
    Unread,
    read_listing,
    select_meshes,
    summary,
)
from onet.data.packed.reading import refuse_packed
from onet.data.parts import wanted_parts
from onet.data.settings import PrepareSettings
from onet.data.splits import SPLITS, assign_splits, write_splits
from onet.data.store_folder import FAILURES, read_metadata, write_metadata
from onet.data.truth import MEANING, PUBLISHED, labels_below
from onet.errors import DataError, StorageError
from onet.files import replacing, size_of
from onet.locks import hold, writer
from onet.machine import cores
from onet.names import printable
from onet.parallel import run_tasks
from onet.progress import Progress, reports_progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """A mesh that could not be prepared."""

    file: str
    reason: str


@dataclass
class PrepareReport:
    """What `prepare` did.

    Attributes:
        out: the store.
        prepared: items made in this run.
        kept: items that an earlier run had finished with the same mesh and settings.
        failures: meshes that could not be used.
        skipped: files of formats that are not read, with what to do about each.
        splits: number of items of each category and split.
        seconds: wall time.
    """

    out: Path
    prepared: int = 0
    kept: int = 0
    failures: list[Failure] = field(default_factory=list)
    skipped: list[Unread] = field(default_factory=list)
    splits: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every mesh is in the store."""
        return not self.failures and not self.skipped

    def fail(self, file: str, reason: str) -> None:
        """Log and list a mesh that could not be used."""
        logger.error("%s: %s", file, reason)
        self.failures.append(Failure(file, reason))


@reports_progress
@writer
def prepare(
    meshes: str | os.PathLike[str],
    out: str | os.PathLike[str],
    settings: PrepareSettings | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> PrepareReport:
    """Prepare all meshes below a folder for training; see `onet.data.store_folder` for the files.

    Args:
        meshes: folder of meshes in the formats that `docs/data.md` lists.
        out: the store to make or extend. Split lists of the categories in this run are rewritten.
        settings: which meshes to take and what to make of them; None means the defaults.
        workers, scheduler: see `onet.parallel.run_tasks`.
        progress: see `onet.progress`.
        changes: fields of `PrepareSettings` that differ from `settings`.

    Raises:
        DataError: no meshes, settings that cannot be used, or a store with other labels.
        FolderInUse: another process writes to the store.
        StorageError: the disk is full, or `out` cannot be written; finished items are kept.
    """
    start = time.monotonic()
    settings = PrepareSettings(**changes) if settings is None else replace(settings, **changes)
    root, store = Path(meshes), Path(out)
    listed = None if settings.listing is None else read_listing(settings.listing, root)
    refuse_packed(store)
    _check_labels(store, settings)
    hold(store)
    selection = select_meshes(root, store, settings, listed)
    report = _begin(root, store, selection)
    plans = _plan_items(selection.mesh_files, store, settings)
    report.kept = len(selection.mesh_files) - len(plans)
    memory = memory_needed(settings.resolution)
    outcomes = run_tasks(
        prepare_item, plans, workers, scheduler, _name, "prepare", memory,
        size=lambda plan: size_of(plan.mesh_file.path),
    )  # fmt: skip
    _report_items(outcomes, report)
    write_failures(store / FAILURES, [*report.failures, *report.skipped])
    report.splits = _write_lists(store, selection, settings, report.failures)
    report.seconds = time.monotonic() - start
    return report


def _check_labels(store: Path, settings: PrepareSettings) -> None:
    """Refuse to mix labels in a store, and a setting that belongs to others.

    Raises:
        DataError: says what to do.
    """
    if settings.thickness is not None and settings.labels != PUBLISHED:
        raise DataError(
            f"prepare: thickness = {settings.thickness:g} moves the surface of published labels "
            f"outward, and labels is {settings.labels!r}; leave it out, or give "
            "labels = 'published' (--labels published)"
        )
    held = labels_below(store)
    if held is not None and held != settings.labels and not settings.overwrite:
        raise DataError(
            f"{store}: holds {held} labels ({MEANING.get(held, 'of a later version')}), and labels "
            f"is {settings.labels!r}; go on with labels = {held!r} (--labels {held}), choose "
            "another folder, or make all of it again with overwrite (--overwrite)"
        )


def memory_needed(resolution: int) -> float:
    """Return the bytes that a process takes at its peak to make a mesh watertight.

    Measured with a soup of 3,000 triangles, whose surface fills the grid: 0.17 GB at resolution 64,
    0.49 GB at 128 and 2.34 GB at 256. A closed surface takes about a quarter of that.
    """
    return 0.2e9 + 2.2e9 * (resolution / 256) ** 2.5


def _begin(root: Path, store: Path, selection: Selection) -> PrepareReport:
    """Return a report of the files that are out of the question."""
    report = PrepareReport(store, skipped=selection.unread)
    if report.skipped:
        logger.warning("%s: %s", root, summary(report.skipped))
    for file, reason in selection.refused.items():
        report.fail(printable(file), reason)
    return report


def _plan_items(
    mesh_files: list[MeshFile], store: Path, settings: PrepareSettings
) -> list[ItemPlan]:
    """Return what is to be done for items that are not finished; all cores hash their files.

    Records of earlier versions, without sizes and hashes, get them once the files are verified.
    """
    wanted = wanted_parts(settings)

    def plan(mesh_file: MeshFile) -> ItemPlan:
        return plan_item(mesh_file, store / mesh_file.category / mesh_file.model, settings, wanted)

    pool = ThreadPoolExecutor(cores())
    try:
        plans = list(pool.map(plan, mesh_files))
    finally:
        pool.shutdown(cancel_futures=True)
    unfinished = []
    for item in plans:
        for name, what in item.damaged.items():
            logger.warning("%s: %s; it is made again", item.folder / name, what)
        if item.record is None or item.missing:
            unfinished.append(item)
        elif not item.record.get(integrity.FILES):
            finish_record(item, item.record)
    return unfinished


def _name(plan: ItemPlan) -> str:
    return plan.mesh_file.name


def _report_items(
    outcomes: Generator[tuple[ItemPlan, dict[str, Any] | Exception], None, None],
    report: PrepareReport,
) -> None:
    """Count the items as they are made, and list those that failed.

    Raises:
        StorageError: nothing more can be written.
    """
    with closing(outcomes):
        for plan, outcome in outcomes:
            if isinstance(outcome, StorageError):
                raise outcome  # no other item would do better
            if isinstance(outcome, Exception):
                report.fail(plan.mesh_file.file, _reason(outcome, plan.mesh_file.path))
            else:
                report.prepared += 1
    report.failures.sort(key=lambda failure: failure.file)


def _reason(error: Exception, path: Path) -> str:
    text = " ".join(str(error).removeprefix(f"{path}: ").split())
    return text if isinstance(error, DataError) else f"{type(error).__name__}: {text}"


def write_failures(path: Path, failures: Sequence[Failure | Unread]) -> None:
    if not failures:
        path.unlink(missing_ok=True)
        return
    table = io.StringIO(newline="")
    rows = csv.writer(table)
    rows.writerow(["file", "reason"])
    rows.writerows([failure.file, failure.reason] for failure in failures)
    with replacing(path) as temporary:  # a reason may quote a path that is not UTF-8
        temporary.write_bytes(table.getvalue().encode("utf-8", "backslashreplace"))


def _write_lists(
    store: Path, selection: Selection, settings: PrepareSettings, failures: list[Failure]
) -> dict[str, dict[str, int]]:
    """Write split lists and metadata; returns the number of items of each category and split."""
    failed = {failure.file for failure in failures}
    result = {}
    for category in sorted({mesh_file.category for mesh_file in selection.mesh_files}):
        assigned = _assign(category, selection, settings)
        kept = {
            mesh_file.model: split for mesh_file, split in assigned if mesh_file.file not in failed
        }
        counts = Counter(kept.values())
        result[category] = {split: counts[split] for split in SPLITS}
        if kept:
            write_splits(store / category, kept)
    metadata = read_metadata(store)
    for category in result:
        metadata.setdefault(category, {"id": category, "name": category})
    write_metadata(store, metadata)
    return result


def _assign(
    category: str, selection: Selection, settings: PrepareSettings
) -> list[tuple[MeshFile, str]]:
    """Return the split of each mesh of a category.

    Failed ones take part in the draw, so that repairing one of them later moves no other item to
    another split.
    """
    members = [mesh_file for mesh_file in selection.mesh_files if mesh_file.category == category]
    given, groups = selection.splits, selection.groups
    drawn = {s.model: groups[s.name] for s in members if s.file not in given}
    splits = assign_splits(drawn, settings.split, settings.seed, category)
    return [(s, given.get(s.file) or splits[s.model]) for s in members]
