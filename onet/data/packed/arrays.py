"""Where the arrays of an npz file lie in it."""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from onet.archives import COMPRESSED_LIMIT, COMPRESSED_RATIO
from onet.data.packed.index import ArrayPlace

_LOCAL = struct.Struct("<4s22xHH")  # of a zip: signature, lengths of name and extra field
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, ValueError, OSError, EOFError,
           NotImplementedError, RuntimeError, LookupError, SyntaxError, TypeError)  # fmt: skip


def arrays_of(content: bytes) -> Iterator[tuple[str, ArrayPlace, bytes | None]]:
    """Yield the arrays of an npz file that can be mapped.

    Left out are objects, and arrays that are damaged: whoever wants those reads the file, and is
    told what is wrong with it.

    Yields:
        Key; place, whose offset is that in `content`; None. Of a compressed array its numbers
        instead of None, and the place has the offset that it has in them.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except _DAMAGE:
        return
    with archive:
        for info in archive.infolist():
            if not info.filename.endswith(".npy") or archive.getinfo(info.filename) is not info:
                continue
            try:
                found = _array(archive, info, content)
            except _DAMAGE:
                continue
            if found is not None:
                yield info.filename.removesuffix(".npy"), *found


def _array(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes
) -> tuple[ArrayPlace, bytes | None] | None:
    limit = max(COMPRESSED_LIMIT, COMPRESSED_RATIO * info.compress_size)
    if info.compress_type != zipfile.ZIP_STORED and info.file_size > limit:
        return None
    member = archive.read(info)  # compares the checksum
    place = _place(member)
    if place is None or info.compress_type != zipfile.ZIP_STORED:
        return None if place is None else (place, member)
    signature, name, extra = _LOCAL.unpack_from(content, info.header_offset)
    start = info.header_offset + _LOCAL.size + name + extra
    if signature != b"PK\3\4" or content[start : start + len(member)] != member:
        return None
    return ArrayPlace(start + place.offset, place.dtype, place.shape, place.fortran), None


def _place(member: bytes) -> ArrayPlace | None:
    """Return where the numbers of a .npy file lie in it; None if it holds none."""
    stream = io.BytesIO(member)
    version = np.lib.format.read_magic(stream)
    read: Any = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read(stream)
    there = len(member) - stream.tell()
    simple = np.dtype(dtype.str) == dtype and not dtype.hasobject  # no fields, no metadata
    if not simple or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > there:
        return None
    return ArrayPlace(stream.tell(), dtype, tuple(shape), bool(fortran))
