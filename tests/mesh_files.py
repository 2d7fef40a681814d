"""Small mesh files of many kinds, each with the shape that it holds."""

from __future__ import annotations

import base64
import io
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

CUBE = np.array([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)], dtype=float)
QUADS = [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]]
TRIANGLES = [t for a, b, c, d in QUADS for t in ([a, b, c], [a, c, d])]
MIXED = [*QUADS[:2], *TRIANGLES[4:]]

STRIP = "-1 0 2 1 3 5 7 4 6 0 2 -1 1 5 0 4 -1 2 6 3 7 -1"

L_PLANE = np.array([[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]], dtype=float)
DART = np.array([[0, 0], [2, 1], [0, 2], [0.5, 1]], dtype=float)
WINDOW = np.array(
    [[0, 0], [3, 0], [3, 3], [0, 3], [0, 0], [1, 1], [1, 2], [2, 2], [2, 1], [1, 1]], dtype=float
)
COMB = np.array(
    [[0, 0], [1, 0], [2, 0], [3, 0], [3, 2], [2, 2], [2, 1], [1.5, 1], [1, 1], [1, 2], [0, 2],
     [0, 1]],
    dtype=float,
)  # fmt: skip


def prism(outline: np.ndarray) -> tuple[np.ndarray, list[list[int]]]:
    """Vertices and polygons of a prism of height 1 over an outline; equal corners are one."""
    plane, index = np.unique(outline, axis=0, return_inverse=True)
    count, index = len(plane), index.reshape(-1)
    vertices = np.vstack([np.c_[plane, np.zeros(count)], np.c_[plane, np.ones(count)]])
    steps = list(zip(index, np.roll(index, -1), strict=True))
    walls = [[a, b, b + count, a + count] for a, b in steps if (b, a) not in steps]
    return vertices, [index[::-1].tolist(), (index + count).tolist(), *walls]


def obj(vertices: Any, faces: Any, vertex: str = "v {} {} {}\n") -> str:
    """An OBJ of polygons; numbers have all their digits."""
    lines = [vertex.format(*map(repr, map(float, v))) for v in vertices]
    return "".join(lines) + "".join("f " + " ".join(str(i + 1) for i in f) + "\n" for f in faces)


def off(vertices: Any, faces: Any, keyword: str = "OFF", tail: str = "") -> str:
    lines = [" ".join(map(repr, map(float, v))) + "\n" for v in vertices]
    lines += [" ".join(map(str, [len(f), *f])) + tail + "\n" for f in faces]
    return f"{keyword}\n{len(vertices)} {len(faces)} 0\n" + "".join(lines)


def ply(
    vertices: Any,
    faces: Any,
    order: str = "<",
    real: str = "float",
    count: str = "uchar",
    index: str = "int",
    name: str = "vertex_indices",
    newline: str = "\n",
    before: tuple[str, bytes] = ("", b""),
    behind: str = "",
) -> bytes:
    """A PLY; `order` "" is text; `behind` are properties behind the list, all of type short."""
    formats = {"<": "binary_little_endian", ">": "binary_big_endian", "": "ascii"}
    codes = {"float": "f", "double": "d", "uchar": "B", "char": "b", "short": "h", "ushort": "H",
             "int": "i", "uint": "I", "uint8": "B", "int32": "i"}  # fmt: skip
    extra = behind.split()
    head = ["ply", f"format {formats[order]} 1.0", "comment made for a test", "obj_info 1 2 3"]
    head += [before[0]] if before[0] else []
    head += [f"element vertex {len(vertices)}", *(f"property {real} {axis}" for axis in "xyz")]
    head += [f"element face {len(faces)}", f"property list {count} {index} {name}"]
    head += [*(f"property short {word}" for word in extra), "end_header", ""]
    body = before[1]
    for v in vertices:
        body += (
            struct.pack(order + 3 * codes[real], *v)
            if order
            else (" ".join(map(repr, map(float, v))) + newline).encode()
        )
    for f in faces:
        if order:
            body += struct.pack(f"{order}{codes[count]}{len(f)}{codes[index]}", len(f), *f)
            body += struct.pack(f"{order}{len(extra)}h", *range(len(extra)))
        else:
            body += (" ".join(map(str, [len(f), *f, *range(len(extra))])) + newline).encode()
    return newline.join(head).encode() + body


