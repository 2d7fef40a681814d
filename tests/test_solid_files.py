"""`onet solid` and `onet check`: files in, files out."""

from __future__ import annotations

import json

import numpy as np
import pytest
import trimesh
from typer.testing import CliRunner

from onet.cli import app
from onet.errors import ConfigError, DataError
from onet.geometry.lengths import relative_length
from onet.geometry.mesh_io import load_mesh, save_mesh
from onet.geometry.solid.check import check_mesh
from onet.geometry.solid.cleaning import merge
from onet.pipeline.solid import SolidSettings, make_solids

SMALL = SolidSettings(resolution=24)


@pytest.fixture
def meshes(tmp_path):
    root = tmp_path / "meshes"
    bar, post = trimesh.creation.box((1, 0.3, 0.3)), trimesh.creation.box((0.3, 0.3, 1))
    cross = trimesh.util.concatenate([bar, post])
    cross.apply_translation((10, 0, 0))
    save_mesh(cross, root / "cross.ply")
    save_mesh(bar, root / "deep" / "cross.stl")
    (root / "bad.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 nan\nf 1 2 3\n")
    return root


def test_a_folder_becomes_solids_in_its_frame_and_what_fails_is_named(meshes, tmp_path) -> None:
    out = tmp_path / "out"
    report = make_solids([meshes], out, SMALL, workers=1)
    assert (report.made, report.kept) == (2, 0)
    ((file, reason),) = report.failures.items()
    assert file.endswith("bad.obj")
    assert "NaN" in reason
    assert len(report.solids) == 2
    for name, record in report.solids.items():
        solid = load_mesh(out / name)
        assert check_mesh(solid).ok
        assert record["report"]["volume"] == pytest.approx(solid.volume, rel=1e-4)
        source = load_mesh(record["source"])
        np.testing.assert_allclose(solid.bounds, source.bounds, atol=2e-3)
        assert json.loads((out / name).with_suffix(".json").read_text()) == record


def test_what_is_finished_is_kept_and_what_changed_is_made_again(meshes, tmp_path) -> None:
    out = tmp_path / "out"
    make_solids([meshes], out, SMALL, workers=1)
    assert make_solids([meshes], out, SMALL, workers=1).kept == 2
    finer = SolidSettings(resolution=32)
    assert make_solids([meshes], out, finer, workers=1).made == 2
    save_mesh(trimesh.creation.box((2, 1, 1)), meshes / "cross.ply")
    report = make_solids([meshes], out, finer, workers=1)
    assert (report.made, report.kept) == (1, 1)
    damaged = next(iter(report.solids))
    (out / damaged).write_bytes(b"ply")
    assert make_solids([meshes], out, finer, workers=1).made == 1
    # Its own results, where they lie among the meshes, are no meshes to work on.
    inside = meshes / "solids"
    make_solids([meshes], inside, SMALL, workers=1)
    assert make_solids([meshes], inside, SMALL, workers=1).made == 0


def test_lengths_have_units_or_are_parts_of_the_longest_edge() -> None:
    assert relative_length("0.01", "--wall", 50, None) == 0.01
    assert relative_length("2mm", "--wall", 50, "mm") == pytest.approx(0.04)
    assert relative_length(" 2 mm ", "--wall", 0.05, "m") == pytest.approx(0.04)
    assert relative_length("1in", "--wall", 10, "cm") == pytest.approx(0.254)
    with pytest.raises(DataError, match="--units"):
        relative_length("2mm", "--wall", 50, None)
    for wrong in ("", "mm", "-1", "2 parsec", "nan", "1e", "0x1"):
        with pytest.raises(DataError, match=r"--wall.*is no length"):
            relative_length(wrong, "--wall", 50, "mm")
    with pytest.raises(DataError, match="--units"):
        SolidSettings(units="parsec")


def test_walls_are_as_thick_as_asked_for_in_millimetres(tmp_path) -> None:
    sheet = trimesh.Trimesh([[0, 0, 0], [100, 0, 0], [0, 100, 0]], [[0, 1, 2]], process=False)
    save_mesh(sheet, tmp_path / "sheet.stl")
    settings = SolidSettings(resolution=24, wall="4mm", units="mm")
    make_solids([tmp_path / "sheet.stl"], tmp_path / "out", settings, workers=1)
    solid = load_mesh(tmp_path / "out" / "sheet.ply")
    assert np.ptp(solid.vertices[:, 2]) == pytest.approx(4, rel=0.1)


