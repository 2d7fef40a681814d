"""Colours of vertices in GLB files: amounts of light there, as the format says, not sRGB."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.geometry.color.srgb import LINEAR_OF_BYTE, to_srgb

_BYTE, _FLOAT = 5121, 5126
_JSON, _BINARY = 0x4E4F534A, 0x004E4942


def with_linear_colors(data: bytes) -> bytes:
    """Return a GLB file of trimesh with its colours of vertices as the format says.

    trimesh writes sRGB in eight bits, which viewers show too bright. Amounts of light would need
    twelve bits; they are float32, since readers that take eight bits for granted are many.
    """
    size, _ = struct.unpack_from("<II", data, 12)
    tree = json.loads(data[20 : 20 + size])
    painted = {
        primitive["attributes"]["COLOR_0"]
        for mesh in tree.get("meshes", [])
        for primitive in mesh["primitives"]
        if "COLOR_0" in primitive["attributes"]
    }
    painted = {a for a in painted if tree["accessors"][a]["componentType"] == _BYTE}
    if not painted:
        return data
    views = {tree["accessors"][accessor]["bufferView"]: accessor for accessor in painted}
    body = data[20 + size + 8 :]
    parts, place = [], 0
    for number, view in enumerate(tree["bufferViews"]):
        start = view.get("byteOffset", 0)
        content = body[start : start + view["byteLength"]]
        if number in views:
            content = _linear(content)
            _describe(tree["accessors"][views[number]])
        view["byteOffset"], view["byteLength"] = place, len(content)
        content += bytes(-len(content) % 4)
        parts.append(content)
        place += len(content)
    tree["buffers"] = [{"byteLength": place}]
    return _joined(tree, b"".join(parts))


def srgb_of_vertices(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N, 3) or (N, 4) colours of vertices of a GLB as sRGB in [0, 1]; alpha as it is."""
    result = np.clip(linear, 0, 1)
    result[:, :3] = to_srgb(result[:, :3])
    return result


def _linear(content: bytes) -> bytes:
    rgba = np.frombuffer(content, dtype=np.uint8).reshape(-1, 4)
    result = np.empty(rgba.shape, dtype="<f4")
    result[:, :3] = LINEAR_OF_BYTE[rgba[:, :3]]
    result[:, 3] = rgba[:, 3] / 255
    return result.tobytes()


def _describe(accessor: dict[str, Any]) -> None:
    accessor["componentType"] = _FLOAT
    for name in ("normalized", "min", "max"):
        accessor.pop(name, None)


def _joined(tree: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(tree, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + len(binary)
    head = b"glTF" + struct.pack("<II", 2, total) + struct.pack("<II", len(text), _JSON)
    return head + text + struct.pack("<II", len(binary), _BINARY) + binary
