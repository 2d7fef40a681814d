"""Small good files of every format that is read, from which the fuzzer makes bad ones."""

from __future__ import annotations

import base64
import datetime
import functools
import importlib.util
import io
import json
import struct
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Seeds:
    """A reader with the files that it reads.

    Attributes:
        suffix: of the files.
        make: contents of good files, or of what is in them.
        read: the reader.
        wrap: makes a file of what was damaged; checksums would hide damage to the file itself.
    """

    suffix: str
    make: Callable[[], list[bytes]]
    read: Callable[[Path], Any]
    wrap: Callable[[bytes], bytes] = bytes

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


def _rich_gltf() -> dict[str, Any]:
    """A skin, instances, morph targets, texture coordinates, quantised and sparse numbers."""
    rng = np.random.default_rng(0)
    count, parts, views, accessors = 8, [], [], []

    def put(values: Any, kind: str, **more: Any) -> int:
        codes = {"f4": 5126, "u2": 5123, "i2": 5122, "u1": 5121}
        code = codes[values.dtype.str[1:]]
        data = values.tobytes()
        data += bytes(-len(data) % 4)
        views.append({"buffer": 0, "byteOffset": sum(map(len, parts)), "byteLength": len(data)})
        parts.append(data)
        entry = {"bufferView": len(views) - 1, "componentType": code, "type": kind}
        accessors.append(entry | {"count": len(values)} | more)
        return len(accessors) - 1

    quantised = np.zeros((count, 4), "<i2")
    quantised[:, :3] = CUBE * 32767
    position = put(quantised, "VEC3", normalized=True)
    views[0]["byteStride"] = 8
    attributes = {
        "POSITION": position,
        "NORMAL": put(rng.normal(size=(count, 3)).astype("<f4"), "VEC3"),
        "TEXCOORD_0": put(rng.random((count, 2)).astype("<f4"), "VEC2"),
        "COLOR_0": put(rng.integers(0, 256, (count, 4)).astype("<u1"), "VEC4", normalized=True),
        "JOINTS_0": put(rng.integers(0, 2, (count, 4)).astype("<u1"), "VEC4"),
        "WEIGHTS_0": put(rng.random((count, 4)).astype("<f4"), "VEC4"),
    }
    triangles = np.array([t for a, b, c, d in QUADS for t in (a, b, c, a, c, d)], "<u2")
    indices = put(triangles, "SCALAR")
    target = put(rng.normal(size=(count, 3)).astype("<f4"), "VEC3")
    accessors.append({"componentType": 5126, "count": count, "type": "VEC3"})
    bind = put(np.tile(np.eye(4, dtype="<f4").reshape(-1), (2, 1)), "MAT4")
    shift = put(rng.normal(size=(3, 3)).astype("<f4"), "VEC3")
    instancing = {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": shift}}}
    primitive = {"attributes": attributes, "indices": indices, "material": 0}
    primitive |= {"targets": [{"POSITION": target}, {"POSITION": target + 1}]}
    plain = {"attributes": {k: attributes[k] for k in ("POSITION", "NORMAL", "COLOR_0")}}
    data = b"".join(parts)
    uri = "data:application/gltf-buffer;base64," + base64.b64encode(data).decode()
    picture = "data:image/png;base64," + base64.b64encode(_pictures("png", ["RGB"])[0]).decode()
    return {
        "asset": {"version": "2.0", "generator": "seeds"},
        "extensionsUsed": ["KHR_mesh_quantization", "EXT_mesh_gpu_instancing"],
        "extensionsRequired": ["KHR_mesh_quantization"],
        "scene": 1,
        "scenes": [{"nodes": []}, {"nodes": [0, 3, 4]}],
        "nodes": [
            {"children": [1, 2], "rotation": [0, 0, 0.6, 0.8]},
            {"translation": [0, 1.5, 0]},
            {"mesh": 0, "skin": 0, "weights": [0.5, 0.25]},
            {"mesh": 1, "extensions": instancing, "scale": [1.0, 2, -1]},
            {"mesh": 0, "extensions": {"KHR_node_visibility": {"visible": False}}},
        ],
        "skins": [{"joints": [0, 1], "inverseBindMatrices": bind}],
        "meshes": [
            {"primitives": [primitive], "weights": [0, 0]},
            {"primitives": [plain | {"mode": mode, "indices": indices} for mode in (0, 1, 4, 5)]},
        ],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        "textures": [{"source": 0}],
        "images": [{"uri": picture}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(data), "uri": uri}],
    }


