"""The JSON and the buffers of a glTF file, and numbers out of them, all checked."""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
from numpy.typing import NDArray

from onet.geometry.mesh_reading.files import MeshFiles, plain_text
from onet.mistaken import mistaken_content

_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_CUT = "the file is cut or damaged, copy or export it again"
_SIZES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_HARMLESS = re.compile(
    r"KHR_(mesh_quantization|node_visibility|techniques?_webgl|interactivity|xmp(_json_ld)?)$|"
    r"(KHR|EXT|MSFT|ADOBE|AGI|FB|GRIFFEL|NV|WEB3D)_(materials|textures?|lights|animation|audio|"
    r"physics|node_hoverability|node_selectability|packing|articulations|stk_metadata|"
    r"geometry_metadata|env)(_|$)|"
    r"EXT_(mesh_gpu_instancing|structural_metadata|mesh_features|instance_features|"
    r"feature_metadata|mesh_manifold)$|MSFT_lod$|CESIUM_primitive_outline$|(VRMC?|OMI|MX|MOZ)(_|$)"
)
"""Extensions that a file may require: read here, or without influence on the geometry."""


class Asset:
    """A glTF file.

    Attributes:
        files: the file and those beside it.
        json: its top level.
        size: bytes of the JSON and of the buffers read so far.
    """

    remedy = "convert it without that extension (gltf-transform, or Blender), or to .ply"

    def __init__(self, files: MeshFiles) -> None:
        self.files = files
        self.size = len(files.data)
        text, self._binary = _chunks(files)
        try:
            self.json = json.loads(plain_text(text).rstrip(b"\0"), parse_float=_number)
        except ValueError as error:
            raise files.error(f"cannot be read as glTF: its JSON is damaged ({error})") from error
        self._buffers: dict[int, bytes] = {}
        head = self.mapping(self.mapping(self.json).get("asset", {}))
        version = str(head.get("version", ""))
        least = str(head.get("minVersion", "2.0"))
        if version.partition(".")[0] != "2" or least not in ("2", "2.0"):
            said = version if least in ("2", "2.0") else f"{least} or later"
            raise files.error(f"is of glTF version {said or 'none'}; convert it to version 2.0")
        for name in self.list_of(self.json, "extensionsRequired"):
            if not _HARMLESS.match(str(name)):
                raise files.error(f"requires {name}, which is not read; {self.remedy}")

    def mapping(self, value: object) -> dict[str, Any]:
        """Return a JSON object, or raise a DataError."""
        if not isinstance(value, dict):
            raise self.files.error(f"cannot be read as glTF: {str(value)[:40]!r} is no object")
        return value

    def items(self, value: object) -> list[Any]:
        """Return a JSON array, or raise a DataError."""
        if not isinstance(value, list):
            raise self.files.error(f"cannot be read as glTF: {str(value)[:40]!r} is no list")
        return value

    def list_of(self, parent: dict[str, Any], name: str) -> list[Any]:
        """Return an array that may be missing."""
        return self.items(parent.get(name, []))

    def entry(self, name: str, index: object) -> dict[str, Any]:
        """Return an entry of one of the top-level arrays."""
        entries = self.list_of(self.json, name)
        if not isinstance(index, int) or not 0 <= index < len(entries):
            raise self.files.error(
                f"names number {str(index)[:20]} of {len(entries)} {name}; export it again"
            )
        return self.mapping(entries[index])

    def whole(self, parent: dict[str, Any], name: str, default: int | None = None) -> int:
        """Return a number of bytes or elements."""
        value = parent.get(name, default)
        if not isinstance(value, int) or value < 0:
            raise self.files.error(f"has {name} = {str(value)[:20]}; export it again")
        return value

    def floats(self, value: object, count: int) -> NDArray[np.float64]:
        """Return a JSON array of `count` numbers."""
        items = self.items(value)
        if len(items) != count or not all(isinstance(item, int | float) for item in items):
            raise self.files.error(f"has {str(value)[:40]!r} in place of {count} numbers")
        return np.array(items, dtype=np.float64)

    def vectors(self, index: object, size: int, zeros: bool = False) -> NDArray[np.float64]:
        """Return an accessor of vectors, (N, size); normalised integers become fractions."""
        values = self.accessor(index, zeros)
        if values.shape[1] != size:
            raise self.files.error(f"accessor {index} has {values.shape[1]} components, not {size}")
        return values

    def scalars(self, index: object) -> NDArray[np.int64]:
        """Return an accessor of indices, (N,)."""
        kind = self.entry("accessors", index).get("componentType")
        if kind == 5126:
            raise self.files.error(f"accessor {index} has fractions in place of indices")
        return self.vectors(index, 1).astype(np.int64).reshape(-1)

    def accessor(self, index: object, zeros: bool = False) -> NDArray[np.float64]:
        """Return an accessor as (N, components), sparse parts put in.

        Args:
            index: its number.
            zeros: whether one without data may stand for zeros, as the format says; positions and
                indices without any are those of an extension that is not read.
        """
        entry = self.entry("accessors", index)
        count = self.whole(entry, "count")
        kind, size = entry.get("componentType"), _SIZES.get(str(entry.get("type")))
        if kind not in _TYPES or size is None:
            raise self.files.error(
                f"accessor {index} is of type {entry.get('type')!r} {str(kind)[:20]}; "
                "export it again"
            )
        code = np.dtype(_TYPES[kind])
        sparse = entry.get("sparse")
        if "bufferView" in entry:
            values = self._view(entry, entry["bufferView"], count, size, code).copy()
        elif (sparse is None and not zeros) or count * size > self.size + self._declared():
            raise self.files.error(
                f"accessor {index} declares {count} elements without data; export it again"
            )
        else:
            values = np.zeros((count, size), dtype=code)
        if sparse is not None:
            self._put_sparse(values, self.mapping(sparse), code)
        return _numbers(values, bool(entry.get("normalized")))

    def _declared(self) -> int:
        return sum(len(self._buffer(k)) for k in range(len(self.list_of(self.json, "buffers"))))

    def _put_sparse(
        self, values: NDArray[Any], sparse: dict[str, Any], code: np.dtype[Any]
    ) -> None:
        count = self.whole(sparse, "count")
        places, new = (self.mapping(sparse.get(name)) for name in ("indices", "values"))
        if places.get("componentType") not in (5121, 5123, 5125):
            raise self.files.error("has sparse indices that are no whole numbers; export it again")
        kind = np.dtype(_TYPES[places["componentType"]])
        rows = self._view(places, places.get("bufferView"), count, 1, kind).reshape(-1)
        if count and rows.max() >= len(values):
            raise self.files.error(
                f"has a sparse entry {rows.max()} of {len(values)}; export it again"
            )
        values[rows] = self._view(new, new.get("bufferView"), count, values.shape[1], code)

    def _view(
        self, entry: dict[str, Any], index: object, count: int, size: int, code: np.dtype[Any]
    ) -> NDArray[Any]:
        """Return (count, size) numbers of a part of a buffer, which may be interleaved."""
        view = self.entry("bufferViews", index)
        self._check_uncompressed(view)
        data = self.buffer_view(index)
        offset = self.whole(entry, "byteOffset", 0)
        width = size * code.itemsize
        step = self.whole(view, "byteStride", 0) or width
        if step < width:
            raise self.files.error(f"has a byteStride of {step} for {width} bytes; export it again")
        needed = offset + (count - 1) * step + width if count else 0
        if needed > len(data):
            raise self.files.error(
                f"declares {count} elements, which take {needed} bytes, where a buffer view has "
                f"{len(data)}; the file is damaged, export it again"
            )
        if not count:
            return np.zeros((0, size), dtype=code)
        raw = np.frombuffer(data, dtype=np.uint8, offset=offset)
        rows = np.lib.stride_tricks.as_strided(raw, (count, width), (step, 1), writeable=False)
        return np.ascontiguousarray(rows).view(code).reshape(count, size)

    def _check_uncompressed(self, view: dict[str, Any]) -> None:
        """Raise a DataError if a buffer view has only compressed data, no plain ones beside."""
        for name in self.mapping(view.get("extensions", {})):
            if not name.endswith("meshopt_compression"):
                continue
            buffer = self.entry("buffers", view.get("buffer"))
            if "uri" not in buffer and (view.get("buffer") != 0 or self._binary is None):
                raise self.files.error(f"uses {name}; {self.remedy}")

    def buffer_view(self, index: object) -> memoryview:
        """Return the bytes of a buffer view."""
        view = self.entry("bufferViews", index)
        buffer = self._buffer(view.get("buffer"))
        start, length = self.whole(view, "byteOffset", 0), self.whole(view, "byteLength")
        if start + length > len(buffer):
            raise self.files.error(
                f"buffer view {index} ends at byte {start + length} of {len(buffer)}; "
                "the file is cut or damaged, export it again"
            )
        return memoryview(buffer)[start : start + length]

    def _buffer(self, index: object) -> bytes:
        entry = self.entry("buffers", index)
        if not isinstance(index, int) or index not in self._buffers:
            assert isinstance(index, int)
            uri = entry.get("uri")
            data = self._binary if uri is None and index == 0 else None
            if uri is not None:
                data = self.resource(uri)
            if data is None:
                raise self.files.error(f"buffer {index} has no data here; export it again")
            length = self.whole(entry, "byteLength")
            if length > len(data):
                what = mistaken_content(data) if uri is not None else None
                raise self.files.error(
                    f"buffer {index} declares {length} bytes, but has {len(data)}; "
                    + (f"what it names {what}" if what else _CUT)
                )
            self._buffers[index] = data[:length]
            self.size += 0 if data is self._binary else length
        return self._buffers[index]

    def resource(self, uri: object) -> bytes:
        """Return what a URI holds (`data:`) or names, inside the folder of the file."""
        if not isinstance(uri, str):
            raise self.files.error(f"has a URI {str(uri)[:40]!r}; export it again")
        if not uri.lower().startswith("data:"):
            return self.files.side_file(uri)
        head, comma, body = uri.partition(",")
        try:
            raw = unquote_to_bytes(body)
            data = base64.b64decode(raw) if head.lower().endswith(";base64") else raw
        except (binascii.Error, ValueError) as error:
            raise self.files.error(f"has damaged data in a URI ({error})") from error
        if not comma:
            raise self.files.error("has a data URI without data; export it again")
        return data


