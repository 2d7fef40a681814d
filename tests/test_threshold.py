"""The search for the probability on the surface, and that which is applied to a run."""

import csv
import json
import logging

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from random_weights import randomise
from test_generate import write_item
from test_reconstructor import CONFIG, blob_model

import onet
from onet import cli
from onet.checkpoints.checkpoint import save_checkpoint
from onet.config import Config
from onet.data.build import build_datasets
from onet.errors import ConfigError, DataError
from onet.evaluation.threshold_search import GRID, _best, iou_at_probabilities, search_threshold
from onet.inference.calibration import Calibration, Familiarity, identity
from onet.inference.generate import generate
from onet.inference.generation_folder import read_settings
from onet.metrics.scores import evaluate, intersection_over_union
from onet.models import build_model
from onet.report.threshold_curves import draw_threshold


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Balls of several sizes in two categories, three to validate and one to test."""
    root = tmp_path_factory.mktemp("store")
    for category, models in {"ball": {"a": 0.5, "b": 0.35}, "orb": {"c": 0.4}}.items():
        for model, radius in models.items():
            write_item(root / category / model, radius)
        (root / category / "val.lst").write_text("\n".join(models))
    (root / "ball" / "test.lst").write_text("a")
    return root


@pytest.fixture(scope="module")
def network():
    return blob_model()


@pytest.fixture
def run(tmp_path, store, network):
    config = with_data(CONFIG, store)
    save_checkpoint(tmp_path / "run/checkpoints/best.safetensors", network, config, {})
    return tmp_path / "run"


def with_data(config, store):
    data = config.data.model_copy(update={"path": store})
    return config.model_copy(update={"data": data})


@given(
    logits=st.lists(st.sampled_from([-30.0, -1.5, -1.0, 0.0, 0.5, 2.0, 30.0]), max_size=30),
    inside=st.lists(st.booleans(), min_size=30, max_size=30),
    probabilities=st.sets(
        st.sampled_from([0.01, 0.2, 0.5, 0.73, 0.99])
        | st.floats(0.001, 0.999, exclude_min=True, exclude_max=True),
        min_size=1,
    ),
)
def test_counted_iou_is_that_of_each_probability_alone(logits, inside, probabilities):
    values, truth = np.array(logits), np.array(inside[: len(logits)], bool)
    grid = sorted(probabilities)
    expected = [intersection_over_union(values > np.log(t / (1 - t)), truth) for t in grid]
    np.testing.assert_allclose(iou_at_probabilities(values, truth, grid), expected)


def validated(run, probability):
    """Mean IoU as training measures it."""
    model = onet.load(run / "checkpoints" / "best.safetensors", "cpu")
    settings = model.generation_settings(probability=probability)
    dataset = build_datasets_of(model.config)
    ious = []
    for index in range(len(dataset)):
        item = dataset[index]
        batch = {key: torch.as_tensor(value)[None] for key, value in item.items()}
        ious.append(float(model.model.validate(batch, settings)["iou"]))
    return np.array(ious)


def build_datasets_of(config):
    training = config.data.model_copy(update={"train_split": "val"})
    return build_datasets(config.model_copy(update={"data": training}))["val"]


@pytest.mark.slow
def test_iou_is_that_of_validation_at_every_probability(run):
    report = search_threshold(run, probabilities=[0.1, 0.35, 0.8])
    assert [row["probability"] for row in report.rows] == [0.1, 0.2, 0.35, 0.8]  # 0.2: configured
    for row in report.rows:
        expected = validated(run, row["probability"])
        assert row["iou"] == pytest.approx(expected.mean(), abs=1e-3)
        assert row["iou ball"] == pytest.approx(expected[:2].mean(), abs=1e-3)
        assert row["iou orb"] == pytest.approx(expected[2], abs=1e-3)
    assert len({row["iou"] for row in report.rows}) > 1
    best = max((row for row in report.rows if row["probability"] != 0.2), key=lambda r: r["iou"])
    assert report.best == best["probability"]
    assert report.settings["iou_configured"] == report.rows[1]["iou"]


def test_generative_models_are_measured_by_their_reconstructions(tmp_path, store):
    config = Config.model_validate(
        {
            "data": {"input": {"type": "none"}},
            "model": {
                "type": "occupancy",
                "c_dim": 0,
                "z_dim": 6,
                "encoder_latent": {"type": "simple"},
                "decoder": {"type": "simple", "hidden_size": 16},
                "infer_points": 300,
            },
        }
    )
    run = tmp_path / "run"
    torch.manual_seed(3)  # of the biases, to which random numbers are added
    model = randomise(build_model(config.model), seed=10)
    config = with_data(config, store)
    save_checkpoint(run / "checkpoints/best.safetensors", model, config, {})
    report = search_threshold(run, probabilities=[0.3])
    assert report.rows[1]["iou"] == pytest.approx(validated(run, 0.3).mean(), abs=1e-3)
    assert 0 < report.rows[1]["iou"] < 1


def test_meshes_have_the_scores_of_the_reconstructions(run, store):
    report = search_threshold(
        run, probabilities=[0.5], meshes=2, mesh_probabilities=[0.3, 0.6], samples=400, seed=3
    )
    assert report.settings["meshes"] == 2  # one of each category, though ball has two
    model, dataset = onet.load(run, "cpu"), build_datasets_of(with_data(CONFIG, store))
    for row in (row for row in report.rows if row["probability"] in (0.3, 0.6)):
        expected = []
        for index in (0, 2):
            item = dataset.items[index]
            mesh = model.extract(dataset[index]["inputs"].numpy(), probability=row["probability"])
            points, normals = item.load_pointcloud()
            expected.append(
                evaluate(mesh, None, samples=400, seed=3, pointcloud=points, normals=normals)
            )
        for key in ("accuracy", "completeness", "chamfer_l1", "normal_consistency"):
            assert row[key] == pytest.approx(np.mean([getattr(e, key) for e in expected]))
    assert "accuracy" not in next(row for row in report.rows if row["probability"] == 0.5)
    assert "longest edge" in report.title and "2 items" in report.title
    assert "counted as failed and counts as IoU" in report.title and report.settings["failed_rule"]
    assert {row.get("failed") for row in report.table()} == {None, 0}
    assert [row["probability"] for row in report.table()] == ["0.2", "0.3", "0.5", "0.6"]


def test_no_surface_is_the_worst_score_and_no_failure(run, recwarn):
    report = search_threshold(run, probabilities=[0.5], meshes=1, mesh_probabilities=[1 - 1e-12])
    assert report.rows[-1]["chamfer_l1"] == pytest.approx(3**0.5)
    assert report.rows[-1]["normal_consistency"] == 0 and report.rows[-1]["failed"] == 1
    with (run / "threshold.csv").open(newline="") as file:
        assert [row["failed [meshes]"] for row in csv.DictReader(file)][-1] == "1"
    assert not [w for w in recwarn if "no surface" in str(w.message)]


def test_files_hold_the_search(run):
    report = search_threshold(run, probabilities=GRID, limit=2)
    told = json.loads((run / "threshold.json").read_text())
    assert told == report.settings
    assert told["items"] == 2 and told["categories"] == ["ball", "orb"] and told["split"] == "val"
    assert told["probability"] == report.best and told["applied"] is None
    with (run / "threshold.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["iou [fraction]"]) for row in rows] == [row["iou"] for row in report.rows]
    assert len(rows) == len(GRID)
    assert draw_threshold(report) == run / "threshold.png"
    with Image.open(run / "threshold.png") as picture:
        assert picture.format == "PNG" and picture.width > 400
    assert report.table()[-1]["probability"] == "0.99" and len(report.table()) < 15


def row(probability, iou):
    return {"probability": probability, "iou": iou}


def test_of_equals_the_middle_one(caplog):
    with caplog.at_level(logging.INFO):
        rows = [row(0.1, 0.5), row(0.2, 0.7), row(0.3, 0.7), row(0.4, 0.7), row(0.5, 0.1)]
        assert _best(rows)["probability"] == 0.3
        assert "3 probabilities" in caplog.text and "last one" not in caplog.text
        assert _best(rows[:2])["probability"] == 0.2
        assert "last one" in caplog.text
    assert _best([row(0.4, 0.0)])["probability"] == 0.4


def test_one_item(run):
    report = search_threshold(run, split="test", categories=["ball"], probabilities=[0.4])
    assert report.settings["items"] == 1 and report.best == 0.4


@pytest.mark.slow
def test_applied_probability_goes_with_the_run_folder(run, network, store, tmp_path, caplog):
    checkpoint = run / "checkpoints" / "best.safetensors"
    before = generate(run, data=store, categories=["ball"], split="test")
    search_threshold(run, probabilities=[0.45])
    assert onet.load(run, "cpu").config.generation.probability == 0.2
    report = search_threshold(run, probabilities=[0.45], apply=True)
    assert report.settings["applied"]["probability"] == 0.45
    assert "applied to this run: 0.45" in report.summary()
    with caplog.at_level(logging.INFO):
        model = onet.load(run, "cpu")
    assert "0.45" in caplog.text and "threshold.json" in caplog.text
    assert model.config.generation.probability == 0.45
    assert model.metadata["applied_threshold"]["configured"] == 0.2
    assert onet.load(checkpoint, "cpu").config.generation.probability == 0.2

    with pytest.raises(ConfigError, match=r"probability.*overwrite"):
        generate(run, data=store, categories=["ball"], split="test")
    out = tmp_path / "out"
    after = generate(run, data=store, categories=["ball"], split="test", out=out)
    assert before.settings["probability"] == 0.2 and before.settings["applied_threshold"] is None
    assert read_settings(out)["probability"] == 0.45
    assert read_settings(out)["applied_threshold"]["file"] == str(run / "threshold.json")
    assert after.rows[0]["faces"] != before.rows[0]["faces"]

    again = search_threshold(run, probabilities=[0.6])  # looks, and leaves what was applied
    assert again.settings["configured"] == 0.2
    assert onet.load(run, "cpu").config.generation.probability == 0.45

    known = Familiarity([0.0] * 16, [1.0] * 16, 9.0, 0.99)
    Calibration(identity(checkpoint), 2.0, known, offset=-0.5).write(run)
    calibrated = onet.load(run, "cpu")  # the same surface by another probability
    assert calibrated.config.generation.probability == 0.45
    said = calibrated.generation_settings().probability
    assert said == pytest.approx(calibrated.scaling.calibrated(0.45)) and said < 0.4
    found = search_threshold(run, probabilities=[0.45], apply=True)
    assert found.settings["applied"]["offset"] == -0.5
    assert found.settings["configured"] == calibrated.scaling.calibrated(0.2)
    again = onet.load(run, "cpu")
    assert again.generation_settings().probability == pytest.approx(0.45)
    assert again.config.generation.probability == pytest.approx(again.scaling.own(0.45))

    save_checkpoint(checkpoint, network, model.config, {"iteration": 99})
    with caplog.at_level(logging.WARNING):
        kept = onet.load(run, "cpu")
    assert "another checkpoint" in caplog.text and "applied_threshold" not in kept.metadata


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("{", DataError),
        ('{"applied": 0.3}', DataError),
        ('{"applied": {"probability": 0.3}}', DataError),
        ('{"applied": {"probability": 0.3, "sha256": SHA, "temperature": "1"}}', DataError),
        ('{"applied": {"probability": 0.3, "sha256": SHA, "temperature": 0.0}}', DataError),
        ('{"applied": {"probability": 7, "sha256": SHA, "temperature": 2.0}}', ConfigError),
        ('{"applied": {"probability": 7, "sha256": SHA, "temperature": 1.0}}', ConfigError),
    ],
)
def test_a_damaged_file_is_named(run, content, error):
    sha = search_threshold(run, probabilities=[0.4]).settings["checkpoint"]["sha256"]
    (run / "threshold.json").write_text(content.replace("SHA", f'"{sha}"'))
    with pytest.raises(error, match=r"threshold\.json"):
        onet.load(run, "cpu")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"probabilities": []}, "probabilities: none"),
        ({"probabilities": [0.2, 1.0]}, "probabilities: 1 is not"),
        ({"probabilities": [0.0]}, "probabilities: 0 is not"),
        ({"probabilities": [float("nan")]}, "probabilities: nan"),
        ({"meshes": 1, "mesh_probabilities": []}, "mesh_probabilities: none"),
        ({"meshes": -1}, "meshes"),
        ({"limit": 0}, "limit"),
        ({"samples": 0}, "samples"),
        ({"split": "test"}, r"orb.*test\.lst"),
        ({"apply": True, "out": "x"}, "apply"),
    ],
)
def test_bad_arguments_are_named(run, options, word):
    with pytest.raises((ConfigError, DataError), match=word):
        search_threshold(run, **options)
    assert not (run / "threshold.json").exists()


def test_a_checkpoint_needs_a_folder_for_the_results(run, tmp_path):
    checkpoint = run / "checkpoints" / "best.safetensors"
    for options in ({}, {"apply": True}):
        with pytest.raises(ConfigError, match="run folder"):
            search_threshold(checkpoint, probabilities=[0.4], **options)
    report = search_threshold(checkpoint, probabilities=[0.4], out=tmp_path / "out")
    assert (tmp_path / "out" / "threshold.csv").is_file() and report.out == tmp_path / "out"


def test_command(run, capsys):
    arguments = ["threshold", run, "--at", "0.3", "--at", "0.5", "--meshes", "1"]
    arguments += ["--mesh-at", "0.4", "--samples", "200", "--apply"]
    cli.app([str(a) for a in arguments], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "chamfer l1" in shown and "applied to this run" in shown
    assert "threshold.json" in shown.replace("\n", "")
    assert (run / "threshold.png").is_file()
