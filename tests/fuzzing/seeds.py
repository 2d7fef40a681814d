"""Small good files of every format that is read, from which the fuzzer makes bad ones."""

from __future__ import annotations

import base64
import functools
import io
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Seeds:
    """A reader with the files that it reads."""

    suffix: str
    make: Callable[[], list[bytes]]
    read: Callable[[Path], Any]

    @functools.cache  # noqa: B019  # one entry a reader, for the life of the process
    def files(self) -> list[bytes]:
        """Contents of the good files."""
        return self.make()


def _mesh(path: Path) -> Any:
    from onet.geometry.mesh_io import load_mesh

    return load_mesh(path, colors=True)


def _cloud(path: Path) -> Any:
    from onet.geometry.point_cloud_io import load_points

    return load_points(path)


def _grid(path: Path) -> Any:
    from onet.geometry.voxels import read_voxels

    return read_voxels(path)


def _picture(path: Path) -> Any:
    from onet.data.images import read_image

    return read_image(path, size=32)


def _arrays(path: Path) -> Any:
    from onet.data.store import read_array

    return read_array(path, "points")


CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
QUADS = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]


def _exported(kind: str, **options: Any) -> bytes:
    import trimesh

    mesh = trimesh.Trimesh(CUBE, [[a, b, c] for a, b, c, _ in QUADS], process=False)
    mesh.visual.face_colors = np.arange(24).reshape(6, 4) * 10
    data = mesh.export(file_type=kind, **options)
    return data.encode() if isinstance(data, str) else data


def _obj() -> list[bytes]:
    vertices = "".join(f"v {x} {y} {z}\n" for x, y, z in CUBE)
    faces = "".join("f " + " ".join(str(i + 1) for i in quad) + "\n" for quad in QUADS)
    relative = "".join("f " + " ".join(f"{i - 8}//1" for i in quad) + "\n" for quad in QUADS)
    window = "f 1 2 4 3 1 \\\n 5 7 8 6 5\n"
    rows = [
        vertices + faces,
        "\ufeff# a\r\n" + vertices.replace(" ", "\t") + "vn 0 0 1\n" + relative,
    ]
    rows.append(
        "mtllib a.mtl\no b\n" + vertices + "vt 0 0\nvt 1 0\nusemtl a\nf 1/1 2/2 4/1\n" + window
    )
    return [row.encode() for row in rows] + [_exported("obj")]


def _ply() -> list[bytes]:
    def head(form: str, number: str, faces: str, count: int) -> str:
        rows = [f"ply\nformat {form} 1.0\ncomment c\nelement vertex 8"]
        rows += [f"property {number} {axis}" for axis in "xyz"]
        return "\n".join([*rows, f"element face {count}", faces, "end_header\n"])

    lists = "property list uchar int vertex_indices"
    text = "".join(f"{x} {y} {z}\n" for x, y, z in CUBE)
    ascii_ = (
        head("ascii", "double", lists, 6)
        + text
        + "".join(f"4 {a} {b} {c} {d}\n" for a, b, c, d in QUADS)
    )
    mixed = [quad[:3] if i % 2 else quad for i, quad in enumerate(QUADS)]
    result = [ascii_.encode()]
    for form, order in (("binary_little_endian", "<"), ("binary_big_endian", ">")):
        vertices = CUBE.astype(f"{order}f4").tobytes()
        body = b"".join(struct.pack(f"{order}B{len(row)}i", len(row), *row) for row in mixed)
        result.append(head(form, "float", lists, 6).encode() + vertices + body)
    strip = [0, 1, 2, 3, 6, 7, -1, 0, 1, 4, 5]
    strips = head("binary_little_endian", "float", "property list int int vertex_indices", 1)
    strips = strips.replace("element face", "element tristrips")
    body = CUBE.astype("<f4").tobytes() + struct.pack(f"<{len(strip) + 1}i", len(strip), *strip)
    return [*result, strips.encode() + body, _exported("ply"), _exported("ply", encoding="ascii")]


def _off() -> list[bytes]:
    text = "".join(f"{x} {y} {z}\n" for x, y, z in CUBE)
    faces = "".join(f"4 {a} {b} {c} {d} 255 0 0\n" for a, b, c, d in QUADS)
    return [
        f"OFF\n# a\n8 6 0\n{text}{faces}".encode(),
        f"OFF 8 6 12\n{text}{faces}".encode(),
        _exported("off"),
    ]


def _stl() -> list[bytes]:
    return [_exported("stl"), _exported("stl_ascii"), _exported("stl") + bytes(37)]


