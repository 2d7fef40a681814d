"""Items of a packed store, read where they lie in its shards."""

from __future__ import annotations

import hashlib
import mmap
import os
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.data.packed.index import AGAIN, DIGEST, INDEX, SHARDS, Entry, FilePlace, Index
from onet.errors import DataError
from onet.names import printable

_MAPPED = 256
"""Shards mapped at a time."""
_KNOWN = 1024
"""Entries kept."""
_COMPARED = 1_000_000
"""Files remembered to be what was packed: 60 MB."""
_WILL_NEED: int | None = getattr(mmap, "MADV_WILLNEED", None)  # not on every system
VERIFY = "find all damage with `onet data verify`, and copy the shard again"


def shard_file(root: Path, number: int) -> Path:
    """Return the file of a shard."""
    return root / SHARDS / f"{number:05d}.tar"


class Pack:
    """A packed store, open for reading; shards are mapped into memory when they are first used.

    Args:
        root: the store.

    Raises:
        DataError: its index is missing, damaged or foreign.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.index = Index(self.root)
        self.sizes = self.index.shards()
        self._map = lru_cache(_MAPPED)(self._open)
        self._entry = lru_cache(_KNOWN)(partial(self.index.entry, hashes=True))
        self._compared: set[int] = set()  # hashes of their names

    def __reduce__(self) -> tuple[Any, ...]:
        """Processes that get a copy open it themselves."""
        return Pack, (self.root,)

    def entry(self, category: str, model: str) -> Entry | None:
        """Return what the index says of an item; None if it is not there.

        Raises:
            DataError: the index is damaged.
        """
        return self._entry(category, model)

    def array(self, category: str, model: str, file: str, key: str) -> NDArray[Any] | None:
        """Return an array of an npz file as it lies in mapped memory, read only.

        Returns:
            The array, or None where it is not there or cannot be mapped: objects, for instance.

        Raises:
            DataError: the index or the shard is damaged.
        """
        entry = self._entry(category, model)
        found = entry and entry.files.get(file)
        if not entry or not found or key not in found.arrays:
            return None
        place = found.arrays[key]
        count = 1
        for length in place.shape:
            count *= length
        shard = self._map(entry.shard)
        if place.offset < 0 or place.offset + count * place.dtype.itemsize > len(shard):
            raise self._outside(entry.shard, f"{category}/{model}/{file}")
        if not count:
            return np.empty(place.shape, place.dtype)
        _ask(shard, place.offset, count * place.dtype.itemsize)
        flat = np.frombuffer(shard, place.dtype, count, place.offset)
        return flat.reshape(place.shape, order="F" if place.fortran else "C")

    def content(self, category: str, model: str, file: str) -> bytes:
        """Return the bytes of a file, compared with their hash when they are first read.

        Raises:
            DataError: the index or the shard is damaged.
            KeyError: there is no such file.
        """
        entry = self._entry(category, model)
        if entry is None or file not in entry.files:
            raise KeyError(file)
        content = self.view(entry, file, f"{category}/{model}")
        _ask(self._map(entry.shard), entry.files[file].offset, len(content))
        self._compare(content, entry, (category, model, file))
        return bytes(content)

    def _compare(self, content: memoryview, entry: Entry, names: tuple[str, str, str]) -> None:
        """See that a file, of category, model and name, is what was packed, once."""
        key = hash(names)
        if key in self._compared:
            return
        if hashlib.sha256(content).digest() != hash_of(entry, names[2]):
            shard = shard_file(self.root, entry.shard)
            raise DataError(
                f"{shard}: {printable('/'.join(names))} is not what was packed: its hash is "
                f"another one; {VERIFY}"
            )
        if len(self._compared) >= _COMPARED:
            self._compared.clear()
        self._compared.add(key)

    def view(self, entry: Entry, file: str, item: str) -> memoryview:
        """Return the bytes of a file where they lie, unchecked; `item` is for messages.

        Raises:
            DataError: the shard is missing or cut short.
        """
        place: FilePlace = entry.files[file]
        shard = self._map(entry.shard)
        if place.offset < 0 or place.size < 0 or place.offset + place.size > len(shard):
            raise self._outside(entry.shard, f"{item}/{file}")
        return memoryview(shard)[place.offset : place.offset + place.size]

    def _open(self, number: int) -> mmap.mmap:
        path = shard_file(self.root, number)
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size != (expected := self.sizes.get(number, -1)):
                    raise DataError(f"{path}: has {size} bytes, its index says {expected}; {AGAIN}")
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise DataError(
                f"{path}: no such file, its index tells of items in it; {AGAIN}"
            ) from None
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be mapped ({error}); {AGAIN}") from error

    def _outside(self, number: int, what: str) -> DataError:
        return DataError(
            f"{self.root / INDEX}: places {printable(what)} outside "
            f"{shard_file(self.root, number).name}; {AGAIN}"
        )


def _ask(shard: mmap.mmap, offset: int, size: int) -> None:
    """Let the system read a range that will be used, at once and no more.

    Else it reads far around every page that is missing: with stores larger than memory, several
    times what is used.
    """
    if _WILL_NEED is not None and size:
        start = offset - offset % mmap.PAGESIZE
        shard.madvise(_WILL_NEED, start, offset + size - start)


def hash_of(entry: Entry, file: str) -> bytes:
    """Return the SHA-256 of a file of an entry that was read with hashes."""
    number = list(entry.files).index(file)
    return entry.hashes[DIGEST * number : DIGEST * (number + 1)]


def is_packed(root: Path) -> bool:
    """Return whether a folder is a packed store."""
    return (root / INDEX).is_file()


def refuse_packed(root: Path) -> None:
    """See that a folder takes items one by one.

    Raises:
        DataError: it is a packed store, which only packing adds to.
    """
    if is_packed(root):
        raise DataError(
            f"{root}: is a packed store; prepare in a folder of its own, and add that with "
            "`onet data pack`"
        )


def pack_at(root: Path) -> Pack:
    """Return the packed store at a folder; one for all who ask while its index stays the same.

    Raises:
        DataError: see `Pack`.
    """
    try:
        found = (root / INDEX).stat()
    except OSError:
        return Pack(root)  # says what is missing
    return _pack_at(str(root), (found.st_ino, found.st_size, found.st_mtime_ns))


@lru_cache(8)
def _pack_at(root: str, state: tuple[int, ...]) -> Pack:
    return Pack(Path(root))
