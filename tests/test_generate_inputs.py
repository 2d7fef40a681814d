"""Reconstruction and generation from pictures, grids, numbers and nothing."""

import json

import numpy as np
import pytest
import torch
from ball_model import load_ball, radius_of
from PIL import Image

from onet.data.images import MARGIN
from onet.data.item_writing import write_pointcloud, write_points
from onet.data.photographs import find_photographs
from onet.data.store_folder import RENDERINGS, VOXELS
from onet.errors import ConfigError, DataError
from onet.geometry.mesh_io import load_mesh
from onet.geometry.normalization import UnitFrame
from onet.geometry.topology import topology
from onet.geometry.voxels import VoxelGrid, read_voxels, write_binvox
from onet.inference.generate import generate
from onet.report.contact_sheet import contact_sheet

FRAME = UnitFrame(np.array([10.0, -4.0, 2.0]), 3.0)


@pytest.fixture
def store(tmp_path):
    """Items whose first picture has the brightness 0.2 k, and whose grid is filled so far."""
    rng = np.random.default_rng(0)
    for k in range(3):
        folder = tmp_path / "store" / "ball" / f"m{k}"
        points = rng.uniform(-0.55, 0.55, (100, 3)).astype(np.float16)
        write_points(folder / "points.npz", points, points[:, 0] > 0, FRAME)
        write_pointcloud(folder / "pointcloud.npz", points, np.ones_like(points), FRAME)
        full = np.zeros((10, 10, 10), bool)
        full[: 2 * k] = True
        write_binvox(folder / VOXELS, VoxelGrid(full, FRAME))
        (folder / RENDERINGS).mkdir()
        Image.new("L", (20, 20), 51 * k).save(folder / RENDERINGS / "000.png")
        Image.new("L", (20, 20), 255).save(folder / RENDERINGS / "001.png")
    (tmp_path / "store" / "ball" / "test.lst").write_text("m0\nm1\nm2\n")
    return tmp_path / "store"


