"""Paths into a packed store, for readers that take a path."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

from onet.data.packed.index import INDEX, Entry
from onet.data.packed.reading import Pack, is_packed, pack_at

_Base: Any = type(Path())


class PackedPath(_Base):
    """A path whose files below CATEGORY/MODEL are those of a packed store; others are on the disk.

    It is read as any path is (`open`, `read_bytes`, `stat`, `iterdir`, ...), by its own methods:
    `open(path)` and what else asks the operating system finds nothing there. It is never written.
    """

    def _located(self) -> tuple[Pack, Entry, str] | None:
        """Return the store, the item and the name in it; None for what is no item's."""
        root, names = os.fspath(self), list[str]()
        while True:  # as text: it is done for everything that is asked of a path
            above, name = os.path.split(root)
            if not name:
                return None
            names.insert(0, name)
            root = above
            if os.path.isfile(os.path.join(root, INDEX)):
                break
        if len(names) < 2:
            return None
        pack = pack_at(Path(root))
        entry = pack.entry(*names[:2])
        return None if entry is None else (pack, entry, "/".join(names[2:]))

    def _file(self) -> tuple[Pack, str, str, str]:
        """Return the store, category, model and name of a file.

        Raises:
            OSError: it is a folder, or not there.
        """
        found = self._located()
        assert found is not None
        pack, entry, name = found
        if name not in entry.files:
            code = errno.EISDIR if _is_folder(entry, name) else errno.ENOENT
            raise OSError(code, os.strerror(code), str(self))
        category, model = self.relative_to(pack.root).parts[:2]
        return pack, category, model, name

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return size and time of a file; of a folder that it is one."""
        found = self._located()
        if found is None:
            result: os.stat_result = super().stat(follow_symlinks=follow_symlinks)
            return result
        _, entry, name = found
        if _is_folder(entry, name):
            return os.stat_result((stat.S_IFDIR | 0o555, 0, 0, 1, 0, 0, 0, 0, 0, 0))
        if name not in entry.files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        place = entry.files[name]
        seconds = place.modified / 1e9
        return os.stat_result(
            (stat.S_IFREG | 0o444, 0, 0, 1, 0, 0, place.size, seconds, seconds, seconds)
        )

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether there is a file or folder."""
        return self._mode() != 0

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether it is a file."""
        return stat.S_ISREG(self._mode())

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether it is a folder."""
        return stat.S_ISDIR(self._mode())

    def _mode(self) -> int:
        try:
            return self.stat().st_mode
        except (OSError, ValueError):
            return 0

    def iterdir(self) -> Iterator[PackedPath]:
        """Yield what is in a folder; items of a category after its files."""
        found = self._located()
        if found is not None:
            _, entry, name = found
            if not _is_folder(entry, name):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self))
            start = f"{name}/" if name else ""
            below = (file[len(start) :] for file in entry.files if file.startswith(start))
            names = dict.fromkeys(rest.partition("/")[0] for rest in below)
        else:
            names = dict.fromkeys(os.listdir(self))
            if is_packed(Path(self.parent)):
                names |= dict.fromkeys(pack_at(Path(self.parent)).index.models(self.name))
        yield from (self / name for name in names if name)

    def glob(self, pattern: str, **options: Any) -> Iterator[PackedPath]:
        """Yield what is in a folder and fits a pattern; of several levels where all are folders."""
        first, _, rest = pattern.partition("/")
        for path in self.iterdir() if self.is_dir() else ():
            if fnmatchcase(path.name, first):
                yield from path.glob(rest) if rest else (path,)

    def read_bytes(self) -> bytes:
        """Return the content of a file, checked.

        Raises:
            DataError: it is damaged.
        """
        if self._located() is None:
            with io.open(self, "rb") as file:  # noqa: UP020 - not the method of this class
                return file.read()
        pack, category, model, name = self._file()
        return pack.content(category, model, name)

    def read_text(
        self, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> str:
        """Return the content of a file as text."""
        return self.open("r", -1, encoding, errors, newline).read()

    def open(
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """Open a file for reading."""
        if not {*mode} <= {*"rbt"}:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))
        stream = io.BytesIO(self.read_bytes())
        if "b" in mode:
            return stream
        return io.TextIOWrapper(stream, encoding or "utf-8", errors, newline)


def _is_folder(entry: Entry, name: str) -> bool:
    return not name or any(file.startswith(f"{name}/") for file in entry.files)


def opened(root: Path) -> Path:
    """Return a folder's path, which leads into it if it is a packed store.

    Raises:
        DataError: it is one, and its index is damaged or foreign.
    """
    if not is_packed(root):
        return root
    pack_at(root)
    path: Path = PackedPath(root)
    return path
