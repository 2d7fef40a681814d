"""Full disks and folders that cannot be written: one line, nothing lost, nothing half written."""

import errno
import pickle
import sys

import pytest
import torch
import trimesh

from onet import cli
from onet.checkpoints.checkpoint import torch_save
from onet.data.prepare import prepare
from onet.data.store_folder import POINTS, RECORD
from onet.errors import StorageError
from onet.geometry.mesh_io import save_mesh
from onet.storage import check_writable, explain, refusal

SMALL = {"workers": 1, "points": 500, "surface": 100, "resolution": 16}


@pytest.fixture
def meshes(tmp_path):
    for name in "abc":
        save_mesh(trimesh.creation.icosphere(subdivisions=1), tmp_path / f"in/ball/{name}.ply")
    return tmp_path / "in"


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["onet", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code, capsys.readouterr().err


def test_a_full_disk_stops_the_batch_and_keeps_what_was_finished(
    meshes, tmp_path, monkeypatch, capsys
):
    import onet.data.store as store

    out, write = tmp_path / "out", store.np.savez

    def full(path, **arrays):
        path.write_bytes(b"half")
        if (out / "ball/a" / RECORD).exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, **arrays)

    monkeypatch.setattr(store.np, "savez", full)
    with pytest.raises(StorageError, match=r"ball/b.*no space left on device; free some space"):
        prepare(meshes, out, **SMALL)
    assert [path.parent.name for path in out.glob("*/*/*.json")] == ["a"]
    assert not [path for path in out.rglob("*") if ".tmp" in path.name]
    assert not (out / "ball/c").exists()
    options = ("--points", 500, "--surface", 100, "--resolution", 16, "--workers", 1)
    status, said = run(monkeypatch, capsys, "prepare", meshes, out, *options)
    assert status == 1 and said.count("\n") == 1 and said.startswith("error: ")
    monkeypatch.undo()
    assert prepare(meshes, out, **SMALL).kept == 1
    assert (out / "ball/c" / POINTS).is_file()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="limits of POSIX")
def test_a_limit_of_file_sizes_is_met_in_the_workers(meshes, tmp_path):
    import subprocess

    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "from onet.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "prepare", meshes, tmp_path / "out", "--workers", "2",
         "--resolution", "16", "--surface", "9000"],
        capture_output=True, text=True, cwd=cli.__path__[0] + "/../..",
    )  # fmt: skip
    assert done.returncode == 1
    assert "file too large" in done.stderr and "Traceback" not in done.stderr
    assert not [path for path in tmp_path.rglob("*") if ".tmp" in path.name]


@pytest.mark.parametrize(
    "command",
    [
        ("prepare", "{meshes}", "{file}/out"),
        ("prepare", "{meshes}", "{file}"),
        ("demo", "--out", "{file}/out"),
        ("stability", "dirac", "--steps", "3", "--out", "{file}/out"),
        ("eval", "{file}/results"),
        ("scene", "{file}", "{file}", "--out", "{file}/x/mesh.ply"),
        ("calibrate", "{file}/run"),
        ("threshold", "{file}/run"),
        ("diversity", "{file}/generated"),
    ],
)
def test_a_file_where_a_folder_should_be_is_one_line(
    meshes, tmp_path, monkeypatch, capsys, command
):
    file = tmp_path / "file"
    file.write_text("in the way")
    places = {"meshes": meshes, "file": file}
    status, said = run(monkeypatch, capsys, *[word.format(**places) for word in command])
    assert status == 2
    assert said.splitlines()[-1].startswith(f"error: {file}")
    assert "Traceback" not in said
    assert file.read_text() == "in the way"


@pytest.mark.parametrize("command", [["fit", "{ball}"], ["train", "pointcloud", "data.path={run}"]])
def test_a_missing_gpu_is_one_line(meshes, tmp_path, monkeypatch, capsys, command):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    place = {"ball": meshes / "ball/a.ply", "run": tmp_path / "run"}
    words = [word.format(**place) for word in command]
    out = ["--out" if words[0] == "fit" else "--run", tmp_path / "run"]
    options = ["--watertight-resolution", "16"] if words[0] == "fit" else []
    status, said = run(monkeypatch, capsys, *words, "training.device=cuda", *out, *options)
    assert status == 2
    assert said.startswith("error: training.device:") and said.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full")
def test_torch_refuses_as_everything_else(tmp_path):
    full = tmp_path / "full.pt"
    full.symlink_to("/dev/full")
    with pytest.raises(OSError) as refused:
        torch_save({"weights": torch.zeros(1000)}, full)
    assert refused.value.errno == errno.ENOSPC


def test_what_led_to_an_error_is_found(tmp_path):
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            raise ValueError("while cleaning up")
    except ValueError as error:
        assert refusal(error, tmp_path).errno == errno.ENOSPC
    inside = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "a"))
    assert refusal(inside, tmp_path) is inside
    assert refusal(inside, tmp_path / "b") is None  # an item's own trouble
    assert explain(inside).startswith(f"{tmp_path / 'a'}: permission denied; ")
    assert str(pickle.loads(pickle.dumps(StorageError("full")))) == "full"


def test_writable_is_found_out_without_a_trace(tmp_path):
    check_writable(tmp_path / "a/b")
    assert [*tmp_path.iterdir()] == []
