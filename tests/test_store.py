import numpy as np
import pytest
import yaml

from onet.data.inputs import INPUTS, PointCloudInput
from onet.data.item_writing import write_pointcloud, write_points
from onet.data.store import Item, Store
from onet.data.store_folder import POINTCLOUD, POINTS
from onet.errors import ConfigError, DataError
from onet.geometry.normalization import UnitFrame

FRAME = UnitFrame(np.array([1.0, 2.0, 3.0]), 4.0)


def make_item(folder, count=1001, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-0.55, 0.55, (count, 3)).astype(np.float16)
    inside = rng.random(count) < 0.3
    surface = rng.standard_normal((count, 3))
    surface /= np.linalg.norm(surface, axis=1, keepdims=True)
    write_points(folder / POINTS, points, inside, FRAME)
    write_pointcloud(folder / POINTCLOUD, surface / 2, surface, FRAME)
    return points, inside, surface


@pytest.fixture
def root(tmp_path):
    for category, models in (("03001627", "ab"), ("04256520", "c")):
        for model in models:
            make_item(tmp_path / category / model)
        (tmp_path / category / "train.lst").write_text("\n".join(models) + "\n\n")
        (tmp_path / category / "test.lst").write_text(models[0])
    return tmp_path


def test_written_items_are_read_back(tmp_path):
    points, inside, surface = make_item(tmp_path / "a", count=1003)
    item = Item("c", "a", tmp_path / "a")
    read_points, read_inside = item.load_points()
    assert read_points.dtype == np.float32
    assert np.array_equal(read_points, points)
    assert read_inside.dtype == bool
    assert np.array_equal(read_inside, inside)
    read_surface, normals = item.load_pointcloud()
    assert np.allclose(read_surface, surface / 2, atol=5e-4)
    assert np.allclose(normals, surface, atol=1e-3)
    assert np.array_equal(item.frame().loc, FRAME.loc)
    assert item.frame().scale == FRAME.scale
    assert item.array(POINTS, "occupancies").nbytes == 126  # packed bits
    assert item.array(POINTS, "points").dtype == np.float16


def test_stored_probabilities_are_thresholded_and_what_is_none_is_refused(tmp_path):
    points = np.zeros((3, 3), np.float16)
    item = Item("a", "b", tmp_path)
    for stored in ([0.9, 0.1, 0.5], [1, 0, 1], [True, False, True]):
        np.savez(tmp_path / POINTS, points=points, occupancies=stored)
        assert item.occupancies().tolist() == [True, False, True]
        assert item.occupancies(np.array([1, 0])).tolist() == [False, True]
    for stored in ([0.0, np.nan, 1.0], [-3.0, 4.0, 0.5], [255, 0, 0]):
        np.savez(tmp_path / POINTS, points=points, occupancies=stored)
        with pytest.raises(DataError, match=r"points\.npz: 'occupancies'"):
            item.occupancies()
        with pytest.raises(DataError, match="'occupancies'"):
            write_points(tmp_path / "new.npz", points, stored, UnitFrame(np.zeros(3), 1.0))


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_occupancies_of_chosen_points_are_those_of_all(tmp_path, cached, packed):
    points, inside, _ = make_item(tmp_path / "a")
    if not packed:  # as some published archives have them
        np.savez(tmp_path / "a" / POINTS, points=points, occupancies=inside, loc=[0] * 3, scale=1)
    item = Item("c", "a", tmp_path / "a", cached)
    index = np.random.default_rng(1).integers(len(points), size=500)
    assert np.array_equal(item.occupancies(), inside)
    assert np.array_equal(item.occupancies(index), inside[index])


def test_labels_cannot_be_stored_with_points_that_rounding_moves(tmp_path):
    points = np.random.default_rng(0).random((10, 3)).astype(np.float32)
    with pytest.raises(DataError, match="float16"):
        write_points(tmp_path / POINTS, points, np.ones(10), FRAME)
    with pytest.raises(DataError, match="do not fit"):
        write_points(tmp_path / POINTS, points.astype(np.float16), np.ones(11), FRAME)
    assert not list(tmp_path.iterdir())


def test_items_come_in_the_order_of_the_lists(root):
    store = Store(root)
    assert [item.name for item in store.items("train")] == [
        "03001627/a",
        "03001627/b",
        "04256520/c",
    ]
    assert [item.name for item in store.items("test", ["04256520"])] == ["04256520/c"]


