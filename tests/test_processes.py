"""Signals to commands: no process and no half file is left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import trimesh

from onet.geometry.mesh_io import save_mesh

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

ROOT = Path(__file__).parents[1]
SMALL = ("--resolution", "32", "--points", "2000", "--surface", "500")


@pytest.fixture(scope="module")
def meshes(tmp_path_factory):
    """Soups that take a worker a while."""
    root, rng = tmp_path_factory.mktemp("soups"), np.random.default_rng(0)
    for number in range(4):
        corners = rng.uniform(-1, 1, (800, 1, 3)) + rng.normal(0, 0.15, (800, 3, 3))
        faces = np.arange(2400).reshape(-1, 3)
        soup = trimesh.Trimesh(corners.reshape(-1, 3), faces, process=False)
        save_mesh(soup, root / "a" / f"m{number}.ply")
    return root


def start(*arguments, **environment):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "onet.cli", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | environment,
    )


def until(condition, seconds=180.0):
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return result


def alive(processes):
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def half_files(folder):
    return [path for path in folder.rglob("*") if ".tmp" in path.name]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_no_workers_outlive_prepare(meshes, tmp_path, number, status):
    out = tmp_path / "out"
    command = start("prepare", meshes, out, "--workers", 2, *SMALL)
    until(lambda: [*out.glob("a/*")])  # the workers are at work
    workers = psutil.Process(command.pid).children(recursive=True)
    assert len(workers) >= 2
    command.send_signal(number)
    assert command.wait(30) == status
    until(lambda: not alive(workers), 2)
    if number != signal.SIGKILL:
        assert half_files(tmp_path) == []
        said = [line for line in command.stderr.read().splitlines() if "prepare:" not in line]
        assert len(said) == 1 and f"stopped by {number.name}" in said[0]


@pytest.mark.slow
def test_a_killed_worker_costs_no_finished_item(meshes, tmp_path):
    out = tmp_path / "out"
    command = start("prepare", meshes, out, "--workers", 2, *SMALL)
    until(lambda: [*out.glob("a/*")])
    for worker in psutil.Process(command.pid).children():
        if "spawn_main" in " ".join(worker.cmdline()):
            worker.kill()
            break
    assert command.wait(300) == 0, command.stderr.read()
    assert len([*out.glob("a/*/item.json")]) == 4


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_the_status_tells_the_signal(number, status):
    # Under nohup, or in the background of a script, children inherit that it is ignored.
    code = f"import signal; signal.signal({int(number)}, signal.SIG_DFL)\n"
    code += "import time; from onet.cli import app, main; app.registered_callback = None\n"
    code += "app.command('wait')(lambda: (print('ready', flush=True), time.sleep(30)))\n"
    code += "import sys; sys.argv = ['onet', 'wait']; main()"
    pipe = subprocess.PIPE
    command = subprocess.Popen(
        [sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True, cwd=ROOT
    )
    assert command.stdout.readline() == "ready\n"
    command.send_signal(number)
    said = command.communicate(timeout=10)[1]
    assert said == f"stopped by {number.name}; what was finished is kept\n"
    assert command.returncode == status


@pytest.mark.slow
@pytest.mark.parametrize("wait", [0.7, 1.3, 2.0])
def test_a_signal_reaches_the_end_through_libraries_that_catch_everything(tmp_path, wait):
    """At most of these moments something is imported under `except BaseException`."""
    command = start("demo", "--out", tmp_path / "demo")
    time.sleep(wait)
    command.send_signal(signal.SIGTERM)
    assert command.wait(20) in (143, -15)  # -15: before the command line was there


PROGRAM = """
import time
from onet.stopping import stoppable

kept = []
with stoppable():
    print("ready", flush=True)
    {body}
"""
SWALLOWED = """
    try:
        time.sleep(30)
    except BaseException as error:
        kept.append(error)  # as libraries do around imports
    print("caught", flush=True)
    time.sleep(30)
    print("it went on")
"""
BROKEN = """
    try:
        time.sleep(30)
    except BaseException as error:
        print("caught", flush=True)
        kept = error | None  # as classes do whose names are such kept exceptions
"""
CLEANS_UP = """
    try:
        time.sleep(30)
    finally:
        try:
            raise OSError("of the clean-up")
        except OSError:
            time.sleep(0.5)
            print("cleaned", flush=True)
"""


@pytest.mark.parametrize(
    ("body", "says"), [(SWALLOWED, "caught"), (BROKEN, "caught"), (CLEANS_UP, "cleaned")]
)
def test_an_exception_that_got_lost_comes_again_but_never_in_a_clean_up(body, says):
    command = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body.strip())],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert command.stdout.readline() == "ready\n"
    time.sleep(0.2)  # it sleeps by now
    command.send_signal(signal.SIGTERM)
    assert command.communicate(timeout=10)[0].split() == [says]
    assert command.returncode == 143


def test_ignored_signals_stay_ignored():
    from onet.stopping import stoppable

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with stoppable():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_section_is_not_interrupted():
    from onet.stopping import Stopped, stoppable, uninterrupted

    done = []
    with pytest.raises(Stopped) as stopped, stoppable(), uninterrupted():
        signal.raise_signal(signal.SIGTERM)
        done.append(True)
    assert done == [True]
    assert stopped.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


LOADER = """
import sys, time
from onet.training.interruption import Interruption
from onet.training.stream import training_batches

class Source:
    def __len__(self): return 4
    def __getitem__(self, index): return {"index": index}
    def set_epoch(self, epoch): pass

with Interruption() as interruption:
    batches = iter(training_batches(Source(), 2, 0, 0, workers=2))
    next(batches)  # of one worker, and then of the other
    next(batches)
    print("ready", flush=True)
    while not interruption.requested:
        time.sleep(0.05)
        next(batches)
print("orderly", next(batches)["index"].shape[0], flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_loaders_end_with_training_and_not_before(number):
    """SIGTERM goes to the whole group, as from a batch system: training still stops in order."""
    command = subprocess.Popen(
        [sys.executable, "-c", LOADER],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    assert command.stdout.readline() == "ready\n"
    workers = psutil.Process(command.pid).children(recursive=True)
    assert len(workers) >= 2
    if number == signal.SIGKILL:
        command.kill()
    else:
        os.killpg(command.pid, number)
    told = command.communicate(timeout=20)[0]
    assert told == ("" if number == signal.SIGKILL else "orderly 2\n")
    assert command.returncode == (-9 if number == signal.SIGKILL else 0)
    until(lambda: not alive(workers), 3)


def test_threads_of_a_run_are_those_of_the_environment(monkeypatch):
    import torch

    from onet import machine
    from onet.config import load_config
    from onet.training.fabric import choose_threads

    settings = load_config("pointcloud").training
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        assert choose_threads(settings) == 3
        monkeypatch.delenv("OMP_NUM_THREADS")
        monkeypatch.setattr(machine, "cores", lambda: 2)
        assert choose_threads(settings) == 2
        assert choose_threads(settings.model_copy(update={"devices": 2})) == 1
        assert choose_threads(settings.model_copy(update={"threads": 5})) == 5
    finally:
        torch.set_num_threads(before)
