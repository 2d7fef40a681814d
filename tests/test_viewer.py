"""What `onet view` finds, reads, shows and writes."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from test_generate import write_item
from typer.testing import CliRunner

from onet.cli import app
from onet.data.store_folder import RENDERINGS
from onet.errors import DataError, MissingDependency, OnetError
from onet.geometry.mesh_io import load_mesh, save_mesh
from onet.inference.generate import generate
from onet.inference.latent import interpolate
from onet.report.mesh_viewer import MeshViews
from onet.report.shape import Shape, for_display, frame_of, limit_of, limits_of
from onet.viewer import export, view
from onet.viewer.entry import MADE, Entry
from onet.viewer.finding import find_entries
from onet.viewer.reading import NOT_SEEN, read_panel

MakeRun = Callable[..., Path]


def ball(radius: float = 0.5, middle: float = 0.0) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=radius)
    mesh.apply_translation([middle, 0, 0])
    return mesh


def titles(entry: Entry) -> list[str]:
    return [panel.title for panel in entry.load()]


# -- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["ply", "glb"])
def test_numbers_of_vertices_are_read(tmp_path: Path, suffix: str) -> None:
    mesh = ball()
    seen = (mesh.vertices[:, 0] > 0).astype(np.float32)
    mesh.vertex_attributes["seen"] = seen
    mesh.vertex_attributes["scan_distance"] = np.arange(len(seen), dtype=np.float32)
    (panel,) = find_entries([save_mesh(mesh, tmp_path / f"a.{suffix}")])[0].load()
    shades = panel.frames[0].shades
    assert set(shades) == {NOT_SEEN, "scan_distance"}
    np.testing.assert_array_equal(shades[NOT_SEEN], 1 - seen)
    np.testing.assert_array_equal(shades["scan_distance"], np.arange(len(seen)))


@pytest.mark.parametrize("suffix", ["ply", "glb", "obj"])
def test_colours_of_meshes(tmp_path: Path, suffix: str) -> None:
    mesh = ball()
    left = mesh.vertices[:, 0] < 0
    mesh.visual.vertex_colors = np.where(left[:, None], [[255, 0, 0]], [[0, 0, 255]])
    shape = read_panel(save_mesh(mesh, tmp_path / f"a.{suffix}")).frames[0]
    assert shape.colors is not None
    clear = np.abs(shape.vertices[:, 0]) > 0.2
    red = shape.colors[:, 0] > 128
    np.testing.assert_array_equal(red[clear], shape.vertices[clear, 0] < 0)


def test_clouds_pictures_and_what_is_neither(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(30, 3))
    colors = np.arange(90).reshape(30, 3).astype(np.uint8)
    trimesh.PointCloud(points, colors=colors).export(tmp_path / "a.ply")
    cloud = read_panel(tmp_path / "a.ply").frames[0]
    assert not len(cloud.faces) and cloud.colors is not None
    np.testing.assert_array_equal(cloud.colors, colors)
    Image.new("RGB", (5, 4)).save(tmp_path / "a.png")
    picture = read_panel(tmp_path / "a.png").picture
    assert picture is not None and picture.size == (5, 4)
    (tmp_path / "a.docx").write_bytes(b"a")
    with pytest.raises(DataError, match=r"a\.docx: files \.docx are not shown"):
        find_entries([tmp_path / "a.docx"])[0].load()
    (tmp_path / "b.ply").write_bytes(b"ply nothing")
    with pytest.raises(DataError, match=r"b\.ply"):
        find_entries([tmp_path / "b.ply"])[0].load()
    with pytest.raises(DataError, match="no such file"):
        find_entries([tmp_path / "absent.ply"])


def test_files_and_folders_beside_one_another(tmp_path: Path) -> None:
    for folder, names in {"mine": ("a", "b"), "theirs": ("b", "c")}.items():
        for name in names:
            save_mesh(ball(), tmp_path / folder / f"{name}.ply")
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    (entry,) = find_entries([mine / "a.ply", theirs / "b.ply"])
    assert titles(entry) == ["a.ply", "b.ply"]
    assert [entry.name for entry in find_entries([mine])] == ["a.ply", "b.ply"]
    matched = {entry.name: titles(entry) for entry in find_entries([mine, theirs])}
    assert matched == {"a": ["mine"], "b": ["mine", "theirs"], "c": ["theirs"]}
    many = [mine / "a.ply", *[mine / "b.ply"] * 8]
    assert len(find_entries(many)) == 9
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no file that can be shown"):
        find_entries([tmp_path / "empty"])


# -- results --------------------------------------------------------------------------------------


@pytest.fixture
def results(make_run: MakeRun, tmp_path: Path) -> Path:
    """A run with a generation of pictures, of which one failed."""
    run = make_run("image", size=8)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, shade in (("dark", 0), ("light", 255)):
        Image.new("L", (8, 8), shade).save(folder / f"{name}.png")
    (folder / "x.png").write_bytes(b"nothing")
    generate(run, input=folder, out=run / "generation-photos")
    return run


def test_a_run_shows_observation_and_reconstruction(results: Path) -> None:
    entries = {entry.name: entry for entry in find_entries([results])}
    assert list(entries) == ["dark", "light", "x"]
    observation, made = entries["dark"].load()
    assert (observation.title, made.title) == ("observation", "reconstruction")
    assert observation.picture is not None and len(made.frames[0].faces)
    (failed,) = entries["x"].load()
    assert "x.png" in failed.reason and entries["x"].live is None


def test_a_result_is_made_again_with_other_settings(results: Path) -> None:
    dark = find_entries([results])[0]
    live = dark.live
    assert live is not None and (live.probability, live.resolution) == (0.5, 32)
    written = load_mesh(results / "generation-photos" / "meshes" / "dark.ply")
    same = live.mesh("dark", 0.5, 32)
    np.testing.assert_allclose(same.bounds, written.bounds, atol=1e-6)
    assert len(live.mesh("dark", 0.5, 16).faces) < len(same.faces)
    assert live.mesh("dark", 0.2, 32).volume > 1.1 * same.volume
    light = live.mesh("light", 0.5, 32)
    between = live.mesh("dark", 0.5, 32, "light", 0.5)
    assert same.volume < between.volume < light.volume
    with pytest.raises(OnetError, match="not there"):
        live.mesh("absent", 0.5, 32)


def test_weights_that_are_others_are_told(results: Path, make_run: MakeRun) -> None:
    settings = results / "generation-photos" / "generation.json"
    told = json.loads(settings.read_text())
    told["checkpoint"]["sha256"] = "0" * 64
    settings.write_text(json.dumps(told))
    live = find_entries([results])[0].live
    assert live is not None
    with pytest.raises(DataError, match="other weights"):
        live.mesh("dark", 0.5, 16)


def test_samples_and_walks_of_a_generative_model(make_run: MakeRun) -> None:
    run = make_run("none", z_dim=3)
    entries = find_entries([run])
    (panel,) = entries[2].load()
    assert entries[2].name == "sample 2" and len(panel.frames[0].faces)
    live = entries[0].live
    assert live is not None
    ends = [live.mesh(key, 0.5, 16).volume for key in "01"]
    assert min(ends) < live.mesh("0", 0.5, 16, "1", 0.5).volume < max(ends)
    interpolate(run, [(0, 1)], steps=3, resolution=16)
    (entry,) = find_entries([run])
    (walk,) = entry.load()
    assert len(walk.frames) == 3 and walk.axis == "interpolation"
    assert list(walk.labels) == ["0.00", "0.50", "1.00"]


def test_a_run_without_results_says_what_to_do(make_run: MakeRun) -> None:
    with pytest.raises(DataError, match="onet generate"):
        find_entries([make_run("image", size=8)])


def test_an_animation_has_a_slider(tmp_path: Path) -> None:
    mesh = ball()
    moved = np.stack([mesh.vertices + np.array([0.1 * k, 0, 0]) for k in range(4)])
    np.savez(tmp_path / "a.npz", vertices=moved, faces=mesh.faces, times=np.arange(4.0))
    panel = read_panel(tmp_path / "a.npz")
    assert len(panel.frames) == 4 and panel.axis == "time" and list(panel.labels) == list("0123")
    page = export([tmp_path / "a.npz"], tmp_path / "a.html").read_text()
    assert page.count('class="time"') == 1 and 'data-meshes="0,1,2,3"' in page


# -- shapes ---------------------------------------------------------------------------------------


def test_a_coarse_shape_keeps_place_colours_and_numbers() -> None:
    mesh = trimesh.creation.icosphere(subdivisions=5)
    shape = Shape.of_mesh(mesh)
    red = (255 * (shape.vertices[:, :1] > 0)).astype(np.uint8)
    colors = np.concatenate([red, 0 * red, 0 * red], axis=1)
    fine = Shape(shape.vertices, shape.faces, colors, {"x": shape.vertices[:, 0]})
    coarse = for_display(fine, 2000)
    assert 500 < len(coarse.faces) <= 2000 and coarse.colors is not None
    np.testing.assert_allclose(coarse.shades["x"], coarse.vertices[:, 0], atol=1e-9)
    clear = np.abs(coarse.vertices[:, 0]) > 0.2
    np.testing.assert_array_equal((coarse.colors[:, 0] > 0)[clear], coarse.vertices[clear, 0] > 0)
    drawn = trimesh.Trimesh(coarse.vertices, coarse.faces, process=False)
    outward = (drawn.face_normals * drawn.triangles_center).sum(axis=1)
    assert (outward > 0).mean() > 0.99  # faces are turned as they were
    assert len(for_display(Shape.of_points(np.zeros((50, 3))), points=20).vertices) == 20


def test_shapes_under_one_legend_have_one_limit() -> None:
    shapes = [
        Shape(np.zeros((3, 3)), np.array([[0, 1, 2]]), shades={"away": np.full(3, high)})
        for high in (1.0, 4.0)
    ]
    views = MeshViews()
    views.view(shapes, views.group(), "two")
    assert [shape["shades"]["away"]["limit"] for shape in views.shapes] == [4.0, 4.0]
    assert limits_of([*shapes, Shape(np.zeros((1, 3)), np.zeros((0, 3), int))]) == {"away": 4.0}


def test_limits_and_frames() -> None:
    assert limit_of(np.full(5, np.nan)) == 1.0 and limit_of(np.zeros(5)) == 1.0
    assert limit_of(np.array([*[0.0] * 999, 3.0])) == 3.0
    frame = frame_of(np.array([[1.0, 1, 1], [3, 2, 1]]))
    assert frame.scale == 2 and np.allclose(frame.to_unit(np.array([[3.0, 1.5, 1]])), [0.5, 0, 0])
    assert frame_of(np.zeros((2, 3))).scale == 1


# -- the page -------------------------------------------------------------------------------------


def test_a_page_needs_nothing_else(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        save_mesh(ball(), tmp_path / "in" / f"{name} <b>.ply")
    (tmp_path / "in" / "d.ply").write_bytes(b"ply nothing")
    told = CliRunner().invoke(
        app, ["view", str(tmp_path / "in"), "--export", str(tmp_path / "p.html"), "--limit", "3"]
    )
    assert told.exit_code == 0 and "p.html" in told.output, told.output
    text = (tmp_path / "p.html").read_text()
    assert "http:" not in text and "https:" not in text and "src=" not in text
    assert text.count("<section") == 3 and "The first 3 of 4" in text and "a &lt;b&gt;.ply" in text
    with_bad = export([tmp_path / "in"], tmp_path / "q.html").read_text()
    assert with_bad.count("<section") == 4 and "d.ply" in with_bad
    with pytest.raises(DataError, match=r"d\.ply"):
        export([tmp_path / "in" / "d.ply"], tmp_path / "r.html")
    bad = CliRunner().invoke(app, ["view", str(tmp_path / "in"), "--export", "page.txt"])
    assert bad.exit_code != 0 and "html" in str(bad.exception)


# -- the server -----------------------------------------------------------------------------------


def test_without_viser_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    save_mesh(ball(), tmp_path / "a.ply")
    with pytest.raises(MissingDependency, match=r"onet\[viewer\].*--export"):
        view([tmp_path / "a.ply"])


@pytest.fixture
def viewer(results: Path, tmp_path: Path) -> Iterator[object]:
    pytest.importorskip("viser")
    from onet.viewer.server import Viewer

    save_mesh(ball(2.0, 10.0), tmp_path / "ball.ply")
    shown = Viewer(find_entries([results, tmp_path / "ball.ply"]), port=8765)
    yield shown
    shown.stop()


def settle(viewer: object) -> None:
    end = time.monotonic() + 30
    time.sleep(0.1)
    while not viewer.settled:  # type: ignore[attr-defined]
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_viewer_extracts_what_its_sliders_ask_for(viewer) -> None:  # type: ignore[no-untyped-def]
    assert "ssh -L" in viewer.where() and str(viewer.server.get_port()) in viewer.where()
    settle(viewer)
    assert viewer.message == "" and viewer.surface.visible  # nothing is asked for yet

    def kept() -> trimesh.Trimesh:
        name, content = viewer.kept()
        assert name == "dark.glb"
        return trimesh.load(io.BytesIO(content), file_type="glb", force="mesh")

    first = kept()
    viewer.probability.value = 0.2
    settle(viewer)
    assert viewer.message.startswith("extracted") and kept().extents.max() > first.extents.max()
    viewer.resolution.value = 16
    settle(viewer)
    assert len(kept().faces) < len(first.faces)
    viewer.probability.value = 0.99
    settle(viewer)
    viewer.item.value = "ball.ply"
    settle(viewer)
    assert not viewer.surface.visible and "320 faces" in viewer.told.content
    _, content = viewer.kept()
    np.testing.assert_allclose(
        trimesh.load(io.BytesIO(content), file_type="glb", force="mesh").bounds[:, 0], [8, 12]
    )
    viewer.item.value = "x"
    assert "x.png" in viewer.told.content and viewer.kept()[0] == "nothing.txt"


def test_models_without_a_field_have_no_sliders() -> None:
    from onet.viewer.live import has_field

    assert not has_field({"config": {"model": {"type": "atlasnet"}}})
    assert has_field({"config": {"model": {"type": "occupancy"}}}) and has_field({})


def test_a_scan_is_made_again(tmp_path: Path) -> None:
    from onet.inference.scan_files import ScanOptions, scan_files

    points = trimesh.sample.sample_surface(ball(), 200, seed=0)[0]
    trimesh.PointCloud(points).export(tmp_path / "ball.ply")
    scan_files([tmp_path / "ball.ply"], tmp_path / "out", ScanOptions(resolution=24))
    (entry,) = find_entries([tmp_path / "out"])
    scan, made = entry.load()
    assert len(scan.frames[0].vertices) == 200 and entry.live is not None
    assert NOT_SEEN in made.frames[0].shades
    same = entry.live.mesh(entry.key, 0.5, 24)
    np.testing.assert_allclose(same.vertices, made.frames[0].vertices, atol=1e-5)
    assert entry.live.mesh(entry.key, 0.2, 24).volume > same.volume
    with pytest.raises(OnetError, match="nothing between"):
        entry.live.mesh(entry.key, 0.5, 24, "other", 0.5)


def test_results_of_several_inputs_and_of_a_store_are_made_again(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run = make_run("image", size=8)
    for name, shade in (("dark", 0), ("light", 255)):
        Image.new("L", (8, 8), shade).save(tmp_path / f"{name}.png")
    generate(run, input=[tmp_path / "dark.png", tmp_path / "light.png"], resolution=16)
    store = tmp_path / "store" / "ball"
    for name in ("a", "b"):
        write_item(store / name, count=50)
        (store / name / RENDERINGS).mkdir()
        Image.new("L", (8, 8), 128).save(store / name / RENDERINGS / "000.png")
    (store / "test.lst").write_text("a\nb\n")
    generate(run, data=tmp_path / "store", resolution=16)
    entries = {entry.name: entry for entry in find_entries([run])}
    assert list(entries) == [
        *(f"generation/ball/{name}" for name in "ab"),
        *(f"generation-inputs/{name}" for name in ("dark", "light")),
    ]
    for entry in entries.values():
        assert entry.live is not None
        made = next(panel for panel in entry.load() if panel.title == MADE).frames[0]
        again = entry.live.mesh(entry.key, 0.5, 16)
        np.testing.assert_allclose(again.vertices, made.vertices, atol=1e-5)
    assert titles(entries["generation/ball/a"]) == ["observation", MADE, "truth"]