def stl(vertices: Any, faces: Any, header: bytes = b"", behind: bytes = b"") -> bytes:
    facets = b"".join(
        struct.pack("<12fH", 0, 0, 0, *np.asarray(vertices)[f].reshape(-1), 0) for f in faces
    )
    return header.ljust(80, b"\0") + struct.pack("<I", len(faces)) + facets + behind


def stl_text(vertices: Any, faces: Any, name: str = "a", newline: str = "\n") -> str:
    lines = [f"solid {name}"]
    for f in faces:
        lines += ["facet normal 0 0 0", "  outer loop"]
        lines += ["    vertex {} {} {}".format(*map(float, vertices[i])) for i in f]
        lines += ["  endloop", "endfacet"]
    return newline.join([*lines, f"endsolid {name}", ""])


@dataclass
class Gltf:
    """Builds a glTF step by step."""

    json: dict[str, Any]
    data: bytes = b""

    @classmethod
    def new(cls, **top: Any) -> Gltf:
        return cls({"asset": {"version": "2.0"}, "accessors": [], "bufferViews": [], **top})

    def view(self, raw: bytes, **more: Any) -> int:
        self.data += b"\0" * (-len(self.data) % 4)
        self.json["bufferViews"].append(
            {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(raw), **more}
        )
        self.data += raw
        return len(self.json["bufferViews"]) - 1

    def accessor(self, values: Any, kind: str, component: int, **more: Any) -> int:
        code = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
        array = np.asarray(values).astype(code[component])
        self.json["accessors"].append(
            {"bufferView": self.view(array.tobytes()), "componentType": component,
             "count": len(array), "type": kind, **more}
        )  # fmt: skip
        return len(self.json["accessors"]) - 1

    def cube(self, vertices: Any = CUBE, **primitive: Any) -> dict[str, Any]:
        """A mesh of one primitive with the faces of the cube."""
        position = self.accessor(vertices, "VEC3", 5126)
        indices = self.accessor(np.ravel(TRIANGLES), "SCALAR", 5121)
        return {
            "primitives": [{"attributes": {"POSITION": position}, "indices": indices, **primitive}]
        }

    def text(self) -> str:
        uri = "data:application/octet-stream;base64," + base64.b64encode(self.data).decode()
        return json.dumps({**self.json, "buffers": [{"byteLength": len(self.data), "uri": uri}]})

    def binary(self) -> bytes:
        head = {**self.json, "buffers": [{"byteLength": len(self.data)}]}
        text = json.dumps(head).encode()
        text += b" " * (-len(text) % 4)
        body = self.data + b"\0" * (-len(self.data) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text
        chunks += struct.pack("<I4s", len(body), b"BIN\0") + body
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def gltf_nodes(*nodes: dict[str, Any], **top: Any) -> str:
    """A cube (mesh 0) at nodes."""
    made = Gltf.new(nodes=list(nodes), scenes=[{"nodes": [0]}], scene=0, **top)
    made.json["meshes"] = [made.cube()]
    return made.text()


def threemf(model: str, **parts: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr(
            "_rels/.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            '<Relationship Id="r" Target="/3D/3dmodel.model" '
            'Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>',
        )
        package.writestr("3D/3dmodel.model", model)
        for name, text in parts.items():
            package.writestr(f"3D/{name}.model", text)
    return stream.getvalue()


def threemf_cube() -> str:
    vertices = "".join('<vertex x="{}" y="{}" z="{}"/>'.format(*v) for v in CUBE)
    triangles = "".join('<triangle v1="{}" v2="{}" v3="{}"/>'.format(*t) for t in TRIANGLES)
    return f"<mesh><vertices>{vertices}</vertices><triangles>{triangles}</triangles></mesh>"


def threemf_model(resources: str, build: str, head: str = "") -> str:
    space = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
    return (
        f'<?xml version="1.0"?><model unit="millimeter" xmlns="{space}" {head}><resources>'
        f"{resources}</resources><build>{build}</build></model>"
    )


def collada(primitive: str, nodes: str, vertices: Any = CUBE, more: str = "") -> str:
    numbers = " ".join(repr(float(x)) for x in np.ravel(vertices))
    return (
        '<?xml version="1.0"?><COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" '
        'version="1.4.1"><library_geometries><geometry id="g"><mesh><source id="p">'
        f'<float_array id="pa" count="{np.size(vertices)}">{numbers}</float_array>'
        f'<technique_common><accessor source="#pa" count="{len(vertices)}" stride="3"/>'
        '</technique_common></source><vertices id="v"><input semantic="POSITION" source="#p"/>'
        f"</vertices>{primitive}</mesh></geometry></library_geometries>{more}"
        f'<library_visual_scenes><visual_scene id="s">{nodes}</visual_scene>'
        '</library_visual_scenes><scene><instance_visual_scene url="#s"/></scene></COLLADA>'
    )


def collada_polylist(faces: Any) -> str:
    """A polylist with a second input, of normals, which all corners share."""
    counts = " ".join(str(len(f)) for f in faces)
    corners = " ".join(f"{i} 0" for f in faces for i in f)
    return (
        f'<polylist count="{len(faces)}"><input semantic="VERTEX" source="#v" offset="0"/>'
        f'<input semantic="NORMAL" source="#n" offset="1"/><vcount>{counts}</vcount>'
        f"<p>{corners}</p></polylist>"
    )


NODE = '<node>{}<instance_geometry url="#g"/></node>'


@dataclass(frozen=True)
class Kind:
    """A file and the volume, area and extents of what it holds."""

    name: str
    content: str | bytes
    volume: float
    area: float
    extents: tuple[float, float, float]

    @property
    def bytes(self) -> bytes:
        return self.content.encode() if isinstance(self.content, str) else self.content


def kinds() -> list[Kind]:
    """Files of all formats, each unlike the others in what its format allows."""
    return [*_polygon_kinds(), *_obj_kinds(), *_ply_kinds(), *_off_kinds(), *_stl_kinds(),
            *_gltf_kinds(), *_xml_kinds()]  # fmt: skip


def _cubes(*files: tuple[str, str | bytes]) -> list[Kind]:
    return [Kind(name, content, 1, 6, (1, 1, 1)) for name, content in files]


def _polygon_kinds() -> list[Kind]:
    shapes = {
        "dart": (DART, 1.5, 9.70820393, (2, 2, 1)),
        "l": (L_PLANE, 3, 14, (2, 2, 1)),
        "window": (WINDOW, 8, 32, (3, 3, 1)),
        "comb": (COMB, 5, 22, (3, 2, 1)),
    }
    angle = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0], [0.48, 0.64, 0.6]])
    writers: dict[str, Callable[[Any, Any], str | bytes]] = {"obj": obj, "off": off, "ply": ply}
    made = []
    for name, (outline, volume, area, extents) in shapes.items():
        for turn in range(len(outline) if name != "window" else 1):
            vertices, faces = prism(np.roll(outline, turn, axis=0))
            for suffix, writer in writers.items():
                title = f"{name}{turn}.{suffix}"
                made.append(Kind(title, writer(vertices, faces), volume, area, extents))
        tilted = vertices @ angle.T
        box = tuple(np.ptp(tilted, axis=0))
        made.append(Kind(f"{name}_tilted.obj", obj(tilted, faces), volume, area, box))
        far = tilted + np.array([5e5, 5.4e6, 300])
        made.append(Kind(f"{name}_far.obj", obj(far, faces), volume, area, box))
        body = ply(far, faces, real="double")
        made.append(Kind(f"{name}_far.ply", body, volume, area, box))
    return made


