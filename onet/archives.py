"""Arrays from .npy and .npz files of others, refused by their declared size before it is taken.

A few bytes can declare, or unpack to, more than any memory holds. Here an array is read only if as
many bytes are there as its header declares, and a compressed one of more than `COMPRESSED_LIMIT`
bytes only if it is packed no tighter than `COMPRESSED_RATIO` to one.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from onet.errors import DataError
from onet.mistaken import mistaken_for

COMPRESSED_LIMIT = 256 << 20
"""Bytes up to which a compressed array may be packed as tightly as it likes."""
COMPRESSED_RATIO = 16
"""How many times larger than its file an array beyond that may be."""

_PREFIX = len(np.lib.format.MAGIC_PREFIX) + 2


def as_path(path: str | os.PathLike[str]) -> Path:
    """Return a path, as it is if it is one: some kinds of path read in their own way."""
    return path if isinstance(path, Path) else Path(path)


def read_npy(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Return the array of a .npy file.

    Raises:
        DataError: missing, damaged or cut short, or objects instead of numbers.
    """
    path = as_path(path)
    _refuse_mistaken(path)
    try:
        with path.open("rb") as stream:
            _check_header(stream, path.stat().st_size, str(path))
            stream.seek(0)
            return np.asarray(np.load(stream, allow_pickle=False))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path") from None
    except DataError:
        raise
    except Exception as error:  # headers are Python literals, and raise what those raise
        raise DataError(
            f"{path}: cannot be read ({_said(error)}); write it again with numpy.save"
        ) from error


def read_npz(path: str | os.PathLike[str], *keys: str) -> dict[str, NDArray[Any]]:
    """Those arrays of a .npz file that are called `keys`, or all if none is named.

    Raises:
        DataError: missing or damaged, or an array that `read_member` refuses.
    """
    path = as_path(path)
    _refuse_mistaken(path)
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise _unreadable(path, error) from error
    with stream:
        try:
            opened = np.load(stream, allow_pickle=False)
        except Exception as error:  # of zip, and of what else numpy takes it for
            raise _unreadable(path, error) from error
        if not isinstance(opened, NpzFile):
            raise DataError(f"{path}: is a single array; rename it to .npy, or use numpy.savez")
        with opened as archive:
            wanted = [key for key in keys if key in archive.files] if keys else archive.files
            return {key: read_member(archive, key, path) for key in wanted}


def members(path: str | os.PathLike[str]) -> list[str]:
    """Return the names of the arrays of a .npz file, none of which is read.

    Raises:
        DataError: see `read_npz`.
    """
    path = as_path(path)
    _refuse_mistaken(path)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return [str(name) for name in archive.files]
    except DataError:
        raise
    except Exception as error:  # of zip, and of what else numpy takes it for
        raise _unreadable(path, error) from error


def read_member(
    archive: NpzFile,
    key: str,
    path: str | os.PathLike[str],
    remedy: str = "write the file again with numpy.savez",
) -> NDArray[Any]:
    """Return the array `key` of an open .npz file; messages call it `path` and tell the remedy.

    Raises:
        DataError: it is damaged, declares another size than is there, or is packed too tightly.
    """
    name = f"{Path(path)}: array {key!r}"
    try:
        packed: Any = archive.zip
        stored = {*packed.namelist()}
        entry = packed.getinfo(key if key in stored else f"{key}.npy")
        limit = max(COMPRESSED_LIMIT, COMPRESSED_RATIO * entry.compress_size)
        if entry.file_size > limit:
            raise DataError(
                f"{name} takes {entry.file_size} bytes unpacked, {limit} are the limit for a "
                f"compressed array of {entry.compress_size} bytes; if it is meant to be so large, "
                "write the file with numpy.savez, which does not compress"
            )
        with packed.open(entry) as stream:
            _check_header(stream, entry.file_size, name)
        return np.asarray(archive[key])
    except DataError:
        raise
    except Exception as error:  # of zip, zlib and of the literals in headers
        raise DataError(
            f"{name} cannot be read ({_said(error)}); the file is damaged, {remedy}"
        ) from error


def _refuse_mistaken(path: Path) -> None:
    if path.exists() and (what := mistaken_for(path)):
        raise DataError(f"{path}: {what}")


def _check_header(stream: IO[bytes], size: int, name: str) -> None:
    """Refuse a .npy stream of `size` bytes that declares another number of them."""
    if stream.read(_PREFIX)[:-2] != np.lib.format.MAGIC_PREFIX:
        raise DataError(f"{name} is not an array of NumPy; write it again with numpy.save")
    stream.seek(0)
    version = np.lib.format.read_magic(stream)
    read_header: Any = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        raise DataError(f"{name} holds Python objects, not numbers; save numbers")
    if any(length < 0 for length in shape):
        raise DataError(f"{name} declares the shape {shape}; the file is damaged")
    declared, there = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if declared > there:
        raise DataError(
            f"{name} declares {dtype} {shape}, {declared} bytes, and holds {there}; the file is "
            "cut short or damaged, write it again"
        )


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: cannot be read ({_said(error)}); write it again with numpy.savez")


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
