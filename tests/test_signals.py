"""Each long command is stopped by a signal at its work, and repeated.

Nothing is left behind: no process, no half file, no lock, nothing in the folder of temporary files.
The same command then finishes with the results that it has when nobody disturbs it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
import trimesh
from safetensors.numpy import load_file

from onet.files import TEMPORARY
from onet.geometry.mesh_io import save_mesh
from onet.resources import assets_dir

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals"),
]

ROOT = Path(__file__).parents[1]
SMALL = "--resolution 32 --points 2000 --surface 500"
NETWORK = (
    "data.points_subsample=64 data.input.count=50 model.c_dim=8 model.encoder.hidden_dim=8 "
    "model.decoder.hidden_size=8 training.batch_size=2 training.validate_every=1000 "
    "training.checkpoint_every=20 training.max_iterations=500 training.device=cpu"
)
ONE_SHAPE = (
    "model.decoder.hidden_size=8 training.max_iterations=500 training.checkpoint_every=50 "
    "training.validate_every=250 data.points_subsample=64 training.validation_points=500 "
    "training.device=cpu --watertight-resolution 32 --resolution 16"
)


@dataclass(frozen=True)
class Work:
    """A command, what is there once it is at work, and its results."""

    command: str
    sign: str
    results: str


WORKS = {
    "prepare": Work(f"prepare meshes store --workers 1 {SMALL}", "store/a/*", "store/**/*.npz"),
    "prepare by workers": Work(
        f"prepare meshes store --workers 3 {SMALL}", "store/a/*", "store/**/*.npz"
    ),
    "train": Work(
        f"train pointcloud data.path=prepared --run trained {NETWORK}",
        "trained/checkpoints/last.safetensors",
        "trained/checkpoints/*.safetensors",
    ),
    "generate": Work(
        "generate run --data prepared --split train --out g --resolution 32 --format off",
        "g/meshes/*/*",
        "g/meshes/*/*",
    ),
    "generate from files": Work(
        "generate run --input scans --out g --resolution 32", "g/meshes/*", "g/meshes/*"
    ),
    "eval": Work("eval generation --samples 300000", "generation/.onet.lock", "generation/*.csv"),
    "fit": Work(
        f"fit mesh.ply --out fit {ONE_SHAPE}", "fit/checkpoints/last.safetensors", "fit/mesh.ply"
    ),
    "scene": Work(
        "scene run scans/0.ply --out mesh.off --window 0.3 --resolution 16", ".onet-*.lock", "*.off"
    ),
    "threshold": Work(
        "threshold run --data prepared --split train --meshes 2 --samples 200000 --apply",
        "run/.onet.lock",
        "run/threshold.csv",
    ),
    "fit a code": Work(
        "fit mesh.ply --model run --out code --steps 500 --watertight-resolution 32 "
        "--resolution 16",
        "code/.onet.lock",
        "code/*.safetensors",
    ),
    "calibrate": Work("calibrate run --data prepared", "run/.onet.lock", "run/**/calibration.json"),
    "diversity": Work(
        "diversity generation --data prepared --points 2000 --emd-points 500 --workers 1 "
        "--normalize",
        "generation/.onet.lock",
        "generation/diversity*.csv",
    ),
    "interpolate": Work(
        "interpolate run --from scans/0.ply --to scans/1.ply --steps 4 --resolution 32 --out walk",
        "walk/.onet.lock",
        "walk/latent.csv",
    ),
}


@pytest.fixture(scope="module")
def things(sample_store, tmp_path_factory):
    """Meshes, scans, a store, a run, and a folder of its generation."""
    root, rng = tmp_path_factory.mktemp("things"), np.random.default_rng(0)
    for number in range(4):
        corners = rng.uniform(-1, 1, (600, 1, 3)) + rng.normal(0, 0.15, (600, 3, 3))
        faces = np.arange(1800).reshape(-1, 3)
        soup = trimesh.Trimesh(corners.reshape(-1, 3), faces, process=False)
        save_mesh(soup, root / "meshes" / "a" / f"{number}.ply")
    ball = trimesh.creation.icosphere(subdivisions=4)
    save_mesh(ball, root / "mesh.ply")
    for number in range(12):
        save_mesh(ball, root / "shapes" / f"{number}.ply")
        points = trimesh.PointCloud(ball.vertices * rng.uniform(0.5, 1, 3))
        (root / "scans").mkdir(exist_ok=True)
        points.export(root / "scans" / f"{number}.ply")
    shutil.copytree(sample_store, root / "prepared")
    (root / "run" / "checkpoints").mkdir(parents=True)
    shutil.copy(assets_dir() / "demo.safetensors", root / "run/checkpoints/best.safetensors")
    made = start(
        "generate run --data prepared --split train --out generation --resolution 16", root
    )
    assert made.wait(120) == 0, made.stderr.read()
    return root


def start(command: str, folder: Path) -> subprocess.Popen[str]:
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "onet.cli", *command.split()],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TMPDIR": str(temporary)},
    )


def finish(command: str, folder: Path) -> None:
    done = start(command, folder)
    said = done.communicate(timeout=300)[1]
    assert done.returncode == 0, said


def leftovers(folder: Path) -> list[str]:
    """Unfinished files, locks, and what is in the folder of temporary files."""
    found = [path for path in folder.rglob("*") if TEMPORARY.fullmatch(path.name)]
    found += [path for path in folder.rglob(".onet*") if path not in found]
    found += [path for path in (folder / "temporary").iterdir() if "torch" not in path.name]
    return [str(path.relative_to(folder)) for path in found]


def results(work: Work, folder: Path) -> dict[str, str]:
    """Hashes of results by name; of weights alone, as checkpoints tell the time too."""
    found = {}
    for path in sorted(folder.glob(work.results)):
        content = path.read_bytes()
        if path.suffix == ".safetensors":
            content = b"".join(a.tobytes() for _, a in sorted(load_file(path).items()))
        if path.name == "results.csv":  # it has seconds in it
            content = re.sub(rb"\d+\.\d+,", b"", content)
        if path.suffix == ".json":  # it tells where the data are
            content = content.replace(os.fsencode(folder), b"")
        found[path.relative_to(folder).as_posix()] = hashlib.sha256(content).hexdigest()
    assert found
    return found


@pytest.fixture(scope="module")
def undisturbed(things, tmp_path_factory):
    """Results of a command that nobody disturbs, made once for all signals."""
    known = {}

    def find(name: str) -> dict[str, str]:
        if name not in known:
            folder = tmp_path_factory.mktemp("undisturbed") / "here"
            shutil.copytree(things, folder)
            finish(WORKS[name].command, folder)
            known[name] = results(WORKS[name], folder)
        return known[name]

    return find


CASES = [(name, signal.SIGTERM) for name in WORKS]


@pytest.mark.parametrize(("name", "number"), CASES)
def test_a_command_that_was_stopped_goes_on_when_repeated(
    things, undisturbed, tmp_path, name, number
):
    work, folder = WORKS[name], tmp_path / "here"
    shutil.copytree(things, folder)
    running = start(work.command, folder)
    deadline = time.monotonic() + 120
    while not [*folder.glob(work.sign)]:
        assert running.poll() is None, running.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    others = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(number)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == (-9 if number == signal.SIGKILL else 128 + number), said
    if number != signal.SIGKILL:
        assert f"stopped by {number.name}" in said.splitlines()[-1]
        assert "Traceback" not in said
        assert leftovers(folder) == []
    psutil.wait_procs(others, timeout=5)
    assert [p for p in others if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []

    finish(work.command, folder)
    assert leftovers(folder) == []
    assert results(work, folder) == undisturbed(name)
