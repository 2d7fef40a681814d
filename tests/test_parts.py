"""Pictures, grids and near-surface points that `prepare` makes."""

import json
import shutil
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import trimesh
from PIL import Image

from onet.data import item as making
from onet.data.check import check_store
from onet.data.parts import PARTS, Part, renderings, voxels
from onet.data.prepare import prepare
from onet.data.settings import PrepareSettings
from onet.data.store import Store
from onet.data.store_folder import MESH, NEAR_SURFACE, POINTS, RECORD, RENDERINGS, VOXELS
from onet.errors import DataError
from onet.geometry.cameras import read_cameras
from onet.geometry.distance import TriangleTree
from onet.geometry.inside import contains
from onet.geometry.mesh_io import load_mesh, save_mesh
from onet.geometry.voxels import read_binvox
from onet.metrics.voxel_iou import voxel_iou

SMALL = {"workers": 1, "points": 4000, "surface": 500, "resolution": 32, "split": (1, 0, 0)}
ALL = {"render": 3, "render_size": 40, "voxels": 16, "near_surface": 0.02}


@pytest.fixture
def meshes(tmp_path):
    root = tmp_path / "meshes" / "ball"
    for name, stretch in {"a": 1.0, "b": 2.0}.items():
        mesh = trimesh.creation.icosphere(subdivisions=2, radius=3)
        mesh.vertices = mesh.vertices * (1, stretch, 1) + (10, 0, -5)
        save_mesh(mesh, root / f"{name}.ply")
    return root.parent


def everything(root):
    return {
        path.relative_to(root): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix not in (".json", ".npz")  # times and dates
    }


def test_all_parts_fit_the_item(meshes, tmp_path):
    report = prepare(meshes, tmp_path / "out", **SMALL, **ALL)
    assert report.ok and report.prepared == 2
    assert check_store(tmp_path / "out") == []
    for item in Store(tmp_path / "out").items("train"):
        points, inside = item.load_points()
        assert np.array_equal(item.voxels(), read_binvox(item.path / VOXELS).full)
        assert item.voxels().shape == (16, 16, 16)
        assert voxel_iou(item.voxels(), points[inside], inside[inside]) == 1  # nothing is lost
        assert 0.6 < voxel_iou(item.voxels(), points, inside) < 1
        place = read_binvox(item.path / VOXELS).frame
        np.testing.assert_allclose(place.loc, item.frame().loc)
        assert place.scale == pytest.approx(item.frame().scale)

        near = item.points(NEAR_SURFACE).astype(np.float32)
        solid = load_mesh(item.mesh_path)
        distance = TriangleTree(solid).closest(near.astype(np.float64))[1]
        assert len(near) == 4000
        # the part of the noise across the surface: half a normal distribution
        assert distance[2000:].mean() == pytest.approx(0.02 * np.sqrt(2 / np.pi), rel=0.1)
        assert np.median(distance[:2000]) > 0.1  # uniform in the box
        labels = contains(solid, near)
        clear = distance > 0.01  # the stored mesh is a simplified one
        assert np.array_equal(item.occupancies(file=NEAR_SURFACE)[clear], labels[clear])

        cameras = read_cameras(item.path / RENDERINGS / "cameras.npz")
        pictures = item.pictures()
        assert [path.name for path in pictures] == ["000.jpg", "001.jpg", "002.jpg"]
        source = load_mesh(meshes / "ball" / f"{item.model}.ply")
        for path, camera in zip(pictures, cameras, strict=True):
            picture = np.asarray(Image.open(path).convert("L"))
            assert picture.shape == (40, 40)
            rows, columns = np.nonzero(picture < 230)
            pixels, _ = camera.project(source.vertices)  # in the source frame
            extent = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            bounds = [*pixels.min(axis=0), *pixels.max(axis=0)]
            np.testing.assert_allclose(extent, bounds, atol=1.5)


@pytest.mark.slow
def test_parts_can_be_added_later_and_are_the_same(meshes, tmp_path):
    prepare(meshes, tmp_path / "at once", **SMALL, **ALL)
    out = tmp_path / "out"
    prepare(meshes, out, **SMALL)
    stamp = (out / "ball" / "a" / POINTS).stat().st_mtime_ns
    for key in ("near_surface", "voxels"):
        assert prepare(meshes, out, **SMALL, **{key: ALL[key]}).prepared == 2
    pictures = {key: ALL[key] for key in ("render", "render_size")}
    assert prepare(meshes, out, **SMALL, **pictures).prepared == 2
    assert prepare(meshes, out, **SMALL, **ALL).kept == 2
    assert prepare(meshes, out, **SMALL).kept == 2
    assert (out / "ball" / "a" / POINTS).stat().st_mtime_ns == stamp
    assert everything(out) == everything(tmp_path / "at once")
    for file in (NEAR_SURFACE, POINTS):
        one, two = (
            Store(root).items("train")[1].points(file) for root in (out, tmp_path / "at once")
        )
        np.testing.assert_array_equal(one, two)


