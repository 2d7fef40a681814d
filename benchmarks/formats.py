"""Formats that a packed store could have: what a sample of training costs from each.

A sample is 2,048 query points with their bits and 300 surface points, float32, drawn of the arrays
of one item; all formats hold the same synthetic items uncompressed and give the same sample, which
is compared. Formats whose library is not installed are left out. "rows" tells whether a format
gives some rows without reading the others, "files" whether it holds any file and not arrays alone.
"cold" is after the system was told to drop the files; "cpu ms" is the processor's time of a warm
sample, less disturbed by other programs. "unpacked MiB" is the size of the libraries installed.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import io
import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._loading_store import (
    arrays_of_item,
    files_below,
    name_of,
    write_packed,
    write_store,
)
from benchmarks.loading import drop, forget_packs
from onet.data.store import Store, read_array
from onet.data.store_folder import POINTCLOUD, POINTS
from onet.report.tables import print_table

Arrays = tuple[Any, Any, Any]  # query points, bits, surface points
Reader = Callable[[int], Arrays]
QUERIES, COUNT = 2048, 300


def _items(items: int, points: int) -> Any:
    for number in range(items):
        found = arrays_of_item(number, points)
        yield (
            number,
            {
                "points": found[POINTS]["points"],
                "occupancies": found[POINTS]["occupancies"],
                "surface": found[POINTCLOUD]["points"],
            },
        )


KEYS = ("points", "occupancies", "surface")


def npz(root: Path) -> Reader:
    items = Store(root).items("train")
    return lambda number: (
        read_array(items[number].path / POINTS, "points"),
        read_array(items[number].path / POINTS, "occupancies"),
        read_array(items[number].path / POINTCLOUD, "points"),
    )


def packed(root: Path) -> Reader:
    items = Store(root).listed("train")

    def read(number: int) -> Arrays:
        item = items[number]
        return (item.array(POINTS, "points"), item.array(POINTS, "occupancies"),
                item.array(POINTCLOUD, "points"))  # fmt: skip

    return read


def write_npy(root: Path, items: int, points: int) -> None:
    root.mkdir()
    files: dict[str, Any] = {}
    for number, arrays in _items(items, points):
        for key, array in arrays.items():
            if not number:
                files[key] = np.lib.format.open_memmap(
                    root / f"{key}.npy", "w+", array.dtype, (items, *array.shape)
                )
            files[key][number] = array


def npy(root: Path) -> Reader:
    files = [np.load(root / f"{key}.npy", mmap_mode="r") for key in KEYS]
    return lambda number: tuple(file[number] for file in files)


def write_safetensors(root: Path, items: int, points: int) -> None:
    from safetensors.numpy import save_file

    root.mkdir()
    save_file(
        {f"{number}.{key}": np.ascontiguousarray(array)
         for number, arrays in _items(items, points) for key, array in arrays.items()},
        root / "0.safetensors",
    )  # fmt: skip


def safetensors(root: Path) -> Reader:
    from safetensors import safe_open

    file = safe_open(root / "0.safetensors", framework="np")
    return lambda number: tuple(file.get_tensor(f"{number}.{key}") for key in KEYS)


def write_zarr(root: Path, items: int, points: int) -> None:
    import zarr

    group = zarr.open_group(str(root), mode="w")
    for number, arrays in _items(items, points):
        for key, array in arrays.items():
            if not number:
                group.create_array(
                    key, shape=(items, *array.shape), chunks=(1, *array.shape),
                    shards=(min(items, 100), *array.shape), dtype=array.dtype, compressors=None,
                )  # fmt: skip
        if number % 100 == 0:
            block: dict[str, list[Any]] = {key: [] for key in KEYS}
        for key in KEYS:
            block[key].append(arrays[key])
        if number % 100 == 99 or number == items - 1:
            for key in KEYS:
                group[key][number // 100 * 100 : number + 1] = np.stack(block[key])


def zarr(root: Path) -> Reader:
    import zarr

    group = zarr.open_group(str(root), mode="r")
    arrays = [group[key] for key in KEYS]
    return lambda number: tuple(array[number] for array in arrays)


def tensorstore(root: Path) -> Reader:
    import tensorstore

    arrays = [
        tensorstore.open({"driver": "zarr3", "kvstore": f"file://{root / key}"}).result()
        for key in KEYS
    ]

    def read(number: int) -> Arrays:
        a, b, c = [array[number].read() for array in arrays]
        return a.result(), b.result(), c.result()

    return read


def write_arrow(root: Path, items: int, points: int) -> None:
    import pyarrow

    root.mkdir()
    schema = pyarrow.schema([(key, pyarrow.large_binary()) for key in KEYS])
    with (
        pyarrow.OSFile(str(root / "0.arrow"), "wb") as file,
        pyarrow.ipc.new_file(file, schema) as writer,
    ):
        for _, arrays in _items(items, points):
            row = [pyarrow.array([arrays[k].tobytes()], pyarrow.large_binary()) for k in KEYS]
            writer.write_batch(pyarrow.record_batch(row, schema=schema))


def _of_buffers(points: Any, bits: Any, surface: Any) -> Arrays:
    shape = (-1, 3)
    return (np.frombuffer(points, np.float16).reshape(shape), np.frombuffer(bits, np.uint8),
            np.frombuffer(surface, np.float16).reshape(shape))  # fmt: skip


def arrow(root: Path) -> Reader:
    import pyarrow

    reader = pyarrow.ipc.open_file(pyarrow.memory_map(str(root / "0.arrow")))

    def read(number: int) -> Arrays:
        row = reader.get_batch(number)
        return _of_buffers(*(row.column(k)[0].as_buffer() for k in range(3)))

    return read


def write_lance(root: Path, items: int, points: int) -> None:
    import lance
    import pyarrow

    schema = pyarrow.schema([(key, pyarrow.large_binary()) for key in KEYS])
    rows = (
        pyarrow.record_batch(
            [pyarrow.array([arrays[k].tobytes()], pyarrow.large_binary()) for k in KEYS],
            schema=schema,
        )
        for _, arrays in _items(items, points)
    )
    lance.write_dataset(rows, str(root), schema=schema)


def lance(root: Path) -> Reader:
    import lance

    dataset = lance.dataset(str(root))

    def read(number: int) -> Arrays:
        row = dataset.take([number], columns=[*KEYS])
        return _of_buffers(*(row.column(k)[0].as_buffer() for k in KEYS))

    return read


def write_lmdb(root: Path, items: int, points: int) -> None:
    import lmdb

    with lmdb.open(str(root), map_size=1 << 40) as environment:
        for number, arrays in _items(items, points):
            with environment.begin(write=True) as transaction:
                for key, array in arrays.items():
                    transaction.put(f"{number}.{key}".encode(), array.tobytes())


def lmdb(root: Path) -> Reader:
    import lmdb

    environment = lmdb.open(str(root), readonly=True, lock=False, readahead=False)
    transaction = environment.begin(buffers=True)
    return lambda number: _of_buffers(
        *(transaction.get(f"{number}.{key}".encode()) for key in KEYS)
    )


def write_webdataset(root: Path, items: int, points: int) -> None:
    root.mkdir()
    with tarfile.open(root / "0.tar", "w") as archive:
        for number, arrays in _items(items, points):
            for key, array in arrays.items():
                stream = io.BytesIO()
                np.save(stream, array)
                info = tarfile.TarInfo(f"{name_of(number)}.{key}.npy")
                info.size = stream.tell()
                stream.seek(0)
                archive.addfile(info, stream)


def webdataset(root: Path) -> Reader:
    """In the order of the archive, whatever number is asked for."""
    import webdataset

    def stream() -> Any:
        while True:
            yield from webdataset.WebDataset(str(root / "0.tar"), shardshuffle=False).decode()

    found = stream()

    def read(number: int) -> Arrays:
        row = next(found)
        a, b, c = (row[f"{key}.npy"] for key in KEYS)
        return a, b, c

    return read


# format: how it is written and read, libraries, licence, rows, files
FORMATS: dict[str, tuple[Any, Callable[[Path], Reader], tuple[str, ...], str, bool, bool]] = {
    "npz files": (write_store, npz, (), "", False, True),
    "tar, mapped": (write_packed, packed, (), "", True, True),
    "npy, mapped": (write_npy, npy, (), "", True, False),
    "safetensors": (write_safetensors, safetensors, (), "Apache-2.0", False, False),
    "zarr 3, sharded": (write_zarr, zarr, ("zarr", "numcodecs"), "MIT", False, False),
    "tensorstore": (write_zarr, tensorstore, ("tensorstore", "zarr"), "Apache-2.0", False, False),
    "Arrow IPC, mapped": (write_arrow, arrow, ("pyarrow",), "Apache-2.0", True, True),
    "Lance": (write_lance, lance, ("lance", "pyarrow"), "Apache-2.0", False, True),
    "LMDB": (write_lmdb, lmdb, ("lmdb",), "OLDAP-2.8", True, True),
    "WebDataset": (write_webdataset, webdataset, ("webdataset",), "BSD-3", False, True),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--points", type=int, default=100_000, help="stored points of each kind")
    parser.add_argument("--only", nargs="+", choices=[*FORMATS], default=[*FORMATS])
    parser.add_argument("--repeat", type=int, default=3, help="warm passes; the best counts")


def run(arguments: argparse.Namespace) -> None:
    rows = []
    for name in arguments.only:
        try:
            row = _measure(name, arguments)
        except ImportError as error:
            print(f"{name}: left out ({error})")
            continue
        rows.append(row)
        print(row, flush=True)
    print_table(rows, "formats")


def _measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    write, opened, libraries, licence, some, files = FORMATS[name]
    size = sum(
        path.stat().st_size
        for library in libraries
        for path in Path(importlib.import_module(library).__path__[0]).rglob("*")
        if path.is_file()
    )
    root = arguments.out / "format"
    shutil.rmtree(root, ignore_errors=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    start = time.process_time()
    write(root, arguments.items, arguments.points)
    written = time.process_time() - start
    order = np.random.default_rng(0).permutation(arguments.items)
    gc.collect()
    forget_packs()
    drop(root)
    read = opened(root)
    cold, _ = _pass(read, order, name, arguments.points)
    passes = [_pass(read, order, name, arguments.points) for _ in range(arguments.repeat)]
    there = sum(path.stat().st_blocks * 512 for path in files_below(root))
    del read
    gc.collect()
    forget_packs()
    shutil.rmtree(root)
    return {
        "format": name,
        "cold /s": round(len(order) / cold),
        "warm /s": round(len(order) / min(wall for wall, _ in passes)),
        "cpu ms": round(1e3 * min(cpu for _, cpu in passes) / len(order), 3),
        "written cpu ms": round(1e3 * written / len(order), 1),
        "bytes an item": there // arguments.items,
        "rows": "yes" if some else "no",
        "files": "yes" if files else "no",
        "unpacked MiB": round(size / 2**20),
        "licence": licence,
    }


def _pass(read: Reader, order: Any, name: str, stored: int) -> tuple[float, float]:
    """Seconds of wall clock and processor; the first samples are compared with what was written."""
    wall, cpu = time.perf_counter(), time.process_time()
    for place, number in enumerate(order):
        points, bits, surface = read(int(number))
        rng = np.random.default_rng([0, int(number)])
        chosen = rng.integers(len(points), size=QUERIES)
        queries = points.take(chosen, axis=0).astype(np.float32)
        inside = (bits.take(chosen >> 3) >> (7 - (chosen & 7)).astype(np.uint8)) & 1
        observed = surface.take(rng.integers(len(surface), size=COUNT), axis=0).astype(np.float32)
        if place < 3 and name != "WebDataset":
            began = time.perf_counter(), time.process_time()
            true = arrays_of_item(int(number), stored)
            assert np.array_equal(queries, true[POINTS]["points"][chosen].astype(np.float32))
            assert np.array_equal(inside, np.unpackbits(true[POINTS]["occupancies"])[chosen])
            assert np.isin(observed, true[POINTCLOUD]["points"]).all()
            wall += time.perf_counter() - began[0]
            cpu += time.process_time() - began[1]
    return time.perf_counter() - wall, time.process_time() - cpu
