"""Moving meshes to files: an animated GLB with morph targets, or a folder of PLY."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from onet.errors import DataError
from onet.files import replacing
from onet.geometry.mesh_writing import save_mesh
from onet.geometry.sequences.moving_mesh import MovingMesh

_FLOAT, _UNSIGNED, _VERTICES, _FACES = 5126, 5125, 34962, 34963


def save_animation(mesh: MovingMesh, path: Path) -> Path:
    """Write a mesh whose vertices correspond over time as an animated GLB.

    The first frame is the mesh, every other one a morph target, and the animation passes from one
    to the next linearly, so at the times of frames vertices are where they should be. Vertices are
    float32 around the middle of the first frame. There are no normals: viewers shade faces as they
    are at each time.

    Raises:
        DataError: the faces change over time.
    """
    if not mesh.corresponding:
        raise DataError(f"{mesh.source}: the faces change over time; write a folder of PLY files")
    first = mesh.vertices[0]
    middle = (first.min(axis=0) + first.max(axis=0)) / 2
    file = _Buffers()
    base = file.add(first - middle, "VEC3", _FLOAT, _VERTICES, bounds=True)
    faces = file.add(mesh.faces[0].reshape(-1, 1), "SCALAR", _UNSIGNED, _FACES)
    targets = [
        {"POSITION": file.add(v - first, "VEC3", _FLOAT, _VERTICES, bounds=True)}
        for v in mesh.vertices[1:]
    ]
    times = file.add((mesh.times - mesh.times[0])[:, None], "SCALAR", _FLOAT, None, bounds=True)
    weights = file.add(np.eye(len(mesh))[:, 1:].reshape(-1, 1), "SCALAR", _FLOAT, None)
    primitive = {"attributes": {"POSITION": base}, "indices": faces, "targets": targets,
                 "material": 0}  # fmt: skip
    content = {
        "asset": {"version": "2.0", "generator": "onet"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "translation": middle.tolist()}],
        "meshes": [{"primitives": [primitive], "weights": [0.0] * len(targets)}],
        "materials": [
            {
                "pbrMetallicRoughness": {
                    "baseColorFactor": [0.70, 0.76, 0.86, 1], "metallicFactor": 0,
                    "roughnessFactor": 0.8,
                },
                "doubleSided": True,
            }
        ],
        "animations": [
            {
                "samplers": [{"input": times, "output": weights, "interpolation": "LINEAR"}],
                "channels": [{"sampler": 0, "target": {"node": 0, "path": "weights"}}],
            }
        ],
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(file.glb(content))
    return path


class _Buffers:
    """The binary part of a GLB file, and what describes it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(
        self,
        values: NDArray[Any],  # (N, components)
        kind: str,
        component: int,
        target: int | None,
        bounds: bool = False,
    ) -> int:
        """Append an array; returns the number of its accessor."""
        array = np.ascontiguousarray(values, "<f4" if component == _FLOAT else "<u4")
        view: dict[str, Any] = {
            "buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes
        }  # fmt: skip
        accessor: dict[str, Any] = {
            "bufferView": len(self.views), "componentType": component, "count": len(array),
            "type": kind,
        }  # fmt: skip
        if target is not None:
            view["target"] = target
        if bounds:
            accessor |= {"min": array.min(axis=0).tolist(), "max": array.max(axis=0).tolist()}
        self.data += array.tobytes()
        self.views.append(view)
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def glb(self, content: dict[str, Any]) -> bytes:
        """Return the file."""
        content = content | {
            "buffers": [{"byteLength": len(self.data)}],
            "bufferViews": self.views,
            "accessors": self.accessors,
        }
        text = json.dumps(content, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        body = bytes(self.data) + b"\0" * (-len(self.data) % 4)
        size = 12 + 8 + len(text) + 8 + len(body)
        return b"".join(
            [
                struct.pack("<4sII", b"glTF", 2, size),
                struct.pack("<I4s", len(text), b"JSON"), text,
                struct.pack("<I4s", len(body), b"BIN\0"), body,
            ]
        )  # fmt: skip


def save_frames(mesh: MovingMesh, folder: Path) -> list[Path]:
    """Write each frame as `folder/00000000.ply`, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        save_mesh(trimesh.Trimesh(v, f, process=False), folder / f"{number:08d}.ply")
        for number, (v, f) in enumerate(zip(mesh.vertices, mesh.faces, strict=True))
    ]
