"""Calibrated probabilities, their use, uncertainty of vertices, unfamiliar inputs."""

import json
import logging
import math

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from test_generate import write_item
from test_reconstructor import CONFIG, blob_model
from typer.testing import CliRunner

import onet
from onet.checkpoints.checkpoint import save_checkpoint
from onet.cli import app
from onet.data.store_folder import NEAR_SURFACE, POINTS
from onet.errors import CheckpointError, ConfigError
from onet.evaluation.calibrate import calibrate
from onet.evaluation.reliability import calibration_error, reliability
from onet.evaluation.threshold_search import search_threshold
from onet.geometry.extraction import extract_mesh
from onet.geometry.mesh_io import save_mesh
from onet.geometry.normalization import UNCERTAINTY, UnitFrame
from onet.geometry.uncertainty import vertex_uncertainty
from onet.inference.calibration import code_numbers
from onet.inference.generate import generate
from onet.inference.reconstructor import Reconstructor
from onet.inference.scaling import Scaling, cross_entropy, fit_scaling

TOO_SURE, TOO_FULL = 3.0, 1.5


class Overconfident(torch.nn.Module):
    """Balls of the points' size, said with logits that are too large by known numbers."""

    z_dim = 0

    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(TOO_SURE))

    def encode(self, inputs):
        return torch.cat([inputs.mean(1), inputs.std(1)], 1)

    def decode(self, points, c, z=None):
        return self.factor * ((0.4 - points.norm(dim=-1)) / 0.05 + TOO_FULL)


def draws(logits, rng):
    return rng.random(len(logits)) < expit(logits)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.3, 5), st.floats(-2, 2))
def test_the_scaling_is_recovered(seed, temperature, offset):
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=20_000)
    truth = draws(logits, rng)
    said = (logits - offset) * temperature
    found = fit_scaling(said, truth)
    assert found.temperature == pytest.approx(temperature, rel=0.1)
    assert found.offset == pytest.approx(offset, abs=0.15)
    before, after = (calibration_error(expit(logits), truth) for logits in (said, found(said)))
    assert after < 0.02
    if abs(math.log(temperature)) > 0.3 or abs(offset) > 0.3:
        assert after < before


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-100, 100), st.booleans()), min_size=1, max_size=30),
    st.floats(0.01, 0.99),
)
def test_fitting_never_makes_its_points_worse(pairs, probability):
    logits, truth = np.array([x for x, _ in pairs]), np.array([y for _, y in pairs])
    found = fit_scaling(logits, truth)
    assert cross_entropy(found(logits), truth) <= cross_entropy(logits, truth)
    assert 0 < found.calibrated(probability) < 1
    assert found.own(found.calibrated(probability)) == pytest.approx(probability, rel=1e-3)


@given(st.floats(0.2, 20), st.floats(-5, 5), st.floats(0.01, 0.99), st.floats(-50, 50))
def test_the_same_places_are_inside(temperature, offset, probability, logit):
    scaling = Scaling(temperature, offset)
    level, other = (math.log(p / (1 - p)) for p in (probability, scaling.calibrated(probability)))
    if abs(logit - level) > 1e-3 * (1 + abs(level)):
        assert (logit > level) == (scaling(logit) > other)


def test_calibration_error_by_hand():
    probabilities = np.array([0.1, 0.1, 0.9, 0.9, 1.0])
    truth = np.array([False, True, True, True, True])
    said, true, counts = reliability(probabilities, truth, bins=2)
    np.testing.assert_allclose(said, [0.1, 2.8 / 3])
    np.testing.assert_allclose(true, [0.5, 1])
    assert counts.tolist() == [2, 3]
    expected = 2 / 5 * 0.4 + 3 / 5 * (1 - 2.8 / 3)
    assert calibration_error(probabilities, truth, bins=2) == pytest.approx(expected)


def test_numbers_of_a_code_do_not_depend_on_the_places_of_features():
    planes = torch.rand(2, 4, 8, 8)
    code = {"xz": planes[0], "xy": planes[1]}
    rolled = {key: features.roll((1, 3), (1, 2)) for key, features in code.items()}
    assert code_numbers(code).shape == (8,)
    np.testing.assert_allclose(code_numbers(code), code_numbers(rolled))
    latents = torch.rand(5, 3)
    np.testing.assert_allclose(code_numbers(latents), code_numbers(latents.flip(0)))
    np.testing.assert_array_equal(code_numbers(latents[0]), latents[0].double())


@pytest.fixture
def store(tmp_path):
    """Balls whose points are labelled as the network would with other logits."""
    return make_store(tmp_path)


