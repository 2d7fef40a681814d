"""Which mesh files to prepare, what to call them, and which of them belong together."""

from __future__ import annotations

import csv
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from onet.data.settings import DEFAULT_GROUP_PATTERN, PrepareSettings
from onet.data.store_folder import FAILURES, METADATA, RECORD, SPLITS, list_file, read_record
from onet.errors import DataError
from onet.files import files_below
from onet.geometry.mesh_io import readable_suffixes
from onet.geometry.mesh_reading.formats import advice, unread_format
from onet.locks import OWN
from onet.names import checked_path, name_problem, portable_key, printable, told_apart
from onet.registry import nearest

_NO_MODEL = tuple(list_file(Path(), split).name for split in SPLITS)
_NO_CATEGORY = {portable_key(name) for name in (METADATA, FAILURES, *OWN)}


@dataclass(frozen=True)
class MeshFile:
    """A mesh file and its place in the store."""

    path: Path
    file: str  # relative to the folder of meshes
    category: str
    model: str

    @property
    def name(self) -> str:
        return f"{self.category}/{self.model}"


@dataclass(frozen=True)
class Listed:
    """What a listing says of a mesh, besides its name."""

    group: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class Selection:
    """The meshes to prepare.

    Attributes:
        mesh_files: those that can have an item, sorted by name.
        groups: the group of each by its name.
        splits: of those whose split the listing gives, by their files.
        refused: why others cannot have an item, by their files.
        unread: files that may be meshes, of formats that are not read.
    """

    mesh_files: list[MeshFile]
    groups: dict[str, str]
    splits: dict[str, str]
    refused: dict[str, str]
    unread: list[Unread]


def select_meshes(
    root: Path, store: Path, settings: PrepareSettings, listed: Mapping[str, Listed] | None
) -> Selection:
    """Find the meshes that the settings choose, with their names in the store and their groups.

    Args:
        root: folder of meshes.
        store: where the items go; nobody else may write to it meanwhile.
        settings: the fields `categories`, `max_per_category`, `split_by`, `group_pattern`, `seed`.
        listed: the files to take, as `read_listing` returns them; None means all. Files of other
            formats do not matter then.

    Raises:
        DataError: see `find_meshes` and `group_mesh_files`.
    """
    found = find_meshes(root, settings.categories, listed, store)
    unread = find_unread(root, settings.categories, store) if listed is None else []
    impossible = refused(found, root, store)
    mesh_files = [mesh_file for mesh_file in found if mesh_file.file not in impossible]
    if settings.max_per_category is not None:
        mesh_files = limit_per_category(mesh_files, settings.max_per_category, settings.seed)
    listed = listed or {}
    groups = group_mesh_files(mesh_files, settings.split_by, settings.group_pattern, listed)
    splits = {file: entry.split for file, entry in listed.items() if entry.split is not None}
    return Selection(mesh_files, groups, splits, impossible, unread)


def find_meshes(
    root: Path,
    categories: Iterable[str] | None = None,
    listed: Iterable[str] | None = None,
    store: Path | None = None,
) -> list[MeshFile]:
    """Return all mesh files below `root`, or those listed, sorted by name.

    No two get the same name, nor two that some file system takes for one: see
    `onet.names.told_apart`. Names that `store` has side by side already stay.

    Args:
        root: the folder.
        categories: only these.
        listed: only these files, relative to `root`.
        store: what the meshes are prepared for; if it is below `root`, nothing in it is taken.

    Raises:
        DataError: no such folder, no meshes, an unknown category, or a listed file that is absent.
    """
    if not root.is_dir():
        what = "is a file, no folder" if root.exists() else "no such folder"
        raise DataError(f"{root}: {what}; give the folder that holds the meshes")
    if store is not None and store.is_dir() and store.samefile(root):
        raise DataError(f"{root}: holds the meshes; choose another folder for the prepared data")
    if listed is not None:
        paths = [root / file for file in listed]
        for path in paths:
            if not path.is_file():
                raise DataError(f"{path}: is listed but absent; correct the column 'file'")
    else:
        paths = _mesh_files(root, store)
    found = _told_apart([_mesh_file(root, path) for path in sorted(set(paths))], store)
    if categories is not None:
        present = sorted({mesh_file.category for mesh_file in found})
        for category in (wanted := list(categories)):
            if category not in present:
                raise DataError(
                    f"{root}: no meshes of category {category!r}; {nearest(category, present)}"
                )
        found = [mesh_file for mesh_file in found if mesh_file.category in wanted]
    if not found:
        unread = summary(find_unread(root, store=store))
        raise DataError(
            f"{root}: no meshes in it; looked for {', '.join(sorted(readable_suffixes()))}"
            + (f"; {unread}" if unread else "")
        )
    return found


