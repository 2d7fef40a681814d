"""Which mesh files to prepare, what to call them, and which of them belong together."""

from __future__ import annotations

import csv
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onet.data.splits import SPLITS
from onet.errors import DataError
from onet.geometry.mesh_io import readable_suffixes
from onet.geometry.mesh_reading.formats import advice, unread_format
from onet.registry import nearest

DEFAULT_GROUP_PATTERN = r"^(.+?)__"
"""The text before the first double underscore: the subfolder, or a prefix of the file name."""


@dataclass(frozen=True)
class Source:
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


def find_meshes(
    root: Path,
    categories: Iterable[str] | None = None,
    listed: Iterable[str] | None = None,
) -> list[Source]:
    """All mesh files below `root`, or those listed, sorted by name.

    Raises:
        DataError: no such folder, no meshes, an unknown category, or a listed file that is absent.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the folder that holds the meshes")
    if listed is not None:
        paths = [root / file for file in listed]
        for path in paths:
            if not path.is_file():
                raise DataError(f"{path}: is listed but absent; correct the column 'file'")
    else:
        paths = _mesh_files(root)
    found = [_source(root, path) for path in sorted(set(paths))]
    same = Counter(source.name for source in found)
    found = [
        source
        if same[source.name] == 1
        else Source(
            source.path,
            source.file,
            source.category,
            f"{source.model}_{source.path.suffix[1:].lower()}",
        )
        for source in found
    ]
    if categories is not None:
        present = sorted({source.category for source in found})
        for category in (wanted := list(categories)):
            if category not in present:
                raise DataError(
                    f"{root}: no meshes of category {category!r}; {nearest(category, present)}"
                )
        found = [source for source in found if source.category in wanted]
    if not found:
        unread = summary(find_unread(root))
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


def find_unread(root: Path, categories: Iterable[str] | None = None) -> list[Unread]:
    """All files below `root` that may be meshes and are not read, sorted by name."""
    found = [
        (path, suffix) for path in _files(root) if (suffix := unread_format(path.name)) is not None
    ]
    wanted = None if categories is None else {*categories}
    return [
        Unread(path.relative_to(root).as_posix(), suffix)
        for path, suffix in sorted(found)
        if wanted is None or _source(root, path).category in wanted
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


def _mesh_files(root: Path) -> list[Path]:
    suffixes = readable_suffixes()
    return [path for path in _files(root) if path.suffix.lower() in suffixes]


def _files(root: Path) -> list[Path]:
    """All files below a folder, hidden ones and those in hidden folders left out."""
    visited = set()
    paths = []
    for folder, children, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in visited:  # a link to a folder above
            children.clear()
            continue
        visited.add(real)
        children[:] = sorted(name for name in children if not name.startswith("."))
        paths += [Path(folder, name) for name in files if not name.startswith(".")]
    return paths


def _source(root: Path, path: Path) -> Source:
    relative = path.relative_to(root)
    *folders, _ = relative.parts
    category = folders[0] if folders else root.resolve().name
    model = "__".join([*folders[1:], path.stem])
    return Source(path, relative.as_posix(), category, model)


def read_listing(path: Path) -> dict[str, Listed]:
    """Files with their groups and splits from a CSV with a heading.

    Raises:
        DataError: no such file, no column `file`, no lines, or an unknown split.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; give a CSV with the columns file,group,split")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        if "file" not in (reader.fieldnames or []):
            raise DataError(
                f"{path}: has no column 'file' (found: {', '.join(reader.fieldnames or [])}); "
                "the first line has to be file, file,group or file,group,split"
            )
        listed = {
            row["file"].strip(): Listed(
                *((row.get(key) or "").strip() or None for key in ("group", "split"))
            )
            for row in reader
        }
    if not listed:
        raise DataError(f"{path}: lists no files; add lines below the heading")
    for file, entry in listed.items():
        if entry.split not in (None, *SPLITS):
            raise DataError(
                f"{path}: {file} has the split {entry.split!r}; "
                f"{nearest(entry.split or '', list(SPLITS))}"
            )
    return listed


def limit_per_category(sources: list[Source], count: int, seed: int) -> list[Source]:
    """At most `count` sources of each category, chosen at random by `seed`, in their order.

    Raises:
        DataError: a count below 1.
    """
    if count < 1:
        raise DataError(f"prepare: max_per_category = {count} leaves no meshes; give at least 1")
    kept = []
    for category in sorted({source.category for source in sources}):
        members = [source for source in sources if source.category == category]
        rng = np.random.default_rng([seed, zlib.crc32(category.encode())])
        kept += [members[i] for i in sorted(rng.permutation(len(members))[:count])]
    return kept


def group_sources(
    sources: list[Source],
    split_by: str,
    pattern: str,
    listed: Mapping[str, Listed],
) -> dict[str, str]:
    """The group of each source by its name, or its own name; see `prepare`.

    Raises:
        DataError: an unknown `split_by`, or a pattern that is no regular expression.
    """
    if split_by == "item":
        return {source.name: source.name for source in sources}
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
    for source in sources:
        group = listed.get(source.file, Listed()).group
        if group is None and (match := search(source.model)):
            group = match[1] if match.re.groups else match[0]
        result[source.name] = group or source.name
    return result
