"""Packing, unpacking, merging and cutting stores: each copies items of stores to a store."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from onet.data.lists import read_list
from onet.data.packed.lists import copy_loose
from onet.data.packed.reading import is_packed
from onet.data.packed.sources import FolderSource, PackSource, Source, Stamp, source
from onet.data.packed.writing import SHARD_BYTES, PackWriter
from onet.data.store import Store
from onet.errors import DataError
from onet.files import make_folder, replacing_folder
from onet.locks import OWN, hold, writer
from onet.names import printable
from onet.progress import Progress, followed, reports_progress
from onet.registry import nearest

logger = logging.getLogger(__name__)

Task = tuple[Source, str, str]  # category, model
_NAMED = 10  # items, in an error message


@dataclass
class CopyReport:
    """What was copied.

    Attributes:
        out: the store that was written.
        copied, kept: items written now, and found there from before.
        size: bytes of the items written.
        failures: items that could not be copied, with the reason.
    """

    out: Path
    copied: int = 0
    kept: int = 0
    size: int = 0
    failures: dict[str, str] = field(default_factory=dict)


@reports_progress
@writer
def pack(
    store: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    shard_bytes: int = SHARD_BYTES,
    progress: Progress | None = None,
) -> CopyReport:
    """Copy a store to a packed one, or add what that one lacks or has of an earlier time.

    An item is taken for the same if its files have the same names, sizes and times. Items of the
    packed store that `store` does not have stay.

    Args:
        store: the store, whose files are kept byte for byte.
        out: the packed store, made where it is missing.
        shard_bytes: begin another shard after so many bytes.
        progress: see `onet.progress`.

    Raises:
        DataError: no store, or something else in the place of the packed one.
        FolderInUse: another process writes there.
    """
    root, target = _apart(store, out)
    origin = source(root)
    _check_place(target, packed=True)
    hold(target)
    return _into_pack([(origin, c, m) for c, m in origin.items()], [root], target, shard_bytes)


@reports_progress
@writer
def merge(
    stores: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    shard_bytes: int = SHARD_BYTES,
    progress: Progress | None = None,
) -> CopyReport:
    """Copy several stores, packed or not, to a packed one; see `pack` for the arguments.

    Raises:
        DataError: also items of one name that are not the same; names some.
        FolderInUse: another process writes there.
    """
    if not stores:
        raise DataError("merge: no stores; give at least one")
    pairs = [_apart(store, out) for store in stores]
    target = pairs[0][1]
    _check_place(target, packed=True)
    tasks: dict[tuple[str, str], Task] = {}
    different = []
    for root, _ in pairs:
        origin = source(root)
        for names in origin.items():
            first = tasks.setdefault(names, (origin, *names))[0]
            if first is not origin and not _equal(first, origin, *names):
                different.append(f"{'/'.join(names)} of {first.root} and {root}")
    if different:
        more = ", ..." if len(different) > _NAMED else ""
        raise DataError(
            f"{target}: {len(different)} items have one name and different content: "
            f"{printable(', '.join(different[:_NAMED]))}{more}; rename one of each, or leave it out"
        )
    hold(target)
    return _into_pack([*tasks.values()], [root for root, _ in pairs], target, shard_bytes)


@reports_progress
@writer
def subset(
    store: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    categories: Collection[str] | None = None,
    splits: Collection[str] | None = None,
    names: Collection[str] | None = None,
    count: int | None = None,
    seed: int = 0,
    shard_bytes: int = SHARD_BYTES,
    progress: Progress | None = None,
) -> CopyReport:
    """Copy listed items of a store, packed or not, to a packed one, with their lists.

    Args:
        store: the store.
        out: the packed store; what it already has stays.
        categories: folders or display names of the categories; None means all.
        splits: names of the lists; None means all that there are.
        names: `CATEGORY/MODEL` of the items; None means all.
        count: draw so many of what the others leave.
        seed: of the draw.
        shard_bytes, progress: see `pack`.

    Raises:
        DataError: a split that no category has, nothing is left, more are asked for than there
            are, or a name is in no list.
        FolderInUse: another process writes there.
    """
    root, target = _apart(store, out)
    origin = source(root)
    _check_place(target, packed=True)
    listed = _listed(Store(root), categories, splits)
    if names is not None:
        wanted = {tuple(name.strip("/").split("/", 1)) for name in names}
        if absent := wanted - {*listed}:
            some = ", ".join(printable("/".join(name)) for name in sorted(absent)[:_NAMED])
            raise DataError(f"{root}: {len(absent)} names are in none of its lists: {some}; "
                            "correct them")  # fmt: skip
        listed = [item for item in listed if item in wanted]
    if count is not None:
        if not 1 <= count <= len(listed):
            raise DataError(f"{root}: {count} of {len(listed)} items; ask for 1 to {len(listed)}")
        drawn = np.random.default_rng(seed).choice(len(listed), count, replace=False)
        listed = [listed[number] for number in sorted(drawn)]
    if not listed:
        raise DataError(f"{root}: no items are left; choose other categories or splits")
    hold(target)
    tasks: list[Task] = [(origin, *names) for names in listed]
    return _into_pack(tasks, [root], target, shard_bytes, listed, splits)


@reports_progress
@writer
def unpack(
    packed: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
) -> CopyReport:
    """Copy a packed store to the published layout, byte for byte and with the times of files.

    Items whose files have their names, sizes and times already are kept.

    Raises:
        DataError: no packed store, or one in the place of the folder to write to.
        FolderInUse: another process writes there.
    """
    root, target = _apart(packed, out)
    if not is_packed(root):
        raise DataError(f"{root}: is no packed store; make one with `onet data pack`")
    _check_place(target, packed=False)
    hold(target)
    origin, there, report = PackSource(root), FolderSource(target), CopyReport(target)
    tasks: list[Task] = [(origin, c, m) for c, m in origin.items()]

    def put(task: Task) -> bool:
        _, category, model = task
        folder, stamps = target / category / model, origin.stamps(category, model)
        if folder.is_dir() and there.stamps(category, model) == stamps:
            return False
        with replacing_folder(folder) as temporary:
            for name, stamp in stamps.items():
                if name.endswith("/"):
                    make_folder(temporary / name)
                    continue
                make_folder((temporary / name).parent)
                (temporary / name).write_bytes(origin.read(category, model, name))
                os.utime(temporary / name, ns=(stamp.modified, stamp.modified))
        report.size += sum(stamp.size for stamp in stamps.values())
        return True

    _each(tasks, put, report, "unpack")
    copy_loose([root], target, _by_category(tasks))
    return report


def _into_pack(
    tasks: list[Task],
    roots: list[Path],
    target: Path,
    shard_bytes: int,
    listed: list[tuple[str, str]] | None = None,
    splits: Collection[str] | None = None,
) -> CopyReport:
    report = CopyReport(target)
    with PackWriter(target, shard_bytes) as pack:

        def put(task: Task) -> bool:
            origin, category, model = task
            stamps = origin.stamps(category, model)
            known = pack.index.entry(category, model)
            if known is not None and stamps == {
                name: Stamp(file.size, file.modified) for name, file in known.files.items()
            }:
                return False
            files = {
                name: (stamp, b"" if name.endswith("/") else origin.read(category, model, name))
                for name, stamp in stamps.items()
            }
            pack.add(category, model, files)
            report.size += sum(len(content) for _, content in files.values())
            return True

        _each(tasks, put, report, "pack")
    chosen = None
    if listed is not None:
        chosen = {category: set[str]() for category, _ in listed}
        for category, model in listed:
            chosen[category].add(model)
    copy_loose(roots, target, _by_category(tasks), chosen, splits)
    return report


def _each(tasks: list[Task], put: Callable[[Task], bool], report: CopyReport, title: str) -> None:
    """Do all tasks, and note which copied something and which failed."""

    def results() -> Iterator[str]:
        for task in tasks:
            name = printable(f"{task[1]}/{task[2]}")
            try:
                if put(task):
                    report.copied += 1
                else:
                    report.kept += 1
            except DataError as error:
                report.failures[name] = str(error)
            yield name

    for _ in followed(results(), len(tasks), str, title):
        pass


def _by_category(tasks: list[Task]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for _, category, model in tasks:
        found.setdefault(category, set()).add(model)
    return found


def _listed(
    store: Store, categories: Collection[str] | None, splits: Collection[str] | None
) -> list[tuple[str, str]]:
    """Return category and model of what the lists name."""
    folders = store.categories if categories is None else [*map(store.folder, categories)]
    there = {path.stem for folder in folders for path in (store.root / folder).glob("*.lst")}
    if absent := sorted({*(splits or ())} - there):
        raise DataError(
            f"{store.root}: no list of these categories is called {printable(', '.join(absent))}; "
            f"{nearest(absent[0], sorted(there))}"
        )
    found: dict[tuple[str, str], None] = {}
    for category in folders:
        names = [path.stem for path in sorted((store.root / category).glob("*.lst"))]
        for split in names if splits is None else splits:
            if split in names:
                path = store.root / category / f"{split}.lst"
                found |= dict.fromkeys((category, model) for model in read_list(path))
    return [*found]


def _equal(first: Source, second: Source, category: str, model: str) -> bool:
    sizes = [
        {name: stamp.size for name, stamp in s.stamps(category, model).items()}
        for s in (first, second)
    ]
    return sizes[0] == sizes[1] and all(
        first.read(category, model, name) == second.read(category, model, name)
        for name in sizes[0]
        if not name.endswith("/")
    )


def _apart(store: str | os.PathLike[str], out: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Return both as paths, neither of which lies in the other."""
    root, target = Path(store), Path(out)
    real, place = Path(os.path.realpath(root)), Path(os.path.realpath(target))
    if real.is_relative_to(place) or place.is_relative_to(real):
        raise DataError(f"{target}: lies in {root}, or that in it; choose another folder")
    return root, target


def _check_place(target: Path, packed: bool) -> None:
    """Refuse to write over what is not such a store."""
    there = target.is_dir() and any(path.name not in OWN for path in target.iterdir())
    if packed and there and not is_packed(target):
        begun = {path.name for path in target.iterdir() if not path.name.startswith(".")}
        if begun - {"shards"}:
            raise DataError(
                f"{target}: is a folder of other files, no packed store; choose another folder"
            )
    if not packed and is_packed(target):
        raise DataError(f"{target}: is a packed store; choose another folder to unpack to")