@dataclass(frozen=True)
class Unread:
    """A file that may be a mesh, of a format that is not read."""

    file: str  # relative to the folder of meshes
    format: str

    @property
    def reason(self) -> str:
        return f"the format {self.format} is not read; {advice(self.format)}"


def find_unread(
    root: Path, categories: Iterable[str] | None = None, store: Path | None = None
) -> list[Unread]:
    """All files below `root`, but not in `store`, that may be meshes and are not read, by name."""
    found = [
        (path, suffix)
        for path in files_below(root, store)
        if (suffix := unread_format(path.name)) is not None
    ]
    wanted = None if categories is None else {*categories}
    return [
        Unread(printable(path.relative_to(root).as_posix()), suffix)
        for path, suffix in sorted(found)
        if wanted is None or _mesh_file(root, path).category in wanted
    ]


def summary(unread: list[Unread]) -> str:
    """One line that says how many files of which formats are not read; empty without any."""
    if not unread:
        return ""
    formats = [
        f"{suffix} ({count}: {', '.join(_first(u.file for u in unread if u.format == suffix))})"
        for suffix, count in sorted(Counter(u.format for u in unread).items())
    ]
    return f"{len(unread)} files have a format that is not read: {', '.join(formats)}"


def _first(names: Iterable[str], count: int = 3) -> list[str]:
    listed = list(names)
    return listed if len(listed) <= count else [*listed[:count], "..."]


def _mesh_files(root: Path, store: Path | None) -> list[Path]:
    suffixes = readable_suffixes()
    return [path for path in files_below(root, store) if path.suffix.lower() in suffixes]


def _told_apart(mesh_files: list[MeshFile], store: Path | None) -> list[MeshFile]:
    """Return the files with names that differ on every file system, none of them that of a list."""
    names = [mesh_file.name for mesh_file in mesh_files]
    suffixes = [mesh_file.path.suffix[1:].lower() for mesh_file in mesh_files]
    categories = sorted({mesh_file.category for mesh_file in mesh_files})
    settled: set[str] = set()
    _check_categories(categories, store)
    if store is not None:
        for category in categories:
            folder = store / category
            models = os.listdir(folder) if folder.is_dir() else []
            settled |= {f"{category}/{model}" for model in models}
    chosen = told_apart(
        names,
        [f"{name}_{suffix}" for name, suffix in zip(names, suffixes, strict=True)],
        [mesh_file.file for mesh_file in mesh_files],
        [f"{category}/{name}" for category in categories for name in _NO_MODEL],
        settled,
    )
    return [
        replace(mesh_file, model=name[len(mesh_file.category) + 1 :])
        for mesh_file, name in zip(mesh_files, chosen, strict=True)
    ]


def _check_categories(categories: Iterable[str], store: Path | None) -> None:
    """Refuse two folders that some file system takes for one, unless `store` has them already."""
    there = set(os.listdir(store)) if store is not None and store.is_dir() else set()
    first: dict[str, str] = {}
    for category in categories:
        other = first.setdefault(portable_key(category), category)
        if other != category and not {category, other} <= there:
            raise DataError(
                f"the categories {printable(other)!r} and {printable(category)!r} are the same "
                "folder on some file systems; rename one of them"
            )


def refused(mesh_files: Iterable[MeshFile], root: Path, store: Path) -> dict[str, str]:
    """Why some files cannot have an item of the store, by file.

    Their names cannot be written to a list or are those of the store's own files; or the item of
    that name was made of another file, which is still there but is not taken this time.
    """
    files = {mesh_file.file for mesh_file in mesh_files}
    reasons = {}
    for mesh_file in mesh_files:
        for name in (mesh_file.category, mesh_file.model):
            if problem := name_problem(name):
                reasons[mesh_file.file] = f"its name {printable(repr(name))} {problem}; rename it"
        if portable_key(mesh_file.category) in _NO_CATEGORY:
            reasons[mesh_file.file] = (
                f"its category {mesh_file.category!r} is the name of a file of the store; rename "
                "the folder"
            )
        if mesh_file.file in reasons:
            continue
        owner = _made_of(store / mesh_file.category / mesh_file.model)
        if owner is not None and owner not in files and _is_other(root / owner, mesh_file.path):
            reasons[mesh_file.file] = (
                f"the item {mesh_file.name} was made of {printable(owner)}, which is still there; "
                "prepare both in one run, or rename one of them"
            )
    return reasons


