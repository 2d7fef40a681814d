"""The index of a packed store: of each item the files, where they lie, and their hashes.

One row of an SQLite table an item, so a store of a million opens as fast as one of ten.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from onet.errors import DataError
from onet.names import printable

INDEX = "index.sqlite"
SHARDS = "shards"
FORMAT = 1
APPLICATION = 0x6F6E6574  # "onet"
DIGEST = 32
"""Bytes of a SHA-256."""
_SCHEMA = f"""
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORMAT};
CREATE TABLE items (category BLOB, model BLOB, shard INTEGER, files TEXT, hashes BLOB,
                    PRIMARY KEY (category, model)) WITHOUT ROWID;
CREATE TABLE shards (number INTEGER PRIMARY KEY, size INTEGER);
"""
AGAIN = "copy it again, or make it again with `onet data pack`"


class ArrayPlace(NamedTuple):
    """Where the numbers of an array lie in a shard, and what they are."""

    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool


class FilePlace(NamedTuple):
    """Where a file lies in its shard; `arrays` are those of an npz file that can be mapped."""

    offset: int
    size: int
    modified: int  # nanoseconds
    arrays: dict[str, ArrayPlace]


class Entry(NamedTuple):
    """What the index says of an item. Names that end in `/` are empty folders."""

    shard: int
    files: dict[str, FilePlace]
    hashes: bytes = b""

    def encoded(self) -> str:
        """Return the files as JSON."""
        content = [
            [name, f.offset, f.size, f.modified, {
                key: [a.offset, a.dtype.str, a.shape, a.fortran] for key, a in f.arrays.items()
            }]
            for name, f in self.files.items()
        ]  # fmt: skip
        return json.dumps(content, separators=(",", ":"))

    @classmethod
    def decoded(cls, shard: int, files: str, hashes: bytes = b"") -> Entry:
        """Return the entry of a row.

        Raises:
            ValueError, TypeError, KeyError: the row is damaged.
        """
        if not isinstance(hashes, bytes):
            raise TypeError("its hashes are no bytes")
        found: dict[str, FilePlace] = {}
        for name, offset, size, modified, arrays in json.loads(files):
            places = {
                key: ArrayPlace(int(at), _dtype(kind), tuple(map(int, shape)), bool(fortran))
                for key, (at, kind, shape, fortran) in arrays.items()
            }
            found[str(name)] = FilePlace(int(offset), int(size), int(modified), places)
        return cls(int(shard), found, hashes)


@lru_cache(256)
def _dtype(kind: str) -> np.dtype[Any]:
    dtype = np.dtype(kind)
    if dtype.hasobject:
        raise ValueError("objects instead of numbers")
    return dtype


class Index:
    """The open index of a packed store; each process gets its own connection.

    Args:
        root: the store.
        write: make or extend it.

    Raises:
        DataError: missing, damaged, of another program or of a later version.
    """

    def __init__(self, root: Path, write: bool = False) -> None:
        self.path, self.write = root / INDEX, write
        self._connection: tuple[int, sqlite3.Connection] | None = None
        with self.asking():
            (kind,) = self._execute("PRAGMA application_id").fetchone()
            (version,) = self._execute("PRAGMA user_version").fetchone()
            if write and not kind and not self._execute("PRAGMA schema_version").fetchone()[0]:
                self._connect().executescript(_SCHEMA)
                kind, version = APPLICATION, FORMAT
        if kind != APPLICATION:
            raise DataError(f"{self.path}: is not the index of a packed store; {AGAIN}")
        if version != FORMAT:
            raise DataError(
                f"{self.path}: is of version {version}, this version of onet reads {FORMAT}; "
                "install the version that wrote it, or pack the store again with `onet data pack`"
            )

    def asking(self) -> _Said:
        """Turn what the database refuses into a DataError that names it."""
        return _Said(self.path)

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None or self._connection[0] != os.getpid():
            name = f"{self.path.absolute().as_uri()}?mode={'rwc' if self.write else 'ro'}"
            connection = sqlite3.connect(name, uri=True, check_same_thread=False)
            connection.execute("PRAGMA trusted_schema = OFF")
            self._connection = os.getpid(), connection
        return self._connection[1]

    def _execute(self, question: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        return self._connect().execute(question, tuple(values))

    def close(self) -> None:
        """Close the connection of this process."""
        if self._connection is not None and self._connection[0] == os.getpid():
            self._connection[1].close()
        self._connection = None

    def entry(self, category: str, model: str, hashes: bool = False) -> Entry | None:
        """Return what is known of an item; None if it is not there.

        Raises:
            DataError: the index is damaged.
        """
        columns = "shard, files, hashes" if hashes else "shard, files"
        question = f"SELECT {columns} FROM items WHERE category = ? AND model = ?"
        with self.asking():
            row = self._execute(question, (_key(category), _key(model))).fetchone()
        return None if row is None else self._decoded(category, model, row)

    def _decoded(self, category: str, model: str, row: tuple[Any, ...]) -> Entry:
        try:
            return Entry.decoded(*row)
        except (ValueError, TypeError, KeyError) as error:
            name = printable(f"{category}/{model}")
            raise DataError(
                f"{self.path}: the entry of {name} is damaged ({error}); {AGAIN}"
            ) from error

    def entries(self) -> Iterator[tuple[str, str, Entry]]:
        """Yield category, model and entry with hashes of all items, by name."""
        question = "SELECT category, model, shard, files, hashes FROM items"
        with self.asking():
            for category, model, *row in self._execute(question):
                names = _name(category), _name(model)
                yield *names, self._decoded(*names, tuple(row))

    def models(self, category: str) -> list[str]:
        """Return the names of the items of a category, sorted by their bytes."""
        question = "SELECT model FROM items WHERE category = ? ORDER BY model"
        with self.asking():
            return [_name(row[0]) for row in self._execute(question, (_key(category),))]

    def has_file(self, category: str, name: str) -> bool:
        """Return whether an item of a category has the file `name`, or a folder of that name."""
        question = "SELECT 1 FROM items WHERE category = ? AND (instr(files, ?) OR instr(files, ?))"
        quoted = json.dumps(name)
        starts = f"[{quoted},", f"[{quoted[:-1]}/"  # as `Entry.encoded` writes them
        with self.asking():
            return (
                self._execute(f"{question} LIMIT 1", (_key(category), *starts)).fetchone()
                is not None
            )

    def categories(self) -> list[str]:
        """Return the categories that have items."""
        with self.asking():
            found = self._execute("SELECT DISTINCT category FROM items ORDER BY category")
            return [_name(row[0]) for row in found]

    def count(self) -> int:
        """Return the number of items."""
        with self.asking():
            return int(self._execute("SELECT count(*) FROM items").fetchone()[0])

    def shards(self) -> dict[int, int]:
        """Return the size in bytes of every shard by its number."""
        with self.asking():
            return dict(self._execute("SELECT number, size FROM shards ORDER BY number"))

    def commit(self, number: int, size: int, items: Iterable[tuple[str, str, Entry]]) -> None:
        """Add a finished shard and its items at once; items known before are replaced."""
        rows = ((_key(c), _key(m), e.shard, e.encoded(), e.hashes) for c, m, e in items)
        with self.asking(), self._connect() as connection:
            connection.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?)", rows)
            connection.execute("INSERT OR REPLACE INTO shards VALUES (?, ?)", (number, size))


class _Said:
    """Context that names the file in what SQLite refuses."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error | UnicodeError):
            raise DataError(f"{self.path}: cannot be used ({error}); {AGAIN}") from error


def _key(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _name(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")
