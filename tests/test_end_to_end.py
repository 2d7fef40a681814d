"""The whole way on small shapes: meshes, prepared data, a trained network, meshes, scores."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import trimesh

import onet
from onet import cli
from onet.geometry.topology import topology

pytestmark = pytest.mark.slow  # every day test_pipeline.py goes the same way, with less to learn

SMALL = [
    "model.c_dim=32",
    "model.encoder.hidden_dim=32",
    "model.decoder.hidden_size=32",
    "data.points_subsample=256",
    "training.batch_size=4",
    "training.max_iterations=120",
    "training.validate_every=60",
    "training.checkpoint_every=60",
    "training.threads=1",
    "generation.resolution=32",
    "generation.probability=0.4",
]


def run(*arguments: object) -> None:
    cli.app([str(a) for a in arguments], standalone_mode=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with meshes of two categories, the prepared store and a trained run."""
    root = tmp_path_factory.mktemp("folder")
    rng = np.random.default_rng(0)
    for i in range(5):
        box = trimesh.creation.box(rng.uniform(1, 3, 3))
        ball = trimesh.creation.icosphere(2, radius=1.0)
        ball.apply_scale(rng.uniform(1, 2, 3))
        for name, mesh in (("box", box), ("ball", ball)):
            mesh.apply_translation(rng.uniform(-9, 9, 3))  # a source frame of its own
            (root / "meshes" / name).mkdir(parents=True, exist_ok=True)
            mesh.export(root / "meshes" / name / f"{name}{i}.obj")
    run(
        "prepare", root / "meshes", root / "store", "--workers", 1, "--resolution", 48,
        "--points", 4000, "--surface", 2000, "--split", 0.6, 0.2, 0.2,
    )  # fmt: skip
    run("data", "check", root / "store")
    run("train", "demo", f"data.path={root / 'store'}", *SMALL, "--run", root / "run")
    return root


def test_meshes_come_back_in_their_own_frame(folder: Path) -> None:
    run("generate", folder / "run", "--out", folder / "generated", "--format", "ply")
    run("eval", folder / "generated", "--samples", 2000)
    with open(folder / "generated" / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    for row in rows:
        assert row["status"] == "ok"
        mesh = trimesh.load(folder / "generated" / row["mesh"], process=False)
        assert topology(mesh).solid
        truth = trimesh.load(folder / "meshes" / row["category"] / f"{row['model']}.obj")
        assert np.abs(mesh.centroid - truth.centroid).max() < 0.25 * truth.extents.max()
    with open(folder / "generated" / "eval_items.csv", newline="") as file:
        scores = list(csv.DictReader(file))
    assert len(scores) == 2
    assert all(float(row["iou [fraction]"]) > 0.4 for row in scores)


def test_python_api(folder: Path) -> None:
    source = sorted((folder / "meshes" / "ball").glob("*.obj"))[0]
    truth = trimesh.load(source)
    model = onet.load(folder / "run")
    mesh = model.reconstruct(truth.sample(1000, seed=0), resolution=24)
    assert topology(mesh).solid
    assert onet.evaluate(mesh, truth, samples=2000).iou > 0.4


def test_scan_of_the_wrong_shape_is_refused_and_the_rest_goes_on(folder: Path) -> None:
    scans = folder / "scans"
    scans.mkdir()
    np.save(scans / "flat.npy", np.zeros((50, 2)))
    np.save(scans / "good.npy", trimesh.creation.box().sample(500, seed=0))
    command = ["generate", str(folder / "run"), "--input", str(scans), "--out"]
    assert cli.app([*command, str(folder / "from_scans")], standalone_mode=False) == 1
    with open(folder / "from_scans" / "failures.csv", newline="") as file:
        (failure,) = csv.DictReader(file)
    assert failure["model"] == "flat"
    assert "(50, 2)" in failure["reason"]
    assert (folder / "from_scans" / "meshes" / "good.ply").is_file()