def _made_of(folder: Path) -> str | None:
    """Return the file that an item was made of, as its record says."""
    try:
        content = read_record(folder)
        return checked_path(content["source"]["file"], str(folder / RECORD))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no record or half of one: the item is nobody's


def _is_other(path: Path, than: Path) -> bool:
    return path.is_file() and not path.samefile(than)


def _mesh_file(root: Path, path: Path) -> MeshFile:
    relative = path.relative_to(root)
    *folders, _ = relative.parts
    category = folders[0] if folders else root.resolve().name
    model = "__".join([*folders[1:], path.stem])
    return MeshFile(path, relative.as_posix(), category, model)


def read_listing(path: Path, root: Path | None = None) -> dict[str, Listed]:
    """Files with their groups and splits from a CSV with a heading.

    Args:
        path: of the CSV.
        root: the folder of meshes. Blanks around a name are left out unless a file there has them.

    Raises:
        DataError: no such file, no column `file`, no lines, an unknown split, a file outside the
            folder of meshes, or one that is listed twice with different entries.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; give a CSV with the columns file,group,split")
    listed: dict[str, Listed] = {}
    # Bytes that are not UTF-8 stay what they are in the name of a file.
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as stream:
        reader = csv.DictReader(stream)
        try:
            if "file" not in (reader.fieldnames or []):
                raise DataError(
                    f"{path}: has no column 'file' (found: {', '.join(reader.fieldnames or [])}); "
                    "the first line has to be file, file,group or file,group,split"
                )
            for row in reader:
                where = f"{path}: line {reader.line_num}"
                file = _listed_file(row["file"] or "", where, root)
                entry = Listed(
                    *((row.get(key) or "").strip() or None for key in ("group", "split"))
                )
                _check_entry(file, entry, listed, where)
                listed[file] = entry
        except csv.Error as error:
            raise DataError(
                f"{path}: line {reader.line_num} is no CSV ({error}); save it as that"
            ) from None
    if not listed:
        raise DataError(f"{path}: lists no files; add lines below the heading")
    return listed


def _listed_file(text: str, where: str, root: Path | None) -> str:
    file = text.strip()
    if root is not None and text != file and os.path.isfile(root / text):
        file = text
    return checked_path(file, f"{where}: column 'file'")


def _check_entry(file: str, entry: Listed, listed: Mapping[str, Listed], where: str) -> None:
    if entry.split not in (None, *SPLITS):
        raise DataError(
            f"{where}: {printable(file)} has the split {entry.split!r}; "
            f"{nearest(entry.split or '', list(SPLITS))}"
        )
    if listed.get(file, entry) != entry:
        raise DataError(
            f"{where}: {printable(file)} is listed before with another group or split; keep one"
        )


def limit_per_category(mesh_files: list[MeshFile], count: int, seed: int) -> list[MeshFile]:
    """At most `count` files of each category, chosen at random by `seed`, in their order.

    Raises:
        DataError: a count below 1.
    """
    if count < 1:
        raise DataError(f"prepare: max_per_category = {count} leaves no meshes; give at least 1")
    kept = []
    for category in sorted({mesh_file.category for mesh_file in mesh_files}):
        members = [mesh_file for mesh_file in mesh_files if mesh_file.category == category]
        rng = np.random.default_rng([seed, zlib.crc32(category.encode())])
        kept += [members[i] for i in sorted(rng.permutation(len(members))[:count])]
    return kept


def group_mesh_files(
    mesh_files: list[MeshFile],
    split_by: str,
    pattern: str,
    listed: Mapping[str, Listed],
) -> dict[str, str]:
    """Return the group of each file by its name, or its own name; see `prepare`.

    Raises:
        DataError: an unknown `split_by`, or a pattern that is no regular expression.
    """
    if split_by == "item":
        return {mesh_file.name: mesh_file.name for mesh_file in mesh_files}
    if split_by != "source":
        raise DataError(
            f"prepare: split_by = {split_by!r}; {nearest(split_by, ['item', 'source'])}"
        )
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise DataError(
            f"prepare: group_pattern = {pattern!r} is not a regular expression ({error}); "
            f"the default is {DEFAULT_GROUP_PATTERN!r}"
        ) from error
    result = {}
    for mesh_file in mesh_files:
        group = listed.get(mesh_file.file, Listed()).group
        if group is None and (match := search(mesh_file.model)):
            group = match[1] if match.re.groups else match[0]
        result[mesh_file.name] = group or mesh_file.name
    return result
