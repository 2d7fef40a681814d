"""Where the arrays of an npz file lie in it."""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from onet.archives import COMPRESSED_LIMIT, COMPRESSED_RATIO
from onet.data.packed.index import ArrayPlace

_LOCAL = struct.Struct("<4s22xHH")  # of a zip: signature, lengths of name and extra field
_ENCRYPTED = 1
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
    if info.compress_type == zipfile.ZIP_STORED:
        start, member = _stored(info, content)
        place = _place(member)
        return None if place is None else (place._replace(offset=start + place.offset), None)
    if info.file_size > max(COMPRESSED_LIMIT, COMPRESSED_RATIO * info.compress_size):
        return None
    member = archive.read(info)  # compares the checksum
    place = _place(member)
    return None if place is None else (place, member)


def _stored(info: zipfile.ZipInfo, content: bytes) -> tuple[int, bytes]:
    """Return a member that is not compressed, and where it begins.

    Raises:
        BadZipFile: it is damaged, or encrypted.
    """
    signature, name, extra = _LOCAL.unpack_from(content, info.header_offset)
    start = info.header_offset + _LOCAL.size + name + extra
    member = content[start : start + info.file_size]
    whole = len(member) == info.file_size == info.compress_size
    if signature != b"PK\3\4" or info.flag_bits & _ENCRYPTED or not whole:
        raise zipfile.BadZipFile(info.filename)
    if zlib.crc32(member) != info.CRC:
        raise zipfile.BadZipFile(info.filename)
    return start, member


def _place(member: bytes) -> ArrayPlace | None:
    """Return where the numbers of a .npy file lie in it; None if it holds none."""
    magic = np.lib.format.MAGIC_LEN
    length = (2, "<H") if np.lib.format.read_magic(io.BytesIO(member)) == (1, 0) else (4, "<I")
    (size,) = struct.unpack(length[1], member[magic : magic + length[0]])
    place = _header(member[: magic + length[0] + size])
    there = len(member) - place.offset
    simple = np.dtype(place.dtype.str) == place.dtype and not place.dtype.hasobject
    needed = math.prod(place.shape) * place.dtype.itemsize
    if not simple or min(place.shape, default=0) < 0 or needed > there:  # simple: no fields
        return None
    return place


@lru_cache(256)
def _header(header: bytes) -> ArrayPlace:
    """Return what the beginning of a .npy file says; items of a store have few different ones."""
    stream = io.BytesIO(header)
    version = np.lib.format.read_magic(stream)
    read: Any = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read(stream)
    return ArrayPlace(stream.tell(), dtype, tuple(shape), bool(fortran))
