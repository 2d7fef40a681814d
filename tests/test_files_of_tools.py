"""Files as programs write them, beside what their formats say; and files that are none."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from mesh_files import (
    CUBE,
    NODE,
    QUADS,
    TRIANGLES,
    Gltf,
    collada,
    collada_polylist,
    gltf_nodes,
    obj,
    off,
    ply,
    stl_text,
    threemf,
    threemf_cube,
    threemf_model,
)
from PIL import Image

from onet.data.images import open_image, read_mask
from onet.errors import DataError
from onet.geometry.color.srgb import to_srgb
from onet.geometry.mesh_io import load_mesh, readable_suffixes
from onet.geometry.point_cloud_io import (
    GEOMETRY_SUFFIXES,
    POINT_SUFFIXES,
    load_cloud,
    load_points,
    take_cloud,
)
from onet.geometry.voxels import VOXEL_SUFFIXES, read_voxels

RNG = np.random.default_rng(5)
POINTS = RNG.normal(size=(12, 3)).round(4) + np.array([450_000, 5_400_000, 320])
NORMALS = np.tile([0.0, 0.6, 0.8], (12, 1))
COLORS = RNG.integers(0, 256, (12, 3)).astype(np.uint8)
COLORS[0] = 255, 0, 17


def rows(*columns: np.ndarray, separator: str = " ", end: str = "\n") -> str:
    table = np.concatenate([np.asarray(c, dtype=float).reshape(12, -1) for c in columns], axis=1)
    return "".join(separator.join(f"{value:.12g}" for value in row) + end for row in table)


def numbered(text: str) -> str:
    """JSON whose whole numbers have a decimal point, as it allows."""
    tree = json.loads(text, parse_int=float)
    tree["asset"]["version"] = "2.0"
    return json.dumps(tree)


def glb(text: str, padding: bytes) -> bytes:
    """A binary glTF of its JSON alone."""
    content = text.encode()
    content += padding * (-len(content) % 4 or 4)
    head = struct.pack("<III", 0x46546C67, 2, 20 + len(content))
    return head + struct.pack("<II", len(content), 0x4E4F534A) + content


def zero_targets() -> str:
    """A morph target without data, which stands for zeros."""
    made = Gltf.new(nodes=[{"mesh": 0}], scenes=[{"nodes": [0]}])
    mesh = made.cube()
    made.json["accessors"].append({"componentType": 5126, "count": 8, "type": "VEC3"})
    mesh["primitives"][0]["targets"] = [{"POSITION": len(made.json["accessors"]) - 1}]
    made.json["meshes"] = [mesh | {"weights": [0.5]}]
    return made.text()


HIDDEN = {"KHR_node_visibility": {"visible": False}}
CAPITALS = ply(CUBE, QUADS).replace(b" x\n", b" X\n").replace(b" y\n", b" Y\n")
HALF = ply(CUBE, QUADS, order="").replace(b"property float", b"property float16")
SOURCE = '<accessor source="#pa" count="8" stride="3"/>'
BESIDE = '<float_array id="pa" count="24">' + " ".join(f"{x:g}" for x in CUBE.reshape(-1))
DAE = collada(collada_polylist(QUADS), NODE.format(""))
PARAMS = "".join(f'<param name="{axis}" type="float"/>' for axis in "ZXY")
TURNED = collada(collada_polylist(QUADS), NODE.format(""), np.c_[np.full(8, 9), CUBE[:, [2, 0, 1]]])
MODEL = threemf_model(f'<object id="1">{threemf_cube()}</object>', '<item objectid="1"/>')

CUBES = {
    "utf16.obj": obj(CUBE, QUADS).encode("utf-16-le"),
    "utf16be.obj": obj(CUBE, QUADS).encode("utf-16-be"),
    "capitals.ply": CAPITALS.replace(b" z\n", b" Z\n"),
    "plural.ply": ply(CUBE, QUADS).replace(b"element vertex", b"element vertices"),
    "half.ply": HALF,
    "mark.ply": b"\xef\xbb\xbf" + ply(CUBE, QUADS, order=""),
    "twice.ply": ply(CUBE, QUADS, order="", behind="flag flag"),
    "long_rows.ply": ply(CUBE, QUADS, order="").replace(b"4 0 2", b"4 0\n2"),
    "all_on_a_line.ply": ply(CUBE, QUADS, order="").replace(b"0.0\n", b"0.0 "),
    "line.stl": stl_text(CUBE, TRIANGLES).replace("\n", " "),
    "names.stl": stl_text(CUBE, TRIANGLES, name="facet normal outer loop vertex 1 2 3"),
    "fractions.gltf": numbered(gltf_nodes({"mesh": 0})),
    "zeros.glb": glb(gltf_nodes({"mesh": 0}), b"\0"),
    "hidden.gltf": gltf_nodes(
        {"children": [1, 2]},
        {"mesh": 0},
        {"children": [3], "extensions": HIDDEN, "translation": [5, 0, 0]},
        {"mesh": 0},
    ),
    "targets.gltf": zero_targets(),
    "parts.3mf": threemf(MODEL).replace(b"3D/3dmodel.model", b"3d/3DModel.model"),
    "order.dae": TURNED.replace('stride="3"/>', f'stride="4"><param/>{PARAMS}</accessor>'),
    "array.dae": DAE.replace('<source id="p">', f'<source id="o">{BESIDE}</float_array></source>'
                             '<source id="p">').replace(f"{BESIDE}</float_array>", "", 2)
                             .replace('<source id="o">', f'<source id="o">{BESIDE}</float_array>'),
    "count.dae": DAE.replace(SOURCE, SOURCE.replace('count="8" ', "")),
}  # fmt: skip


@pytest.mark.parametrize("name", CUBES)
def test_cubes_as_programs_write_them(tmp_path: Path, name: str) -> None:
    content = CUBES[name]
    data = content if isinstance(content, bytes) else content.encode()
    mesh = load_mesh(tmp_path / name, data=data)
    assert mesh.volume == pytest.approx(1)
    assert mesh.area == pytest.approx(6)
    np.testing.assert_allclose(mesh.bounds, [[0, 0, 0], [1, 1, 1]], atol=1e-6)


@pytest.mark.parametrize(
    "name",
    ["KHR_techniques_webgl", "MSFT_lod", "EXT_structural_metadata", "EXT_mesh_features",
     "VRMC_vrm", "KHR_materials_unlit", "CESIUM_primitive_outline", "EXT_texture_webp"],
)  # fmt: skip
def test_extensions_beside_the_geometry_are_no_hindrance(tmp_path: Path, name: str) -> None:
    text = gltf_nodes({"mesh": 0}, extensionsRequired=[name])
    assert load_mesh(tmp_path / "a.gltf", data=text.encode()).volume == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.gltf", gltf_nodes({"mesh": 0}, extensionsRequired=["CESIUM_RTC"]), "CESIUM_RTC"),
        ("a.gltf", gltf_nodes({"mesh": 0}, extensionsRequired=["KHR_mesh_variants"]), "variants"),
        ("a.gltf", gltf_nodes({"mesh": 0}).replace('"version"', '"minVersion": "2.1", "version"'),
         "2.1 or later"),
        ("a.dae", DAE.replace("0.0 ", "0,0 "), "decimal commas.*decimal points"),
        ("a.off", "LIST\n{ OFF }\n", "no OFF file"),
        ("a.off", "OFF\n", "without numbers"),
        ("a.ply", ply(CUBE, QUADS, order="").replace(b"0.0 0.0 0.0\n", b"0 0 0 255 255 255\n"),
         "6 numbers on its line, where the header declares 3"),
    ],
)  # fmt: skip
def test_reasons_name_what_is_wrong(tmp_path: Path, name: str, content: object, says: str) -> None:
    data = content if isinstance(content, bytes) else str(content).encode()
    with pytest.raises(DataError, match=says) as caught:
        load_mesh(tmp_path / name, data=data)
    assert str(caught.value).count(name) == 1


def ply_points(properties: str, body: bytes, order: str = "ascii") -> bytes:
    lines = [f"ply\nformat {order} 1.0\nelement vertex 12"]
    lines += [f"property {p}" for p in properties.split(",")]
    return "\n".join([*lines, "end_header\n"]).encode() + body


AXES = "double x,double y,double z"
BLENDER = f"{AXES},float nx,float ny,float nz,list uchar uint vertex_indices"
PACKED = (COLORS.astype(int) << [16, 8, 0]).sum(axis=1)
ALPHA = np.full(12, 255)


def pcd(kind: str) -> str:
    return (
        f"VERSION .7\nFIELDS x y z rgb\nSIZE 8 8 8 4\nTYPE F F F {kind}\nCOUNT 1 1 1 1\nWIDTH 12\n"
        f"HEIGHT 1\nPOINTS 12\nDATA ascii\n{rows(POINTS, PACKED)}"
    )


def v(extra: np.ndarray | None = None, weight: str = "") -> str:
    text = rows(POINTS) if extra is None else rows(POINTS, extra)
    if weight:
        cells = [line.split() for line in text.splitlines()]
        text = "".join(" ".join([*line[:3], weight, *line[3:]]) + "\n" for line in cells)
    return "".join(f"v {line}\n" for line in text.splitlines())


CLOUDS: dict[str, tuple[str | bytes, bool, bool]] = {  # content, has normals, has colours
    "capitals.ply": (ply_points(AXES.upper().replace("DOUBLE", "double"), rows(POINTS).encode()),
                     False, False),
    "blender.ply": (ply_points(BLENDER, rows(POINTS, NORMALS).encode()), True, False),
    "cut_faces.ply": (ply_points(AXES, rows(POINTS).encode() + b"9 9 9\n")
                      .replace(b"end_h", b"element face 1\nproperty list int int vertex_indices\n"
                      b"end_h"), False, False),
    "utf16.obj": (v().encode("utf-16"), False, False),
    "continued.obj": (v().replace(" 5", " \\\n5"), False, False),
    "weights.obj": (v(COLORS / 255, weight="1.0"), False, True),
    "curves.obj": ("cstype bezier\n" + v(), False, False),
    "a.off": (f"OFF\n12 0 0\n{rows(POINTS)}", False, False),
    "n.off": (f"NOFF\n12 0 0\n{rows(POINTS, NORMALS)}", True, False),
    "c.off": (f"COFF\n12 0 0\n{rows(POINTS, COLORS, ALPHA)}", False, True),
    "cn.off": (f"CNOFF\n12 0 0\n{rows(POINTS, NORMALS, COLORS, ALPHA)}", True, True),
    "nc.off": (f"NCOFF\n12 0 0\n{rows(POINTS, COLORS, ALPHA, NORMALS)}", True, True),
    "fraction.xyzrgb": (rows(POINTS, COLORS / 255), False, True),
    "whole.xyzrgb": (rows(POINTS, COLORS), False, True),
    "n.xyzn": (rows(POINTS, NORMALS), True, False),
    "integer.pcd": (pcd("F"), False, True),
    "unsigned.pcd": (pcd("U"), False, True),
    "german.csv": (("Nummer;Rechtswert;Hochwert;Höhe\n" + rows(np.arange(12), POINTS, separator=";")
                    .replace(".", ",")).encode("cp1252"), False, False),
}  # fmt: skip


@pytest.mark.parametrize("name", CLOUDS)
def test_clouds_as_programs_write_them(tmp_path: Path, name: str) -> None:
    content, normals, colors = CLOUDS[name]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    cloud = load_cloud(path)
    np.testing.assert_allclose(cloud.points, POINTS, rtol=0, atol=1e-6)
    assert (cloud.normals is not None, cloud.colors is not None) == (normals, colors)
    if cloud.normals is not None:
        np.testing.assert_allclose(cloud.normals, NORMALS, atol=1e-9)
    if cloud.colors is not None:
        np.testing.assert_array_equal(cloud.colors, COLORS)


def test_clouds_of_more_points_than_declared_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(ply_points(AXES, (rows(POINTS) + "1 2 3\n").encode()))
    with pytest.raises(DataError, match="3 numbers more than its header declares"):
        load_cloud(path)


def test_a_name_is_no_cloud(tmp_path: Path) -> None:
    for given in (tmp_path / "a.ply", "a.ply"):
        with pytest.raises(DataError, match=r"name of a file.*load_cloud"):
            take_cloud(given)


def test_black_points_have_a_colour(tmp_path: Path) -> None:
    path = tmp_path / "a.xyzrgb"
    path.write_text(rows(POINTS, np.zeros((12, 3))))
    np.testing.assert_array_equal(load_cloud(path).colors, np.zeros((12, 3)))


@pytest.mark.parametrize("suffix", GEOMETRY_SUFFIXES)
def test_meshes_are_clouds_of_their_vertices(tmp_path: Path, suffix: str) -> None:
    """One parser: the vertices that a mesh has are the points, in the same digits."""
    contents = {
        ".ply": ply(CUBE + 0.1, QUADS, real="double"),
        ".obj": obj(CUBE + 0.1, QUADS).encode(),
        ".off": off(CUBE + 0.1, QUADS).encode(),
        ".stl": stl_text(CUBE + 0.1, TRIANGLES).encode(),
        ".gltf": gltf_nodes({"mesh": 0, "translation": [0.1, 0.1, 0.1]}).encode(),
        ".glb": glb(gltf_nodes({"mesh": 0, "translation": [0.1, 0.1, 0.1]}), b" "),
    }
    path = tmp_path / f"a{suffix}"
    path.write_bytes(contents[suffix])
    points, mesh = load_points(path), load_mesh(path)
    np.testing.assert_array_equal(np.unique(points, axis=0), np.unique(mesh.vertices, axis=0))


def test_points_of_gltf_are_placed_with_normals_and_colours(tmp_path: Path) -> None:
    made = Gltf.new(scenes=[{"nodes": [0]}], scene=0)
    local, some = POINTS - POINTS[0], [1, 4, 4, 7]
    attributes = {
        "POSITION": made.accessor(local, "VEC3", 5126),
        "NORMAL": made.accessor(NORMALS, "VEC3", 5126),
        "COLOR_0": made.accessor(np.c_[COLORS, ALPHA], "VEC4", 5121, normalized=True),
    }
    named = {"mode": 0, "attributes": attributes, "indices": made.accessor(some, "SCALAR", 5121)}
    made.json["meshes"] = [{"primitives": [{"mode": 0, "attributes": attributes}, named]}]
    made.json["nodes"] = [{"mesh": 0, "translation": [7, 0, 0], "scale": [-1, 1, 2]}]
    path = tmp_path / "a.gltf"
    path.write_text(made.text())
    cloud = load_cloud(path)
    chosen = [*range(12), 1, 4, 7]
    moved = (local * [-1, 1, 2] + [7, 0, 0])[chosen]
    np.testing.assert_allclose(cloud.points, moved, rtol=1e-6, atol=1e-6)
    light = to_srgb(COLORS / 255)[chosen]  # glTF has amounts of light
    np.testing.assert_allclose(cloud.colors, 255 * light, atol=0.51)
    expected = np.array([0, 0.6, 0.4]) / np.linalg.norm([0.6, 0.4])  # across the stretched surface
    np.testing.assert_allclose(cloud.normals, np.tile(expected, (15, 1)), atol=1e-6)


MISTAKEN = {
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    "web page": b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n",
    "is empty": b"",
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + bytes(30),
}


@pytest.mark.parametrize("says", [*MISTAKEN, "is a folder"])
def test_files_that_are_none_are_called_what_they_are(tmp_path: Path, says: str) -> None:
    readers = {
        load_mesh: sorted(readable_suffixes()),
        load_cloud: POINT_SUFFIXES,
        read_voxels: VOXEL_SUFFIXES,
        open_image: (".png", ".jpg"),
        read_mask: (".png",),
    }
    for number, (read, suffixes) in enumerate(readers.items()):
        for suffix in suffixes:
            path = tmp_path / f"{number}{suffix}"
            if says == "is a folder":
                path.mkdir()
            else:
                path.write_bytes(MISTAKEN[says])
            with pytest.raises(DataError, match=says) as caught:
                read(path)
            assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.stl", ply(CUBE, QUADS, order=""), "begins as .ply"),
        ("a.obj", glb(gltf_nodes({"mesh": 0}), b" "), "begins as .glb"),
        ("a.off", stl_text(CUBE, TRIANGLES).encode(), "begins as .stl"),
        ("a.ply", DAE.encode(), "begins as .dae"),
        ("a.stl", threemf(MODEL), "begins as .3mf"),
        ("a.obj", b"ISO-10303-21;\nHEADER;\n", "begins as .step"),
        ("a.ply", b"\x89PNG\r\n\x1a\n" + bytes(9), "begins as .png"),
    ],
)
def test_files_under_another_suffix(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says):
        load_mesh(tmp_path / name, data=content)


def test_clouds_under_another_suffix(tmp_path: Path) -> None:
    for name, content in (
        ("a.xyz", ply(CUBE, QUADS)),
        ("a.csv", b"# .PCD v0.7\nFIELDS x y z\nDATA ascii\n1 2\n"),
        ("a.ply", b"LASF" + bytes(300)),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name}: begins as .*; rename it"):
            load_cloud(tmp_path / name)


def test_a_buffer_that_is_a_pointer_is_said(tmp_path: Path) -> None:
    tree = json.loads(gltf_nodes({"mesh": 0}))
    tree["buffers"][0] = {"byteLength": 1000, "uri": "a.bin"}
    (tmp_path / "a.gltf").write_text(json.dumps(tree))
    (tmp_path / "a.bin").write_bytes(MISTAKEN["Git LFS pointer"])
    with pytest.raises(DataError, match="git lfs pull"):
        load_mesh(tmp_path / "a.gltf")


def test_good_pictures_are_not_mistaken(tmp_path: Path) -> None:
    for name in ("a.png", "a.bmp", "a.tif", "a.gif", "a.webp", "a.jpg"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
        assert open_image(tmp_path / name).size == (4, 4)