def test_only_what_is_missing_or_differs_is_made(meshes, tmp_path):
    out = tmp_path / "out"
    prepare(meshes, out, **SMALL, **ALL)
    before = everything(out)
    (out / "ball" / "a" / RENDERINGS / "001.jpg").unlink()
    (out / "ball" / "b" / VOXELS).unlink()
    assert prepare(meshes, out, **SMALL, **ALL).prepared == 2
    assert everything(out) == before
    assert prepare(meshes, out, **SMALL, **ALL | {"render": 2}).prepared == 2
    assert [p.name for p in Store(out).items("train")[0].pictures()] == ["000.jpg", "001.jpg"]
    # another mesh: what belongs to the old one goes, also what is not asked for now
    save_mesh(trimesh.creation.box(), meshes / "ball" / "a.ply")
    assert prepare(meshes, out, **SMALL, voxels=16).prepared == 1
    assert not (out / "ball" / "a" / RENDERINGS).exists()
    assert not (out / "ball" / "a" / NEAR_SURFACE).exists()
    assert (out / "ball" / "b" / RENDERINGS).is_dir()
    record = json.loads((out / "ball" / "a" / RECORD).read_text())
    assert list(record["extras"]) == [VOXELS]


@pytest.mark.slow
def test_a_part_that_was_interrupted_is_made_again(meshes, tmp_path, monkeypatch):
    out = tmp_path / "out"
    prepare(meshes, out, **SMALL, voxels=16)
    write = voxels.write_binvox

    def interrupted(path, grid):
        write(path, grid)
        raise KeyboardInterrupt

    monkeypatch.setattr(voxels, "write_binvox", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(meshes, out, **SMALL, voxels=8)
    monkeypatch.undo()
    assert prepare(meshes, out, **SMALL, voxels=16).prepared == 1
    assert {len(item.voxels()) for item in Store(out).items("train")} == {16}


def test_random_views_and_alpha(meshes, tmp_path):
    prepare(meshes, tmp_path / "out", **SMALL, render=4, views="random", alpha=True, render_size=32)
    for item in Store(tmp_path / "out").items("train"):
        assert {path.suffix for path in item.pictures()} == {".png"}
        for path in item.pictures():
            image = np.asarray(Image.open(path))
            assert image.shape == (32, 32, 4)
            assert set(image[[0, -1], :, 3].ravel()) == {0}
            assert image[16, 16, 3] == 255


def test_a_failure_costs_its_own_item(meshes, tmp_path, monkeypatch):
    draw = renderings.render_view

    def broken(mesh, camera, size):
        if np.ptp(mesh.vertices[:, 1]) > 9:
            raise DataError("cannot be drawn")
        return draw(mesh, camera, size)

    monkeypatch.setattr(renderings, "render_view", broken)
    report = prepare(meshes, tmp_path / "out", **SMALL, render=2, render_size=16)
    assert [(f.file, f.reason) for f in report.failures] == [("ball/b.ply", "cannot be drawn")]
    assert [item.model for item in Store(tmp_path / "out").items("train")] == ["a"]
    assert not list((tmp_path / "out").rglob(".*"))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (VOXELS, b"#binvox 1"),
        (NEAR_SURFACE, b"PK"),
        (f"{RENDERINGS}/001.jpg", b"no picture"),
        (f"{RENDERINGS}/cameras.npz", b"PK"),
        (f"{RENDERINGS}/003.jpg", None),  # one more than there are cameras
        (VOXELS, None),
        (NEAR_SURFACE, None),
    ],
)
def test_check_names_damaged_parts(checked_store, tmp_path, file, content):
    root = tmp_path / "copy"
    shutil.copytree(checked_store, root)
    path = root / "ball" / "a" / file
    if content is not None:
        path.write_bytes(content)
    elif path.exists():
        path.unlink()
    else:
        shutil.copy(path.with_name("002.jpg"), path)
    problems = check_store(root)
    assert problems
    folder = str(root / "ball" / "a")
    assert all(problem.file.startswith(folder) for problem in problems)
    assert "onet prepare" in problems[0].remedy


