"""Studies with pictures: eight Gaussians with whole spectra, the Dirac-GAN of a picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from onet import cli
from onet.errors import ConfigError, DataError
from onet.gan_theory import gaussian_ring
from onet.gan_theory.dynamics import states, trajectory
from onet.gan_theory.eigenpairs import _residuals
from onet.gan_theory.games.dirac import DiracGan
from onet.gan_theory.gaussian_ring import CENTRES, STD, RingGame, draw
from onet.gan_theory.spectrum import GameField
from onet.gan_theory.studies.gaussian_ring import gaussian_ring_study
from onet.gan_theory.studies.image_dirac import image_dirac_study


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """A picture of 32 x 32 uniform pixels."""
    pixels = np.random.default_rng(5).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    return tmp_path / "noise.png"


def test_states_are_those_of_steps_by_hand_and_end_where_they_leave_all_bounds() -> None:
    game, start = DiracGan("js", gamma=0.3), np.array([1.0, -1.0])
    by_hand = {"simultaneous": [start], "alternating": [start]}
    for _ in range(20):
        x = by_hand["simultaneous"][-1]
        by_hand["simultaneous"].append(x + 0.2 * game.field(x))
        theta, psi = by_hand["alternating"][-1]
        theta = theta + 0.2 * game.field(np.array([theta, psi]))[0]
        psi = psi + 0.2 * game.field(np.array([theta, psi]))[1]
        by_hand["alternating"].append(np.array([theta, psi]))
    for scheme, expected in by_hand.items():
        one = iter(states(game, start, 20, scheme))
        found = [np.copy(next(one)) for _ in range(3)]  # a step is made when it is asked for
        assert np.allclose([*found, *one], expected, rtol=1e-12)
        assert np.allclose(trajectory(game, start, 20, scheme), expected, rtol=1e-12)
    wild = DiracGan("wasserstein", gamma=50.0)
    assert len([*states(wild, start, 500, h_g=1.0)]) < 30
    with pytest.raises(ConfigError, match="start has 1 numbers"):
        next(states(game, np.ones(1), 3))


def test_the_picture_is_generated_with_a_penalty_alone(noise: Path) -> None:
    """Errors of uniform pixels at 256 x 256, [0, 1] units, hardly depend on the size."""
    study = image_dirac_study(noise, size=32, steps=200)
    rows = {row["method"]: row for row in study.tables[0].rows}
    expected = {
        "R1, simultaneous": (0.1662, 0.0151, 4.8e-4, 5e-6),
        "R1, alternating": (0.1662, 0.0161, 6.0e-4, 7e-6),
        "no penalty, simultaneous": (0.1662, 0.1226, 0.0144, 0.1737),
        "no penalty, alternating": (0.1662, 0.1022, 0.0105, 0.1035),
    }
    for name, errors in expected.items():
        found = [rows[name][f"after {k}"] for k in (0, 50, 100, 200)]
        assert found == pytest.approx(errors, rel=0.25), name
    assert rows["R1, simultaneous"]["rate across"] == pytest.approx(0.95)
    assert rows["R1, simultaneous"]["rate along the picture"] == pytest.approx(0.981, abs=0.002)
    assert rows["no penalty, alternating"]["rate across"] == pytest.approx(1.0)


def test_the_picture_study_is_written(noise: Path, tmp_path: Path) -> None:
    words = ["stability", "image", str(noise), "--size", "8", "--steps", "8", "-o", str(tmp_path)]
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 0, result.output
    told = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert told["settings"]["numbers"] == 192 and len(told["error"]) == 4
    for name in ("pictures", "curves"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert min(picture.size) > 200
    with pytest.raises(DataError, match=r"absent\.png: no such file"):
        image_dirac_study(tmp_path / "absent.png")
    with pytest.raises(ConfigError, match="above 0"):
        image_dirac_study(noise, steps=0)


def test_real_points_lie_on_eight_modes() -> None:
    points = draw(4000, torch.Generator().manual_seed(0)).double().numpy()
    apart = np.linalg.norm(points[:, None] - CENTRES, axis=2)
    counts = np.bincount(apart.argmin(1), minlength=8)
    assert (apart.min(1) < 6 * STD).all() and counts.min() > 400


def test_methods_start_alike_and_differ_in_training() -> None:
    games = {m: RingGame.start(m, 10.0, rate=1e-3) for m in ("none", "consensus", "r1")}
    begun = [game.samples(50) for game in games.values()]
    assert np.array_equal(begun[0], begun[1]) and np.array_equal(begun[0], begun[2])
    for game in games.values():
        assert [*game.train(3, (0, 3))] == [0, 3]
    ended = [game.samples(50) for game in games.values()]
    assert not np.allclose(ended[0], ended[1]) and not np.allclose(ended[1], ended[2])


def test_the_field_of_a_ring_is_double_and_leaves_training_alone() -> None:
    game = RingGame.start("r1", 10.0, rate=1e-3)
    assert [*game.train(2, ())] == []
    field = game.field(64)
    assert field.value().dtype == np.float64 and field.eps < 1e-15
    networks = game.trainer.networks
    assert next(networks.generator.parameters()).dtype == torch.float32
    real = draw(64, generator := torch.Generator().manual_seed(0))
    codes = torch.randn(64, gaussian_ring.Z_DIM, generator=generator)
    single = GameField.of_trainer(game.trainer, real, codes)
    np.testing.assert_allclose(field.value(), single.value(), atol=1e-5)
    assert [*game.train(1, (1,))] == [1]


def test_the_regularised_field_is_v_less_the_slope_of_its_square() -> None:
    """On L_g = x^2 y + x, L_d = y^3 - 2 x y: v and J by hand, w' by differences of w."""

    def fields(at: np.ndarray) -> tuple[GameField, GameField]:
        x, y = (nn.Parameter(torch.tensor([v], dtype=torch.float64)) for v in at)
        field = GameField((x**2 * y + x).sum(), (y**3 - 2 * x * y).sum(), [x], [y])
        return field, field.regularised(0.7)

    at = np.array([0.6, -0.8])
    v, w = fields(at)
    x, y = at
    value = np.array([-(2 * x * y + 1), -(3 * y**2 - 2 * x)])
    jacobian = np.array([[-2 * y, -2 * x], [2.0, -6 * y]])
    np.testing.assert_allclose(v.value(), value)
    np.testing.assert_allclose(v.jacobian(), jacobian)
    np.testing.assert_allclose(w.value(), value - 0.7 * jacobian.T @ value)
    columns = [
        (fields(at + step)[1].value() - fields(at - step)[1].value()) / 2e-5
        for step in 1e-5 * np.eye(2)
    ]
    np.testing.assert_allclose(w.jacobian(), np.stack(columns, axis=1), atol=1e-7)
    np.testing.assert_allclose(v.jacobian(), jacobian)  # the first field stays what it was


def test_gaussians_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaussian_ring, "WIDTH", 2)  # 153 parameters instead of 2,003
    study = gaussian_ring_study(4, 10.0, ["consensus"], rate=1e-3)
    modes, spectra = study.tables
    assert [row["iterations"] for row in modes.rows] == [0, 1, 2, 4]
    assert [row["field"] for row in spectra.rows] == [
        "consensus: v, before", "consensus: w, before",
        "consensus: v, after", "consensus: w, after",
    ]  # fmt: skip
    for row in spectra.rows:
        assert row["largest error"] < 1e-6 * max(row["largest Re"], -row["smallest Re"])
    assert study.write(tmp_path).is_file()
    with pytest.raises(ConfigError, match="unknown method 'r2'"):
        gaussian_ring_study(4, methods=["r2"])


def test_equal_eigenvalues_have_residuals_of_their_own() -> None:
    matrix = np.diag([1.0, 1.0, 3.0])
    vectors = np.stack([[1.0, 0, 0], [0, 1.0, 1.0]], axis=1)
    found = _residuals(lambda x: matrix @ x, np.array([1.0 + 0j, 1.0 + 0j]), vectors)
    assert found == pytest.approx([0.0, np.sqrt(2)])