def _obj_kinds() -> list[Kind]:
    plain = obj(CUBE, QUADS)
    relative = "".join(f"f {' '.join(str(i - 8) for i in f)}\n" for f in QUADS)
    pair = obj(CUBE, []) + relative + obj(CUBE + np.array([5, 0, 0]), []) + relative
    slashes = "vt 0 0\nvn 0 0 1\n" + "".join(
        "f " + " ".join(f"{i + 1}{end}" for i in f) + "\n"
        for f, end in zip(QUADS, ("", "/1", "//1", "/1/1", "/", "/-1/-1"), strict=True)
    )
    return [
        *_cubes(
            ("tabs.obj", plain.replace(" ", "\t")),
            ("blanks.obj", "\n  \n" + plain.replace(" ", "   ").replace("\n", "  \n")),
            ("bom.obj", "\ufeff" + plain),
            ("utf16.obj", plain.encode("utf-16")),
            ("crlf.obj", plain.replace("\n", "\r\n")),
            ("cr.obj", plain.replace("\n", "\r")),
            ("unended.obj", plain.rstrip()),
            ("latin1.obj", "o B\u00fcro\ng Stra\u00dfe\n".encode("latin-1") + plain.encode()),
            ("gbk.obj", "o \u6905\u5b50\n".encode("gbk") + plain.encode()),
            (
                "continued.obj",
                plain.replace("f 1 3", "f 1 \\\n3").replace("v 0.0 ", "v 0.0 \\\r\n"),
            ),
            ("comments.obj", plain.replace("\n", " # said of this\n") + "# and \\\nl 1 2\np 1\n"),
            ("fo.obj", plain.replace("f ", "fo ")),
            ("colors.obj", obj(CUBE, QUADS, "v {} {} {} 0.5 0.25 1.0\n")),
            ("weights.obj", obj(CUBE, QUADS, "v {} {} {} 1.0\n")),
            ("slashes.obj", obj(CUBE, []) + slashes),
            ("exponents.obj", obj(CUBE, QUADS, "v {}e0 +{}E+00 {}e-0\n")),
            ("faces_first.obj", obj([], QUADS) + obj(CUBE, [])),
            (
                "repeated.obj",
                obj(CUBE, [[f[0], *f, f[-1]] for f in QUADS] + [[0, 1], [2, 2, 2, 3]]),
            ),
            ("unknown.obj", "vp 1 2\ns off\nmg 1 2\nlod 3\nshadow_obj a\n" + plain),
        ),
        Kind("relative.obj", pair, 2, 12, (6, 1, 1)),
    ]