@pytest.fixture(scope="module")
def checked_store(tmp_path_factory):
    root = tmp_path_factory.mktemp("parts")
    for name in ("a", "b"):
        mesh = trimesh.creation.icosphere(subdivisions=2)
        save_mesh(mesh, root / "meshes" / "ball" / f"{name}.ply")
    prepare(root / "meshes", root / "store", **SMALL, **ALL)
    return root / "store"


@pytest.mark.parametrize(
    "wrong",
    [{"render": 0}, {"voxels": 0}, {"near_surface": 0.0}, {"views": "up"}, {"render_size": 0}],
)
def test_impossible_parts_are_named(meshes, tmp_path, wrong):
    with pytest.raises(DataError, match=next(iter(wrong))):
        prepare(meshes, tmp_path / "out", **SMALL, **wrong)


@dataclass(frozen=True)
class Volume(Part):
    """A part that the package does not have: the volume of the closed mesh in source units."""

    name: ClassVar[str] = "volume.txt"
    fields_of: ClassVar = {"digits": "points"}

    digits: int

    def write(self, folder, shape):
        closed = shape.require_closed()
        (folder / self.name).write_text(str(closed.mesh.volume * closed.frame.scale**3))


def test_a_new_part_is_a_class_and_a_line(meshes, tmp_path, monkeypatch):
    out = tmp_path / "out"
    prepare(meshes, out, **SMALL, voxels=16)
    monkeypatch.setattr("onet.data.parts.PARTS", [*PARTS, Volume])
    monkeypatch.setattr("onet.data.item.PARTS", [*PARTS, Volume])
    assert prepare(meshes, out, **SMALL).prepared == 2
    file = out / "ball" / "a" / Volume.name
    radius = 3
    assert float(file.read_text()) == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.05)
    record = json.loads((file.parent / RECORD).read_text())
    assert record["extras"] == {VOXELS: {"resolution": 16}, Volume.name: {"digits": 4000}}
    assert {VOXELS, Volume.name} < {*record["files"]}
    assert prepare(meshes, out, **SMALL).kept == 2
    file.write_text("")  # damaged
    assert prepare(meshes, out, **SMALL).prepared == 1
    assert file.read_text()
    # of another mesh, when nobody makes this part any more
    save_mesh(trimesh.creation.box(), meshes / "ball" / "a.ply")
    monkeypatch.setattr("onet.data.parts.PARTS", PARTS)
    assert prepare(meshes, out, **SMALL).prepared == 1
    assert not file.exists()


def test_a_part_that_does_not_say_what_it_needs_is_a_defect_of_its_own(
    meshes, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    prepare(meshes, out, **SMALL)
    monkeypatch.setattr(voxels.Voxels, "needs_closed_mesh", False)
    report = prepare(meshes, out, **SMALL, voxels=8)
    assert ["not closed" in failure.reason for failure in report.failures] == [True, True]


@pytest.mark.parametrize("part", PARTS)
def test_settings_lead_to_the_part_and_back(part):
    asked = {"render": 4, "views": "random", "alpha": True, "voxels": 8, "near_surface": 0.1}
    asked["colours"] = part.needs_colors
    settings = PrepareSettings(**asked, points=70, seed=5)
    made = part.wanted(settings)
    assert part.wanted(PrepareSettings(points=70, seed=5)) is None
    record = {"extras": {part.name: made.settings()}}
    assert made.present(json.loads(json.dumps(record))) and not made.present({})
    back = part.settings_of(record)
    assert all(getattr(settings, name) == value for name, value in back.items())
    assert part.wanted(PrepareSettings(**back)) == made
    assert part.settings_of({}) == {}


@pytest.mark.slow
def test_a_mesh_that_changes_after_it_was_planned_is_made_anew(meshes, tmp_path, monkeypatch):
    out, path = tmp_path / "out", meshes / "ball" / "a.ply"
    prepare(meshes, out, **SMALL, **ALL)
    read = making.load_mesh

    def changed(file, **options):
        save_mesh(trimesh.creation.box((1, 2, 3)), path)
        return read(path, **options | {"data": path.read_bytes()})

    monkeypatch.setattr(making, "load_mesh", changed)
    assert prepare(meshes, out, **SMALL, **ALL | {"voxels": 8}, max_per_category=1).prepared == 1
    monkeypatch.undo()
    assert prepare(meshes, tmp_path / "fresh", **SMALL, **ALL | {"voxels": 8}).ok
    for file in (VOXELS, f"{RENDERINGS}/001.jpg", MESH):
        one, two = ((root / "ball" / "a" / file).read_bytes() for root in (out, tmp_path / "fresh"))
        assert one == two
