"""Every kind of file is read as its format says, or refused by name."""

from __future__ import annotations

import hashlib
import json
import struct

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from mesh_files import (
    CUBE,
    MIXED,
    NODE,
    QUADS,
    TRIANGLES,
    Gltf,
    Kind,
    collada,
    collada_polylist,
    gltf_nodes,
    kinds,
    obj,
    off,
    ply,
    stl,
    stl_text,
    threemf,
    threemf_model,
)

from onet.errors import DataError
from onet.geometry.mesh_io import load_mesh, readable_suffixes
from onet.geometry.mesh_reading.formats import unread_format
from onet.geometry.mesh_reading.polygons import cut_polygons
from onet.geometry.topology import topology

KINDS = kinds()


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_every_kind_of_file_is_read(tmp_path, kind: Kind):
    path = tmp_path / kind.name
    path.write_bytes(kind.bytes)
    for colors in (False, True):
        mesh = load_mesh(path, colors)
        assert np.allclose(mesh.extents, kind.extents, rtol=1e-6, atol=1e-9)
        assert mesh.area == pytest.approx(kind.area, rel=1e-6)
        assert mesh.volume == pytest.approx(kind.volume, rel=1e-6, abs=1e-9)
        assert mesh.metadata["sources"] == {kind.name: hashlib.sha256(kind.bytes).hexdigest()}
    assert path.suffix in readable_suffixes()


@pytest.mark.parametrize("name", ["window0.obj", "comb0.ply", "comb_far.obj", "l5.off"])
def test_cut_polygons_meet_their_neighbours(tmp_path, name):
    kind = next(kind for kind in KINDS if kind.name == name)
    mesh = load_mesh(tmp_path / name, data=kind.bytes)
    assert topology(mesh).watertight
    assert mesh.area_faces.min() > 1e-6


def _outline(turns: list[float], radii: list[float], extra: list[int]) -> np.ndarray:
    """A polygon that is star-shaped around the origin, with corners on its straight edges."""
    angles = np.cumsum(turns) / np.sum(turns) * 2 * np.pi
    plane = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array(radii)[:, None]
    corners = []
    for a, b, count in zip(plane, np.roll(plane, -1, axis=0), extra, strict=True):
        corners += [a + (b - a) * k / (count + 1) for k in range(count + 1)]
    return np.array(corners)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.5, 1), st.floats(0.1, 1), st.integers(0, 2)), min_size=5, max_size=12
    ),
    st.integers(0, 2**32 - 1),
)
def test_polygons_anywhere_keep_area_outline_and_corners(parts, seed):
    rng = np.random.default_rng(seed)
    outline = _outline(*map(list, zip(*parts, strict=True)))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    points = np.c_[outline, np.zeros(len(outline))] @ turn.T + rng.normal(size=3) * 1e3
    count = len(points)
    places, owners = cut_polygons(points, np.arange(count), np.array([count]))
    assert len(places) == count - 2 and not owners.any()
    edges = [(int(t[k - 1]), int(t[k])) for t in places for k in range(3)]
    outside = {edge for edge in edges if edge[::-1] not in edges}
    assert len({*edges}) == len(edges)
    assert outside == {(i, (i + 1) % count) for i in range(count)}
    a, b, c = points[places].transpose(1, 0, 2)
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    following = np.roll(outline, -1, axis=0)
    area = np.sum(outline[:, 0] * following[:, 1] - outline[:, 1] * following[:, 0]) / 2
    assert np.isclose(areas.sum(), area, rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(4, 14), st.floats(0.01, 0.3), st.integers(0, 2**32 - 1))
def test_polygons_that_are_not_plane_keep_all_corners(count, height, seed):
    rng = np.random.default_rng(seed)
    angles, radii = np.sort(rng.uniform(0, 2 * np.pi, count)), rng.uniform(0.3, 1, count)
    points = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    points = np.c_[points, rng.normal(size=count) * height]
    places, _ = cut_polygons(points, np.arange(count), np.array([count]))
    edges = {(int(t[k - 1]), int(t[k])) for t in places for k in range(3)}
    assert len(places) == count - 2
    assert {e for e in edges if e[::-1] not in edges} == {
        (i, (i + 1) % count) for i in range(count)
    }


def test_double_precision_is_kept(tmp_path):
    far = CUBE * 1e-3 + [450000.125, 5400000.25, 320.5]
    for name, content in (
        ("a.obj", obj(far, QUADS).encode()),
        ("a.off", off(far, QUADS).encode()),
        ("a.ply", ply(far, QUADS, real="double")),
        ("b.ply", ply(far, QUADS, order="")),
        ("a.dae", collada(collada_polylist(QUADS), NODE.format(""), far).encode()),
    ):
        assert np.array_equal(load_mesh(tmp_path / name, data=content).vertices, far), name


