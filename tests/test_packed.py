"""Packed stores: nothing is lost, training sees the same, damage is named."""

from __future__ import annotations

import csv
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

import onet
from onet.cli import app
from onet.data.check import check_store
from onet.data.dataset import ShapeDataset
from onet.data.images import open_image
from onet.data.inputs import ImageInput, PointCloudInput, VoxelInput
from onet.data.packed import reading
from onet.data.packed.arrays import arrays_of
from onet.data.packed.copying import merge, pack, subset, unpack
from onet.data.packed.index import INDEX
from onet.data.packed.reading import Pack
from onet.data.packed.verify import verify
from onet.data.sequence_folder import Sequence
from onet.data.sequences import prepare_sequences
from onet.data.store import Item, Store, write_pointcloud, write_points
from onet.data.store_folder import POINTCLOUD, POINTS, VOXELS
from onet.errors import DataError
from onet.files import TEMPORARY
from onet.geometry.cameras import published_camera, write_cameras
from onet.geometry.normalization import UnitFrame
from onet.geometry.voxels import VoxelGrid, write_binvox
from onet.training.stream import training_batches

FRAME = UnitFrame(np.array([0.02, 0.01, -0.03]), 1.1)


def write_item(folder: Path, number: int) -> None:
    """An item with everything that an item may have, in several forms."""
    rng = np.random.default_rng(number)
    points = rng.uniform(-0.55, 0.55, (701, 3)).astype(np.float16)
    inside = np.linalg.norm(points.astype(np.float64), axis=1) < 0.4
    normals = rng.standard_normal((303, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    write_points(folder / POINTS, points, inside, FRAME)
    write_pointcloud(folder / POINTCLOUD, 0.4 * normals, normals, FRAME)
    frame: dict[str, Any] = {"loc": FRAME.loc, "scale": FRAME.scale}
    if number % 3 == 1:  # unpacked occupancies, compressed
        np.savez_compressed(folder / POINTS, points=points, occupancies=inside, **frame)
    if number % 3 == 2:  # single precision, columns first
        np.savez(folder / POINTS, points=np.asfortranarray(points.astype(np.float32)),
                 occupancies=np.packbits(inside), **frame)  # fmt: skip
    pictures = folder / "img_choy2016"
    pictures.mkdir()
    for view in range(3):
        picture = rng.integers(0, 255, (20, 20, 3)).astype(np.uint8)
        Image.fromarray(picture).save(pictures / f"{view:03d}.jpg")
    write_cameras(
        pictures / "cameras.npz", [published_camera(90 * k, 25, 0.9, 20) for k in range(3)]
    )
    write_binvox(folder / VOXELS, VoxelGrid(rng.random((8, 8, 8)) > 0.5, FRAME))
    (folder / "item.json").write_text('{"note": "é"}\r\n', encoding="utf-8")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stores") / "plain"
    for category, models in {"ball": range(6), "häuser": range(6, 9)}.items():
        for number in models:
            write_item(root / category / f"m {number}", number)
        (root / category / "train.lst").write_bytes(
            "".join(f"m {n}\r\n" for n in [*models][:-1]).encode()
        )
        (root / category / "val.lst").write_text(f"\nm {models[-1]}")
    write_item(root / "ball" / "in no list", 40)
    (root / "ball" / "empty").mkdir()
    (root / "ball" / "m 0" / "empty folder").mkdir()
    (root / "ball" / "m 0" / "nothing").touch()
    (root / "metadata.yaml").write_text("# mine\nball: {id: '1', name: balls}\n")
    (root / "failures.csv").write_text("file,reason\n")
    return root


@pytest.fixture(scope="module")
def packed(plain: Path) -> Path:
    root = plain.parent / "packed"
    report = pack(plain, root, shard_bytes=40_000)
    assert (report.copied, report.kept, report.failures) == (11, 0, {})
    assert len([*(root / "shards").iterdir()]) > 2
    return root


def test_nothing_is_prepared_into_a_packed_store(packed: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in packed.rglob("*") if path.is_file()}
    for make in (onet.prepare, prepare_sequences):
        with pytest.raises(DataError, match="is a packed store"):
            make(tmp_path, packed)
    assert before == {path: path.read_bytes() for path in packed.rglob("*") if path.is_file()}


def content(root: Path) -> dict[str, tuple[bytes | None, int]]:
    """All below a folder: bytes and time of files, nothing of folders."""
    return {
        path.relative_to(root).as_posix(): (
            (path.read_bytes(), path.stat().st_mtime_ns if len(path.relative_to(root).parts) > 2
             else 0) if path.is_file() else (None, 0)
        )
        for path in root.rglob("*")
    }  # fmt: skip


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    return a.dtype == b.dtype and torch.equal(a, b)


# -- nothing is lost ------------------------------------------------------------------------------


def test_round_trip_is_equal_to_the_byte(plain: Path, packed: Path, tmp_path: Path) -> None:
    unpack(packed, tmp_path / "out")
    assert content(tmp_path / "out") == content(plain)
    again = unpack(packed, tmp_path / "out")
    assert (again.copied, again.kept) == (0, 11)
    assert content(tmp_path / "out") == content(plain)


def test_shards_are_tar_archives(plain: Path, packed: Path, tmp_path: Path) -> None:
    for shard in (packed / "shards").iterdir():
        with tarfile.open(shard) as archive:
            archive.extractall(tmp_path, filter="data")
    for path in (plain / "ball").rglob("*"):
        if path.is_file() and path.suffix != ".lst":
            assert (tmp_path / path.relative_to(plain)).read_bytes() == path.read_bytes()


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


# -- adding, merging, cutting ---------------------------------------------------------------------


def test_packing_again_adds_what_is_new_or_changed(tmp_path: Path) -> None:
    root, out = tmp_path / "plain", tmp_path / "packed"
    for number in range(3):
        write_item(root / "ball" / f"m{number}", number)
    (root / "ball" / "train.lst").write_text("m0\nm1\nm2\n")
    pack(root, out)
    store = Store(out)
    write_item(root / "ball" / "m3", 3)
    write_points(root / "ball" / "m1" / POINTS, np.zeros((9, 3)), np.arange(9) > 4, FRAME)
    (root / "ball" / "train.lst").write_text("m0\nm1\n")
    (root / "ball" / "val.lst").write_text("m3\nm2\n")
    report = pack(root, out)
    assert (report.copied, report.kept) == (2, 2)
    assert len(Store(out).items("train")[1].points()) == 9
    assert [item.model for item in Store(out).items("val")] == ["m3", "m2"]
    assert verify(out) == []
    assert len(store.items("train")) == 2  # one that was open reads on
    # of another folder: what is there stays
    write_item(tmp_path / "more" / "ball" / "m9", 9)
    (tmp_path / "more" / "ball" / "train.lst").write_text("m9\n")
    pack(tmp_path / "more", out)
    assert [item.model for item in Store(out).items("train")] == ["m0", "m1", "m9"]
    assert verify(out) == []


def test_merge_and_subset(plain: Path, packed: Path, tmp_path: Path) -> None:
    parts = []
    for number, options in enumerate(({"categories": ["balls"]}, {"categories": ["häuser"]})):
        parts.append(tmp_path / f"part{number}")
        subset(plain if number else packed, parts[-1], **options)  # type: ignore[arg-type]
        assert verify(parts[-1]) == []
    assert Store(parts[0]).categories == ["ball"]
    merge([*parts, plain], tmp_path / "all", shard_bytes=1)
    for split in ("train", "val"):
        ones, others = (Store(root).items(split) for root in (plain, tmp_path / "all"))
        assert [item.name for item in ones] == [item.name for item in others]
    assert verify(tmp_path / "all") == []
    unpack(tmp_path / "all", tmp_path / "out")
    wanted = {name: c for name, c in content(plain).items() if not name.endswith(".lst")}
    found = {name: c for name, c in content(tmp_path / "out").items() if name in wanted}
    assert found == wanted


def test_subset_draws_and_names(packed: Path, tmp_path: Path) -> None:
    subset(packed, tmp_path / "a", splits=["train"], count=3, seed=1)
    subset(packed, tmp_path / "b", splits=["train"], count=3, seed=1)
    names = [[i.name for i in Store(tmp_path / n).items("train")] for n in "ab"]
    assert names[0] == names[1] and len(names[0]) == 3
    subset(packed, tmp_path / "c", names=["ball/m 1", "ball/m 5"])
    store = Store(tmp_path / "c")
    assert [i.name for s in ("train", "val") for i in store.items(s)] == ["ball/m 1", "ball/m 5"]
    for options, what in (({"names": ["ball/m 77"]}, "m 77"), ({"count": 99}, "99 of 9"),
                          ({"splits": ["train", "tset"]}, "no list .* called tset"),
                          ({"categories": ["bal"]}, "no category 'bal'")):  # fmt: skip
        with pytest.raises(DataError, match=what):
            subset(packed, tmp_path / "d", **options)
        assert not (tmp_path / "d").exists()


def test_merge_refuses_different_items_of_one_name(packed: Path, tmp_path: Path) -> None:
    write_item(tmp_path / "other" / "ball" / "m 1", 77)
    (tmp_path / "other" / "ball" / "train.lst").write_text("m 1\n")
    with pytest.raises(DataError, match=r"ball/m 1 of .*packed and .*other"):
        merge([packed, tmp_path / "other"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


# -- damage ---------------------------------------------------------------------------------------


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


def test_places_that_are_taken(plain: Path, packed: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for function, arguments, what in (
        (pack, (plain, tmp_path / "full"), "no packed store"),
        (pack, (plain, plain / "packed"), "lies in"),
        (pack, (plain / "ball", plain), "lies in"),
        (pack, (tmp_path / "none", tmp_path / "out"), "no such folder"),
        (unpack, (plain, tmp_path / "out"), "no packed store"),
        (unpack, (plain.parent / "packed", tmp_path / "packed2"), None),
        (unpack, (packed, packed), "lies in"),
    ):
        if what is None:
            pack(plain, tmp_path / "packed2")
            what = "is a packed store"
        with pytest.raises(DataError, match=what):
            function(*arguments)
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["file"]


def test_a_killed_pack_goes_on(plain: Path, tmp_path: Path) -> None:
    code = """
import os, signal, sys
from onet.data.packed import writing
from onet.data.packed.copying import pack
add, count = writing.PackWriter.add, 0
def counted(self, *arguments):
    global count
    add(self, *arguments)
    count += 1
    if count == 6:
        os.kill(os.getpid(), signal.SIGKILL)
writing.PackWriter.add = counted
pack(sys.argv[1], sys.argv[2], shard_bytes=40_000)
"""
    out = tmp_path / "out"
    done = subprocess.run([sys.executable, "-c", code, str(plain), str(out)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert verify(out) != []  # an unfinished shard
    report = pack(plain, out, shard_bytes=40_000)
    assert 0 < report.kept < 6 and report.kept + report.copied == 11
    assert verify(out) == []
    unpack(out, tmp_path / "back")
    assert content(tmp_path / "back") == content(plain)


def test_a_killed_unpack_goes_on(plain: Path, packed: Path, tmp_path: Path) -> None:
    code = """
import os, signal, sys
from onet.data.packed import sources
from onet.data.packed.copying import unpack
read, count = sources.PackSource.read, 0
def counted(self, *names):
    global count
    count += 1
    if count == 20:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(self, *names)
sources.PackSource.read = counted
unpack(sys.argv[1], sys.argv[2])
"""
    out = tmp_path / "out"
    done = subprocess.run([sys.executable, "-c", code, str(packed), str(out)], check=False)
    assert done.returncode == -signal.SIGKILL
    finished = {name for name in content(out) if name.endswith("item.json")}
    assert 0 < len(finished) < 9
    report = unpack(packed, out)
    assert report.kept + report.copied == 11 and 0 < report.kept < 11
    left = {name for name in content(out) if TEMPORARY.fullmatch(Path(name).parts[-1])}
    found = {name: c for name, c in content(out).items() if not any(
        name == one or name.startswith(f"{one}/") for one in left)}  # fmt: skip
    assert found == content(plain)


def test_unpacking_mends_what_was_changed(plain: Path, packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    unpack(packed, out)
    (out / "ball" / "m 1" / POINTS).write_bytes(b"half")
    (out / "ball" / "m 2" / VOXELS).unlink()
    report = unpack(packed, out)
    assert (report.copied, report.kept) == (2, 9)
    assert content(out) == content(plain)


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


@pytest.mark.skipif(os.name == "nt", reason="needs links and pipes")
def test_items_that_cannot_be_packed_are_reported(tmp_path: Path) -> None:
    root = tmp_path / "plain"
    for number in range(3):
        write_item(root / "ball" / f"m{number}", number)
    (root / "ball" / "train.lst").write_text("m0\nm1\nm2\n")
    os.mkfifo(root / "ball" / "m0" / "pipe")
    (root / "ball" / "m1" / "loop").symlink_to(root / "ball", target_is_directory=True)
    result = CliRunner().invoke(app, ["data", "pack", str(root), str(tmp_path / "packed")])
    assert result.exit_code == 1 and "1 items copied" in result.output
    assert "m0/pipe" in result.output and "m1/loop" in result.output


def test_commands(plain: Path, tmp_path: Path) -> None:
    run = CliRunner()
    a, b, c, d = (str(tmp_path / name) for name in "abcd")
    names = tmp_path / "names.txt"
    names.write_text("ball/m 1\nball/m 3\n")
    for command, said in (
        (["pack", str(plain), a, "--shard-size", "1"], "11 items copied"),
        (["pack", str(plain), a], "11 kept"),
        (["verify", a], "no problems"),
        (["subset", a, b, "--names", str(names)], "2 items copied"),
        (["subset", str(plain), c, "--category", "häuser", "--split", "val"], "1 items copied"),
        (["merge", b, c, "--out", d], "3 items copied"),
        (["unpack", d, str(tmp_path / "e")], "3 items copied"),
    ):
        result = run.invoke(app, ["data", *command])
        assert result.exit_code == 0 and said in result.output, result.output
    assert len(Store(tmp_path / "e").items("train")) == 2


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


# -- commands that read stores --------------------------------------------------------------------

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
