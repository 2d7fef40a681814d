"""Writing a packed store: shards under temporary names, then their items into the index."""

from __future__ import annotations

import hashlib
import io
import logging
import tarfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from onet.data.packed.arrays import arrays_of
from onet.data.packed.index import ArrayPlace, Entry, FilePlace, Index
from onet.data.packed.reading import shard_file
from onet.data.packed.sources import Stamp
from onet.files import make_folder, replacing

logger = logging.getLogger(__name__)

SHARD_BYTES = 1 << 30
"""Size from which a shard is finished; a killed command repeats no more than that."""
SHARD_ITEMS = 20_000
"""Items from which it is, too: what the index will say of them waits in memory."""
ARRAYS = ".arrays/"


class PackWriter:
    """Adds items to a packed store. What is added is there when the block ends, or a shard is full.

    Args:
        root: the store, made where it is missing.
        shard_bytes: finish a shard that has become so large.

    Raises:
        DataError: what lies there is no packed store.
    """

    def __init__(self, root: Path, shard_bytes: int = SHARD_BYTES) -> None:
        make_folder(root)
        self.root, self.shard_bytes = root, shard_bytes
        self.index = Index(root, write=True)
        self._stack: ExitStack | None = None
        self._pending: list[tuple[str, str, Entry]] = []
        self._number = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the last shard, or leave out the unfinished one of a failed block."""
        try:
            if error is None:
                self._finish()
        finally:
            if self._stack is not None:
                self._stack.__exit__(kind, error, trace)
            self.index.close()

    def add(self, category: str, model: str, files: Mapping[str, tuple[Stamp, bytes]]) -> None:
        """Add an item, or put it in the place of the one of this name."""
        if self._stack is None:
            self._begin()
        places: dict[str, FilePlace] = {}
        hashes = []
        for name, (stamp, content) in files.items():
            hashes.append(hashlib.sha256(content).digest())
            places[name] = self._add_file(f"{category}/{model}/{name}", stamp, content)
        self._pending.append((category, model, Entry(self._number, places, b"".join(hashes))))
        if self._file.tell() >= self.shard_bytes or len(self._pending) >= SHARD_ITEMS:
            self._finish()

    def _add_file(self, path: str, stamp: Stamp, content: bytes) -> FilePlace:
        offset = self._append(path, stamp, content)
        arrays: dict[str, ArrayPlace] = {}
        if path.endswith(".npz"):
            for key, place, numbers in arrays_of(content):
                start = offset
                if numbers is not None:
                    start = self._append(f"{path}{ARRAYS}{key}.npy", stamp, numbers)
                arrays[key] = place._replace(offset=start + place.offset)
        return FilePlace(offset, len(content), stamp.modified, arrays)

    def _append(self, path: str, stamp: Stamp, content: bytes) -> int:
        """Append a file to the shard; returns where its content begins."""
        info = tarfile.TarInfo(path)
        info.mtime, info.mode = stamp.modified // 10**9, 0o644
        if path.endswith("/"):
            info.type, info.mode = tarfile.DIRTYPE, 0o755
        info.size = len(content)
        self._tar.addfile(info, io.BytesIO(content))
        blocks = -(-len(content) // tarfile.BLOCKSIZE)
        return self._file.tell() - blocks * tarfile.BLOCKSIZE

    def _begin(self) -> None:
        self._number = max(self.index.shards(), default=-1) + 1
        self._path = shard_file(self.root, self._number)
        self._stack = ExitStack()
        temporary = self._stack.enter_context(replacing(self._path))
        self._file: IO[bytes] = self._stack.enter_context(temporary.open("wb"))
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def _finish(self) -> None:
        """Close the shard, give it its name, then commit its items."""
        if self._stack is None:
            return
        stack, self._stack = self._stack, None
        with stack:
            self._tar.close()
        self.index.commit(self._number, self._path.stat().st_size, self._pending)
        self._pending = []