def _ply_kinds() -> list[Kind]:
    plain: dict[str, Any] = {"vertices": CUBE, "faces": MIXED}
    other = ("element other 2\nproperty list ushort double a\nproperty char b",
             struct.pack("<HddbHb", 2, 1.5, 2.5, 7, 0, 8))  # fmt: skip
    lists = ply(CUBE, [], order=">").replace(
        b"element face 0\nproperty list uchar int vertex_indices",
        b"element face 10\nproperty uchar group\nproperty list uchar float texcoord\n"
        b"property list ushort uint vertex_indices\nproperty list int uchar seen",
    ) + b"".join(
        struct.pack(f">BB{2 * k}fH{len(f)}IiB", k, 2 * k, *[0.5] * (2 * k), len(f), *f, 1, 7)
        for k, f in enumerate(MIXED)
    )  # fmt: skip
    strip = [int(word) for word in STRIP.split()]
    strips = ply(CUBE, [], order="").decode().replace(
        "element face 0\nproperty list uchar int vertex_indices",
        "element tristrips 1\nproperty list int int vertex_indices",
    ) + f"{len(strip)} {' '.join(map(str, strip))}\n"  # fmt: skip
    return _cubes(
        *((f"mixed_{name}.ply", ply(**plain, order=order))
          for name, order in (("little", "<"), ("big", ">"), ("text", ""))),
        ("double.ply", ply(**plain, order=">", real="double")),
        ("counts.ply", ply(**plain, count="uint", index="ushort")),
        ("bytes.ply", ply(**plain, count="char", index="uchar")),
        ("names.ply", ply(**plain, count="uint8", index="int32", name="vertex_index")),
        ("behind.ply", ply(**plain, behind="red green blue flags")),
        ("behind_text.ply", ply(**plain, order="", behind="quality flags")),
        ("before.ply", ply(**plain, before=other)),
        ("triangles.ply", ply(CUBE, TRIANGLES)),
        ("quads_first.ply", ply(CUBE, [*QUADS[:3], *TRIANGLES[6:]], order=">")),
        ("crlf.ply", ply(**plain, newline="\r\n")),
        ("crlf_text.ply", ply(**plain, order="", newline="\r\n")),
        ("cr.ply", ply(**plain, newline="\r")),
        ("padded.ply", ply(**plain) + b"\0" * 40),
        ("lists.ply", lists),
        ("strips.ply", strips),
    )  # fmt: skip


