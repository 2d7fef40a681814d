"""Examine a store and name each bad file, what is wrong with it, and what to do about it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from onet.data import integrity
from onet.data.lists import list_lines
from onet.data.packed.path import opened
from onet.data.repair import remake
from onet.data.store import Item, Store
from onet.data.store_folder import (
    CAMERAS,
    METADATA,
    NEAR_SURFACE,
    POINTCLOUD,
    POINTS,
    RECORD,
    RENDERINGS,
    VOXELS,
    read_metadata,
    read_record,
)
from onet.errors import DataError, WorkerDied
from onet.geometry.cameras import read_cameras
from onet.geometry.mesh_io import load_mesh
from onet.locks import current_writer
from onet.names import checked_path, path_problem
from onet.parallel import run_tasks
from onet.progress import Progress, reports_progress

# Options that make what an item need not have, and how far its coordinates may reach.
OPTIONAL = {
    VOXELS: ("--voxels", 0.0),
    RENDERINGS: ("--render", 0.0),
    NEAR_SURFACE: ("--near-surface", float("inf")),
}
AGAIN = "prepare the item again with `onet prepare`"
"""Stands for advice that `_advise` makes to fit the item."""
COPY = "copy the item again from where the store came from"
PART = "make it with `onet prepare"
"""Begins the advice for a part that an item need not have."""
_TOGETHER = 16  # items that one task examines


@dataclass(frozen=True)
class Problem:
    """Something wrong with a store.

    Attributes:
        file: path of the file or folder at fault.
        field: the array or line in it, or nothing.
        message: what is wrong.
        remedy: what to do about it.
    """

    file: str
    field: str
    message: str
    remedy: str


@reports_progress
def check_store(
    root: str | os.PathLike[str],
    padding: float = 0.1,
    *,
    workers: int | None = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> list[Problem]:
    """Look at every file of every item of a store.

    Found are: files that are not as `onet prepare` wrote them; missing files; arrays that are
    missing, damaged, of the wrong shape or length, or not finite; occupancies that are all the
    same; query points outside the padded cube; normals that are not unit; damaged pictures, cameras
    and grids; lists that name absent folders or a model twice; folders in no list; unfinished files
    of an interrupted run. `item.json`, the mesh, pictures, grid and near-surface points may be
    absent, unless the category has them for other items.

    Args:
        root: the store.
        padding: of the cube of query points, for items whose `item.json` does not say.
        workers, scheduler: see `onet.parallel.run_tasks`.
        progress: see `onet.progress`.

    Returns:
        The problems, sorted by file; an empty list for a good store.

    Raises:
        DataError: there is no store at `root`.
    """
    store = Store(root)
    problems: list[Problem] = []
    try:
        read_metadata(store.root)
    except DataError as error:
        problems.append(_problem(error, store.root / METADATA, "", "correct or delete it"))
    groups: list[_Group] = []
    for category in store.categories:
        models = _models(store, category)
        problems += _check_lists(store.root / category, {*models})
        own = _any_has(store, category, models, RECORD)
        parts = frozenset(name for name in OPTIONAL if _any_has(store, category, models, name))
        groups += [
            _Group(
                Path(root), category, tuple(models[first : first + _TOGETHER]), own, parts, padding
            )
            for first in range(0, len(models), _TOGETHER)
        ]
    problems += _check_groups(groups, workers, scheduler)
    for folder in sorted(path for path in store.root.iterdir() if path.is_dir()):
        if folder.name not in store.categories and any(folder.glob(f"*/{POINTS}")):
            remedy = "write the names of its models in them, or delete the folder"
            message = "holds prepared models, but has no train.lst, val.lst or test.lst"
            problems.append(Problem(str(folder), "", message, remedy))
    if current_writer(store.root) is None:  # otherwise they are being written
        problems += [
            Problem(str(path), "", "unfinished file of an interrupted run", "delete it")
            for path in store.root.rglob(".*.tmp*")
        ]
    # One damage may show in several arrays; each line of a list is a problem of its own.
    once = {
        (problem.file, problem.message, problem.file.endswith(".lst") and problem.field): problem
        for problem in reversed(problems)
    }
    return sorted(once.values(), key=lambda problem: (problem.file, problem.field))


@dataclass(frozen=True)
class _Group:
    """Some items of a category, and what others of it have."""

    root: Path
    category: str
    models: tuple[str, ...]
    own: bool
    parts: frozenset[str]
    padding: float


def _check_groups(
    groups: list[_Group], workers: int | None, scheduler: str | None
) -> Iterator[Problem]:
    """Examine groups of items; those of a group that is lost, one by one."""
    lost: list[_Group] = []
    outcomes = run_tasks(
        _check_group, groups, workers, scheduler, lambda group: group.category, "checking"
    )
    with closing(outcomes):
        for group, outcome in outcomes:
            if not isinstance(outcome, Exception):
                yield from outcome
            elif not isinstance(outcome, WorkerDied | DataError | MemoryError):
                raise outcome
            elif len(group.models) > 1:
                lost += [replace(group, models=(model,)) for model in group.models]
            else:
                path = opened(group.root) / group.category / group.models[0]
                remedy = "look at its files, and make or copy the item again"
                yield _problem(outcome, path, "", remedy)
    if lost:
        yield from _check_groups(lost, workers, scheduler)


def _models(store: Store, category: str) -> list[str]:
    if store.pack is not None:
        return store.pack.index.models(category)
    return sorted(path.name for path in (store.root / category).iterdir() if path.is_dir())


def _any_has(store: Store, category: str, models: list[str], name: str) -> bool:
    if store.pack is not None:
        return store.pack.index.has_file(category, name)
    return any((store.root / category / model / name).exists() for model in models)


def _check_group(group: _Group) -> list[Problem]:
    """Examine the items of a group."""
    root, problems = opened(group.root), list[Problem]()
    for model in group.models:
        item = Item(group.category, model, root / group.category / model, cached=True)
        record = _read_record(item) if group.own else None
        found = [*_check_hashes(item, record)]
        known = {problem.file for problem in found}
        of_item = _check_item(item, group.own, group.padding)
        found += [
            problem
            for problem in [*of_item, *_check_parts(item, group.parts)]
            if not known & {problem.file, str(Path(problem.file).parent)}
        ]
        problems += _advise(found, item, record, root, group.own)
    return problems


def _check_lists(folder: Path, models: set[str]) -> Iterator[Problem]:
    listed: Counter[str] = Counter()
    where: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.lst")):
        try:
            lines = dict(list_lines(path))
        except DataError as error:
            yield _problem(error, path, "", "save it as UTF-8 text")
            continue
        names = []
        for line, name in lines.items():
            if problem := path_problem(name):
                yield Problem(str(path), f"line {line}, {name!r}", problem, "take the line out")
                continue
            names.append(name := checked_path(name, str(path)))
            if name not in models and not (folder / name).is_dir():
                remedy = "take the line out, or prepare the model again"
                yield Problem(str(path), name, "names a model that has no folder", remedy)
        listed.update(names)
        for name in set(names):
            where.setdefault(name, []).append(path.name)
    for name, count in sorted(listed.items()):
        if count > 1:
            lists = ", ".join(where[name])
            remedy = "keep one of the lines, so that no test item is trained on"
            yield Problem(str(folder / name), lists, f"is listed {count} times", remedy)
    for name in sorted(models - set(listed)):
        remedy = "add its name to a list, or delete the folder"
        yield Problem(str(folder / name), "", "is in no .lst file", remedy)


def _read_record(item: Item) -> dict[str, Any] | None:
    """`item.json`, or None where it is missing or damaged."""
    try:
        record = read_record(item.path)
        record["settings"]["padding"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record


def _check_hashes(item: Item, record: dict[str, Any] | None) -> Iterator[Problem]:
    """Files whose sizes or hashes are not those that were recorded."""
    for name in (record or {}).get(integrity.FILES, {}):
        what = integrity.damage(item.path, name, record or {})
        if what is not None:
            yield Problem(str(item.path / name), "", what, AGAIN)


def _advise(
    problems: Iterable[Problem],
    item: Item,
    record: dict[str, Any] | None,
    root: Path,
    own: bool,
) -> Iterator[Problem]:
    """Yield the problems of an item with remedies that mend them."""
    for problem in problems:
        name = Path(problem.file).relative_to(item.path).parts[0]
        optional = record is not None and name not in [*integrity.CORE, *record.get("extras", {})]
        if AGAIN in problem.remedy:
            advice = remake(item, name, record, root) if own else COPY
            yield replace(problem, remedy=problem.remedy.replace(AGAIN, advice))
        elif own and problem.remedy.startswith(PART) and not optional:
            yield replace(problem, remedy=remake(item, name, record, root))
        else:
            yield problem


def _check_item(item: Item, own: bool, padding: float) -> Iterator[Problem]:
    if own:
        record = item.path / RECORD
        try:
            padding = float(read_record(item.path)["settings"]["padding"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"is missing or damaged ({type(error).__name__}): the item is unfinished"
            yield Problem(str(record), "", message, AGAIN)
        try:
            load_mesh(item.mesh_path)
        except DataError as error:
            yield _problem(error, item.mesh_path, "", AGAIN)
    yield from _check_points(item, POINTS, limit=(1 + padding) / 2)
    # Surface points of the published download exceed the unit cube, but not the padded one.
    yield from _check_points(item, POINTCLOUD, limit=(1 + padding) / 2)
    yield from _check_occupancies(item)
    yield from _check_normals(item)
    try:
        item.frame()
    except DataError as error:
        yield _problem(error, item.path / POINTS, "loc, scale", AGAIN)


def _check_parts(item: Item, parts: frozenset[str]) -> Iterator[Problem]:
    """Parts that an item need not have, where others of its category have them."""
    for name in sorted(parts):
        path, (option, reach) = item.path / name, OPTIONAL[name]
        remedy = f"{PART} {option}`"
        if not path.exists():
            yield Problem(str(path), "", "is missing, other items of the category have it", remedy)
            continue
        try:
            if name == VOXELS:
                item.voxels()
            elif name == RENDERINGS:
                yield from _check_pictures(item, remedy)
            else:
                yield from _check_points(item, name, limit=reach)
                item.occupancies(file=name)
        except DataError as error:
            yield _problem(error, path, "", remedy)


def _check_pictures(item: Item, remedy: str) -> Iterator[Problem]:
    pictures = item.pictures()
    for path in pictures:
        try:
            with path.open("rb") as stream, Image.open(stream) as image:
                image.verify()
        except Exception as error:  # damaged files raise whatever the codecs like
            yield Problem(str(path), "", f"is no picture ({error})", remedy)
    cameras = item.path / RENDERINGS / CAMERAS
    if cameras.is_file() and (count := len(read_cameras(cameras))) != len(pictures):
        message = f"has {count} cameras for {len(pictures)} pictures"
        yield Problem(str(cameras), "", message, remedy)


def _check_points(item: Item, file: str, limit: float) -> Iterator[Problem]:
    path = item.path / file
    try:
        points = item.points(file)
    except DataError as error:
        yield _problem(error, path, "points", AGAIN)
        return
    if points.dtype.kind != "f":
        yield Problem(str(path), "points", f"has type {points.dtype}, expected float", AGAIN)
    elif bad := int((~np.isfinite(points).all(axis=1)).sum()):
        yield Problem(str(path), "points", f"{bad} of {len(points)} are NaN or infinite", AGAIN)
    elif (reach := float(np.abs(points).max())) > limit + 1e-3:  # half precision: 2.5e-4
        message = f"reach {reach:.4f}, outside the padded cube of {limit:.4f}"
        yield Problem(str(path), "points", message, f"normalise the shape and {AGAIN}")


def _check_occupancies(item: Item) -> Iterator[Problem]:
    path = item.path / POINTS
    try:
        inside = item.occupancies()
    except DataError as error:
        yield _problem(error, path, "occupancies", AGAIN)
        return
    if inside.all() or not inside.any():
        value = int(inside[0])
        message = f"all {len(inside)} are {value}: nothing can be learned from it"
        remedy = "look at the mesh; prepare it with more thickness or points, or take it out"
        yield Problem(str(path), "occupancies", message, remedy)


def _check_normals(item: Item) -> Iterator[Problem]:
    path = item.path / POINTCLOUD
    try:
        normals = item.load_pointcloud()[1]
    except DataError as error:
        yield _problem(error, path, "normals", AGAIN)
        return
    bad = int((~(np.abs(np.linalg.norm(normals, axis=1) - 1) < 0.01)).sum())
    if bad:
        message = f"{bad} of {len(normals)} do not have length 1"
        yield Problem(str(path), "normals", message, AGAIN)


def _problem(error: Exception, path: Path, field: str, remedy: str) -> Problem:
    """Return an error's text without the path in front and the remedy behind."""
    text = str(error).removeprefix(f"{path}: ").rsplit("; ", 1)[0]
    return Problem(str(path), field, text, remedy)
