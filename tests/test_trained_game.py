"""The game between the networks of a run: what is loaded, and the command that shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_adversarial_occupancy import RECIPES, SECTION, VARIATIONAL, Spheres, config
from test_adversarial_occupancy import run as train_spheres
from test_cli import fails, run
from test_every_config import COMMON, shrunk

from onet.config import load_config
from onet.errors import CheckpointError, ConfigError
from onet.gan_theory.trained_game import load_game
from onet.training.loop import train

DATA = {"train": Spheres(), "val": Spheres(2)}


def flat(parameters: Any) -> torch.Tensor:
    return torch.cat([p.detach().float().flatten() for p in parameters])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gan", "everything"])
def test_the_game_is_the_one_in_training(name: str, tmp_path: Path) -> None:
    settings = config(VARIATIONAL if name == "everything" else SECTION, **RECIPES[name])
    train_spheres(tmp_path, settings)
    game = load_game(tmp_path, shapes=3, points=20, datasets=DATA)
    assert game.iteration == 6 and game.batch["points"].shape == (3, 20, 3)
    factor = 0.5 if name == "everything" else 1.0
    assert game.rates == pytest.approx((1e-3, factor * 1e-3))
    averaged = load_game(tmp_path / "checkpoints" / "last.safetensors", 3, 20, datasets=DATA)
    same = torch.equal(flat(game.trainer.parameters_g), flat(averaged.trainer.parameters_g))
    assert same == ("ema" not in RECIPES[name])

    of_g, of_d, report = game.losses()
    again = game.losses()
    assert (of_g, of_d) == (again[0], again[1]) and of_d.dtype == torch.float64
    free = game.losses(penalty=False)[1]
    torch.testing.assert_close(of_d - free, report["penalty"])
    field = game.field()
    x = np.random.default_rng(0).standard_normal(field.size)
    expected, step = np.zeros(field.size), 1e-6
    for sign in (1, -1):
        place = 0
        for p in (*game.trainer.parameters_g, *game.trainer.parameters_d):
            part = torch.from_numpy(x[place : place + p.numel()]).reshape(p.shape)
            p.data += (1 if sign == 1 else -2) * step * part
            place += p.numel()
        expected += sign * game.field().value() / (2 * step)
    error = np.linalg.norm(field.product(x) - expected) / np.linalg.norm(expected)
    assert error < 1e-3  # of ReLUs that switch


def test_what_is_no_game_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        load_game(tmp_path / "none")
    train_spheres(tmp_path / "gan", config())
    for options in ({"shapes": 0}, {"points": 0}):
        with pytest.raises(ConfigError, match="at least 1"):
            load_game(tmp_path / "gan", datasets=DATA, **options)
    next((tmp_path / "gan" / "checkpoints").glob("optimizer-*.pt")).unlink()
    with pytest.raises(CheckpointError, match="missing"):
        load_game(tmp_path / "gan", datasets=DATA)
    plain = {**VARIATIONAL, "type": "occupancy", "c_dim": 0}
    for key in ("discriminator", "validation_samples"):
        plain.pop(key)
    train_spheres(tmp_path / "vae", config(plain, adversarial=None, selection_metric="loss"))
    with pytest.raises(ConfigError, match=r"model\.type=occupancy has no discriminator"):
        load_game(tmp_path / "vae", datasets=DATA)


@pytest.mark.slow
def test_the_command(sample_store: Path, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    settings = load_config("gan_small", [*COMMON, f"data.path={sample_store}"])
    settings = settings.model_copy(update={"model": shrunk(settings.model)})
    train(settings, tmp_path / "run")
    words = ["stability", "networks", tmp_path / "run", "--shapes=2", "--points=30"]
    run(*words, "--count=4", f"--out={tmp_path / 'out'}")
    printed = capsys.readouterr().out
    assert "K_DG, coupling" in printed and "learning rates" in printed
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(numbers["eigenvalues"]) == 4 and len(numbers["blocks"]) == 4
    assert numbers["settings"]["iteration"] == 2
    said = {row["what"]: row["value"] for row in numbers["verdict"]}
    assert said["all-clear"] in ("yes", "no") and "residual" in said["rightmost eigenvalue"]
    for choice in (["--count=4", "--which=LR"], ["--count=9"], ["--count=2", "--which=LI"]):
        run(*words, *choice, f"--out={tmp_path / 'again'}")
        again = json.loads((tmp_path / "again" / "results.json").read_text())
        other = {row["what"]: row["value"] for row in again["verdict"]}
        assert other["all-clear"] == said["all-clear"]
        assert (
            other["rightmost eigenvalue"].split(" (")[0]
            == (said["rightmost eigenvalue"].split(" (")[0])
        )
    capsys.readouterr()
    damping, loss, penalty = (numbers["blocks"][k]["value_1"] for k in (2, 0, 1))
    assert abs(damping) <= abs(loss) + abs(penalty) + 1e-6 and penalty > 0
    assert (tmp_path / "out" / "plane.png").is_file()
    many = [str(w) for w in (*words, "--count=1000000")]
    assert "1000000 eigenvalues asked for, and the game has" in fails(monkeypatch, capsys, *many)
    assert "valid here: LI, LM, LR" in fails(monkeypatch, capsys, *map(str, words), "--which=LN")