def _off_kinds() -> list[Kind]:
    plain = off(CUBE, QUADS)
    numbers = plain.removeprefix("OFF\n")
    colored = [[*v, 255, 0, 0, 255] for v in CUBE]
    body = struct.pack(">3i24f", 8, 6, 0, *np.ravel(CUBE))
    body += b"".join(struct.pack(">6i", 4, *f, 0) for f in QUADS)
    return _cubes(
        ("plain.off", plain),
        ("one_line.off", "OFF " + numbers),
        ("glued.off", "  OFF" + numbers),
        ("no_keyword.off", numbers),
        ("comments.off", "# first\nOFF # here\n# there\n" + numbers.replace("\n", " # x\n")),
        ("face_colors.off", off(CUBE, QUADS, tail=" 3 255 0 0")),
        ("face_floats.off", off(CUBE, QUADS, tail=" 0.5 0.5 0.5 1.0")),
        ("face_index.off", off(CUBE, QUADS, tail=" 7")),
        ("coff.off", off(colored, QUADS, "COFF")),
        ("noff.off", off([[*v, 0, 0, 1] for v in CUBE], QUADS, "NOFF")),
        ("stoff.off", off([[*v, 0.5, 0.5] for v in CUBE], QUADS, "STOFF")),
        ("cnoff.off", off([[*v, 0, 0, 1, 1, 0, 0, 1] for v in CUBE], QUADS, "CNOFF")),
        ("4off.off", off([[*(2 * v), 2] for v in CUBE], QUADS, "4OFF")),
        ("noff3.off", "nOFF\n3\n" + numbers),
        ("binary.off", b"OFF BINARY\n" + body),
        ("mixed.off", off(CUBE, [*MIXED, [0], [0, 1]])),
        ("crlf.off", plain.replace("\n", "\r\n")),
        ("tabs.off", plain.replace(" ", "\t")),
        ("long_face.off", plain.replace("4 0 2", "4 0\n2")),
        ("no_edges.off", plain.replace("8 6 0", "8 6")),
        ("count_lines.off", plain.replace("8 6 0", "8\n6\n0")),
    )