def _gltf_tree() -> tuple[dict[str, Any], bytes]:
    triangles = np.array([[a, b, c] for a, b, c, _ in QUADS], dtype="<u2")
    data = CUBE.astype("<f4").tobytes() + triangles.tobytes()
    views = [{"buffer": 0, "byteLength": 96}, {"buffer": 0, "byteOffset": 96, "byteLength": 36}]
    position = {"bufferView": 0, "componentType": 5126, "count": 8, "type": "VEC3"}
    position |= {"min": [0, 0, 0], "max": [1, 1, 1]}
    indices = {"bufferView": 1, "componentType": 5123, "count": 18, "type": "SCALAR"}
    sparse = {
        "count": 1,
        "indices": {"bufferView": 1, "componentType": 5123},
        "values": {"bufferView": 0},
    }
    primitives = [
        {"attributes": {"POSITION": 0}, "indices": 1, "mode": mode, "material": 0}
        for mode in (4, 5, 6)
    ]
    tree: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"children": [1], "translation": [1, 2, 3]}, {"mesh": 0, "scale": [-1, 1, 2]}],
        "meshes": [{"primitives": primitives}],
        "materials": [{"pbrMetallicRoughness": {"baseColorFactor": [1, 0.5, 0, 1]}}],
        "accessors": [position, indices, position | {"sparse": sparse}],
        "bufferViews": views,
        "buffers": [{"byteLength": len(data)}],
    }
    return tree, data


def _gltf() -> list[bytes]:
    tree, data = _gltf_tree()
    uri = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    tree["buffers"][0]["uri"] = uri
    return [json.dumps(tree).encode(), json.dumps(tree, indent=1).encode()]


def _glb() -> list[bytes]:
    tree, data = _gltf_tree()
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    data += bytes(-len(data) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
    chunks += struct.pack("<II", len(data), 0x004E4942) + data
    return [struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks, _exported("glb")]


def _text_cloud() -> list[bytes]:
    rows = np.random.default_rng(0).normal(size=(12, 7)).round(3).tolist()
    result = []
    for separator, heading in (
        (" ", ""),
        (",", "index,x,y,z,nx,ny,nz"),
        (";", "//X;Y;Z;R;G;B;A"),
        ("\t", "# a\n# t x y z i j k"),
    ):
        lines = [separator.join(map(str, row)) for row in rows]
        result.append("\n".join([*([heading] if heading else []), *lines, ""]).encode())
    return [*result, result[2].replace(b".", b",")]


def _pcd() -> list[bytes]:
    points = np.random.default_rng(0).normal(size=(12, 3)).astype("<f4")
    head = "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\n"
    head += "WIDTH 12\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 12\n"
    text = "".join(f"{x} {y} {z}\n" for x, y, z in points)
    return [
        f"{head}DATA ascii\n{text}".encode(),
        f"{head}DATA binary\n".encode() + points.tobytes(),
    ]


def _saved(save: Callable[..., None], *arrays: Any, **named: Any) -> bytes:
    stream = io.BytesIO()
    save(stream, *arrays, **named)
    return stream.getvalue()


def _points() -> Any:
    return np.random.default_rng(0).normal(size=(12, 3))


def _npy() -> list[bytes]:
    return [_saved(np.save, _points()), _saved(np.save, _points().astype(np.float32))]


def _npz() -> list[bytes]:
    occupied = np.arange(12) % 2 == 0
    return [
        _saved(np.savez, points=_points(), occupancies=np.packbits(occupied)),
        _saved(np.savez_compressed, points=_points().astype(np.float16)),
    ]


def _binvox() -> list[bytes]:
    head = b"#binvox 1\ndim 4 4 4\ntranslate 0 0 0\nscale 1\n"
    return [head + b"data\n" + bytes([0, 32, 1, 32]), head + b"# c\ndata\n" + bytes([1, 60, 0, 4])]


def _pictures(kind: str, modes: list[str]) -> list[bytes]:
    from PIL import Image

    values = np.random.default_rng(0).random((9, 12, 4))
    result = []
    for mode in modes:
        if mode == "F":
            image = Image.fromarray(values[..., 0].astype(np.float32))
        elif mode == "I;16":
            image = Image.fromarray((values[..., 0] * 65535).astype(np.uint16))
        else:
            image = Image.fromarray((values * 255).astype(np.uint8)).convert(mode)
        stream = io.BytesIO()
        image.save(stream, kind)
        result.append(stream.getvalue())
    return result


SEEDS = {
    "obj": Seeds(".obj", _obj, _mesh),
    "ply": Seeds(".ply", _ply, _mesh),
    "off": Seeds(".off", _off, _mesh),
    "stl": Seeds(".stl", _stl, _mesh),
    "gltf": Seeds(".gltf", _gltf, _mesh),
    "glb": Seeds(".glb", _glb, _mesh),
    "cloud_xyz": Seeds(".xyz", _text_cloud, _cloud),
    "cloud_csv": Seeds(".csv", _text_cloud, _cloud),
    "cloud_ply": Seeds(".ply", _ply, _cloud),
    "cloud_npy": Seeds(".npy", _npy, _cloud),
    "cloud_npz": Seeds(".npz", _npz, _cloud),
    "cloud_pcd": Seeds(".pcd", _pcd, _cloud),
    "binvox": Seeds(".binvox", _binvox, _grid),
    "store_npz": Seeds(".npz", _npz, _arrays),
    "png": Seeds(
        ".png", lambda: _pictures("png", ["L", "LA", "RGB", "RGBA", "P", "1", "I;16"]), _picture
    ),
    "jpg": Seeds(".jpg", lambda: _pictures("jpeg", ["L", "RGB", "CMYK"]), _picture),
    "tiff": Seeds(".tif", lambda: _pictures("tiff", ["L", "RGB", "RGBA", "F", "I;16"]), _picture),
}