@pytest.mark.parametrize(
    ("kind", "options", "suffix"),
    [("image", {"size": 16}, ".png"), ("voxels", {"resolution": 10}, ".binvox")],
)
def test_items_of_a_store(make_run, store, tmp_path, kind, options, suffix):
    report = generate(make_run(kind, **options), data=store, out=tmp_path / "out")
    assert report.ok
    for k, row in enumerate(report.rows):
        mesh = load_mesh(tmp_path / "out" / row["mesh"])
        assert topology(mesh).solid
        np.testing.assert_allclose(mesh.bounds.mean(axis=0), FRAME.loc, atol=0.01)
        assert radius_of(mesh) == pytest.approx(FRAME.scale * (0.2 + 0.05 * k), abs=0.02)
        assert (tmp_path / "out" / "inputs" / "ball" / f"m{k}{suffix}").is_file()
    if kind == "voxels":
        grid = read_voxels(tmp_path / "out" / "inputs" / "ball" / "m2.binvox")
        assert grid.frame.scale == FRAME.scale and grid.full.mean() == 0.4
    with Image.open(contact_sheet(tmp_path / "out", size=48)) as sheet:
        pixels = np.asarray(sheet)
    observed = pixels[:, max(110, 48 * 3 // 4) :][:, :48].astype(int)
    if kind == "image":  # squares of the brightness of each item, one below the other
        for k in range(3):
            shown = (np.abs(observed - 51 * k) <= 1).all(axis=(1, 2))
            assert shown.sum() == 48
    else:  # orange grids, of which the first is empty
        orange = (observed[..., 0] - observed[..., 2] > 60).any(axis=1)
        assert 2 * 15 < orange.sum() < 2 * 48


def test_a_picture_of_a_user_gives_a_mesh_in_the_unit_frame(tmp_path):
    model = load_ball("image", size=32)
    pixels = np.zeros((50, 90, 4), np.uint8)
    pixels[10:30, 40:60, 3] = 255  # a black square
    Image.fromarray(pixels).save(tmp_path / "cut.png")
    mesh = model.reconstruct(tmp_path / "cut.png")
    assert topology(mesh).solid
    np.testing.assert_allclose(mesh.bounds.mean(axis=0), 0, atol=0.01)
    white = 1 - (1 - 2 * MARGIN) ** 2
    assert radius_of(mesh) == pytest.approx(0.2 + 0.25 * white, abs=0.01)
    same = model.reconstruct(Image.fromarray(pixels))
    np.testing.assert_array_equal(mesh.vertices, same.vertices)
    placed = model.reconstruct(pixels, frame=FRAME)
    np.testing.assert_allclose(placed.vertices, FRAME.to_source(mesh.vertices))
    told = placed.metadata["reconstruction"]
    assert told["input"] == "image" and told["scale"] == 3.0
    with pytest.raises(DataError, match="alpha is empty"):
        model.reconstruct(pixels * 0)


def test_a_grid_of_a_user_gives_a_mesh_in_its_own_frame(tmp_path):
    model = load_ball("voxels", resolution=4)
    full = np.zeros((8, 8, 8), bool)
    full[:4] = True
    write_binvox(tmp_path / "half.binvox", VoxelGrid(full, FRAME))
    mesh = model.reconstruct(tmp_path / "half.binvox")
    np.testing.assert_allclose(mesh.bounds.mean(axis=0), FRAME.loc, atol=0.01)
    assert radius_of(mesh) == pytest.approx(3 * (0.2 + 0.125), abs=0.02)
    np.testing.assert_allclose(model.reconstruct(full).bounds.mean(axis=0), 0, atol=0.01)
    with pytest.raises(DataError, match="6 voxels"):
        model.reconstruct(np.zeros((6, 6, 6)))


def test_unconditional_models_draw_by_seed():
    model = load_ball("none", z_dim=3)
    one, two, again = (model.reconstruct(seed=seed) for seed in (1, 2, 1))
    assert topology(one).solid
    np.testing.assert_array_equal(one.vertices, again.vertices)
    assert abs(radius_of(one) - radius_of(two)) > 1e-3
    code = model.encode(np.zeros(0, np.float32))
    given = model.extract(np.zeros(0, np.float32), latent=torch.tensor([2.0, 2, 2]))
    assert code.numel() == 0
    assert radius_of(given) == pytest.approx(0.45, abs=0.01)
    with pytest.raises(DataError, match="observes nothing"):
        model.reconstruct(np.zeros((5, 3)))


def test_with_an_observation_the_latent_code_is_the_mean():
    model = load_ball("image", z_dim=2, size=8)
    observation = np.full((3, 8, 8), 0.4, np.float32)
    for seed in (0, 1):
        mesh = model.reconstruct(observation, seed=seed)
        assert radius_of(mesh) == pytest.approx(0.3, abs=0.01)


def test_numbers_of_training_shapes():
    model = load_ball("index")
    assert radius_of(model.reconstruct(2)) == pytest.approx(0.2 + 0.125, abs=0.01)
    with pytest.raises(DataError, match="number"):
        model.reconstruct(1.5)


def test_samples_without_a_store(make_run, tmp_path):
    run = make_run("none", z_dim=3)
    report = generate(run, samples=3)
    assert report.out == run / "generation-samples"
    assert report.ok and [row["model"] for row in report.rows] == ["0000", "0001", "0002"]
    radii = [radius_of(load_mesh(report.out / row["mesh"])) for row in report.rows]
    assert len({round(radius, 4) for radius in radii}) == 3
    assert generate(run, samples=5).skipped == 3
    assert not (report.out / "inputs").exists()
    contact_sheet(report.out, size=32)
    with pytest.raises(ConfigError, match="excludes"):
        generate(run, samples=3, data=tmp_path)
    with pytest.raises(ConfigError, match="no files"):
        generate(run, input=tmp_path)
    with pytest.raises(ConfigError, match="samples: 0"):
        generate(run, samples=0)


def test_samples_are_for_unconditional_models(make_run):
    with pytest.raises(ConfigError, match="observes something"):
        generate(make_run("voxels"), samples=3)


def test_a_folder_of_pictures(make_run, tmp_path):
    folder = tmp_path / "photos"
    (folder / "street").mkdir(parents=True)
    for name in ("a.png", "a.jpg", "street/b.JPG", "street/c.png"):
        Image.new("RGB", (30, 20)).save(folder / name)
    mask = Image.new("L", (30, 20))
    mask.paste(255, (3, 3, 9, 9))
    mask.save(folder / "street" / "c.mask.png")
    (folder / "bad.png").write_bytes(b"nothing")
    np.save(folder / "points.npy", np.zeros((5, 3)))
    report = generate(make_run("image", size=16), input=folder, out=tmp_path / "out")
    status = {(row["category"], row["model"]): row["status"] for row in report.rows}
    assert status == {
        ("", "a.jpg"): "ok",
        ("", "a.png"): "ok",
        ("", "bad"): "failed",
        ("street", "b"): "ok",
        ("street", "c"): "ok",
    }
    assert "bad.png" in report.failures[0]["reason"]
    masked = np.asarray(Image.open(tmp_path / "out" / "inputs" / "street" / "c.png"))
    assert (masked[0] == 255).all() and (masked[8, 8] == 0).all()


def picture(path, size=(30, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


@pytest.fixture
def collections(tmp_path):
    picture(tmp_path / "kitti" / "image_2" / "000008.png", (1242, 375))
    picture(tmp_path / "kitti" / "cropped_images" / "car" / "000008_10_a_long_name.png", (9, 300))
    picture(tmp_path / "kitti" / "cropped_images" / "car" / "1.png")
    picture(tmp_path / "kitti" / "cropped_images" / "van" / "1.png")
    for name in ("111_0.JPG", "111_1.JPG"):
        picture(tmp_path / "products" / "chair_final" / name)
    (tmp_path / "products" / "chair_final.txt").write_text("111_0.JPG\n\n111_1.JPG\n")
    entries = []
    for category in ("bed", "sofa"):
        picture(tmp_path / "pix3d" / "img" / category / "0001.png", (20, 20))
        mask = Image.new("L", (20, 20))
        mask.paste(255, (3, 3, 9, 9))
        (tmp_path / "pix3d" / "mask" / category).mkdir(parents=True)
        mask.save(tmp_path / "pix3d" / "mask" / category / "0001.png")
        paths = {kind: f"{kind}/{category}/0001.png" for kind in ("img", "mask")}
        entries.append({**paths, "category": category, "bbox": [3, 3, 9, 9]})
    (tmp_path / "pix3d" / "pix3d.json").write_text(json.dumps(entries))
    return tmp_path


def test_published_collections(collections):
    def names(collection):
        return [(p.category, p.model) for p in find_photographs(collections / collection)]

    cars = [("kitti", name) for name in ("000008_10_a_long_name", "car__1", "van__1")]
    assert names("kitti") == cars
    assert names("products") == [("chair", "111_0"), ("chair", "111_1")]
    assert names("pix3d") == [("bed", "0001"), ("sofa", "0001")]
    assert find_photographs(collections) is None


@pytest.mark.parametrize(("collection", "count"), [("kitti", 3), ("products", 2), ("pix3d", 2)])
def test_meshes_of_published_collections(make_run, collections, collection, count):
    run = make_run("image", size=20)
    report = generate(run, input=collections / collection)
    assert report.ok and len(report.rows) == count
    if collection == "pix3d":  # the mask was used
        seen = np.asarray(Image.open(report.out / "inputs" / "bed" / "0001.png"))
        assert (seen[0] == 255).all() and (seen[10, 10] == 0).all()


def test_damaged_collections_are_named(collections):
    (collections / "products" / "chair_final.txt").write_text("111_0.JPG\nghost.JPG\n")
    with pytest.raises(DataError, match=r"1 of 2 files are absent: chair_final/ghost\.JPG"):
        find_photographs(collections / "products")
    for content in ("{", "[1]", '[{"img": "a.png"}]'):
        (collections / "pix3d" / "pix3d.json").write_text(content)
        with pytest.raises(DataError, match=r"pix3d\.json"):
            find_photographs(collections / "pix3d")
    (collections / "pix3d" / "pix3d.json").write_text("[]")
    with pytest.raises(DataError, match="no photographs"):
        find_photographs(collections / "pix3d")