def test_triangles_come_in_the_order_of_the_file(tmp_path):
    mesh = load_mesh(tmp_path / "a.ply", data=ply(CUBE, MIXED))
    owner = [k for k, face in enumerate(MIXED) for _ in face[2:]]
    assert all({*face} <= {*MIXED[k]} for face, k in zip(mesh.faces, owner, strict=True))
    assert len(mesh.vertices) == 8


def _changed(text: str, **top) -> str:
    return json.dumps({**json.loads(text), **top})


def _compressed() -> str:
    """A file whose plain data are only declared, and which does not say that it needs more."""
    text = json.loads(CUBE_NODE)
    text["buffers"] = [{"byteLength": 1000}]
    for view in text["bufferViews"]:
        view["extensions"] = {"EXT_meshopt_compression": {"buffer": 0}}
    return json.dumps(text)


def _huge_accessor() -> str:
    text = json.loads(gltf_nodes({"mesh": 0}))
    text["accessors"][0]["count"] = 10**9
    return json.dumps(text)


def _empty_accessor() -> str:
    text = json.loads(gltf_nodes({"mesh": 0}))
    del text["accessors"][0]["bufferView"]
    text["accessors"][0]["count"] = 10**12
    return json.dumps(text)


def _many_copies() -> str:
    """A thousand nodes of a mesh with a thousand primitives, of a thousand times the cube."""
    made = Gltf.new(nodes=[{"mesh": 0}] * 1000, scenes=[{"nodes": [*range(1000)]}])
    (primitive,) = made.cube()["primitives"]
    primitive["indices"] = made.accessor(np.tile(np.ravel(TRIANGLES), 1000), "SCALAR", 5121)
    made.json["meshes"] = [{"primitives": [primitive] * 1000}]
    return made.text()


def _bomb() -> bytes:
    return threemf(threemf_model("<!--" + " " * 50_000_000 + "-->", ""))


def _own_parent() -> bytes:
    component = '<component objectid="1"/>' * 2
    thing = f'<object id="1"><components>{component}</components></object>'
    return threemf(threemf_model(thing, '<item objectid="1"/>'))


HEAD = (
    "ply\nformat {} 1.0\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\n"
)
CUBE_NODE = gltf_nodes({"mesh": 0})


def _requires(name: str) -> str:
    return _changed(CUBE_NODE, extensionsRequired=[name])