def test_the_commands(meshes, tmp_path) -> None:
    out, runner = tmp_path / "out", CliRunner()
    command = ["solid", str(meshes), "-o", str(out), "--resolution", "24", "--workers", "1"]
    done = runner.invoke(app, [*command, "--faces", "400", "--format", "stl"])
    assert done.exit_code == 1
    assert "2 made, 0 kept from before, 1 failed" in done.output
    assert "bad.obj" in done.output
    solids = sorted(str(path) for path in out.glob("*.stl"))
    assert len(solids) == 2
    checked = runner.invoke(app, ["check", *solids, "--json"])
    assert checked.exit_code == 0, checked.output
    told = json.loads(checked.output)
    assert [entry["file"] for entry in told] == solids
    assert all(entry["ok"] and entry["faces"] <= 450 for entry in told)
    wrong = runner.invoke(app, ["check", str(meshes / "cross.ply"), str(meshes / "bad.obj")])
    assert wrong.exit_code == 1
    assert "faces cross at" in wrong.output
    assert "bad.obj" in wrong.output


def test_nothing_to_do_is_said(tmp_path) -> None:
    with pytest.raises(DataError, match="no such file"):
        make_solids([tmp_path / "nowhere"], tmp_path / "out")
    with pytest.raises(DataError, match="no meshes"):
        make_solids([tmp_path], tmp_path / "out")


@pytest.mark.parametrize("suffix", ["glb", "obj"])
@pytest.mark.parametrize("parts", [1, 2])  # as it is, and on a lattice
def test_a_texture_shows_the_materials_of_the_file(parts, suffix, tmp_path) -> None:
    from PIL import Image
    from trimesh.visual.material import PBRMaterial

    from onet.geometry.color.textured import SurfaceColors
    from onet.geometry.color.textured_files import load_textured

    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, :32], stripes[:, 32:] = (250, 20, 20), (20, 20, 250)
    block = trimesh.creation.box((1, 0.4, 0.4))
    uv = np.stack([block.vertices[:, 0] + 0.5, np.full(len(block.vertices), 0.5)], axis=1)
    material = PBRMaterial(baseColorTexture=Image.fromarray(stripes))
    block.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    scene = trimesh.Scene([block])
    if parts == 2:
        post = trimesh.creation.box((0.2, 0.2, 0.8))
        post.visual = trimesh.visual.TextureVisuals(
            material=PBRMaterial(baseColorFactor=[20, 250, 20, 255])
        )
        scene.add_geometry(post)
    scene.export(tmp_path / "block.glb")

    settings = SolidSettings(resolution=24, format=suffix, texture=256)
    report = make_solids([tmp_path / "block.glb"], tmp_path / "out", settings, workers=1)
    assert report.failures == {}
    path = tmp_path / "out" / f"block.{suffix}"
    made, given = load_textured(path), load_textured(tmp_path / "block.glb")
    vertices, faces = merge(np.asarray(made.mesh.vertices), np.asarray(made.mesh.faces))
    assert check_mesh(trimesh.Trimesh(vertices, faces, process=False)).ok
    points = given.mesh.triangles_center + 1e-3 * given.mesh.face_normals
    points = np.concatenate([points, [(-0.4, 0.1, 0.21), (0.4, -0.1, 0.21), (0, 0.11, 0.3)]])
    found, wanted = SurfaceColors(made)(points), SurfaceColors(given)(points)
    outside = np.abs(points[:, 0]) > 0.05 if parts == 1 else closest_is_outside(points)
    np.testing.assert_allclose(found[outside], wanted[outside], atol=0.03)


def test_a_texture_shows_the_outermost_layer(tmp_path) -> None:
    from onet.geometry.color.textured import SurfaceColors
    from onet.geometry.color.textured_files import load_textured

    block, label = trimesh.creation.box((1, 0.4, 0.4)), trimesh.creation.box((0.4, 0.2, 0.41))
    for part, color in ((block, (20, 20, 250, 255)), (label, (250, 20, 20, 255))):
        part.visual = trimesh.visual.ColorVisuals(part, face_colors=[color] * len(part.faces))
    sheet = label.submesh([label.face_normals[:, 2] > 0.9])[0]
    save_mesh(trimesh.util.concatenate([block, sheet]), tmp_path / "sign.ply")
    settings = SolidSettings(resolution=16, format="glb", texture=256)
    assert not make_solids([tmp_path / "sign.ply"], tmp_path / "out", settings).failures
    colors = SurfaceColors(load_textured(tmp_path / "out" / "sign.glb"))
    np.testing.assert_allclose(colors(np.array([[0, 0, 0.3]]))[0], [0.98, 0.08, 0.08], atol=0.1)
    np.testing.assert_allclose(colors(np.array([[0.45, 0, 0.3]]))[0], [0.08, 0.08, 0.98], atol=0.1)


def closest_is_outside(points) -> np.ndarray:
    """The stripes, and the ends of the other part; not what lies within either."""
    return (np.abs(points[:, 0]) > 0.12) | (np.abs(points[:, 2]) > 0.25)


def test_a_texture_needs_a_format_that_has_one() -> None:
    with pytest.raises(ConfigError, match="glb or obj"):
        SolidSettings(texture=256)
    with pytest.raises(ConfigError, match="texels"):
        SolidSettings(texture=2, format="glb")
