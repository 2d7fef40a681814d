"""One writer at a time, who is named; a killed one is noticed."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import trimesh
from ball_model import save_run

import onet
from onet.data.check import check_store
from onet.data.prepare import prepare
from onet.data.store import Store
from onet.errors import DataError, FolderInUse
from onet.evaluation.meshes import evaluate_generation
from onet.files import replacing
from onet.inference.generate import generate
from onet.locks import OWN, Writer, current_writer, hold, writer, writing, writing_file

HELPER = Path(__file__).with_name("writing_processes.py")
SMALL = {"workers": 1, "points": 2000, "surface": 300, "resolution": 32}


@contextmanager
def process(what, folder):
    root = str(Path(onet.__file__).parents[1])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, HELPER, what, folder],
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as running:
        assert running.stdout.readline() == b"ready\n"
        try:
            yield running
        finally:
            running.stdin.close()
            running.kill()


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_the_second_process_is_refused_and_told_who_is_first(tmp_path):
    with process("hold", tmp_path) as first:
        with pytest.raises(FolderInUse, match=rf"{tmp_path}.*process {first.pid} on .*since 20"):
            enter(writing(tmp_path))
        assert "writing_processes.py hold" in str(current_writer(tmp_path))
        first.stdin.close()
        first.wait()
        with writing(tmp_path):
            assert current_writer(tmp_path).pid == os.getpid()
    assert names(tmp_path) == set()


def test_the_lock_of_a_killed_process_is_taken_over_and_its_files_go(tmp_path, caplog):
    caplog.set_level("INFO")
    with process("leave", tmp_path) as killed:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert len(names(tmp_path) - {*OWN}) == 1
    with writing(tmp_path):
        assert names(tmp_path) == {*OWN}
    assert f"process {killed.pid}" in caplog.text
    assert names(tmp_path) == set()


def test_a_note_from_somewhere_else_leads_nowhere(tmp_path):
    run, victim = tmp_path / "run", tmp_path / "victim"
    run.mkdir()
    victim.write_text('{"pid": 1, "host": "a\\u001b[1m", "command": "b\\n", "since": ""}')
    before = victim.read_text()
    (run / OWN[1]).symlink_to(victim)
    assert current_writer(run) is None
    with writing(run):
        assert current_writer(run).pid == os.getpid()
    assert victim.read_text() == before
    assert names(run) == set()
    shown = str(Writer(1, "a\x1b[1m", "b\n", ""))
    assert shown.isprintable()


def test_the_same_thread_may_enter_again_another_may_not(tmp_path):
    problems = []

    def other():
        try:
            with writing(tmp_path):
                pass
        except FolderInUse as error:
            problems.append(str(error))

    with writing(tmp_path):
        with writing(tmp_path / "." / ""):
            pass
        assert current_writer(tmp_path).pid == os.getpid()
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(problems) == 1
    assert "thread" in problems[0]
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert len(problems) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_holds_nothing(tmp_path):
    with writing(tmp_path):
        child = os.fork()
        if child == 0:
            try:
                with writing(tmp_path):
                    os._exit(1)
            except FolderInUse:
                os._exit(0)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert current_writer(tmp_path).pid == os.getpid()


def test_a_folder_made_for_nothing_goes(tmp_path):
    with pytest.raises(ZeroDivisionError), writing(tmp_path / "new"):
        1 / 0  # noqa: B018
    assert names(tmp_path) == set()
    with writing(tmp_path / "new"):
        (tmp_path / "new" / "file").write_text("")
    assert names(tmp_path / "new") == {"file"}


def test_what_a_function_holds_it_gives_back(tmp_path):
    @writer
    def command(fail):
        hold(tmp_path)
        assert current_writer(tmp_path)
        if fail:
            raise ValueError

    command(False)
    assert names(tmp_path) == set()
    with pytest.raises(ValueError):
        command(True)
    assert names(tmp_path) == set()
    with pytest.raises(RuntimeError, match="writer"):
        hold(tmp_path)


def test_a_folder_below_that_is_locked_keeps_its_files(tmp_path):
    with process("leave", tmp_path / "generation"):
        with replacing(tmp_path / "other.csv") as mine, writing(tmp_path):
            assert not mine.exists()
            mine.write_text("")
        assert len(names(tmp_path / "generation")) == 3


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="root may write anywhere")
def test_folders_that_cannot_be_written_say_so(tmp_path):
    tmp_path.chmod(0o500)
    try:
        for folder in (tmp_path, tmp_path / "new"):
            with pytest.raises(DataError, match="cannot be written"), writing(folder):
                pass
    finally:
        tmp_path.chmod(0o700)


def test_files_are_locked_one_by_one(tmp_path):
    problem = pytest.raises(FolderInUse, match=r"a\.ply")
    with writing_file(tmp_path / "a.ply"), writing_file(tmp_path / "b.ply"), problem:
        run_in_thread(lambda: enter(writing_file(tmp_path / "a.ply")))
    assert names(tmp_path) == set()


def enter(context):
    with context:
        pass


def run_in_thread(function):
    caught = []

    def guarded():
        try:
            function()
        except Exception as error:
            caught.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    for error in caught:
        raise error


# -- commands ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("locked")
    for name in "abc":
        path = root / "meshes" / "ball" / f"{name}.ply"
        path.parent.mkdir(parents=True, exist_ok=True)
        trimesh.creation.icosphere(subdivisions=2).export(path)
    prepare(root / "meshes", root / "store", split=(1, 1, 1), **SMALL)
    return root / "store"


def test_prepare_is_refused_and_readers_are_not(store):
    meshes = store.parent / "meshes"
    with process("hold", store) as first:
        with pytest.raises(FolderInUse, match=f"process {first.pid}"):
            prepare(meshes, store, split=(1, 1, 1), **SMALL)
        assert len(Store(store).items("train")) == 1
        assert check_store(store) == []
    assert prepare(meshes, store, split=(1, 1, 1), **SMALL).kept == 3
    assert names(store) == {"ball", "metadata.yaml"}


def test_generate_and_eval_are_refused(store, tmp_path):
    run = save_run(tmp_path / "run", "pointcloud", count=50)
    options = {"data": store, "resolution": 8}
    with process("hold", run / "generation") as first:
        with pytest.raises(FolderInUse, match=f"process {first.pid}"):
            generate(run, **options)
        assert names(run / "generation") == {*OWN}
        assert generate(run, out=tmp_path / "other", **options).rows  # the run itself is free
    assert generate(run, **options).skipped == 0
    assert generate(run, **options).skipped == 1
    with process("hold", run / "generation"), pytest.raises(FolderInUse):
        evaluate_generation(run, samples=100, workers=1)
    evaluate_generation(run, samples=100, workers=1)
    assert not {*OWN} & names(run / "generation")


def test_train_is_refused(store, tmp_path):
    from onet.config import parse_config
    from onet.training.loop import train

    config = parse_config(
        f"""