REFUSED: list[tuple[str, str | bytes, str]] = [
    ("range.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 7\n", r"vertex 7, outside 1\.\.3"),
    ("zero.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", r"vertex 0, outside 1\.\.3"),
    ("before.obj", "v 0 0 0\nf -1 -2 -3\n", "line 2.*1 come before"),
    ("comma.obj", "v 0,5 0 0\nf 1 1 1\n", "line 1.*decimal points"),
    ("two.obj", "v 0 0\n", "line 1.*x, y and z"),
    ("surface.obj", obj(CUBE, QUADS) + "surf 0 1 0 1 1\n", "surf.*free-form"),
    ("lines.obj", "v 0 0 0\nv 1 1 1\nl 1 2\n", "no faces"),
    ("points.ply", HEAD.format("ascii", 1) + "end_header\n0 0 0\n", "no faces"),
    ("count.ply", HEAD.format("binary_little_endian", 10**12) + "end_header\n", "12000000000000"),
    ("count_text.ply", HEAD.format("ascii", 10**12) + "end_header\n1 2 3\n", "6000000000000"),
    ("cut.ply", ply(CUBE, MIXED)[:-3], "cut|needs at least"),
    ("range.ply", ply(CUBE, [[0, 1, 9]]), r"vertex 9, outside 0\.\.7"),
    ("more.ply", ply(CUBE, MIXED, order="") + b"3 0 1 2\n", "4 numbers more"),
    ("grid.ply", HEAD.format("ascii", 1) + "element range_grid 1\nproperty list uchar int "
     "vertex_indices\nend_header\n0 0 0\n1 0\n", "range scan"),
    ("kind.ply", HEAD.format("ascii", 1) + "property quad q\nend_header\n0 0 0 0\n", "quad q"),
    ("list.ply", ply(CUBE, MIXED, name="corners"), "no list 'vertex_indices'.*corners"),
    ("count.off", "OFF\n1000000000000 1 0\n0 0 0\n", "1000000000000 vertices"),
    ("plane.off", "nOFF\n2\n3 1 0\n0 0\n1 0\n0 1\n3 0 1 2\n", "three-dimensional"),
    ("more.off", off(CUBE, QUADS) + "3 0 1 2\n", "1 lines more"),
    ("range.off", off(CUBE, [[0, 1, -1]]), "vertex -1"),
    ("cut.stl", stl(CUBE, TRIANGLES)[:-10], "declares 12 facets.* 684 bytes, but has 674"),
    ("count.stl", b"\0" * 80 + struct.pack("<I", 2**32 - 1) + b"\0" * 99, "4294967295 facets"),
    ("cut_text.stl", stl_text(CUBE, TRIANGLES)[:400], "within a facet"),
    ("junk.stl", "no mesh", "no STL"),
    ("draco.gltf", _requires("KHR_draco_mesh_compression"), "KHR_draco"),
    ("meshopt.gltf", _requires("EXT_meshopt_compression"), "EXT_mesh"),
    ("unknown.gltf", _requires("ACME_shapes"), "requires ACME_shapes"),
    ("compressed.gltf", _compressed(), "uses EXT_meshopt_compression"),
    ("version.gltf", _changed(CUBE_NODE, asset={"version": "1.0"}), "version 1.0"),
    ("accessor.gltf", _huge_accessor(), "declares 1000000000 elements"),
    ("empty.gltf", _empty_accessor(), "without data"),
    ("buffer.gltf", _changed(CUBE_NODE, buffers=[{"byteLength": 10**12, "uri": "data:,abc"}]),
     "declares 1000000000000 bytes, but has 3"),
    ("copies.gltf", _many_copies(), "by copying"),
    ("loop.gltf", gltf_nodes({"mesh": 0, "children": [0]}), "two parents"),
    ("length.glb", struct.pack("<4sII", b"glTF", 2, 10**9) + b"\0" * 20, "declares 1000000000"),
    ("bomb.3mf", _bomb(), "not unpacked"),
    ("loop.3mf", _own_parent(), "contain themselves"),
    ("beams.3mf", threemf(threemf_model("", "", 'xmlns:b="http://a/beamlattice/2017/02" '
                                        'requiredextensions="b"')), "beamlattice"),
    ("loop.dae", collada("", '<node id="n"><instance_node url="#n"/></node>'), "themselves"),
    ("other.dae", collada("", '<node><instance_geometry url="b.dae#g"/></node>'), "b.dae"),
    ("cut.dae", "<COLLADA><library", "XML is damaged"),
    ("scene.fbx", "Kaydara", "format '.fbx' is not read; open it in Blender"),
    ("part.step", "ISO-10303-21;", "FreeCAD"),
    ("mesh.obj.gz", "", "unpack it"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "says"), REFUSED, ids=[r[0] for r in REFUSED])
def test_what_cannot_be_read_is_refused_by_name(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError, match=says) as error:
        load_mesh(path)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    "uri",
    ["../secret.bin", "%2e%2e/secret.bin", "/etc/hostname", "file:///etc/hostname",
     "http://localhost/a.bin", "link.bin", "a/../../secret.bin", "..\\secret.bin", "none.bin"],
)  # fmt: skip
def test_files_outside_the_folder_are_not_read(tmp_path, uri):
    made = Gltf.new(nodes=[{"mesh": 0}], scenes=[{"nodes": [0]}])
    made.json["meshes"] = [made.cube()]
    (tmp_path / "secret.bin").write_bytes(made.data)
    folder = tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    content = {**made.json, "buffers": [{"byteLength": len(made.data), "uri": uri}]}
    (folder / "a.gltf").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"refers to .*(outside its folder|not there)"):
        load_mesh(folder / "a.gltf")


def test_files_inside_the_folder_are_read_and_recorded(tmp_path):
    made = Gltf.new(nodes=[{"mesh": 0}], scenes=[{"nodes": [0]}])
    made.json["meshes"] = [made.cube()]
    content = {**made.json, "buffers": [{"byteLength": len(made.data), "uri": "a%20b/c.bin"}]}
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "c.bin").write_bytes(made.data)
    (tmp_path / "a.gltf").write_text(json.dumps(content))
    mesh = load_mesh(tmp_path / "a.gltf")
    assert mesh.volume == pytest.approx(1)
    assert mesh.metadata["sources"] == {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        for name in ("a.gltf", "a b/c.bin")
    }


def test_given_content_takes_the_place_of_the_file(tmp_path):
    (tmp_path / "a.obj").write_text("junk")
    content = obj(CUBE, QUADS).encode()
    mesh = load_mesh(tmp_path / "a.obj", data=content)
    assert mesh.volume == pytest.approx(1)
    assert mesh.metadata["sources"] == {"a.obj": hashlib.sha256(content).hexdigest()}