def make_store(tmp_path, as_said_in=()):
    rng = np.random.default_rng(0)
    for split, models in {"train": "abcd", "val": "ef", "test": "gh"}.items():
        for model in models:
            folder = tmp_path / "store/ball" / model
            write_item(folder, count=8000)
            for file in (POINTS, NEAR_SURFACE):
                arrays = dict(np.load(folder / POINTS))
                radius = np.linalg.norm(arrays["points"].astype(float), axis=1)
                logits = (0.4 - radius) / 0.05
                if split in as_said_in:
                    logits = TOO_SURE * (logits + TOO_FULL)
                arrays["occupancies"] = np.packbits(draws(logits, rng))
                np.savez(folder / file, **arrays)
        (tmp_path / f"store/ball/{split}.lst").write_text("\n".join(models))
    return tmp_path / "store"


@pytest.fixture
def run(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    model = Overconfident()
    save_checkpoint(folder / "checkpoints/best.safetensors", model, CONFIG, {})
    monkeypatch.setattr("onet.inference.reconstructor.build_model", lambda section: Overconfident())
    return folder


def test_calibrated_runs_say_true_probabilities(run, store):
    raw = onet.load(run, "cpu")
    assert raw.calibration is None and raw.scaling == Scaling(1, 0)
    result = CliRunner().invoke(app, ["calibrate", str(run), "--data", str(store)])
    assert result.exit_code == 0, result.output
    model = onet.load(run, "cpu")
    assert model.scaling.temperature == pytest.approx(TOO_SURE, rel=0.1)
    assert model.scaling.offset == pytest.approx(-TOO_FULL, rel=0.1)
    for row, kind in zip(model.calibration.errors, ("uniform", "near the surface"), strict=True):
        assert row["points"] == kind
        assert row["calibration_error_after"] < 0.02 < row["calibration_error_before"]
        assert row["cross_entropy_after"] < row["cross_entropy_before"]
    assert [row["count"] for row in model.calibration.errors] == [16_000, 8_000]
    assert (run / "calibration.png").read_bytes().startswith(b"\x89PNG")
    code = raw.encode(np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32))
    points = np.random.default_rng(1).uniform(-0.5, 0.5, (100, 3)).astype(np.float32)
    said, slopes = raw.field_of_code(code).value_and_gradient(points)
    true, flatter = model.field_of_code(code).value_and_gradient(points)
    np.testing.assert_allclose(true, model.scaling(said), rtol=1e-5)
    np.testing.assert_allclose(flatter, slopes / model.scaling.temperature, rtol=1e-5)
    np.testing.assert_array_equal(model.field_of_code(code)(points), true)
    # calibrating what is calibrated finds the same
    assert calibrate(run, data=store).scaling == model.scaling


def test_calibrating_moves_no_surface(run, store):
    scan = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)

    def vertices(**options):
        return onet.load(run, "cpu").extract(scan, resolution=16, **options).vertices

    kinds = [{}, {"refine": "root"}, {"sharp": True}, {"mode": "fast"}]
    before = [vertices(**options) for options in kinds]
    applied = search_threshold(run, data=store, probabilities=[0.7], apply=True)
    at_applied = vertices()
    assert applied.settings["applied"]["temperature"] == 1
    assert len(at_applied) and not np.array_equal(at_applied, before[0])
    calibrate(run, data=store)
    np.testing.assert_allclose(vertices(), at_applied, atol=1e-5)
    searched = search_threshold(run, data=store, probabilities=[0.4])  # restates what was applied
    scaling = onet.load(run, "cpu").scaling
    assert searched.settings["applied"]["probability"] == pytest.approx(scaling.calibrated(0.7))
    (run / "threshold.json").unlink()
    for options, expected in zip(kinds, before, strict=True):
        np.testing.assert_allclose(vertices(**options), expected, atol=1e-5)
    assert onet.load(run, "cpu").generation_settings().probability != CONFIG.generation.probability


def test_a_calibration_that_does_not_carry_over_is_warned_of(run, tmp_path, caplog):
    calibrate(run, data=make_store(tmp_path))
    assert "rises" not in caplog.text
    calibrate(run, data=make_store(tmp_path / "other", as_said_in=["test"]))
    assert "cross-entropy rises" in caplog.text and "calibration.json" in caplog.text


def test_the_surface_is_where_the_calibrated_probability_is(run, store):
    calibrate(run, data=store)
    scan = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    mesh = onet.load(run, "cpu").extract(scan, probability=0.1, resolution=16, refine="root")
    radius = np.linalg.norm(mesh.vertices, axis=1).mean()
    assert radius == pytest.approx(0.4 + 0.05 * math.log(9), abs=0.01)


def test_the_published_refinement_descends_calibrated_logits(run, store, monkeypatch):
    calibrate(run, data=store)
    model = onet.load(run, "cpu")
    scan = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    seen = []

    def recording(logits, mesh, *arguments, **options):
        seen.append(logits)
        return mesh

    monkeypatch.setattr("onet.inference.surface.refine_published", recording)
    model.extract(scan, resolution=8, refine="published")
    points = torch.rand(20, 3) - 0.5
    torch.testing.assert_close(seen[0](points), model.field_of_code(model.encode(scan))(points))


