"""Verdicts on games whose whole spectrum is known: never an all-clear where something grows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from onet.errors import ConfigError, TrainingError
from onet.gan_theory import verdict as verdicts
from onet.gan_theory.eigenpairs import search, whole_spectrum
from onet.gan_theory.rates import largest_step
from onet.gan_theory.spectrum import GameField, stability_report
from onet.gan_theory.verdict import game_verdict


def game(
    pairs: Any = (), of_g: Any = (), of_d: Any = (), seed: int = 0, dtype: Any = torch.float64
) -> tuple[GameField, np.ndarray]:
    """A linear game and its eigenvalues.

    Pairs (p, q) are oscillators l^2 + q l + p^2 of both players, the others directions of one
    player alone; both players' parameters are turned at random.
    """
    p, q = np.asarray(pairs, dtype=float).reshape(-1, 2).T
    k, n, m = len(p), len(p) + len(of_g), len(p) + len(of_d)
    rng = np.random.default_rng(seed)
    turn_g, turn_d = (np.linalg.qr(rng.standard_normal((s, s)))[0] for s in (n, m))
    own_g = turn_g @ np.diag([*np.zeros(k), *of_g]) @ turn_g.T
    own_d = turn_d @ np.diag([*-q, *of_d]) @ turn_d.T
    coupling = turn_g[:, :k] @ np.diag(p) @ turn_d[:, :k].T
    a, d, b = (torch.from_numpy(x).to(dtype) for x in (own_g, own_d, coupling))
    theta, psi = (nn.Parameter(torch.zeros(s, dtype=dtype)) for s in (n, m))
    of_generator = -(theta @ a @ theta / 2 + theta @ b @ psi)
    of_discriminator = -(psi @ d @ psi / 2 - psi @ b.T @ theta)
    root = np.sqrt((q**2 / 4 - p**2).astype(complex))
    values = np.concatenate([of_g, of_d, -q / 2 + root, -q / 2 - root])
    return GameField(of_generator, of_discriminator, [theta], [psi]), values


STABLE = st.floats(-50, -0.5)
PAIR = st.tuples(st.floats(0.5, 20), st.floats(0.05, 10))


@settings(max_examples=30, deadline=None)
@given(
    pairs=st.lists(PAIR, min_size=1, max_size=4),
    of_g=st.lists(STABLE, min_size=3, max_size=12),
    of_d=st.lists(STABLE, min_size=3, max_size=12),
    spare=st.integers(0, 6),
    hidden=st.sampled_from([None, 1e-3, 0.05, "rotation"]),
    seed=st.integers(0, 99),
)
def test_verdicts_are_those_of_the_whole_spectrum(
    pairs: Any, of_g: Any, of_d: Any, spare: int, hidden: Any, seed: int
) -> None:
    """Also with parameters to spare, and with what grows slowly hidden among what falls fast."""
    if hidden == "rotation":
        pairs = [*pairs, (3.0, -0.002)]
    elif hidden:
        of_g = [*of_g, hidden]
    field, values = game(pairs, [*of_g, *np.zeros(spare)], of_d, seed)
    moving = values[np.abs(values) > 0]
    limit = 0.0 if hidden else largest_step(moving)
    for step in (limit / 2, 2 * limit) if limit else (1e-6, 1.0):
        for written in (0, 400):
            found = game_verdict(field, step, written=written)
            assert found.limit == pytest.approx(limit, rel=1e-5)
            assert found.clear == (step < limit)
            if hidden:
                assert "no step size converges" in found.text and len(found.growing)
                grows = found.found.values[found.growing].real.max()
                assert grows == pytest.approx(moving.real.max(), abs=1e-4)
            elif step < limit:
                slowest = np.abs(1 + step * moving).max()
                assert found.factor <= slowest + 1e-6 and "converges, by" in found.text
                assert written == 0 or found.factor == pytest.approx(slowest, abs=1e-9)
            else:
                assert "too long" in found.text
            assert (found.found.residuals < 1e-4).all()


@pytest.mark.parametrize("written", [0, 400])
@pytest.mark.parametrize("growth", [0.003, "rotation", None])
def test_one_that_grows_among_hundreds_that_fall(growth: Any, written: int) -> None:
    rng = np.random.default_rng(0)
    falls = -rng.uniform(1, 100, (2, 120))
    pairs = [(5.0, 0.1), (1.0, 0.5)] + [(4.0, -0.01)] * (growth == "rotation")
    of_g = [*falls[0], *([growth] if isinstance(growth, float) else [])]
    field, values = game(pairs, of_g, falls[1])
    found = game_verdict(field, 5e-4, written=written)
    assert found.clear == (growth is None) and found.whole == (written > 0)
    by_modulus = stability_report(field.spectrum(4, tolerance=1e-6))
    assert by_modulus.largest_step > 0.01  # what the four largest alone would allow
    assert "as far as these 4 eigenvalues tell" in by_modulus.advice(5e-4)
    if growth is None:
        assert found.limit == pytest.approx(largest_step(values), rel=1e-6)


def test_what_circles_is_no_all_clear() -> None:
    rng = np.random.default_rng(0)
    falls = -rng.uniform(1, 100, (2, 30))
    field, _ = game([(2.0, 0.0), (5.0, 1.0)], *falls)
    for written in (0, 400):
        found = game_verdict(field, 1e-3, written=written)
        assert not found.clear and found.limit == 0
        assert "± 2i" in found.text and "undamped: no step size converges" in found.text


def test_a_fast_rotation_limits_the_step_though_it_is_neither_largest_nor_rightmost() -> None:
    pairs = [(6.0, 0.4)]
    of_g, of_d = -np.linspace(0.01, 0.1, 30), -np.linspace(1, 20, 30)
    field, values = game(pairs, of_g, of_d)
    limit = largest_step(np.array([-0.2 + 1j * np.sqrt(36 - 0.04)]))
    assert largest_step(values) == pytest.approx(limit) and limit < 0.012
    for written in (0, 400):
        assert not game_verdict(field, 1.5 * limit, written=written).clear
        assert game_verdict(field, 0.5 * limit, written=written).limit == pytest.approx(limit)


def test_different_steps_of_the_players() -> None:
    """With h_d = r h_g an oscillator is l^2 + r q l + r p^2."""
    field, _ = game([(2.0, 0.5)] * 3, -np.linspace(1, 2, 9), -np.linspace(1, 2, 9))
    for ratio in (0.25, 4.0):
        damping, square = 0.5 * ratio, 4 * ratio
        expected = min(damping / square, 2 / (2 * max(1.0, ratio)))
        for written in (0, 400):
            found = game_verdict(field, 1e-3, ratio, written=written)
            assert found.limit == pytest.approx(expected, rel=1e-5)


def test_no_all_clear_without_convergence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that is cut short leaves doubts, and what it found may still forbid."""
    rng = np.random.default_rng(0)
    falls = -(10 ** rng.uniform(-4, 2, (2, 150)))
    field, _ = game([(5.0, 0.1)], *falls)
    monkeypatch.setattr(verdicts, "WRITTEN_IF_NEEDED", 0)

    def short(*args: Any, **options: Any) -> Any:
        return search(*args, **{**options, "restarts": 1})

    monkeypatch.setattr(verdicts, "search", short)
    found = game_verdict(field, 1e-4, written=0)
    assert not found.clear and "no all-clear: of the 4 eigenvalues" in found.text
    assert any("with the largest real part" in doubt for doubt in found.doubts)
    monkeypatch.setattr(verdicts, "WRITTEN_IF_NEEDED", 2000)
    whole = game_verdict(field, 1e-4, written=0)
    assert whole.whole and whole.clear and not whole.doubts


