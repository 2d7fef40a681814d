"""Packed stores: training sees the same, damage is named."""

from __future__ import annotations

import csv
import pickle
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from packed_items import FRAME, write_item, write_store
from safetensors.torch import load_file
from typer.testing import CliRunner

from onet.cli import app
from onet.data.check import check_store
from onet.data.dataset import ShapeDataset
from onet.data.images import open_image
from onet.data.inputs import ImageInput, PointCloudInput, VoxelInput
from onet.data.item_writing import write_pointcloud, write_points
from onet.data.packed import reading
from onet.data.packed.arrays import arrays_of
from onet.data.packed.copying import pack, unpack
from onet.data.packed.index import INDEX
from onet.data.packed.reading import Pack
from onet.data.packed.verify import verify
from onet.data.sequence_folder import Sequence
from onet.data.store import Item, Store
from onet.data.store_folder import POINTCLOUD, POINTS
from onet.errors import DataError
from onet.training.stream import training_batches


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stores") / "plain"
    write_store(root)
    return root


@pytest.fixture(scope="module")
def packed(plain: Path) -> Path:
    root = plain.parent / "packed"
    pack(plain, root, shard_bytes=40_000)
    return root


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    return a.dtype == b.dtype and torch.equal(a, b)


def test_all_that_is_read_is_the_same(plain: Path, packed: Path) -> None:
    for split in ("train", "val"):
        ones, others = (Store(root).items(split) for root in (plain, packed))
        assert [item.name for item in ones] == [item.name for item in others]
        for one, other in zip(ones, others, strict=True):
            for file, key in ((POINTS, "points"), (POINTS, "occupancies"), (POINTS, "scale"),
                              (POINTCLOUD, "points"), (POINTCLOUD, "normals")):  # fmt: skip
                a, b = one.array(file, key), other.array(file, key)
                assert a.dtype == b.dtype and np.array_equal(a, b)
                assert not b.flags.writeable  # it is the store's own memory
            assert np.array_equal(one.occupancies(), other.occupancies())
            assert np.array_equal(one.voxels(), other.voxels())
            assert [p.name for p in one.pictures()] == [p.name for p in other.pictures()]
            assert all(
                np.array_equal(a.projection, b.projection)
                for a, b in zip(one.cameras(), other.cameras(), strict=True)
            )
            assert (other.path / "item.json").read_text("utf-8") == '{"note": "é"}\n'
    assert Store(packed).labels["ball"] == "balls"


INPUTS = {
    "points": PointCloudInput(50),
    "turned": PointCloudInput(50, transforms=[{"type": "rotation"}]),
    "picture": ImageInput(size=24, camera=True),
    "crop": ImageInput(size=24, augment=True),
    "voxels": VoxelInput(resolution=8),
}


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize("name", INPUTS)
def test_batches_are_the_same_bit_for_bit(
    plain: Path, packed: Path, name: str, cache: bool
) -> None:
    subsample: tuple[int, int] | int | None = (30, 40) if name == "picture" else 70
    if name == "turned":
        subsample = None
    sets = [
        ShapeDataset(Store(root), "train", INPUTS[name], subsample, seed=3, cache=cache)
        for root in (plain, packed)
    ]
    assert sets[0].fingerprint() == sets[1].fingerprint()
    streams = [iter(training_batches(dataset, 1 if subsample is None else 4, 5, start=2))
               for dataset in sets]  # fmt: skip
    for _ in range(5):
        assert same(next(streams[0]), next(streams[1]))


def test_workers_read_packed_items(packed: Path) -> None:
    dataset = ShapeDataset(Store(packed), "train", PointCloudInput(50), 70)
    dataset[0]  # the store is open when it is passed on
    alone = iter(training_batches(dataset, 4, 5, start=0))
    shared = iter(training_batches(dataset, 4, 5, start=0, workers=2))
    for _ in range(4):
        assert same(next(alone), next(shared))
    copy = pickle.loads(pickle.dumps(dataset))  # as where processes are not forked
    assert same(copy[3], dataset[3])


