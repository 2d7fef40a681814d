"""Synthetic stores of any size for `benchmarks loading` and `benchmarks formats`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.data.packed.copying import pack
from onet.data.packed.index import Index
from onet.data.splits import write_splits
from onet.data.store_folder import POINTCLOUD, POINTS

CATEGORY = "shapes"
_CHUNK = 500  # items that lie on the disk twice while a packed store is made


def arrays_of_item(number: int, points: int) -> dict[str, dict[str, Any]]:
    """Return the files of an item as arrays: random ones, other ones for each item."""
    base = _base(points)
    shift = 1 + number % (points - 1)
    placed = np.roll(base, shift, axis=0)
    frame: dict[str, Any] = {"loc": np.zeros(3), "scale": np.float64(1)}
    bits = np.packbits(placed[:, 0] > 0)
    return {
        POINTS: {"points": placed, "occupancies": bits, **frame},
        POINTCLOUD: {"points": np.roll(placed, 1, axis=1), **frame},
    }


_bases: dict[int, NDArray[np.float16]] = {}


def _base(points: int) -> NDArray[np.float16]:
    if points not in _bases:
        rng = np.random.default_rng(0)
        _bases[points] = (rng.random((points, 3), dtype=np.float32) - 0.5).astype(np.float16)
    return _bases[points]


def name_of(number: int) -> str:
    """Return the name of an item."""
    return f"{number:07d}"


def write_store(root: Path, items: int, points: int, first: int = 0) -> None:
    """Write items `first` to `items` in the published layout."""
    for number in range(first, items):
        folder = root / CATEGORY / name_of(number)
        folder.mkdir(parents=True, exist_ok=True)
        for file, arrays in arrays_of_item(number, points).items():
            np.savez(folder / file, **arrays)  # type: ignore[arg-type]
    _write_lists(root, range(first, items))


def write_packed(root: Path, items: int, points: int) -> None:
    """Write the same as a packed store; no more than a part lies on the disk twice."""
    for first in range(0, items, _CHUNK):
        part = root.with_name(f"{root.name}.part")
        write_store(part, min(items, first + _CHUNK), points, first)
        pack(part, root)
        shutil.rmtree(part)


def write_many(root: Path, items: int, points: int, real: int = 100) -> None:
    """Write an index and a list of many items, which share the shards of the first ones."""
    write_packed(root, real, points)
    write_names(root, items)


def write_names(root: Path, items: int) -> None:
    """Give a packed store an index and a list of many names for the items that it has."""
    index = Index(root, write=True)
    first = [entry for _, _, entry in index.entries()]
    real, number, size = len(first), 0, index.shards()[0]
    for start in range(0, items, 100_000):
        names = range(start, min(items, start + 100_000))
        index.commit(number, size, ((CATEGORY, name_of(k), first[k % real]) for k in names))
    index.close()
    _write_lists(root, range(items))


def _write_lists(root: Path, numbers: range) -> None:
    write_splits(root / CATEGORY, {name_of(number): "train" for number in numbers})


def files_below(root: Path) -> Iterator[Path]:
    """Yield all files of a store."""
    yield from (path for path in root.rglob("*") if path.is_file())
