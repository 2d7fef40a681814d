"""Sets of generated shapes against sets of real ones."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import trimesh
from ball_model import load_ball
from PIL import Image
from random_weights import randomise

from onet import cli
from onet.config import load_config
from onet.data.item_writing import write_pointcloud, write_points
from onet.errors import ConfigError, DataError
from onet.evaluation.diversity import AGAIN, GENERATED, TRAINING, evaluate_diversity
from onet.evaluation.point_features import point_features
from onet.geometry.mesh_io import save_mesh
from onet.geometry.normalization import UnitFrame
from onet.inference.generate import generate
from onet.inference.reconstructor import Reconstructor
from onet.metrics.distribution_distances import frechet_distance
from onet.models import build_model
from onet.report.nearest_sheet import nearest_sheet

FRAME = UnitFrame(np.array([10.0, -4.0, 2.0]), 3.0)
TRAIN = [0.2, 0.25, 0.3, 0.35, 0.4, 0.45]
TEST = [0.22, 0.31, 0.42]
QUICK = {"points": 300, "emd_points": 60, "workers": 1}


def ball(radius: float) -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=3, radius=radius)


@pytest.fixture
def store(tmp_path):
    """Balls: training shapes named by their radii, and others."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "store" / "ball"
    for split, radii in (("train", TRAIN), ("test", TEST), ("val", [0.3])):
        for radius in radii:
            normals = rng.normal(size=(4000, 3))
            normals /= np.linalg.norm(normals, axis=1, keepdims=True)
            item = folder / f"{split}{100 * radius:.0f}"
            write_pointcloud(item / "pointcloud.npz", radius * normals, normals, FRAME)
            points = rng.uniform(-0.5, 0.5, (50, 3)).astype(np.float16)
            write_points(item / "points.npz", points, points[:, 0] > 0, FRAME)
        names = [f"{split}{100 * radius:.0f}" for radius in radii]
        (folder / f"{split}.lst").write_text("\n".join(names) + "\n")
    return tmp_path / "store"


def save_balls(folder, radii):
    for number, radius in enumerate(radii):
        save_mesh(ball(radius), folder / f"{number}.ply")
    return folder


def scores_of(report):
    return {row["set"]: row for row in report.rows}


def test_samples_of_a_model(make_run, store):
    run = make_run("none", z_dim=3)
    generate(run, samples=5)
    report = evaluate_diversity(run / "generation-samples", data=store, **QUICK)
    rows = scores_of(report)
    assert list(rows) == [GENERATED, TRAINING, AGAIN]
    assert all(row["shapes"] == 3 for row in report.rows)
    copies = rows[AGAIN]
    assert copies["coverage_chamfer"] == copies["coverage_emd"] == 1
    assert copies["1nna_chamfer"] == copies["1nna_emd"] == 0
    for key in ("mmd_chamfer", "mmd_emd"):
        assert 0 < copies[key] < min(rows[GENERATED][key], rows[TRAINING][key])
    assert len(report.nearest) == 5 and report.protocol["seed"] == 0
    assert "median distance" in report.summary() and "0.5 is best" in report.title
    with (report.out / "diversity.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert float(written[0]["mmd_emd [longest edge]"]) == rows[GENERATED]["mmd_emd"]
    assert written[0]["frechet [feature squared]"] == ""


def test_nearest_training_shapes(store, tmp_path):
    folder = save_balls(tmp_path / "made", [0.205, 0.395, 0.31, 0.5])
    report = evaluate_diversity(folder, data=store, **QUICK)
    assert [row["model"] for row in report.nearest] == ["train20", "train40", "train30", "train45"]
    again = evaluate_diversity(folder, data=store, **QUICK)
    assert again.nearest == report.nearest and again.rows == report.rows
    other = evaluate_diversity(folder, data=store, seed=1, **QUICK)
    assert other.nearest != report.nearest
    with Image.open(nearest_sheet(folder, count=2, size=64)) as sheet:
        assert sheet.height < 3.5 * 64
        pixels = np.asarray(sheet)[:, -2 * 66 :]
    assert (pixels[:, :64] < 200).any() and (pixels[:, -64:] < 200).any()


def test_duplicates_are_shapes_as_close_as_one_sampled_twice(store, tmp_path):
    folder = save_balls(tmp_path / "made", [0.3, 0.3, 0.4])
    row = scores_of(evaluate_diversity(folder, data=store, **QUICK))[GENERATED]
    assert row["duplicates"] == 1 and row["support"] == 3
    assert row["support_low"] < 3 < row["support_high"]
    folder = save_balls(tmp_path / "made", [0.2, 0.3, 0.4])
    assert scores_of(evaluate_diversity(folder, data=store, **QUICK))[GENERATED]["duplicates"] == 0


def test_meshes_in_other_frames_are_normalized_when_asked(store, tmp_path):
    folder = save_balls(tmp_path / "made", [5.0, 7.0])
    far = evaluate_diversity(folder, data=store, **QUICK)
    near = evaluate_diversity(folder, data=store, normalize=True, out=tmp_path / "out", **QUICK)
    assert near.protocol["normalize"] is True
    key = "chamfer [longest edge squared]"
    assert max(row[key] for row in near.nearest) < 0.02 < 10 < min(row[key] for row in far.nearest)
    assert (tmp_path / "out" / "nearest.csv").is_file()
    assert nearest_sheet(tmp_path / "out", size=32).parent == tmp_path / "out"


def test_reconstructions_are_in_the_frames_of_their_sources(make_run, store):
    run = make_run("index")
    generate(run, data=store)
    with pytest.raises(DataError, match="normalize"):
        evaluate_diversity(run / "generation", data=store, **QUICK)
    report = evaluate_diversity(run / "generation", data=store, normalize=True, **QUICK)
    assert {row["sample"] for row in report.nearest} == {
        "ball/test22",
        "ball/test31",
        "ball/test42",
    }


@pytest.fixture
def network(tmp_path):
    config = load_config("pointcloud", ["model.encoder.hidden_dim=16", "model.c_dim=6"])
    return Reconstructor(randomise(build_model(config.model)), config, {})


def test_features_tell_sets_apart(network):
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(3, 12, 400, 3))
    normals /= np.linalg.norm(normals, axis=3, keepdims=True)
    radii = rng.uniform(0.2, 0.4, (12, 1, 1))
    one, again = radii * normals[:2]
    flat = radii * normals[2] * [1, 0.2, 1]
    assert point_features(network, one).shape == (12, 6)
    expected = network.encode(network.input.observe(one[3], np.random.default_rng([0, 3])))
    np.testing.assert_allclose(point_features(network, one)[3], expected, rtol=1e-6)
    of_one, of_again, of_flat = (point_features(network, clouds) for clouds in (one, again, flat))
    assert frechet_distance(of_one, of_one) == pytest.approx(0, abs=1e-6)
    assert 0 < 3 * frechet_distance(of_one, of_again) < frechet_distance(of_one, of_flat)