def _only_colors(mesh: trimesh.Trimesh) -> set[tuple[int, ...]]:
    assert mesh.visual.defined
    return {tuple(map(int, color)) for color in mesh.visual.face_colors}


def test_colors_of_obj_materials_and_textures(tmp_path):
    from PIL import Image

    picture = Image.new("RGB", (2, 2), (0, 0, 255))
    picture.putpixel((1, 0), (0, 255, 0))  # u = 1, v = 1
    picture.save(tmp_path / "a b.png")
    (tmp_path / "my mat.mtl").write_text(
        "newmtl red\nKd 1 0 0\nnewmtl picture\nKd 1 1 1\nmap_Kd -s 1 1 1 a b.png\n"
    )
    faces = "".join(
        f"usemtl {name}\nf " + " ".join(f"{i + 1}/{k + 1}" for i in face) + "\n"
        for k, (name, face) in enumerate(
            zip(["red", "picture", "picture", "red", "none", "red"], QUADS, strict=True)
        )
    )
    coordinates = "vt 0 0\nvt 0 0\nvt 1 1\nvt 0 0\nvt 0 0\nvt 0 0\n"
    text = "mtllib my mat.mtl\n" + obj(CUBE, []) + coordinates + faces
    (tmp_path / "a.obj").write_text(text)
    mesh = load_mesh(tmp_path / "a.obj", colors=True)
    found = [tuple(map(int, color)) for color in mesh.visual.face_colors[::2]]
    red, grey = (255, 0, 0, 255), (184, 184, 184, 255)
    assert found == [red, (0, 0, 255, 255), (0, 255, 0, 255), red, grey, red]
    assert {*mesh.metadata["sources"]} == {"a.obj", "my mat.mtl", "a b.png"}
    (tmp_path / "a.obj").write_text("mtllib ../../x.mtl\n" + obj(CUBE, QUADS))
    assert not load_mesh(tmp_path / "a.obj", colors=True).visual.defined


def test_colors_of_vertices_and_faces(tmp_path):
    def read(name: str, content: str | bytes) -> set[tuple[int, ...]]:
        data = content.encode() if isinstance(content, str) else content
        return _only_colors(load_mesh(tmp_path / name, colors=True, data=data))

    assert read("a.obj", obj(CUBE, QUADS, "v {} {} {} 1 0 0.2\n")) == {(255, 0, 51, 255)}
    assert read("a.off", off(CUBE, QUADS, tail=" 10 20 30")) == {(10, 20, 30, 255)}
    colored = [[*v, 1, 0, 0, 1] for v in CUBE]
    assert read("a.off", off(colored, QUADS, "COFF")) == {(255, 0, 0, 255)}
    mesh = ply(CUBE, MIXED, behind="red green blue")
    assert read("a.ply", mesh) == {(0, 1, 2, 255)}
    made = Gltf.new(nodes=[{"mesh": 0}], materials=[
        {"pbrMetallicRoughness": {"baseColorFactor": [1, 0.2, 0, 1]}}])  # fmt: skip
    made.json["meshes"] = [made.cube(material=0)]
    assert read("a.gltf", made.text()) == {(255, 124, 0, 255)}


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.FBX", ".fbx"), ("a.obj.gz", ".obj.gz"), ("b.zip", ".zip"), ("v1.2.step", ".step"),
     ("a.unheard", ".unheard"), ("a.obj", None), ("a.mtl", None), ("a.off.txt", None),
     ("README", None), ("a.PNG", None), ("scene.bin", None)],
)  # fmt: skip
def test_formats_that_are_not_read(name, suffix):
    assert unread_format(name) == suffix


@pytest.mark.parametrize("suffix", sorted({kind.name.rpartition(".")[2] for kind in KINDS}))
def test_damage_is_refused_and_never_anything_else(tmp_path, suffix):
    rng = np.random.default_rng(7)
    chosen = [kind for kind in KINDS if kind.name.endswith(f".{suffix}")]
    words = [b"-1", b"4294967295", b"99999999999999999999", b"nan", b"1e308", b"\0", b"\n", b"{}"]
    refused = 0
    for _ in range(150):
        kind = chosen[rng.integers(len(chosen))]
        data = bytearray(kind.bytes)
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(len(data)))
            word = words[rng.integers(len(words))]
            data[at : at + int(rng.integers(0, 9))] = word
        try:
            mesh = load_mesh(tmp_path / kind.name, colors=True, data=bytes(data))
            assert len(mesh.faces)
        except DataError:
            refused += 1
    assert refused > 0