def _gltf_rich() -> list[bytes]:
    return [json.dumps(_rich_gltf(), indent=1).encode()]


_CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
_BUILT = "http://schemas.openxmlformats.org/package/2006/relationships"
_MODEL = "http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"


def _packed_model(model: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    relations = (
        f'<Relationships xmlns="{_BUILT}"><Relationship Id="r" Target="/3D/a.model" '
        f'Type="{_MODEL}"/></Relationships>'
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as package:
        for name, part in (("_rels/.rels", relations), ("3D/a.model", model)):
            package.writestr(zipfile.ZipInfo(name), part, method)  # without the time of day
    return stream.getvalue()


def _threemf_models() -> list[bytes]:
    vertices = "".join(f'<vertex x="{x}" y="{y}" z="{z}"/>\n' for x, y, z in CUBE)
    triangles = "".join(f'<triangle v1="{a}" v2="{b}" v3="{c}"/>\n' for a, b, c, _ in QUADS)
    mesh = f"<mesh><vertices>{vertices}</vertices><triangles>{triangles}</triangles></mesh>"
    place = "0 1 0 -1 0 0 0 0 2 10 20.5 30"
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<model unit="millimeter" xmlns="{_CORE}" '
        'xmlns:p="http://schemas.microsoft.com/3dmanufacturing/production/2015/06" '
        f'requiredextensions="p"><resources>\n<object id="1" type="model">{mesh}</object>\n'
        f'<object id="2"><components><component objectid="1" transform="{place}"/>\n'
        '<component objectid="1"/></components></object>\n</resources>\n'
        f'<build><item objectid="2" p:path="/3D/a.model"/><item objectid="1" transform="{place}"/>'
        "</build></model>"
    )
    return [text.encode()]


def _threemf() -> list[bytes]:
    (model,) = _threemf_models()
    return [_packed_model(model), _packed_model(model, zipfile.ZIP_DEFLATED)]


def _collada() -> list[bytes]:
    numbers = " ".join(f"{value:g}" for value in CUBE.reshape(-1))
    corner = '<input semantic="VERTEX" source="#v" offset="0"/>'
    second = '<input semantic="NORMAL" source="#p" offset="1"/>'
    quads = "".join(f"<p>{' '.join(map(str, quad))}</p>" for quad in QUADS)
    pairs = " ".join(f"{i} 0" for quad in QUADS for i in quad)
    triangles = " ".join(str(i) for quad in QUADS for i in quad[:3])
    parts = [
        f'<triangles count="6">{corner}<p>{triangles}</p></triangles>',
        f'<polylist count="6">{corner}{second}<vcount>4 4 4 4 4 4</vcount>'
        f"<p>{pairs}</p></polylist>",
        f'<polygons count="6">{corner}{quads}</polygons>',
        f'<tristrips count="1">{corner}<p>0 1 2 3 6 7</p></tristrips>'
        f'<trifans count="1">{corner}<p>0 1 2 3 6</p></trifans>',
    ]
    nodes = (
        "<node><translate>1 2 3</translate><rotate>0 0 1 90</rotate><scale>1 -2 1</scale>\n"
        '<instance_geometry url="#g"/><node><matrix>1 0 0 5 0 1 0 0 0 0 1 0 0 0 0 1</matrix>'
        '<instance_node url="#n"/></node></node>\n<node><instance_controller url="#c"/></node>'
    )
    return [
        (
            '<?xml version="1.0" encoding="utf-8"?>\n<COLLADA xmlns="http://www.collada.org/2005/11/'
            'COLLADASchema" version="1.4.1"><asset><up_axis>Z_UP</up_axis></asset>\n'
            '<library_geometries><geometry id="g"><mesh><source id="p"><float_array id="a" '
            f'count="24">{numbers}</float_array><technique_common><accessor source="#a" count="8" '
            'stride="3"><param name="X" type="float"/><param name="Y" type="float"/><param '
            'name="Z" type="float"/></accessor></technique_common></source>\n<vertices id="v">'
            f'<input semantic="POSITION" source="#p"/></vertices>\n{part}</mesh></geometry>'
            '</library_geometries>\n<library_controllers><controller id="c"><skin source="#g">'
            "<bind_shape_matrix>1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1</bind_shape_matrix></skin>"
            '</controller></library_controllers>\n<library_nodes><node id="n"><instance_geometry '
            'url="#g"/></node></library_nodes>\n<library_visual_scenes>'
            f'<visual_scene id="s">{nodes}'
            '</visual_scene></library_visual_scenes>\n<scene><instance_visual_scene url="#s"/>'
            "</scene></COLLADA>"
        ).encode()
        for part in parts
    ]


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


def _pts() -> list[bytes]:
    rows = np.random.default_rng(0).normal(size=(12, 3)).round(3)
    lines = [f"{x} {y} {z} -12 {40 + k} 0 255" for k, (x, y, z) in enumerate(rows)]
    twice = "\r\n".join(["12", *lines, "12", *lines, ""])
    return ["\n".join(["12", *lines, ""]).encode(), twice.encode()]


def _ptx() -> list[bytes]:
    head = "3\n4\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n0 1 0 0\n-1 0 0 0\n0 0 1 0\n5 6 7 1\n"
    rows = np.random.default_rng(0).normal(size=(12, 3)).round(3)
    rows[3] = 0
    scan = head + "".join(f"{x} {y} {z} 0.5 1 2 3\n" for x, y, z in rows)
    return [scan.encode(), (scan + scan).encode()]


def _las(*formats: tuple[int, str], packed: bool = False) -> list[bytes]:
    import laspy

    result = []
    for number, version in formats:
        header = laspy.LasHeader(point_format=number, version=version)
        header.scales = np.full(3, 0.001)
        header.creation_date = datetime.date(2020, 1, 1)
        data = laspy.LasData(header)
        data.x, data.y, data.z = _points().T
        if {"red", "green", "blue"} <= {*data.point_format.dimension_names}:
            data.red = data.green = data.blue = np.arange(12, dtype=np.uint16) * 5000
        stream = io.BytesIO()
        data.write(stream, do_compress=packed)
        result.append(stream.getvalue())
    return result


def _e57() -> list[bytes]:
    import pye57

    points = _points()
    axes = {f"cartesian{axis}": points[:, i] for i, axis in enumerate("XYZ")}
    colors = {f"color{name}": np.arange(12, dtype=np.uint8) for name in ("Red", "Green", "Blue")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.e57")
        with pye57.E57(str(path), mode="w") as file:
            file.write_scan_raw(axes | colors, rotation=np.array([0.6, 0, 0, 0.8]))
            file.write_scan_raw(axes | colors, translation=np.array([1.0, 2, 3]))
        return [path.read_bytes()]


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
    "gltf_rich": Seeds(".gltf", _gltf_rich, _mesh),
    "threemf": Seeds(".3mf", _threemf, _mesh),
    "threemf_model": Seeds(".3mf", _threemf_models, _mesh, _packed_model),
    "dae": Seeds(".dae", _collada, _mesh),
    "cloud_xyz": Seeds(".xyz", _text_cloud, _cloud),
    "cloud_csv": Seeds(".csv", _text_cloud, _cloud),
    "cloud_ply": Seeds(".ply", _ply, _cloud),
    "cloud_obj": Seeds(".obj", _obj, _cloud),
    "cloud_off": Seeds(".off", _off, _cloud),
    "cloud_gltf": Seeds(".gltf", _gltf_rich, _cloud),
    "cloud_pts": Seeds(".pts", _pts, _cloud),
    "cloud_ptx": Seeds(".ptx", _ptx, _cloud),
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

_OF_PACKAGES = {
    "cloud_las": ("laspy", Seeds(".las", lambda: _las((1, "1.2"), (3, "1.2"), (7, "1.4")), _cloud)),
    "cloud_laz": (
        "lazrs",
        Seeds(".laz", lambda: _las((3, "1.2"), (7, "1.4"), packed=True), _cloud),
    ),
    "cloud_e57": ("pye57", Seeds(".e57", _e57, _cloud)),
}
SEEDS |= {
    name: seed
    for name, (package, seed) in _OF_PACKAGES.items()
    if importlib.util.find_spec(package) is not None
}