def test_features_need_a_point_cloud_network_with_global_codes(network, monkeypatch):
    with pytest.raises(ConfigError, match="observes 'voxels'"):
        point_features(load_ball("voxels", resolution=4), np.zeros((1, 5, 3)))
    local = {"xz": network.encode(np.zeros((300, 3)))}
    monkeypatch.setattr(network, "encode", lambda observation: local)
    with pytest.raises(ConfigError, match="local features"):
        point_features(network, np.zeros((1, 300, 3)))


def test_the_command(store, tmp_path, network, capsys):
    from onet.checkpoints.checkpoint import save_checkpoint

    run = tmp_path / "points"
    path = run / "checkpoints" / "best.safetensors"
    save_checkpoint(path, network.model, network.config, {})
    folder = save_balls(tmp_path / "made", [0.21, 0.3, 0.44])
    words = ["--points", "200", "--emd-points", "0", "--workers", "1", "--pictures", "2"]
    words += ["--data", str(store), "--features", str(run), "--category", "ball"]
    cli.app(["diversity", str(folder), *words], standalone_mode=False)
    printed = capsys.readouterr().out
    for word in (GENERATED, TRAINING, AGAIN, "frechet", "nearest.png", "–"):
        assert word in printed
    assert (folder / "nearest.png").is_file() and (folder / "diversity.json").is_file()


def test_what_cannot_be_compared(store, tmp_path):
    folder = save_balls(tmp_path / "made", [0.3])
    with pytest.raises(DataError, match="1 meshes"):
        evaluate_diversity(folder, data=store, **QUICK)
    with pytest.raises(ConfigError, match="which store"):
        evaluate_diversity(folder, **QUICK)
    with pytest.raises(DataError, match="no such folder"):
        evaluate_diversity(tmp_path / "absent", data=store)
    with pytest.raises(ConfigError, match="emd_points 9"):
        evaluate_diversity(folder, data=store, points=8, emd_points=9)
    (folder / "1.ply").write_text("nothing")
    with pytest.raises(DataError, match=r"1\.ply"):
        evaluate_diversity(folder, data=store, **QUICK)
    save_mesh(ball(0.2), folder / "2.ply")
    report = evaluate_diversity(folder, data=store, **QUICK)  # one of three cannot be read
    assert report.protocol["failed"] == 1 and list(report.protocol["unusable"]) == ["1.ply"]
    assert [row["sample"] for row in report.nearest] == ["0.ply", "2.ply"]
    assert "2 of 2 shapes (1 more" in report.title
    (folder / "nearest.csv").unlink()
    with pytest.raises(DataError, match=r"nearest\.csv"):
        nearest_sheet(folder)


def test_a_small_training_set_has_no_row(store, tmp_path):
    (store / "ball" / "train.lst").write_text("train20\n")
    folder = save_balls(tmp_path / "made", [0.2, 0.3])
    report = evaluate_diversity(folder, data=store, **QUICK)
    assert list(scores_of(report)) == [GENERATED, AGAIN]
    assert {row["model"] for row in report.nearest} == {"train20"}
