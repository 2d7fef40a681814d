from __future__ import annotations

import csv
import runpy
from pathlib import Path

import numpy as np
import pytest
import trimesh

from onet.data.scan_shapes import PackedShapes, Shape, pack_shapes
from onet.errors import DataError

TOOL = runpy.run_path(str(Path(__file__).parents[1] / "tools/scan_shapes.py"))


def shape(mesh: trimesh.Trimesh, name: str = "a", split: str = "train") -> Shape:
    return Shape(mesh.vertices, mesh.faces, name, "thing", "tests", "CC0-1.0", split)


def test_shapes_come_back_centred_with_longest_edge_one(tmp_path: Path) -> None:
    box = trimesh.creation.box([4, 2, 1]).apply_translation([7, 8, 9])
    ball = trimesh.creation.icosphere(subdivisions=2)
    pack_shapes(tmp_path / "p.npz", [shape(box), shape(ball, "b", "val")])
    packed = PackedShapes(tmp_path / "p.npz")
    assert len(packed) == 2 and packed.vertices.dtype == packed.faces.dtype == np.uint16
    assert packed.name.tolist() == ["a", "b"] and packed.of_split("val").tolist() == [1]
    wanted = (box.vertices - [7, 8, 9]) / 4
    np.testing.assert_allclose(packed.triangles(0), wanted[box.faces], atol=1 / 65535)
    vertices, faces = packed.mesh(1)
    assert packed.triangles(1).dtype == np.float32
    again = trimesh.Trimesh(vertices, faces, process=False)
    assert again.is_watertight and again.volume == pytest.approx(ball.volume / 8, rel=1e-3)


def test_positions_follow_from_the_arrays_alone(tmp_path: Path) -> None:
    meshes = [trimesh.creation.box([1, 2, 3]), trimesh.creation.cone(1, 2)]
    pack_shapes(tmp_path / "p.npz", [shape(mesh, str(i)) for i, mesh in enumerate(meshes)])
    with np.load(tmp_path / "p.npz") as file:
        start, first = file["vertex_start"], file["face_start"]
        vertices = file["vertices"][start[1] : start[2]] / 65535 - 0.5
        triangles = vertices[file["faces"][first[1] : first[2]]]
    np.testing.assert_allclose(PackedShapes(tmp_path / "p.npz").triangles(1), triangles, atol=1e-6)


def test_loose_vertices_count_for_nothing(tmp_path: Path) -> None:
    box = trimesh.creation.box()
    vertices = np.vstack([[[90, 0, 0]], box.vertices])
    far = Shape(vertices, box.faces + 1, "a", "thing", "tests", "CC0-1.0", "train")
    pack_shapes(tmp_path / "p.npz", [far])
    packed = PackedShapes(tmp_path / "p.npz")
    assert len(packed.vertices) == 8 and packed.triangles(0).max() == 0.5


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ([], "no shapes"),
        ([shape(trimesh.creation.box())] * 2, "twice"),
        ([shape(trimesh.creation.box(), split="test")], "split 'test'"),
        ([Shape(np.zeros((3, 3)), [[0, 1, 2]], "a", "", "", "", "train")], "one place"),
        ([Shape(np.full((3, 3), np.nan), [[0, 1, 2]], "a", "", "", "", "train")], "NaN"),
        ([Shape(np.eye(3), np.zeros((0, 3), int), "a", "", "", "", "train")], "F > 0"),
    ],
)
def test_what_cannot_be_packed_is_named(tmp_path: Path, shapes: list[Shape], said: str) -> None:
    with pytest.raises(DataError, match=said):
        pack_shapes(tmp_path / "p.npz", shapes)
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    pack_shapes(path, [shape(trimesh.creation.box())])
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"words"):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"p\.npz"):
            PackedShapes(path)
    np.savez(path, vertices=np.zeros((1, 3)))
    with pytest.raises(DataError, match="faces"):
        PackedShapes(path)
    with pytest.raises(DataError, match=r"missing\.npz"):
        PackedShapes(tmp_path / "missing.npz")


def test_tool_takes_solids_in_the_public_domain_alone(tmp_path: Path) -> None:
    box, inverted = trimesh.creation.box(), trimesh.creation.box()
    inverted.invert()
    rows = [
        ("good.ply", "kit", "CC0-1.0", "A", box), ("fair.ply", "kit", "CC0-1.0", "B", box),
        ("poor.ply", "kit", "CC0-1.0", "C", box), ("owned.ply", "kit", "CC-BY-3.0", "A", box),
        ("held.ply", TOOL["HELD_OUT"][0], "CC0-1.0", "A", box),
        ("inverted.ply", "kit", "CC0-1.0", "A", inverted),
    ]  # fmt: skip
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "category", "source", "licence", "creator", "quality"])
        for name, source, licence, quality, mesh in rows:
            mesh.export(tmp_path / name)
            writer.writerow([name, "box", source, licence, "somebody", quality])
    taken = TOOL["objects"](tmp_path)
    assert {(shape.name, shape.split) for shape in taken} == {
        ("good", "train"),
        ("fair", "train"),
        ("held", "val"),
    }
    assert "| `kit` | somebody | 3 |" in TOOL["credits"](tmp_path)


def test_credits_replace_their_own_section_alone(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(
        "file,category,source,licence,creator,quality\na.ply,box,kenney-kit,CC0-1.0,,A\n"
    )
    path = tmp_path / "CREDITS.md"
    path.write_text("# Credits\n\nOthers.\n")
    TOOL["write_credits"](path, tmp_path)
    once = path.read_text()
    assert once.startswith("# Credits\n\nOthers.\n\n## ") and "kenney.nl" in once
    path.write_text(once + "\n## More\n\nof it\n")
    TOOL["write_credits"](path, tmp_path)
    assert path.read_text() == once + "\n## More\n\nof it\n"