def _number(text: str) -> float | int:
    """Return a number of JSON, whole where it is so: the format allows 8.0 and 8e0 for 8."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _numbers(values: NDArray[Any], normalized: bool) -> NDArray[np.float64]:
    """Return numbers in double precision; normalised integers as -1..1 or 0..1."""
    result = values.astype(np.float64)
    if normalized and values.dtype.kind in "iu":
        result /= np.iinfo(values.dtype).max
        np.maximum(result, -1, out=result)
    return result


def _chunks(files: MeshFiles) -> tuple[bytes, bytes | None]:
    """Return the JSON and the binary chunk of a file in either form, whatever its suffix."""
    data = files.data
    if not data.startswith(b"glTF"):
        if not data.strip():
            raise files.error("cannot be read as a mesh: is empty; export it again")
        return data, None
    if len(data) < 20:
        raise files.error("is cut within its header; copy or export it again")
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise files.error(f"is binary glTF of version {version}; convert it to version 2")
    if length > len(data):
        raise files.error(
            f"declares {length} bytes, but has {len(data)}; it is cut, copy or export it again"
        )
    found: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= length:
        size, kind = struct.unpack_from("<I4s", data, at)
        if at + 8 + size > length:
            raise files.error(f"has a chunk of {size} bytes, more than follow; export it again")
        found.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size
    if b"JSON" not in found:
        raise files.error("has no JSON chunk; export it again")
    return found[b"JSON"], found.get(b"BIN\0")