def test_sequences_are_read(tmp_path: Path) -> None:
    for kind in ("points_seq", "pcl_seq"):
        for frame in range(3):
            path = tmp_path / "plain" / "dance" / "one" / kind / f"{frame:08d}.npz"
            if kind == "pcl_seq":
                write_pointcloud(path, np.full((5, 3), frame), np.ones((5, 3)), FRAME)
            else:
                write_points(path, np.full((5, 3), frame), np.arange(5) > 2, FRAME)
    (tmp_path / "plain" / "dance" / "train.lst").write_text("one\n")
    pack(tmp_path / "plain", tmp_path / "packed")
    one, other = (Sequence.of(Store(tmp_path / n).items("train")[0]) for n in ("plain", "packed"))
    assert one.frames == other.frames
    for a, b in zip(
        one.labelled(2, 4, np.random.default_rng(0), FRAME),
        other.labelled(2, 4, np.random.default_rng(0), FRAME), strict=True,
    ):  # fmt: skip
        assert np.array_equal(a, b)


@given(
    array=hnp.arrays(
        st.sampled_from(["<f2", ">f4", "|u1", "|b1", "<i8", "<c8", "<U3", "|S2", "<M8[s]"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
    ),
    fortran=st.booleans(),
    compressed=st.booleans(),
    before=st.integers(0, 9),
)
def test_arrays_of_any_kind_are_found(
    array: Any, fortran: bool, compressed: bool, before: int, tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("arrays")
    array = np.asfortranarray(array) if fortran and array.ndim else array
    save = np.savez_compressed if compressed else np.savez
    item = folder / "plain" / "c" / "m"
    item.mkdir(parents=True)
    save(item / "a.npz", first=np.zeros(before, np.uint8), wanted=array)
    (folder / "plain" / "c" / "train.lst").write_text("m\n")
    pack(folder / "plain", folder / "packed")
    found = Pack(folder / "packed").array("c", "m", "a.npz", "wanted")
    assert found is not None and found.dtype == array.dtype and found.shape == array.shape
    assert found.tobytes() == array.tobytes()
    assert verify(folder / "packed") == []


def test_damaged_arrays_are_not_mapped(plain: Path, tmp_path: Path) -> None:
    """What is wrong with a file of the store is told where it is used, as without packing."""
    item = tmp_path / "plain" / "ball" / "m"
    write_item(item, 0)
    (item.parent / "train.lst").write_text("m\n")
    raw = bytearray((item / POINTS).read_bytes())
    raw[400] ^= 1
    (item / POINTS).write_bytes(raw)
    np.savez(item / "objects.npz", o=np.array([None, {}]), n=np.arange(3))
    (item / "text.npz").write_text("version https://git-lfs.github.com/spec/v1\n")
    assert pack(tmp_path / "plain", tmp_path / "packed").failures == {}
    packed = Store(tmp_path / "packed").items("train")[0]
    assert packed.array("objects.npz", "n").tolist() == [0, 1, 2]
    for file, key, what in (
        (POINTS, "points", "damaged"),
        ("objects.npz", "o", "objects"),
        ("text.npz", "x", "LFS"),
        ("none.npz", "x", "no such file"),
    ):
        with pytest.raises(DataError, match=what) as error:
            packed.array(file, key)
        assert f"packed/ball/m/{file}" in error.value.args[0]
    assert [*arrays_of(b"PK\x03\x04 nothing")] == []


@pytest.fixture
def copy(plain: Path, tmp_path: Path) -> Path:
    pack(plain, tmp_path / "copy", shard_bytes=40_000)
    return tmp_path / "copy"


def test_every_changed_byte_of_an_item_is_found(copy: Path) -> None:
    assert verify(copy) == []
    pack_ = Pack(copy)
    entry = pack_.index.entry("ball", "m 2")
    assert entry is not None
    for name, place in entry.files.items():
        path = copy / "shards" / f"{entry.shard:05d}.tar"
        raw = bytearray(path.read_bytes())
        raw[place.offset + place.size // 2] ^= 16
        path.write_bytes(raw)
        (problem,) = verify(copy)
        assert (problem.file, problem.field) == (str(path), f"ball/m 2/{name}")
        raw[place.offset + place.size // 2] ^= 16
        path.write_bytes(raw)
    assert verify(copy) == []


def test_damaged_picture_is_refused_when_it_is_read(copy: Path) -> None:
    entry = Pack(copy).index.entry("ball", "m 2")
    assert entry is not None
    place = entry.files["img_choy2016/000.jpg"]
    path = copy / "shards" / f"{entry.shard:05d}.tar"
    raw = bytearray(path.read_bytes())
    raw[place.offset + place.size - 9] ^= 1
    path.write_bytes(raw)
    item = next(i for i in Store(copy).items("train") if i.model == "m 2")
    with pytest.raises(DataError, match=r"m 2/img_choy2016/000.jpg is not what was.*verify"):
        INPUTS["picture"].sample(item, np.random.default_rng(0), training=False)


@pytest.mark.parametrize("how", ["short", "long", "gone", "empty"])
def test_shards_that_are_cut_are_refused(copy: Path, how: str) -> None:
    path = max((copy / "shards").iterdir(), key=lambda p: p.stat().st_size)
    raw = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes({"short": raw[:-512], "long": raw + b"\0", "empty": b""}[how])
    assert str(path) in {problem.file for problem in verify(copy)}
    with pytest.raises(DataError, match=path.name):
        for item in Store(copy).items("train"):
            item.points()


@pytest.mark.parametrize("how", ["text", "empty", "cut", "foreign", "later", "row", "outside"])
def test_indexes_that_are_none_are_refused(copy: Path, how: str) -> None:
    path = copy / INDEX
    raw = path.read_bytes()
    if how in ("text", "empty", "cut"):
        path.write_bytes({"text": b"<html>no</html>" * 99, "empty": b"", "cut": raw[:5000]}[how])
    else:
        connection = sqlite3.connect(path)
        connection.execute({
            "foreign": "PRAGMA application_id = 7", "later": "PRAGMA user_version = 2",
            "row": "UPDATE items SET files = '[[1,2'",
            "outside": "UPDATE items SET files = replace(files, '],false]', '],false]')",
        }[how])  # fmt: skip
        if how == "outside":
            (text,) = connection.execute("SELECT files FROM items WHERE model = ?",
                                         (b"m 0",)).fetchone()  # fmt: skip
            moved = text.replace('"points":[', '"points":[9')
            connection.execute("UPDATE items SET files = ? WHERE model = ?", (moved, b"m 0"))
        connection.commit()
        connection.close()
    with pytest.raises(DataError, match=INDEX) as error:
        for item in Store(copy).items("train"):
            item.points()
    assert "onet data pack" in str(error.value) or "install" in str(error.value)
    result = CliRunner().invoke(app, ["data", "verify", str(copy)])
    assert result.exit_code != 0 and not isinstance(result.exception, sqlite3.Error)


def test_names_that_lead_out_are_refused(copy: Path, tmp_path: Path) -> None:
    connection = sqlite3.connect(copy / INDEX)
    connection.execute("UPDATE items SET model = ? WHERE model = ?", (b"../../out", b"m 0"))
    connection.commit()
    connection.close()
    assert any("leads out" in problem.message for problem in verify(copy))
    report = unpack(copy, tmp_path / "deep" / "unpacked")
    assert [*report.failures] == ["ball/../../out"]
    assert not (tmp_path / "out").exists() and not (tmp_path / "deep" / "out").exists()


def test_what_is_decoded_of_packed_items_is_kept(packed: Path) -> None:
    """Grids and cameras; arrays that are mapped are not, nor items that keep nothing."""
    items = Store(packed).listed("train")
    items.cached = True
    items[1].points()
    assert items[1] is not items[1]
    item = items[1]
    grid, cameras = item.voxels(), item.cameras()
    assert items[1] is item and items[1].voxels() is grid and items[1].cameras() is cameras
    items.cached = False
    items[2].voxels()
    assert items[2] is not items[2]


def test_a_file_is_hashed_once(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading._pack_at.cache_clear()  # what other tests have read
    hashed = []
    sha256 = reading.hashlib.sha256
    monkeypatch.setattr(reading.hashlib, "sha256", lambda c: (hashed.append(len(c)), sha256(c))[1])
    picture = Store(packed).items("train")[0].pictures()[0]
    pixels = [np.asarray(open_image(picture)) for _ in range(3)]
    assert len(hashed) == 1 and np.array_equal(pixels[0], pixels[2])
    monkeypatch.setattr(reading, "_COMPARED", 2)  # what is remembered stays small
    for item in Store(packed).items("train"):
        for path in item.pictures():
            path.read_bytes()
    pack_ = reading.pack_at(packed)
    assert 1 <= len(pack_._compared) <= 2 and len(hashed) > 10


def test_check_reads_packed_stores(plain: Path, packed: Path) -> None:
    ones, others = check_store(plain), check_store(packed)
    strip = [
        sorted((Path(p.file).relative_to(root).as_posix(), p.field, p.message) for p in problems)
        for root, problems in ((plain, ones), (packed, others))
    ]
    assert strip[0] == strip[1] and strip[0]
    assert check_store(packed, workers=2) == others


def test_the_index_knows_which_files_there_are(packed: Path, plain: Path) -> None:
    """Also by the beginning of a path, and not by what lies in a name or among the arrays."""
    index = Pack(packed).index
    for name in (POINTS, "img_choy2016", "img_choy2016/000.jpg", "empty folder", "item.json"):
        assert index.has_file("ball", name), name
    for name in ("oints.npz", "points", "000.jpg", "img_choy", "model", ""):
        assert not index.has_file("ball", name), name
    assert index.has_file("häuser", POINTS) and not index.has_file("häuser", "empty folder")


def test_an_item_of_its_own_reads_packed_files(packed: Path) -> None:
    path = Store(packed).root / "ball" / "m 3"
    item = Item("ball", "m 3", path)
    assert len(item.points()) == 701 and item.frame().scale == FRAME.scale


SMALL = (
    "model.c_dim=8", "model.encoder.hidden_dim=8", "model.decoder.hidden_size=8",
    "data.points_subsample=64", "training.batch_size=2", "training.validate_every=3",
    "training.checkpoint_every=3", "training.threads=1", "generation.resolution=16",
    "generation.refine=none",
)  # fmt: skip


def test_train_generate_and_eval_read_packed_stores(sample_store: Path, tmp_path: Path) -> None:
    """The same weights and the same scores; a run begun from one kind goes on from the other."""
    run = CliRunner()

    def onet(*arguments: object) -> None:
        result = run.invoke(app, [str(a) for a in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output

    onet("data", "pack", sample_store, tmp_path / "packed")
    for name, root in (("plain", sample_store), ("packed", tmp_path / "packed")):
        out = tmp_path / f"run-{name}"
        onet(
            "train", "demo", f"data.path={root}", *SMALL, "training.max_iterations=3", "--run", out
        )
        onet("generate", out, "--out", out / "made", "--format", "ply")
        onet("eval", out / "made", "--samples", 500)
    runs = [tmp_path / f"run-{name}" for name in ("plain", "packed")]
    for file in ("made/results.csv", "made/eval_items.csv"):
        rows = [
            [{k: v for k, v in row.items() if "second" not in k and " [s]" not in k}
             for row in csv.DictReader((out / file).read_text().splitlines())]
            for out in runs
        ]  # fmt: skip
        assert rows[0] == rows[1] and rows[0]
    onet("train", "demo", f"data.path={sample_store}", *SMALL, "training.max_iterations=6",
         "--run", runs[1])  # fmt: skip
    onet("train", "demo", f"data.path={tmp_path / 'packed'}", *SMALL,
         "training.max_iterations=6", "--run", runs[0])  # fmt: skip
    weights = [load_file(out / "checkpoints" / "last.safetensors") for out in runs]
    assert same(*weights)