data: {{path: {store}, points_subsample: 16, input: {{type: pointcloud, count: 20}}}}
model:
  type: occupancy
  c_dim: 4
  encoder: {{type: pointnet_resnet, hidden_dim: 4}}
  decoder: {{type: cbatchnorm, hidden_size: 4}}
training: {{batch_size: 1, max_iterations: 2, threads: 1, device: cpu}}
""",
        "test",
    )
    with process("hold", tmp_path / "run") as first:
        with pytest.raises(FolderInUse, match=f"process {first.pid}"):
            train(config, tmp_path / "run")
        assert names(tmp_path / "run") == {*OWN}
    train(config, tmp_path / "run")
    assert not {*OWN} & names(tmp_path / "run")
    with process("leave", tmp_path / "run" / "generation"):  # does not hinder training
        assert train(config, tmp_path / "run").iterations == 2


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_signal_right_after_the_lock_is_taken_leaves_none(tmp_path, monkeypatch):
    from filelock import FileLock

    from onet.stopping import Stopped, stoppable

    acquire = FileLock.acquire

    def signalled(self, *args, **kwargs):
        result = acquire(self, *args, **kwargs)
        signal.raise_signal(signal.SIGTERM)
        return result

    monkeypatch.setattr(FileLock, "acquire", signalled)
    with pytest.raises(Stopped), stoppable(), writing(tmp_path):
        pass
    assert names(tmp_path) == set()