def _stl_kinds() -> list[Kind]:
    text = stl_text(CUBE, TRIANGLES)
    two = stl_text(CUBE, TRIANGLES[:7], "one") + stl_text(CUBE, TRIANGLES[7:], "vertex 1 2 3")
    loops = (
        text.replace("\n", " ").replace("solid a ", "solid a\n").replace("endsolid", "\nendsolid")
    )
    return _cubes(
        ("binary.stl", stl(CUBE, TRIANGLES)),
        ("trailing.stl", stl(CUBE, TRIANGLES, behind=b"\0" * 37)),
        ("solid.stl", stl(CUBE, TRIANGLES, header=b"solid made by a program")),
        ("solid_trailing.stl", stl(CUBE, TRIANGLES, header=b"solid x", behind=b"end" * 9)),
        ("attributes.stl", stl(CUBE, TRIANGLES, header=b"COLOR=\xff\x00\x00\xff")),
        ("text.stl", text),
        ("crlf_text.stl", stl_text(CUBE, TRIANGLES, newline="\r\n")),
        ("upper.stl", text.upper()),
        ("two.stl", two),
        ("nameless.stl", text.replace("solid a", "solid")),
        ("unended.stl", text.rstrip().removesuffix("endsolid a")),
        ("words.stl", loops),
        ("latin1.stl", stl_text(CUBE, TRIANGLES, "Geh\u00e4use").encode("latin-1")),
        ("quads.stl", stl_text(CUBE, QUADS)),
        ("exponents.stl", text.replace("1.0", "1.000e+00")),
    )


def _gltf_kinds() -> list[Kind]:
    return [*_gltf_scenes(), *_gltf_accessors()]


def _gltf_scenes() -> list[Kind]:
    half = np.sqrt(0.5)
    mirror = {"mesh": 0, "scale": [-1, 1, 1]}
    matrix = [0, 2, 0, 0, -2, 0, 0, 0, 0, 0, 2, 0, 9, 9, 9, 1]
    nested = ({"children": [1, 2], "translation": [1, 2, 3]}, {"mesh": 0},
              {"mesh": 0, "translation": [4, 0, 0], "rotation": [0, 0, half, half]})  # fmt: skip
    instanced = Gltf.new(nodes=[{"mesh": 0, "scale": [2, 2, 2]}], scenes=[{"nodes": [0]}])
    instanced.json["extensionsRequired"] = ["EXT_mesh_gpu_instancing"]
    instanced.json["meshes"] = [instanced.cube()]
    places = instanced.accessor([[0, 0, 0], [5, 0, 0]], "VEC3", 5126)
    sizes = instanced.accessor([[1, 1, 1], [2, 2, -2]], "VEC3", 5126)
    turns = instanced.accessor([[0, 0, 0, 127], [0, 0, 0, 127]], "VEC4", 5120, normalized=True)
    attributes = {"TRANSLATION": places, "SCALE": sizes, "ROTATION": turns}
    instanced.json["nodes"][0]["extensions"] = {
        "EXT_mesh_gpu_instancing": {"attributes": attributes}
    }
    skinned = Gltf.new(scenes=[{"nodes": [0, 1]}])
    skinned.json["nodes"] = [
        {"mesh": 0, "skin": 0, "translation": [100, 0, 0]},
        {"translation": [0, 0, 3], "scale": [2, 2, 2]},
    ]
    mesh = skinned.cube()
    mesh["primitives"][0]["attributes"] |= {
        "JOINTS_0": skinned.accessor(np.zeros((8, 4)), "VEC4", 5121),
        "WEIGHTS_0": skinned.accessor(np.tile([1, 0, 0, 0], (8, 1)), "VEC4", 5126),
    }
    inverse = np.eye(4)
    inverse[2, 3] = -3
    skinned.json["skins"] = [
        {"joints": [1], "inverseBindMatrices": skinned.accessor([inverse.T.ravel()], "MAT4", 5126)}
    ]
    skinned.json["meshes"] = [mesh]
    morphed = Gltf.new(nodes=[{"mesh": 0, "weights": [0.5, 0]}], scenes=[{"nodes": [0]}])
    mesh = morphed.cube(targets=[{"POSITION": morphed.accessor(CUBE * [2, 0, 0], "VEC3", 5126)}])
    morphed.json["meshes"] = [{**mesh, "weights": [0]}]
    return [
        *_cubes(
            ("mirrored.gltf", gltf_nodes(mirror)),
            ("mirrored_twice.gltf", gltf_nodes({"children": [1], "scale": [1, -3, 1]},
                                               {"mesh": 0, "scale": [1, 1 / 3, -1]})),
            ("no_scene.gltf", gltf_nodes({"mesh": 0}).replace('"scene": 0', '"extras": 0')),
            ("second_scene.gltf", gltf_nodes({"mesh": 0, "scale": [9, 9, 9]}, {"mesh": 0}).replace(
                '[{"nodes": [0]}], "scene": 0', '[{"nodes": [0]}, {"nodes": [1]}], "scene": 1')),
            ("no_nodes.gltf", gltf_nodes().replace('"scene', '"no')),
        ),
        Kind("matrix.gltf", gltf_nodes({"mesh": 0, "matrix": matrix}), 8, 24, (2, 2, 2)),
        Kind("nested.gltf", gltf_nodes(*nested), 2, 12, (4, 1, 1)),
        Kind("instanced.gltf", instanced.text(), 72, 120, (14, 4, 6)),
        Kind("skinned.gltf", skinned.text(), 8, 24, (2, 2, 2)),
        Kind("morphed.gltf", morphed.text(), 2, 10, (2, 1, 1)),
    ]  # fmt: skip


