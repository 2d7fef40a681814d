"""What is copied into or out of a packed store: the items and the other files of any store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from onet.data.packed.index import INDEX, SHARDS
from onet.data.packed.reading import Pack, is_packed
from onet.errors import DataError
from onet.files import TEMPORARY
from onet.locks import OWN
from onet.names import path_problem, printable

_OWN = {*OWN, INDEX}


@dataclass(frozen=True)
class Stamp:
    """What tells a file from a changed one without reading it: size and time, in nanoseconds."""

    size: int
    modified: int


class Source(Protocol):
    """A store to copy from.

    Attributes:
        root: its folder.
    """

    root: Path

    def items(self) -> list[tuple[str, str]]:
        """Return category and model of all items, listed or not, sorted."""
        ...

    def stamps(self, category: str, model: str) -> dict[str, Stamp]:
        """Return the files of an item, by name; names of empty folders end in `/`."""
        ...

    def read(self, category: str, model: str, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            DataError: it cannot be read, or is not what was packed.
        """
        ...


def source(root: Path) -> Source:
    """Return a store to copy from, packed or not.

    Raises:
        DataError: there is none.
    """
    if is_packed(root):
        return PackSource(root)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give a store that `onet prepare` wrote")
    return FolderSource(root)


def loose_files(root: Path) -> list[str]:
    """Return the files of a store that are no item's: of its folder and of its categories."""
    found = [path.name for path in _entries(root) if path.is_file()]
    for folder in _entries(root):
        if folder.is_dir():
            files = [path.name for path in _entries(folder) if path.is_file()]
            if folder.name == SHARDS and is_packed(root):
                files = [name for name in files if not name.endswith(".tar")]
            found += [f"{folder.name}/{name}" for name in files]
    return found


def _entries(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.iterdir(), key=lambda p: os.fsencode(p.name))
        if path.name not in _OWN and not TEMPORARY.fullmatch(path.name)
    ]


class FolderSource:
    """A store in the published layout."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def items(self) -> list[tuple[str, str]]:
        """Return the folders in the folders of the store."""
        return [
            (category.name, model.name)
            for category in _entries(self.root)
            if category.is_dir()
            for model in _entries(category)
            if model.is_dir()
        ]

    def stamps(self, category: str, model: str) -> dict[str, Stamp]:
        """Return the files below the folder of an item.

        Raises:
            DataError: devices, links to folders, names that no archive keeps.
        """
        found = {}
        for name, status in _below(self.root / category / model, ""):
            found[name] = Stamp(status.st_size, status.st_mtime_ns) if status else Stamp(0, 0)
        return dict(sorted(found.items()))

    def read(self, category: str, model: str, name: str) -> bytes:
        """Return the content of a file."""
        path = self.root / category / model / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(
                f"{path}: cannot be read ({error.strerror or error}); correct its permissions, or "
                "copy it again"
            ) from error


def _below(folder: Path, prefix: str) -> Iterator[tuple[str, os.stat_result | None]]:
    entries = _entries(folder)
    if not entries and prefix:
        yield prefix, None
    for path in entries:
        name = prefix + path.name
        if path.is_dir():
            if path.is_symlink():
                raise DataError(f"{path}: is a link to a folder; put the folder in its place")
            yield from _below(path, f"{name}/")
        elif path.is_file():
            yield name, path.stat()
        else:
            raise DataError(f"{path}: is a device or a broken link, no file; take it out")


class PackSource:
    """A packed store."""

    def __init__(self, root: Path) -> None:
        self.pack = Pack(root)
        self.root = root

    def items(self) -> list[tuple[str, str]]:
        """Return the items of the index."""
        index = self.pack.index
        return [(c, model) for c in index.categories() for model in index.models(c)]

    def stamps(self, category: str, model: str) -> dict[str, Stamp]:
        """Return the files that the index tells."""
        entry = self.pack.entry(category, model)
        files = entry.files if entry else {}
        for name in (category, model, *files):
            if problem := path_problem(name):
                raise DataError(f"{self.pack.index.path}: {printable(repr(name))} {problem}; "
                                "the index is damaged or foreign: copy it again")  # fmt: skip
        return {name: Stamp(f.size, f.modified) for name, f in files.items()}

    def read(self, category: str, model: str, name: str) -> bytes:
        """Return the content of a file after comparing it with its hash."""
        return self.pack.content(category, model, name)
