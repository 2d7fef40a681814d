"""From a folder of meshes to a store: normalise, make watertight, sample, label, split."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import yaml

from onet.data import extras as parts
from onet.data import integrity
from onet.data import splits as split_lists
from onet.data.extras import Extras, Views
from onet.data.solid import Solid, close_mesh
from onet.data.sources import (
    DEFAULT_GROUP_PATTERN,
    FAILURES,
    Listed,
    Source,
    Unread,
    find_meshes,
    find_unread,
    group_sources,
    limit_per_category,
    read_listing,
    refused,
    summary,
)
from onet.data.store import (
    MESH,
    METADATA,
    POINTCLOUD,
    POINTS,
    RECORD,
    RENDERINGS,
    read_metadata,
    write_pointcloud,
    write_points,
)
from onet.errors import DataError, StorageError
from onet.files import replacing
from onet.geometry.cameras import PUBLISHED_SIZE
from onet.geometry.mesh_io import load_mesh, save_mesh
from onet.geometry.sampling import sample_box, sample_surface
from onet.locks import hold, writer
from onet.machine import cores
from onet.names import printable
from onet.parallel import run_tasks
from onet.storage import explain, refusal

if TYPE_CHECKING:
    import trimesh

logger = logging.getLogger(__name__)

FORMAT = 2
"""Counts changes of this module that make prepared items differ; part of the settings compared."""

SIDE_FILES = "files"
"""Key of `item.json`, in its section `source`, of other files that the mesh file names."""

STORED_FACES = 20_000


@dataclass(frozen=True)
class Settings:
    """What decides the content of a prepared item, besides its mesh.

    Attributes:
        points: number of query points, uniform in the padded cube.
        surface: number of surface points.
        padding: the cube of query points is this much larger than the unit cube.
        resolution: of the grid that makes meshes watertight.
        thickness: added to the surface by that, in units of the longest edge; None: its default.
        seed: of the random points.
        stored_faces: the stored mesh is simplified to so many faces; it stays closed.
        format: see `FORMAT`.
    """

    points: int = 100_000
    surface: int = 100_000
    padding: float = 0.1
    resolution: int = 256
    thickness: float | None = None
    seed: int = 0
    stored_faces: int = STORED_FACES
    format: int = FORMAT

    def __post_init__(self) -> None:
        checks = {
            "points": self.points >= 1,
            "surface": self.surface >= 1,
            "padding": self.padding >= 0,
            "resolution": self.resolution >= 8,
            "thickness": self.thickness is None or self.thickness > 0,
            "seed": self.seed >= 0,
        }
        for name, good in checks.items():
            if not good:
                raise DataError(
                    f"prepare: {name} = {getattr(self, name)} is too small; "
                    f"the default is {getattr(type(self), name)}"
                )


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


@writer
def prepare(
    meshes: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    points: int = 100_000,
    surface: int = 100_000,
    padding: float = 0.1,
    resolution: int = 256,
    thickness: float | None = None,
    stored_faces: int = STORED_FACES,
    split: Sequence[float] = (0.7, 0.1, 0.2),
    split_by: Literal["item", "source"] = "item",
    group_pattern: str = DEFAULT_GROUP_PATTERN,
    listing: str | os.PathLike[str] | None = None,
    categories: Iterable[str] | None = None,
    max_per_category: int | None = None,
    render: int | None = None,
    views: Views = "ring",
    render_size: int = PUBLISHED_SIZE,
    alpha: bool = False,
    voxels: int | None = None,
    near_surface: float | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> PrepareReport:
    """Prepare all meshes below a folder for training; see `onet.data.store` for what is written.

    The first folder below `meshes` is the category; deeper folders become part of the model's name,
    joined by `__`. Meshes directly in `meshes` get its name as their category. Each mesh is moved
    to the unit frame, made watertight, and normalised again, so that the watertight mesh has the
    longest edge 1. Query points are rounded to float16 before they are labelled. What is random
    about an item depends on `seed` and its name alone.

    An item is finished when its `item.json` is there, which is written last; finished items are
    kept if mesh and settings are the same, and all files have the sizes and hashes that `item.json`
    tells (`onet.data.integrity`). Pictures, grids and near-surface points can be added to a store
    later: only they are made then. Meshes that fail cost only themselves: they are logged, listed
    in `failures.csv` and in the report, and left out of the split lists. So are files that may be
    meshes, but have a format that is not read, unless a listing says which files to take.

    Args:
        meshes: folder of meshes in the formats that `docs/data.md` lists.
        out: the store to make or extend. Split lists of the categories in this run are rewritten.
        workers, scheduler: see `onet.parallel.run_tasks`.
        points, surface, padding, resolution, thickness, stored_faces, seed: see `Settings`.
        split: shares of train, val and test.
        split_by: `item`, or `source` to keep groups of models in one split.
        group_pattern: regular expression searched in a model's name; its first group, or else the
            match, names the group. Models that do not match are groups of their own.
        listing: CSV with a column `file` (relative to `meshes`) and, where wanted, `group` and
            `split`: only these meshes are used, `group` takes the place of `group_pattern`, and
            `split` (train, val or test) that of the draw.
        categories: use only these.
        max_per_category: use only so many meshes of a category, chosen at random by `seed`.
        render, views, render_size, alpha, voxels, near_surface: see `onet.data.extras.Extras`.
        overwrite: prepare finished items again.

    Raises:
        DataError: no meshes, or arguments that cannot be used.
        FolderInUse: another process writes to the store.
        StorageError: the disk is full, or `out` cannot be written; finished items are kept.
    """
    start = time.monotonic()
    settings = Settings(
        points, surface, padding, resolution, thickness, seed, stored_faces=stored_faces
    )
    more = Extras(render, views, render_size, alpha, voxels, near_surface)
    split = split_lists.check_fractions(split)
    root, store = Path(meshes), Path(out)
    listed = None if listing is None else read_listing(Path(listing), root)
    categories = None if categories is None else list(categories)
    hold(store)
    sources = find_meshes(root, categories, listed, store)
    report = PrepareReport(store)
    report.skipped = find_unread(root, categories, store) if listed is None else []
    if report.skipped:
        logger.warning("%s: %s", root, summary(report.skipped))
    impossible = refused(sources, root, store)
    report.failures += [Failure(printable(file), why) for file, why in impossible.items()]
    for failure in report.failures:
        logger.error("%s: %s", failure.file, failure.reason)
    sources = [source for source in sources if source.file not in impossible]
    if max_per_category is not None:
        sources = limit_per_category(sources, max_per_category, seed)
    groups = group_sources(sources, split_by, group_pattern, listed or {})
    tasks = [
        Task(source, store / source.category / source.model, settings, more, overwrite)
        for source in sources
    ]
    report.kept = len(tasks)
    tasks = _unfinished(tasks)
    report.kept -= len(tasks)
    outcomes = run_tasks(
        prepare_item,
        tasks,
        workers,
        scheduler,
        lambda task: task.source.name,
        "prepare",
        memory_needed(settings.resolution),
    )
    with closing(outcomes):
        for task, outcome in outcomes:
            if isinstance(outcome, StorageError):
                raise outcome  # no other item would do better
            if isinstance(outcome, Exception):
                failure = Failure(task.source.file, _reason(outcome, task.source.path))
                report.failures.append(failure)
                logger.error("%s: %s", failure.file, failure.reason)
            else:
                report.prepared += 1
    report.failures.sort(key=lambda failure: failure.file)
    _write_failures(store / FAILURES, [*report.failures, *report.skipped])
    failed = {failure.file for failure in report.failures}
    report.splits = _write_lists(store, sources, failed, groups, listed or {}, split, seed)
    report.seconds = time.monotonic() - start
    return report


@dataclass(frozen=True)
class Task:
    """One item to prepare."""

    source: Source
    folder: Path
    settings: Settings
    extras: Extras
    overwrite: bool = False

    @property
    def parts(self) -> dict[str, dict[str, Any]]:
        """What is asked for besides points, with the settings of each."""
        return self.extras.parts(self.settings.seed, self.settings.points)

    def state(self) -> State:
        """What an earlier run left, and what is to be done."""
        try:
            record: dict[str, Any] = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))
            if self.overwrite or not self._same_origin(record):
                return State(None, [*self.parts])
            damaged = self._damaged(record, integrity.CORE)
            if damaged:
                return State(None, [*self.parts], damaged)
            made = record.get("extras", {})
            same = [name for name, settings in self.parts.items() if made.get(name) == settings]
            damaged = self._damaged(record, same)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return State(None, [*self.parts])  # no record or half of one: prepare it
        todo = [name for name in self.parts if name not in same or name in damaged]
        return State(record, todo, damaged)

    def _same_origin(self, record: dict[str, Any]) -> bool:
        """Whether the item was made of the same files with the same settings."""
        source, path = record["source"], self.source.path
        return (
            record["settings"] == asdict(self.settings)
            and source["sha256"] == integrity.sha256(path)
            and all(
                integrity.sha256(path.parent / name) == digest
                for name, digest in source.get(SIDE_FILES, {}).items()
            )
        )

    def _damaged(self, record: dict[str, Any], names: Iterable[str]) -> dict[str, str]:
        found = {name: integrity.damage(self.folder, name, record) for name in names}
        return {name: what for name, what in found.items() if what is not None}


@dataclass(frozen=True)
class State:
    """What an earlier run left of an item.

    Attributes:
        record: its `item.json`; None if the item is to be made from the beginning.
        todo: parts to make besides.
        damaged: files that are not as they were written, with what is wrong.
    """

    record: dict[str, Any] | None
    todo: list[str]
    damaged: dict[str, str] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.record is not None and not self.todo


def memory_needed(resolution: int) -> float:
    """Bytes that a process takes at its peak to make a mesh watertight.

    Measured with a soup of 3,000 triangles, whose surface fills the grid: 0.17 GB at resolution 64,
    0.49 GB at 128 and 2.34 GB at 256. A closed surface takes about a quarter of that.
    """
    return 0.2e9 + 2.2e9 * (resolution / 256) ** 2.5


def _unfinished(tasks: list[Task]) -> list[Task]:
    """The tasks with something left to do; files are hashed by as many threads as there are cores.

    Records of earlier versions, without sizes and hashes, get them once the files are verified.
    """
    pool = ThreadPoolExecutor(cores())
    try:
        states = list(pool.map(Task.state, tasks))
    finally:
        pool.shutdown(cancel_futures=True)
    for task, state in zip(tasks, states, strict=True):
        for name, what in state.damaged.items():
            logger.warning("%s: %s; it is made again", task.folder / name, what)
        if state.finished and state.record is not None and not state.record.get(integrity.FILES):
            _record(task, state.record)
    return [task for task, state in zip(tasks, states, strict=True) if not state.finished]


def prepare_item(task: Task) -> dict[str, Any]:
    """Prepare what is missing of one mesh; returns the content of its `item.json`.

    Raises:
        DataError: the mesh cannot be used.
        StorageError: nothing more can be written.
    """
    try:
        return _prepare_item(task)
    except Exception as error:
        store = task.folder.parent.parent
        if (cause := refusal(error, store)) is None:
            raise
        raise StorageError(
            f"{task.folder}: {explain(cause)}; then run the same command again: finished items of "
            f"{store} are kept"
        ) from error


def _prepare_item(task: Task) -> dict[str, Any]:
    start = time.monotonic()
    folder, path, state = task.folder, task.source.path, task.state()
    record, todo = state.record, state.todo
    source = load_mesh(path, colors=RENDERINGS in todo, data=path.read_bytes())
    read = source.metadata["sources"]  # what was parsed, whatever the file holds by now
    if record is not None and read[path.name] != record["source"]["sha256"]:
        raise DataError(f"{path}: changed while it was read; run the command again")
    solid: Solid | None = None
    if record is None or any(map(parts.needs_solid, todo)):
        solid = _close(task, source)
        if record is None:
            _discard(folder)
            record = _write_item(task, source, solid)
    made = {key: value for key, value in record.get("extras", {}).items() if key not in todo}
    if made != record.get("extras", {}):  # an interruption must not leave them recorded
        _write_text(folder / RECORD, json.dumps(record | {"extras": made}, indent=1))
    for part in todo:
        name, padding = task.source.name, task.settings.padding
        parts.write_part(folder, part, task.parts[part], name, source, solid, padding)
    if task.parts:
        record["extras"] = made | {part: task.parts[part] for part in todo}
    if side := {name: digest for name, digest in read.items() if name != path.name}:
        record["source"][SIDE_FILES] = record["source"].get(SIDE_FILES, {}) | side
    record["seconds"] = round(time.monotonic() - start, 3)
    return _record(task, record, todo)


def _record(task: Task, record: dict[str, Any], written: Iterable[str] = ()) -> dict[str, Any]:
    """Write `item.json` with sizes and hashes: known ones, and those of parts just written."""
    known = record.get(integrity.FILES, {})
    names = [*integrity.CORE, *record.get("extras", {})]
    record[integrity.FILES] = {
        name: known[name]
        if name in known and name not in written
        else integrity.describe(task.folder / name)
        for name in names
        if name in integrity.CORE or name in known or name in task.parts
    }
    _write_text(task.folder / RECORD, json.dumps(record, indent=1))
    return record


def _close(task: Task, original: trimesh.Trimesh) -> Solid:
    """The watertight mesh of an item; the same again for the same mesh and settings."""
    settings = task.settings
    return close_mesh(original, str(task.source.path), settings.resolution, settings.thickness)


def _discard(folder: Path) -> None:
    """Delete the record of an item, and the parts that it says were made with it."""
    try:
        made = json.loads((folder / RECORD).read_text(encoding="utf-8"))["extras"]
    except (OSError, ValueError, KeyError, TypeError):
        made = {}
    (folder / RECORD).unlink(missing_ok=True)
    for part in made:
        parts.remove_part(folder, part)


def _write_item(task: Task, original: trimesh.Trimesh, solid: Solid) -> dict[str, Any]:
    """Write points, surface points and mesh; returns the record that has yet to be written."""
    from onet.geometry.inside import contains
    from onet.geometry.topology import topology

    settings, folder, closed, frame = task.settings, task.folder, solid.mesh, solid.frame
    state = topology(closed)
    rng = np.random.default_rng([settings.seed, zlib.crc32(task.source.name.encode())])
    points = sample_box(settings.points, settings.padding, rng).astype(np.float16)
    occupancies = contains(closed, points.astype(np.float32))
    if occupancies.all() or not occupancies.any():
        raise DataError(
            f"{task.source.path}: of {settings.points} points {int(occupancies.sum())} are inside, "
            "nothing can be learned from it; increase thickness or the number of points"
        )
    surface, normals, _ = sample_surface(closed, settings.surface, rng)
    stored, note = _simplified(closed, settings.stored_faces)

    write_points(folder / POINTS, points, occupancies, frame)
    write_pointcloud(folder / POINTCLOUD, surface, normals, frame)
    save_mesh(stored, folder / MESH)
    return {
        "category": task.source.category,
        "model": task.source.model,
        "source": {
            "file": task.source.file,
            "sha256": original.metadata["sources"][task.source.path.name],
            "faces": len(original.faces),
            "vertices": len(original.vertices),
            "closed": topology(original).watertight,
        },
        "settings": asdict(settings),
        "frame": {"loc": frame.loc.tolist(), "scale": frame.scale},
        "watertight": state.as_dict() | solid.method,
        "thickness": solid.thickness,
        "occupied": float(occupancies.mean()),
        "mesh": {"faces": len(stored.faces), "note": note},
    }


def _simplified(mesh: trimesh.Trimesh, faces: int) -> tuple[trimesh.Trimesh, str]:
    """The mesh with at most `faces` faces, and what was done.

    Labels and surface points are taken from the full mesh; this one is for looking at and for
    evaluation.
    """
    from onet.geometry.simplification import simplify

    if len(mesh.faces) <= faces:
        return mesh, "full"
    return simplify(mesh, faces), (
        f"simplified from {len(mesh.faces)} faces; labels are those of the full mesh"
    )


def _write_lists(
    store: Path,
    sources: list[Source],
    failed: set[str],
    groups: dict[str, str],
    listed: Mapping[str, Listed],
    fractions: Sequence[float],
    seed: int,
) -> dict[str, dict[str, int]]:
    """Split lists and metadata. Failed items take part in the draw, so that repairing one of them
    later moves no other item to another split."""
    result = {}
    for category in sorted({source.category for source in sources}):
        members = [source for source in sources if source.category == category]
        given = {s.model: split for s in members if (split := listed.get(s.file, Listed()).split)}
        drawn = {s.model: groups[s.name] for s in members if s.model not in given}
        assigned = given | split_lists.assign_splits(drawn, fractions, seed, category)
        kept = {s.model: assigned[s.model] for s in members if s.file not in failed}
        counts = Counter(kept.values())
        result[category] = {split: counts[split] for split in split_lists.SPLITS}
        if kept:
            split_lists.write_splits(store / category, kept)
    metadata = read_metadata(store)
    for category in result:
        metadata.setdefault(category, {"id": category, "name": category})
    _write_text(store / METADATA, yaml.safe_dump(metadata, sort_keys=True))
    return result


def _write_failures(path: Path, failures: Sequence[Failure | Unread]) -> None:
    if not failures:
        path.unlink(missing_ok=True)
        return
    table = io.StringIO(newline="")
    rows = csv.writer(table)
    rows.writerow(["file", "reason"])
    rows.writerows([failure.file, failure.reason] for failure in failures)
    with replacing(path) as temporary:  # a reason may quote a path that is not UTF-8
        temporary.write_bytes(table.getvalue().encode("utf-8", "backslashreplace"))


def _reason(error: Exception, path: Path) -> str:
    text = " ".join(str(error).removeprefix(f"{path}: ").split())
    return text if isinstance(error, DataError) else f"{type(error).__name__}: {text}"


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
