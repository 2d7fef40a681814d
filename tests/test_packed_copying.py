"""Packing, unpacking, merging and cutting stores: nothing is lost, killed commands go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from packed_items import FRAME, content, write_item, write_store
from typer.testing import CliRunner

import onet
from onet.cli import app
from onet.data.item_writing import write_points
from onet.data.packed.copying import merge, pack, subset, unpack
from onet.data.packed.verify import verify
from onet.data.sequences import prepare_sequences
from onet.data.store import Store
from onet.data.store_folder import POINTS, VOXELS
from onet.errors import DataError
from onet.files import TEMPORARY


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stores") / "plain"
    write_store(root)
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