def test_unfamiliar_observations_are_warned_of(run, store, caplog):
    calibrate(run, data=store)
    model = onet.load(run, "cpu")
    usual = onet.data.store.Store(store).items("train")[0].load_pointcloud()[0]
    frame = UnitFrame(np.zeros(3), 1.0)
    mesh = model.reconstruct(usual, frame=frame, resolution=8)
    assert "unlike" not in caplog.text
    told = mesh.metadata["familiarity"]
    assert told["distance"] <= told["limit"]
    mesh = model.reconstruct(usual * (1, 1, 0.1), frame=frame, resolution=8)
    assert "unlike the training data" in caplog.text
    assert mesh.metadata["familiarity"]["distance"] > told["limit"]


def test_a_calibration_belongs_to_its_checkpoint(run, store, caplog):
    calibrate(run, data=store)
    other = Overconfident()
    other.factor.data += 1
    save_checkpoint(run / "checkpoints/best.safetensors", other, CONFIG, {})
    assert onet.load(run, "cpu").calibration is None
    assert "onet calibrate" in caplog.text
    for content in ("{", "{}", json.dumps({"temperature": 1.0})):
        (run / "calibration.json").write_text(content)
        with pytest.raises(CheckpointError, match=r"calibration\.json.*onet calibrate"):
            onet.load(run, "cpu")


def test_generation_tells_calibrated_meshes_from_others(run, store, tmp_path):
    generate(run, data=store, resolution=8, limit=1, out=tmp_path / "out")
    calibrate(run, data=store)
    with pytest.raises(ConfigError, match="temperature"):
        generate(run, data=store, resolution=8, limit=1, out=tmp_path / "out")


def test_bad_requests(run, store, tmp_path):
    with pytest.raises(ConfigError, match="quantile"):
        calibrate(run, data=store, quantile=1.0)
    with pytest.raises(CheckpointError, match="run folder"):
        path = tmp_path / "alone.safetensors"
        save_checkpoint(path, Overconfident(), CONFIG, {})
        calibrate(path, data=store)


# -- uncertainty ----------------------------------------------------------------------------------


def ball(points):
    """Logits of which the slope is 20 above the middle and 60 below."""
    slope = np.where(points[:, 2] > 0, 20.0, 60.0)
    return slope * (0.4 - np.linalg.norm(points, axis=1))


def test_uncertainty_is_the_distance_of_level_surfaces():
    mesh = extract_mesh(ball, resolution=32, probability=0.5)
    found = vertex_uncertainty(ball, mesh)
    z = mesh.vertices[:, 2]
    shells = [extract_mesh(ball, resolution=32, probability=p).vertices for p in (0.25, 0.75)]
    radii = [np.linalg.norm(shell[shell[:, 2] > 0.1], axis=1).mean() for shell in shells]
    np.testing.assert_allclose(found[z > 0.1], radii[0] - radii[1], rtol=0.02)
    np.testing.assert_allclose(found[z < -0.1], 2 * math.log(3) / 60, rtol=0.01)


def test_flat_fields_are_as_uncertain_as_the_box_is_wide():
    mesh = extract_mesh(ball, bounds=((-0.5,) * 3, (0.5,) * 3), resolution=16)
    flat = vertex_uncertainty(lambda points: np.zeros(len(points)), mesh)
    np.testing.assert_allclose(flat, 1)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["ply", "glb"])
def test_files_keep_the_uncertainty_in_units_of_the_source(tmp_path, suffix):
    model = Reconstructor(blob_model(), CONFIG, {})
    scan = 100 * np.random.default_rng(0).normal(size=(60, 3))
    mesh = model.reconstruct(scan, uncertainty=True, normals=True, resolution=16)
    scale = mesh.metadata["reconstruction"]["scale"]
    unit = model.extract(
        model.input.observe(scan, np.random.default_rng(0), UnitFrame.of(scan)),
        uncertainty=True,
        resolution=16,
    )
    expected = unit.vertex_attributes[UNCERTAINTY] * scale
    np.testing.assert_allclose(mesh.vertex_attributes[UNCERTAINTY], expected, rtol=1e-5)
    path = save_mesh(mesh, tmp_path / f"mesh.{suffix}")
    loaded = trimesh.load(path, process=False)
    if suffix == "ply":
        stored = loaded.metadata["_ply_raw"]["vertex"]["data"][UNCERTAINTY]
    else:
        (part,) = loaded.geometry.values()
        stored = part.vertex_attributes[f"_{UNCERTAINTY}"]
    np.testing.assert_allclose(np.ravel(stored), expected, rtol=1e-5)
    assert UNCERTAINTY not in model.extract(scan / 400, resolution=16).vertex_attributes


def test_warnings_are_not_given_without_calibration(caplog):
    caplog.set_level(logging.WARNING)
    model = Reconstructor(blob_model(), CONFIG, {})
    mesh = model.reconstruct(np.random.default_rng(0).normal(size=(60, 3)), resolution=8)
    assert "familiarity" not in mesh.metadata and not caplog.records