def test_lists_of_other_editors(root):
    path = root / "03001627" / "train.lst"
    path.write_bytes("\ufeff\r\n  b \r\n\r\na".encode())
    assert Store(root).names("03001627", "train") == ["b", "a"]
    path.write_bytes("b\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"train\.lst: is not UTF-8"):
        Store(root).names("03001627", "train")


def test_categories_have_display_names(root):
    (root / "metadata.yaml").write_text(yaml.safe_dump({"03001627": {"id": 1, "name": "chair"}}))
    assert [item.model for item in Store(root).items("train", ["chair"])] == ["a", "b"]
    with pytest.raises(DataError, match="did you mean 'chair'"):
        Store(root).items("train", ["chiar"])


def test_broken_stores_say_what_is_missing(root, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(DataError, match="no such folder"):
        Store(empty / "none")
    with pytest.raises(DataError, match="no category folder"):
        Store(empty)
    with pytest.raises(DataError, match=r"val\.lst.*this category has test, train"):
        Store(root).items("val")
    (root / "04256520" / "train.lst").write_text("c\nghost\n")
    with pytest.raises(DataError, match=r"train\.lst: 1 of 4 models .*/ghost;"):
        Store(root).items("train")
    (root / "metadata.yaml").write_text("a: [")
    with pytest.raises(DataError, match="not valid YAML"):
        Store(root)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:500]), "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: np.savez(path, occupancies=[1]), "no array 'points'"),
        (lambda path: np.savez(path, points=np.zeros((5, 2))), r"\(5, 2\)"),
        (
            lambda path: np.savez(path, points=np.zeros((9, 3)), occupancies=np.zeros(3, np.uint8)),
            r"expected \(9,\) or, as packed bits, \(2,\)",
        ),
    ],
)
def test_damaged_files_are_named(tmp_path, damage, says):
    make_item(tmp_path)
    damage(tmp_path / POINTS)
    with pytest.raises(DataError, match=says) as error:
        Item("c", "a", tmp_path).load_points()
    assert str(tmp_path / POINTS) in str(error.value)
    assert "onet prepare" in str(error.value)


def test_flipped_bytes_are_noticed(tmp_path):
    make_item(tmp_path)
    content = bytearray((tmp_path / POINTCLOUD).read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / POINTCLOUD).write_bytes(content)
    item = Item("c", "a", tmp_path)
    with pytest.raises(DataError, match="damaged"):
        item.load_pointcloud()


def test_point_cloud_input_draws_noisy_surface_points(tmp_path):
    *_, surface = make_item(tmp_path)
    item = Item("c", "a", tmp_path)
    section = {"type": "pointcloud", "count": 2000, "noise": 0.01}
    noisy = INPUTS.build(section, "data.input").sample(item, np.random.default_rng(0))
    assert noisy.shape == (2000, 3)
    assert noisy.dtype == np.float32
    radius = np.linalg.norm(noisy, axis=1)
    assert radius.mean() == pytest.approx(0.5, abs=1e-3)
    assert radius.std() == pytest.approx(0.01, rel=0.1)
    clean = PointCloudInput(50, noise=0).sample(item, np.random.default_rng(0))
    stored = (surface / 2).astype(np.float16).astype(np.float32)
    assert (np.abs(clean[:, None] - stored[None]).max(axis=2).min(axis=1) == 0).all()


def test_observations_are_resampled_to_the_count(caplog):
    part = PointCloudInput(100)
    many = np.random.default_rng(0).random((500, 3)).astype(np.float32) - 0.5
    subset = part.observe(many, np.random.default_rng(0))
    assert subset.shape == (100, 3)
    assert len(np.unique(subset, axis=0)) == 100
    assert not caplog.records
    few = part.observe(many[:30], np.random.default_rng(0))
    assert few.shape == (100, 3)
    assert len(np.unique(few, axis=0)) == 30
    assert "30 points" in caplog.text
    assert "100" in caplog.text


@pytest.mark.parametrize("options", [{"count": 0}, {"noise": -1}, {"noise": float("nan")}])
def test_impossible_inputs_are_refused(options):
    with pytest.raises(ConfigError, match=r"data\.input"):
        PointCloudInput(**options)