def test_a_game_in_which_nothing_moves() -> None:
    field, _ = game((), np.zeros(6), np.zeros(6))
    for written in (0, 400):
        found = game_verdict(field, 0.1, written=written)
        assert not found.clear and "nothing moves" in found.text
    for step, ratio in ((0.0, 1.0), (-0.1, 1.0), (0.1, 0.0)):
        with pytest.raises(ConfigError, match="must be positive"):
            game_verdict(field, step, ratio)


@pytest.mark.parametrize("hidden", [(), (0.5,)])
def test_single_precision(hidden: Any) -> None:
    falls = -np.linspace(1, 20, 12)
    field, values = game([(2.0, 1.0)], [*falls, *hidden], falls, dtype=torch.float32)
    for written in (0, 400):
        found = game_verdict(field, 1e-3, written=written)
        assert found.clear == (not hidden)
        assert found.limit == pytest.approx(0 if hidden else largest_step(values), rel=1e-3)


def test_defective_eigenvalues_know_how_little_is_known_of_them() -> None:
    found = whole_spectrum(np.array([[-0.5, 1.0, 0], [0, -0.5, 0], [0, 0, -2.0]]))
    assert found.values == pytest.approx([-2, -0.5, -0.5], abs=1e-6)
    assert found.errors[0] < 1e-11 and (found.errors[1:] > 1e-8).all()


def test_searches_that_end_early_are_no_spectrum(monkeypatch: pytest.MonkeyPatch) -> None:
    from onet.gan_theory import spectrum

    field, _ = game([(5.0, 0.1)], *-(10 ** np.random.default_rng(0).uniform(-4, 2, (2, 150))))

    def short(*args: Any, **options: Any) -> Any:
        return search(*args, **{**options, "restarts": 1})

    monkeypatch.setattr(spectrum, "search", short)
    found = field.eigenpairs(9, "LR")
    assert not found.converged and len(found.values) == len(found.residuals) < 9
    with pytest.raises(TrainingError, match="of 9 eigenvalues"):
        field.spectrum(9, "LR")
