import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from onet.data.dataset import ShapeDataset
from onet.data.inputs import PointCloudInput
from onet.data.item_writing import write_pointcloud, write_points
from onet.data.store import Store
from onet.data.store_folder import POINTCLOUD, POINTS
from onet.errors import ConfigError, DataError
from onet.geometry.normalization import UnitFrame


@pytest.fixture
def store(tmp_path):
    rng = np.random.default_rng(0)
    frame = UnitFrame(np.zeros(3), 1.0)
    for k in range(6):
        folder = tmp_path / "ball" / f"m{k}"
        points = rng.uniform(-0.55, 0.55, (3000, 3)).astype(np.float16)
        inside = np.linalg.norm(points.astype(np.float64), axis=1) < 0.3 + 0.03 * k
        surface = rng.standard_normal((500, 3))
        surface /= np.linalg.norm(surface, axis=1, keepdims=True)
        write_points(folder / POINTS, points, inside, frame)
        write_pointcloud(folder / POINTCLOUD, (0.3 + 0.03 * k) * surface, surface, frame)
    (tmp_path / "ball" / "train.lst").write_text("".join(f"m{k}\n" for k in range(6)))
    (tmp_path / "ball" / "val.lst").write_text("")
    return Store(tmp_path)


def make(store, points=200, cache=True, seed=0):
    return ShapeDataset(store, "train", PointCloudInput(50), points, seed, cache=cache)


def same(a, b):
    return all(torch.equal(torch.as_tensor(a[key]), torch.as_tensor(b[key])) for key in a)


@pytest.mark.parametrize("cache", [False, True])
def test_items_have_the_right_labels(store, cache):
    dataset = make(store, cache=cache)
    assert len(dataset) == 6
    for index in range(6):
        item = dataset[index]
        assert item["points"].shape == (200, 3)
        assert item["inputs"].shape == (50, 3)
        assert item["occupancies"].shape == (200,)
        assert item["index"] == index
        assert {item[k].dtype for k in ("points", "occupancies", "inputs")} == {torch.float32}
        inside = item["points"].double().norm(dim=1) < 0.3 + 0.03 * index
        assert torch.equal(inside.float(), item["occupancies"])


def test_validation_items_hold_all_points_in_order(store):
    item = make(store, points=None)[2]
    points, inside = store.items("train")[2].load_points()
    assert np.array_equal(item["points"], points)
    assert np.array_equal(item["occupancies"], inside)


def test_draws_depend_on_seed_epoch_and_index_only(store):
    first, other = make(store), make(store, cache=False)
    for index in (3, 0, 3):
        assert same(first[index], other[index])
    assert not torch.equal(first[0]["points"], first[1]["points"])
    epoch0 = first[0]
    first.set_epoch(1)
    assert not torch.equal(first[0]["points"], epoch0["points"])
    assert not torch.equal(first[0]["inputs"], epoch0["inputs"])
    first.set_epoch(0)
    assert same(first[0], epoch0)
    assert not torch.equal(make(store, seed=1)[0]["points"], epoch0["points"])


def test_workers_change_nothing(store):
    alone = list(DataLoader(make(store), batch_size=3))
    workers = list(DataLoader(make(store), batch_size=3, num_workers=2))
    assert all(same(a, b) for a, b in zip(alone, workers, strict=True))


def test_an_empty_split_is_refused(store):
    with pytest.raises(DataError, match="'val' has no items"):
        ShapeDataset(store, "val", PointCloudInput(50), 200)


def test_fingerprint_follows_items_and_files(store):
    before = make(store).fingerprint()
    assert before == make(store, points=7, seed=3).fingerprint()
    path = store.items("train")[0].path / POINTS
    path.write_bytes(path.read_bytes() + b"0")
    assert make(store).fingerprint() != before


def test_cached_items_are_kept_compact(store):
    dataset = make(store)
    _ = [dataset[k] for k in range(6)]
    arrays = [array for item in dataset.items for array in item._arrays.values()]
    assert sum(array.nbytes for array in arrays) == 6 * (3000 * 6 + 3000 // 8 + 500 * 6)
    assert not make(store, cache=False).items[0]._arrays


def test_distances_are_those_to_the_surface(store):
    dataset = ShapeDataset(store, "train", PointCloudInput(50), 200, distances=True)
    for index in (0, 3):
        item = dataset[index]
        surface = store.items("train")[index].load_pointcloud()[0]
        offsets = item["points"].numpy()[:, None] - surface[None]
        expected = np.linalg.norm(offsets, axis=2).min(1)
        assert item["distances"].dtype == torch.float32
        np.testing.assert_allclose(item["distances"], expected, atol=5e-4)
        assert same(item, dataset[index])
    with pytest.raises(ConfigError, match=r"data\.cache=true"):
        ShapeDataset(store, "train", PointCloudInput(50), 200, distances=True, cache=False)
