import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from onet.config import parse_config
from onet.data.build import build_datasets
from onet.data.dataset import ShapeDataset
from onet.data.inputs import INPUTS, ImageInput, IndexInput, NoInput, VoxelInput
from onet.data.item_writing import write_pointcloud, write_points
from onet.data.store import Store
from onet.data.store_folder import NEAR_SURFACE, POINTCLOUD, POINTS, RENDERINGS, VOXELS
from onet.errors import ConfigError, DataError
from onet.geometry.normalization import UnitFrame
from onet.geometry.voxels import VoxelGrid, write_binvox

FRAME = UnitFrame(np.array([1.0, 2, 3]), 5.0)
VIEWS = 4


@pytest.fixture
def store(tmp_path):
    """Three items; view v of item k has the colour (40 k, 60 v, 0), its grid k + 1 full layers."""
    rng = np.random.default_rng(0)
    for k in range(3):
        folder = tmp_path / "ball" / f"m{k}"
        points = rng.uniform(-0.55, 0.55, (400, 3)).astype(np.float16)
        write_points(folder / POINTS, points, points[:, 0] > (0.3, 0.3, 0.9)[k], FRAME)
        write_points(folder / NEAR_SURFACE, points / 2, points[:, 0] > 0, FRAME)
        write_pointcloud(folder / POINTCLOUD, points, np.ones_like(points) / np.sqrt(3), FRAME)
        full = np.zeros((8, 8, 8), bool)
        full[: k + 1] = True
        write_binvox(folder / VOXELS, VoxelGrid(full, FRAME))
        (folder / RENDERINGS).mkdir()
        for view in range(VIEWS):
            image = Image.new("RGB", (20, 20), (40 * k, 60 * view, 0))
            image.save(folder / RENDERINGS / f"{view:03d}.jpg", quality=95)
        np.savez(folder / RENDERINGS / "cameras.npz")
    for split in ("train", "val", "test"):
        (tmp_path / "ball" / f"{split}.lst").write_text("m0\n\nm1\n  \nm2\n")
    return Store(tmp_path)


def seen(observation):
    """Item and view that a picture shows."""
    color = 255 * observation.mean(axis=(1, 2))
    return round(color[0] / 40), round(color[1] / 60)


def test_training_draws_any_view_and_validation_takes_the_first(store):
    rng = np.random.default_rng(0)
    items = store.items("train")
    source = ImageInput(size=32)
    for k, item in enumerate(items):
        drawn = [source.sample(item, rng) for _ in range(40)]
        assert {image.shape for image in drawn} == {(3, 32, 32)}
        assert drawn[0].dtype == np.float32
        assert {seen(image) for image in drawn} == {(k, view) for view in range(VIEWS)}
        fixed = [source.sample(item, rng, training=False) for _ in range(5)]
        assert {seen(image) for image in fixed} == {(k, 0)}
        assert seen(ImageInput(view=2).sample(item, rng, training=False)) == (k, 2)
    anyone = ImageInput(view=None)
    drawn = {seen(anyone.sample(items[0], rng, training=False)) for _ in range(40)}
    assert len(drawn) == VIEWS
    with pytest.raises(DataError, match="4 pictures"):
        ImageInput(view=4).sample(items[0], rng, training=False)
    with pytest.raises(DataError, match="onet prepare --render"):
        ImageInput(folder="img").sample(items[0], rng)


def test_augmentation_happens_in_training_only(store):
    item = store.items("train")[0]
    left = np.zeros((64, 64, 3), np.uint8)
    left[:, :32] = 255
    for path in item.pictures():
        Image.fromarray(left).save(path)
    source = ImageInput(size=64, augment=True)
    rng = np.random.default_rng(0)
    moved = {source.sample(item, rng)[0, 0].argmin() for _ in range(20)}
    assert len(moved) > 3
    still = [source.sample(item, rng, training=False) for _ in range(3)]
    np.testing.assert_array_equal(still[0], ImageInput(size=64).sample(item, rng, training=False))