def _gltf_accessors() -> list[Kind]:
    def one(primitive: Callable[[Gltf], dict[str, Any]], **node: Any) -> Gltf:
        made = Gltf.new(nodes=[{"mesh": 0, **node}], scenes=[{"nodes": [0]}])
        made.json["meshes"] = [{"primitives": [primitive(made)]}]
        return made

    def quantized(component: int, most: int) -> Gltf:
        return one(lambda g: {
            "attributes": {"POSITION": g.accessor(CUBE * most, "VEC3", component, normalized=True)},
            "indices": g.accessor(np.ravel(TRIANGLES), "SCALAR", 5123),
        })  # fmt: skip

    def loose(g: Gltf) -> dict[str, Any]:
        return {"attributes": {"POSITION": g.accessor(CUBE[np.ravel(TRIANGLES)], "VEC3", 5126)}}

    def strip(g: Gltf) -> dict[str, Any]:
        order = [0, 2, 1, 3, 5, 7, 4, 6, 0, 2, 2, 2, 2, 6, 3, 7, 7, 1, 1, 5, 0, 4]
        return {"attributes": {"POSITION": g.accessor(CUBE, "VEC3", 5126)}, "mode": 5,
                "indices": g.accessor(order, "SCALAR", 5125)}  # fmt: skip

    def interleaved(g: Gltf) -> dict[str, Any]:
        rows = np.c_[np.full((8, 2), 7), CUBE, np.full((8, 1), 9)].astype("<f4")
        view = g.view(rows.tobytes(), byteStride=24)
        g.json["accessors"].append(
            {"bufferView": view, "byteOffset": 8, "componentType": 5126, "count": 8, "type": "VEC3"}
        )
        position = len(g.json["accessors"]) - 1
        return {"attributes": {"POSITION": position},
                "indices": g.accessor(np.ravel(TRIANGLES), "SCALAR", 5121)}  # fmt: skip

    def sparse(g: Gltf, base: bool) -> dict[str, Any]:
        rows = [1, 3, 5, 7] if base else [1, 2, 3, 4, 5, 6, 7]
        entry = {"componentType": 5126, "count": 8, "type": "VEC3", "sparse": {
            "count": len(rows),
            "indices": {"bufferView": g.view(np.array(rows, "<u2").tobytes()),
                        "componentType": 5123},
            "values": {"bufferView": g.view(CUBE[rows].astype("<f4").tobytes())}}}  # fmt: skip
        if base:
            entry["bufferView"] = g.view((CUBE * [0, 1, 1]).astype("<f4").tobytes())
        g.json["accessors"].append(entry)
        return {"attributes": {"POSITION": len(g.json["accessors"]) - 1},
                "indices": g.accessor(np.ravel(TRIANGLES), "SCALAR", 5121)}  # fmt: skip

    def fan(g: Gltf) -> dict[str, Any]:
        return {"attributes": {"POSITION": g.accessor(CUBE, "VEC3", 5126)}, "mode": 6,
                "indices": g.accessor([0, 2, 3, 1], "SCALAR", 5121)}  # fmt: skip

    with_lines = one(loose)
    with_lines.json["meshes"][0]["primitives"] += [
        {**with_lines.json["meshes"][0]["primitives"][0], "mode": mode} for mode in range(4)
    ]
    binary = one(loose).binary()
    return [
        *_cubes(
            ("bytes.gltf", quantized(5120, 127).text()),
            ("unsigned_bytes.gltf", quantized(5121, 255).text()),
            ("shorts.glb", quantized(5122, 32767).binary()),
            ("unsigned_shorts.glb", quantized(5123, 65535).binary()),
            ("loose.gltf", one(loose).text()),
            ("binary.glb", binary),
            ("padded.glb", binary + b"\0\0\0"),
            ("binary_named.gltf", binary),
            ("text_named.glb", one(loose).text()),
            ("strip.gltf", one(strip).text()),
            ("interleaved.gltf", one(interleaved).text()),
            ("sparse.gltf", one(lambda g: sparse(g, True)).text()),
            ("sparse_zeros.gltf", one(lambda g: sparse(g, False)).text()),
            ("with_lines.gltf", with_lines.text()),
            ("bom.gltf", "\ufeff" + one(loose).text()),
        ),
        Kind("fan.gltf", one(fan).text(), 0, 1, (1, 1, 0)),
    ]


