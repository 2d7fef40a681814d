"""Walks through the space of codes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from ball_model import load_ball, radius_of
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from random_weights import randomise

from onet import cli
from onet.checkpoints.checkpoint import save_checkpoint
from onet.config import parse_config
from onet.errors import ConfigError, DataError
from onet.geometry.mesh_io import load_mesh
from onet.geometry.topology import topology
from onet.inference.generate import generate
from onet.inference.latent import blend, interpolate, sample_grid, sample_latent
from onet.inference.reconstructor import load
from onet.models import build_model
from onet.report.latent_sheet import latent_sheet


@given(st.integers(0, 2**32 - 1), st.integers(2, 9), st.floats(0, 1))
def test_spherical_blends_turn_evenly_and_keep_the_length(seed, size, t):
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, size, generator=generator, dtype=torch.float64)
    between = blend(a, b, t, "spherical")
    np.testing.assert_allclose(between, blend(b, a, 1 - t, "spherical"), atol=1e-9)
    a, b = a / a.norm(), b / b.norm()
    between = blend(a, b, t, "spherical")
    assert between.norm().item() == pytest.approx(1)
    whole, part = torch.arccos(a @ b), torch.arccos((a @ between).clamp(-1, 1))
    assert part.item() == pytest.approx(t * whole.item(), abs=1e-6)


@pytest.mark.parametrize("kind", ["linear", "spherical"])
def test_ends_of_blends_and_blends_of_equals(kind):
    a, b = torch.randn(2, 128, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(blend(a, b, 0.0, kind), a, rtol=1e-5)
    np.testing.assert_allclose(blend(a, b, 1.0, kind), b, rtol=1e-5)
    np.testing.assert_allclose(blend(a, a, 0.3, kind), a, rtol=1e-5)
    np.testing.assert_allclose(blend(a, 3 * a, 0.5, kind), 2 * a, rtol=1e-5)
    zero = torch.zeros(128)
    np.testing.assert_allclose(blend(zero, zero, 0.5, kind), zero)


def test_there_is_no_spherical_way_between_opposites():
    a = torch.tensor([1.0, 2.0])
    with pytest.raises(ConfigError, match="opposite"):
        blend(a, -2 * a, 0.5, "spherical")
    np.testing.assert_allclose(blend(a, -a, 0.5), torch.zeros(2))
    with pytest.raises(ConfigError, match="choose linear"):
        blend(a, a, 0.5, "cubic")


def test_samples_are_those_of_generate(make_run):
    run = make_run("none", z_dim=3)
    made = generate(run, samples=3, seed=5)
    walk = interpolate(run, [(0, 1), ("1", "2")], steps=3, seed=5)
    assert walk.out == run / "interpolation"
    meshes = [load_mesh(walk.out / row["mesh"]) for row in walk.rows]
    samples = [load_mesh(made.out / row["mesh"]) for row in made.rows]
    for place, sample in [(0, 0), (2, 1), (3, 1), (5, 2)]:
        np.testing.assert_array_equal(meshes[place].vertices, samples[sample].vertices)
    grid = sample_grid(run, 1, 3, seed=5)
    for row, sample in zip(grid.rows, samples, strict=True):
        mesh = load_mesh(grid.out / row["mesh"])
        np.testing.assert_array_equal(mesh.vertices, sample.vertices)


def test_corners_of_a_grid_and_what_is_between(make_run):
    run = make_run("none", z_dim=2)
    walk = sample_grid(run, 3, 5, corners=(4, 7, 1, 2), kind="linear", seed=1)
    radii = np.array([radius_of(load_mesh(walk.out / row["mesh"])) for row in walk.rows])
    model = load(run)
    means = [sample_latent(model, number, 1).mean().item() for number in (4, 7, 1, 2)]
    corners = 0.2 + 0.25 * (np.array(means).reshape(2, 2) - 1)
    down, along = np.linspace(0, 1, 3)[:, None], np.linspace(0, 1, 5)
    left, right = ((1 - down) * corners[0, k] + down * corners[1, k] for k in (0, 1))
    expected = (1 - along) * left + along * right
    np.testing.assert_allclose(radii.reshape(3, 5), expected, atol=0.01)
    settings = json.loads((walk.out / "latent.json").read_text())
    assert settings["corners"] == [4, 7, 1, 2] and settings["seed"] == 1


def test_between_codes_of_observations_and_of_training_shapes(make_run, tmp_path):
    for name, brightness in (("dark", 0), ("light", 204)):
        Image.new("L", (20, 20), brightness).save(tmp_path / f"{name}.png")
    run = make_run("image", size=16)
    walk = interpolate(run, [(tmp_path / "dark.png", tmp_path / "light.png")], steps=3)
    radii = [radius_of(load_mesh(walk.out / row["mesh"])) for row in walk.rows]
    np.testing.assert_allclose(radii, [0.2, 0.3, 0.4], atol=0.01)
    assert walk.settings["kind"] == "linear" and walk.settings["pairs"] == [
        ("dark.png", "light.png")
    ]
    with pytest.raises(DataError, match=r"absent\.png"):
        interpolate(run, [(tmp_path / "absent.png", tmp_path / "dark.png")])
    walk = interpolate(make_run("index"), [("0", 3)], steps=2, out=tmp_path / "numbers")
    radii = [radius_of(load_mesh(walk.out / row["mesh"])) for row in walk.rows]
    np.testing.assert_allclose(radii, [0.2, 0.2 + 0.75 / 4], atol=0.01)


def test_a_place_without_surface_stays_empty_in_the_picture(make_run, tmp_path):
    walk = interpolate(
        make_run("index"), [(0, 40)], steps=3, out=tmp_path / "walk", probability=0.5
    )
    assert [bool(row["mesh"]) for row in walk.rows] == [True, True, True]
    model = load_ball("none", z_dim=1)
    assert radius_of(model.reconstruct(seed=0)) > 0.2
    walk = interpolate(
        make_run("none", z_dim=1), [(0, 1)], steps=2, out=tmp_path / "empty", probability=0.99999999
    )
    assert [row["mesh"] for row in walk.rows] == ["", ""]
    assert "0 of 2 places have a mesh" in walk.summary()
    sheet = np.asarray(Image.open(latent_sheet(tmp_path / "empty", 64)).convert("RGB"))
    drawn = np.asarray(Image.open(latent_sheet(tmp_path / "walk", 64)).convert("RGB"))
    assert (sheet[-64:, -64:] < 200).mean() < 0.1 < (drawn[-64:, -64:] < 200).mean()


def test_folders_are_not_overwritten_by_mistake(make_run, tmp_path):
    run, out = make_run("none", z_dim=3), tmp_path / "walk"
    first = interpolate(run, [(0, 1)], steps=4, out=out)
    with pytest.raises(ConfigError, match="is there already"):
        sample_grid(run, 1, 2, out=out)
    sample_grid(run, 1, 2, out=out, overwrite=True)
    assert len(list((out / "meshes").iterdir())) == 2 < len(first.rows)
    with pytest.raises(ConfigError, match="something else"):
        sample_grid(run, 1, 2, out=run, overwrite=True)
    with pytest.raises(DataError, match=r"latent\.json"):
        latent_sheet(run)


@pytest.mark.parametrize(
    ("pairs", "options", "words"),
    [
        ([(0, 1)], {"steps": 1}, "steps: 1"),
        ([], {}, "pairs"),
        ([("one", 1)], {}, "number of a sample"),
        ([(-1, 1)], {}, "from 0 on"),
        ([(0, 1)], {"resolution": -3}, "resolution"),
    ],
)
def test_what_cannot_be_walked(make_run, pairs, options, words):
    run = make_run("none", z_dim=3)
    with pytest.raises(ConfigError, match=words):
        interpolate(run, pairs, **options)
    assert not (run / "interpolation").exists()


def test_grids_need_an_unconditional_model_and_places(make_run):
    with pytest.raises(ConfigError, match="no unconditional model"):
        sample_grid(make_run("voxels"), 1, 1)
    with pytest.raises(ConfigError, match="at least 2 rows"):
        sample_grid(make_run("none", z_dim=2), 1, 4, corners=(0, 1, 2, 3))


def test_a_real_network_from_the_command_line(tmp_path, capsys):
    tree = {
        "data": {"input": {"type": "none"}},
        "model": {
            "type": "occupancy",
            "z_dim": 8,
            "c_dim": 0,
            "encoder": None,
            "encoder_latent": {"type": "simple"},
            "decoder": {"type": "simple", "hidden_size": 16},
        },
        "generation": {"resolution": 16, "probability": 0.5},
    }
    config = parse_config(json.dumps(tree), "test")
    torch.manual_seed(0)  # of the biases, to which random numbers are added
    model = randomise(build_model(config.model), seed=5)  # samples are inside somewhere
    run = tmp_path / "run"
    save_checkpoint(run / "checkpoints" / "best.safetensors", model, config, {})
    words = ["--from", "0", "--to", "1", "--from", "2", "--to", "3", "--steps", "3", "--size", "32"]
    cli.app(["interpolate", str(run), *words], standalone_mode=False)
    assert "6 of 6 places have a mesh, 6 watertight" in capsys.readouterr().out
    grid = ["--rows", "2", "--columns", "3", "--corners", "0", "1", "2", "3", "--size", "32"]
    cli.app(["sample-grid", str(run), *grid], standalone_mode=False)
    assert "6 of 6" in capsys.readouterr().out
    for name, columns in (("interpolation", 3), ("sample-grid", 3)):
        with Image.open(run / name / "contact_sheet.png") as sheet:
            assert sheet.width >= columns * 32 and sheet.height >= 2 * 32
        meshes = sorted((run / name / "meshes").iterdir())
        assert len(meshes) == 6 and all(topology(load_mesh(mesh)).watertight for mesh in meshes)
    assert (run / "interpolation" / "latent.csv").read_text().count("\n") == 7
    with pytest.raises(ConfigError, match="--from is given 1 times and --to 2 times"):
        cli.app(["interpolate", str(run), *words[2:]], standalone_mode=False)
