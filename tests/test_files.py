"""Old content or new content, whatever fails in between."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from onet import files
from onet.errors import DataError
from onet.files import TEMPORARY, confined, remove_leftovers, replacing, replacing_folder
from onet.locks import writing

HELPER = Path(__file__).with_name("writing_processes.py")


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def replace(path, text=b"new"):
    with replacing(path) as temporary:
        temporary.write_bytes(text)


class Fault(OSError):
    """What a test lets happen."""


def raise_fault(*_, **__):
    raise Fault("as in a full disk")


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("step", ["open", "fsync", "replace", "chmod"])
def test_whatever_fails_leaves_what_was_there(tmp_path, monkeypatch, step, there):
    path = tmp_path / "file.ply"
    if there:
        path.write_bytes(b"old")
        path.chmod(0o640)
    before = content(tmp_path)
    if step == "chmod" and not there:
        monkeypatch.setattr(os, "replace", raise_fault)
    monkeypatch.setattr(os, step, raise_fault)
    with pytest.raises(Fault):
        replace(path)
    monkeypatch.undo()
    assert content(tmp_path) == before
    replace(path)
    assert content(tmp_path) == {"file.ply": b"new"}


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "file.ply"
    path.write_bytes(b"old")
    for error in (Fault, KeyboardInterrupt, SystemExit):
        with pytest.raises(error), replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise error
        assert content(tmp_path) == {"file.ply": b"old"}


def test_a_folder_that_cannot_be_flushed_is_said_after_the_rename(tmp_path, monkeypatch):
    path = tmp_path / "file.ply"
    path.write_bytes(b"old")
    flushed = []
    fsync = os.fsync

    def second_fails(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise Fault("folder")
        flushed.append(os.fstat(descriptor).st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", second_fails)
    with pytest.raises(Fault):
        replace(path)
    assert flushed == [3]
    assert content(tmp_path) == {"file.ply": b"new"}


def test_the_file_is_flushed_before_it_is_renamed_and_its_folder_after(tmp_path, monkeypatch):
    order = []
    fsync, rename = os.fsync, os.replace
    monkeypatch.setattr(
        os,
        "fsync",
        lambda d: (
            order.append("folder" if stat.S_ISDIR(os.fstat(d).st_mode) else "file"),
            fsync(d),
        ),
    )
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("rename"), rename(a, b)))
    replace(tmp_path / "file.ply")
    assert order == ["file", "rename", "folder"]


@pytest.mark.parametrize("stage", ["write", "flush", "rename", "after"])
def test_a_process_that_is_killed_leaves_old_or_new_and_the_next_writer_cleans(tmp_path, stage):
    old, new = b"old", b"new " * 10_000
    (tmp_path / "file.ply").write_bytes(old)
    (tmp_path / ".file.tmp.ply").write_bytes(b"somebody else's")
    done = subprocess.run([sys.executable, HELPER, "die", tmp_path, stage], env=environment())
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "file.ply").read_bytes() == (new if stage == "after" else old)
    left = {path.name for path in tmp_path.iterdir()}
    assert any(TEMPORARY.fullmatch(name) for name in left) == (stage != "after")
    with writing(tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"file.ply", ".file.tmp.ply"}


def environment():
    root = str(Path(files.__file__).parents[1])
    return os.environ | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}


def test_temporary_names_keep_the_suffix_and_differ(tmp_path):
    with replacing(tmp_path / "a.ply") as one, replacing(tmp_path / "a.ply") as other:
        assert one != other
        assert one.suffix == other.suffix == ".ply"
        assert one.is_file()
        assert TEMPORARY.fullmatch(one.name)
    long = tmp_path / ("é" * 120 + ".ply")
    replace(long)
    assert long.read_bytes() == b"new"


def test_a_name_that_is_taken_is_not_opened(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_bytes(b"safe")
    tokens = iter(["0" * 16, "0" * 16, "1" * 16])
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: next(tokens))
    (tmp_path / f".a.onet-{'0' * 16}.tmp.ply").symlink_to(victim)
    replace(tmp_path / "a.ply")
    assert victim.read_bytes() == b"safe"
    assert not (tmp_path / "a.ply").is_symlink()


def test_permissions_are_those_of_the_umask_or_of_the_file_replaced(tmp_path):
    path = tmp_path / "a.ply"
    before = os.umask(0o027)
    try:
        replace(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        for mode in (0o600, 0o444, 0o664):
            path.chmod(mode)
            replace(path)
            assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(before)


def test_links_are_written_through(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "real.ply").write_bytes(b"old")
    link = tmp_path / "link.ply"
    link.symlink_to(tmp_path / "disk" / "real.ply")
    replace(link)
    assert link.is_symlink()
    assert content(tmp_path / "disk") == {"real.ply": b"new"}
    link.unlink()
    link.symlink_to(tmp_path / "disk" / "absent.ply")
    replace(link, b"made")
    assert (tmp_path / "disk" / "absent.ply").read_bytes() == b"made"


def test_links_in_a_folder_that_is_written_lead_nowhere_else(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    victim = tmp_path / "victim"
    victim.write_bytes(b"safe")
    (run / "out.csv").symlink_to(victim)
    (run / "in.csv").symlink_to(run / "real.csv")
    with confined(run):
        replace(run / "out.csv")
        replace(run / "in.csv")
    assert victim.read_bytes() == b"safe"
    assert (run / "out.csv").read_bytes() == b"new"
    assert (run / "in.csv").is_symlink()
    assert (run / "real.csv").read_bytes() == b"new"


def test_folders_and_devices_are_not_replaced(tmp_path):
    (tmp_path / "a.ply").mkdir()
    os.mkfifo(tmp_path / "pipe.ply")
    for name in ("a.ply", "pipe.ply"):
        with pytest.raises(DataError, match="folder or a device"):
            replace(tmp_path / name)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("step", ["fsync", "rename", "second rename", "block"])
def test_folders_are_replaced_whole(tmp_path, monkeypatch, step, there):
    folder = tmp_path / "pictures"
    if there:
        folder.mkdir()
        (folder / "0.jpg").write_bytes(b"old")
    rename = os.rename
    calls = []

    def second(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise Fault
        rename(source, target)

    if step == "second rename":
        if not there:
            pytest.skip("there is one rename only")
        monkeypatch.setattr(os, "rename", second)
    elif step != "block":
        monkeypatch.setattr(os, step, raise_fault)
    with pytest.raises(Fault), replacing_folder(folder) as temporary:
        (temporary / "0.jpg").write_bytes(b"new")
        if step == "block":
            raise Fault
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == (["pictures"] if there else [])
    assert not there or content(folder) == {"0.jpg": b"old"}
    with replacing_folder(folder) as temporary:
        (temporary / "1.jpg").write_bytes(b"new")
    assert content(folder) == {"1.jpg": b"new"}


def test_only_own_leftovers_are_deleted(tmp_path):
    token = "0123456789abcdef"
    own = [f".a.onet-{token}.tmp.ply", f".b.onet-{token}.tmp", f"deep/.c.onet-{token}.tmp.x"]
    others = [f"a.onet-{token}.tmp.ply", ".a.123.tmp.ply", f".a.onet-{token}", ".a.onet-0.tmp.ply"]
    others += [f"locked/.a.onet-{token}.tmp", "locked/.lock"]
    for name in (*own, *others):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    folder = tmp_path / f".pictures.onet-{token}.tmp"
    folder.mkdir()
    (folder / "0.jpg").write_bytes(b"")
    removed = remove_leftovers(tmp_path, skip=(".lock",))
    assert {str(path.relative_to(tmp_path)) for path in removed} == {*own, folder.name}
    assert all((tmp_path / name).exists() for name in others)