def _xml_kinds() -> list[Kind]:
    cube = threemf_cube()
    item = '<item objectid="1"/>'
    thing = f'<object id="1" type="model">{cube}</object>'
    turned = '<item objectid="2" transform="0 2 0 -2 0 0 0 0 -2 9 9 9"/>'
    component = (
        '<component objectid="1"/><component objectid="1" transform="1 0 0 0 1 0 0 0 1 4 0 0"/>'
    )
    pair = f'{thing}<object id="2"><components>{component}</components></object>'
    space = "http://schemas.microsoft.com/3dmanufacturing/production/2015/06"
    production = f'xmlns:p="{space}" requiredextensions="p"'
    other = '<item objectid="1" p:path="/3D/other.model"/>'
    mirror = "<matrix>-1 0 0 5 0 1 0 6 0 0 1 7 0 0 0 1</matrix>"
    polygons = '<polygons><input semantic="VERTEX" source="#v" offset="0"/>' + "".join(
        f"<p>{' '.join(map(str, f))}</p>" for f in MIXED
    ) + "</polygons>"  # fmt: skip
    plain = collada_polylist(QUADS)
    l_vertices, l_faces = prism(L_PLANE)
    polylist_l = collada_polylist(l_faces)
    node = '<node><translate>3 0 0</translate><instance_node url="#n"/></node>'
    library = (
        f'<library_nodes><node id="n"><scale>2 2 2</scale>{NODE.format("")}</node></library_nodes>'
    )
    lens = "<rotate>0 0 1 90</rotate><scale>1 1 -1</scale>"
    return [
        *_cubes(
            ("plain.3mf", threemf(threemf_model(thing, item))),
            ("production.3mf", threemf(threemf_model("", other, production),
                                       other=threemf_model(thing, ""))),
            ("polylist.dae", collada(plain, NODE.format(""))),
            ("polygons.dae", collada(polygons, NODE.format(mirror))),
            ("rotated.dae", collada(plain, f"<node>{lens}{NODE.format('')}</node>")),
        ),
        Kind("components.3mf", threemf(threemf_model(pair, turned)), 16, 48, (2, 10, 2)),
        Kind("l.dae", collada(polylist_l, NODE.format(""), l_vertices), 3, 14, (2, 2, 1)),
        Kind("nodes.dae", collada(plain, NODE.format("") + node, more=library), 9, 30, (5, 2, 2)),
    ]  # fmt: skip