def test_grids(store):
    rng = np.random.default_rng(0)
    for k, item in enumerate(store.items("val")):
        grid = VoxelInput(resolution=8).sample(item, rng)
        assert grid.dtype == np.float32 and grid.shape == (8, 8, 8)
        assert grid[: k + 1].all() and not grid[k + 1 :].any()
        coarse = VoxelInput(resolution=4).sample(item, rng)
        assert coarse.sum() == (k // 2 + 1) * 16
        with pytest.raises(DataError, match=r"model\.binvox.*8 voxels.*12"):
            VoxelInput(resolution=12).sample(item, rng)
    (item.path / VOXELS).write_bytes(b"#binvox 1\ndim 8 8")
    with pytest.raises(DataError, match=r"m2/model\.binvox.*header"):
        VoxelInput(resolution=8).sample(Store(store.root).items("val")[2], rng)
    (item.path / VOXELS).unlink()
    with pytest.raises(DataError, match="onet prepare --voxels"):
        VoxelInput().sample(Store(store.root).items("val")[2], rng)


def test_nothing_and_numbers_make_batches(store):
    nothing = next(iter(DataLoader(ShapeDataset(store, "train", NoInput(), 5), batch_size=3)))
    assert nothing["inputs"].shape == (3, 0)
    numbers = next(iter(DataLoader(ShapeDataset(store, "train", IndexInput(), 5), batch_size=3)))
    assert torch.equal(numbers["inputs"], torch.arange(3))
    assert numbers["inputs"].dtype == torch.int64
    pictures = ShapeDataset(store, "train", ImageInput(), 5)
    assert next(iter(DataLoader(pictures, batch_size=2)))["inputs"].shape == (2, 3, 224, 224)


def test_what_users_give(store, tmp_path):
    rng = np.random.default_rng(0)
    item = store.items("val")[1]
    voxels = VoxelInput(resolution=8)
    raw = voxels.read(item.path / VOXELS)
    frame = voxels.frame(raw, "grid")
    np.testing.assert_allclose(frame.loc, FRAME.loc)
    assert frame.scale == FRAME.scale
    np.testing.assert_array_equal(voxels.observe(raw, rng, frame), voxels.sample(item, rng))
    np.testing.assert_array_equal(voxels.take(raw.full * 1.0).full, raw.full)
    file = voxels.write(voxels.observe(raw, rng), tmp_path / "grid", frame)
    np.testing.assert_array_equal(voxels.read(file).full, raw.full)
    np.savez(tmp_path / "odd.npz", voxels=np.zeros((12, 12, 12)))
    with pytest.raises(DataError, match=r"odd\.npz.*12 voxels"):
        voxels.read(tmp_path / "odd.npz")

    picture = ImageInput(size=20)
    read = picture.read(item.pictures()[1])
    np.testing.assert_array_equal(picture.observe(read, rng), read)
    assert seen(read) == (1, 1)
    np.testing.assert_array_equal(picture.take(Image.open(item.pictures()[1])), read)
    np.testing.assert_array_equal(picture.take(read), read)
    file = picture.write(read, tmp_path / "a.b", frame)
    assert file.name == "a.b.png"
    np.testing.assert_array_equal(picture.read(file), read)
    mask = np.zeros((20, 20), np.uint8)
    mask[5:9, 5:9] = 255
    Image.fromarray(mask).save(tmp_path / "a.b.mask.png")
    assert picture.read(file)[2, 0, 0] > 0.9  # white around the object
    assert picture.frame(read, "x").scale == 1 and not picture.defines_frame
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        picture.take(read * 300)

    assert IndexInput().observe(IndexInput().take(np.int64(4)), rng) == 4
    for wrong in (-1, 2.5, "a"):
        with pytest.raises(DataError, match="number"):
            IndexInput().take(wrong)
    for kind in (IndexInput(), NoInput()):
        assert kind.write(kind.sample(item, rng), tmp_path / "none", frame) is None
        with pytest.raises(DataError, match=r"x\.png"):
            kind.read("x.png")
    assert NoInput().observe(NoInput().take(None), rng).shape == (0,)
    with pytest.raises(DataError, match="unconditional"):
        NoInput().take(3)


@pytest.mark.parametrize(
    "section",
    [
        {"type": "image", "size": 0},
        {"type": "image", "view": -1},
        {"type": "voxels", "resolution": 0},
        {"type": "voxels", "size": 32},
        {"type": "none", "count": 3},
    ],
)
def test_options_are_checked(section):
    with pytest.raises(ConfigError, match=r"data\.input\."):
        INPUTS.build(section, "data.input")


def test_as_many_points_inside_as_outside(store):
    dataset = ShapeDataset(store, "train", NoInput(), (30, 70))
    for index, share in enumerate((70, 70, 0)):  # the last has nothing inside
        item = dataset[index]
        assert item["points"].shape == (100, 3)
        assert item["occupancies"].sum() == share
        threshold = (0.3, 0.3, 0.9)[index]
        assert torch.equal(item["points"][:, 0] > np.float16(threshold), item["occupancies"] > 0)


def test_points_from_another_file_in_training_only(store):
    data = {
        "path": str(store.root),
        "input": {"type": "image", "size": 8},
        "points_file": NEAR_SURFACE,
        "points_subsample": [8, 8],
    }
    config = parse_config(json.dumps({"data": data}), "test")
    datasets = build_datasets(config)
    train, val = datasets["train"][0], datasets["val"][0]
    assert train["points"].abs().max() < 0.28 and len(train["points"]) == 16
    assert train["occupancies"].sum() == 8
    assert torch.equal(train["points"][:, 0] > 0, train["occupancies"] > 0)
    assert val["points"].abs().max() > 0.5 and len(val["points"]) == 400
    views = set()
    for epoch in range(20):
        for dataset in datasets.values():
            dataset.set_epoch(epoch)
        views.add(seen(datasets["train"][0]["inputs"].numpy()))
        assert seen(datasets["val"][1]["inputs"].numpy()) == (1, 0)
    assert len(views) == VIEWS


def test_absent_models_are_counted_in_one_error(store):
    lines = "".join(f"ghost{k}\n" for k in range(30))
    (store.root / "ball" / "train.lst").write_text(lines + "m1\n")
    with pytest.raises(DataError, match=r"train\.lst: 30 of 31 models.*ball/ghost0, .*\.\.\."):
        store.items("train")


def test_categories_without_training_items_are_named(store, caplog):
    (store.root / "lamp").mkdir()
    (store.root / "lamp" / "train.lst").write_text("\n")
    ShapeDataset(Store(store.root), "train", NoInput(), 5)
    assert "no items of category lamp" in caplog.text
    with pytest.raises(DataError, match="'train' has no items"):
        ShapeDataset(Store(store.root), "train", NoInput(), 5, categories=["lamp"])
