"""Where the loss of D rests when a part of the data is generated, and the watch that sees it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar

from onet.adversarial.activations import PAIRS
from onet.adversarial.collapse import CollapseWatch
from onet.adversarial.losses import LOSSES, pair_loss
from onet.adversarial.plateaus import (
    FAMILIES,
    WITHOUT,
    discriminator_loss,
    resting_levels,
)
from onet.errors import ConfigError
from onet.gan_theory.landscape import imbalanced_value, relativistic_census, separable_census

LOG2 = math.log(2)
PAIRED = [name for name, loss in LOSSES.items() if loss.paired]
USUAL = {"d_accuracy": 0.6, "d_real": 0.2, "d_fake": -0.2, "gradient_g": 1.0}


def parts_of(name: str) -> Any:
    """Loss of one real logit and of one fake one, of a separable loss."""
    of_d = LOSSES[name].of_discriminator

    def at(real: float, fake: float) -> float:
        pair = (torch.tensor([x], dtype=torch.float64) for x in (real, fake))
        return float(of_d(*pair))

    half = at(0, 0) / 2
    return (lambda t: at(t, 0) - half), (lambda t: at(0, t) - half)


SHARES = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=2, max_size=5)


@pytest.mark.parametrize("name", sorted(FAMILIES))
@given(shares=SHARES)
def test_levels_are_those_of_the_best_discriminator(name: str, shares: Any) -> None:
    real, fake = np.array(shares, dtype=float).T
    if not fake.any():
        return
    real, fake = real / real.sum(), fake / fake.sum()
    of_real, of_fake = parts_of(name)
    best = 0.0
    for a, k in zip(real, fake, strict=True):
        found = minimize_scalar(
            lambda t, a=a, k=k: a * of_real(t) + k * of_fake(t),
            bounds=(-30, 30),
            method="bounded",
            options={"xatol": 1e-9},
        )
        best += found.fun
    assert discriminator_loss(real, fake, name) == pytest.approx(best, abs=2e-6)


@pytest.mark.parametrize("name", PAIRED)
@pytest.mark.parametrize(("n", "k"), [(2, 1), (3, 2), (5, 2), (6, 5)])
def test_paired_levels_are_those_of_the_best_discriminator(name: str, n: int, k: int) -> None:
    """Every real sample meets every fake one."""

    def of_d(logits: Any) -> float:
        values = torch.from_numpy(np.asarray(logits, dtype=np.float64))
        real, fake = torch.meshgrid(values, values[:k], indexing="ij")
        return float(LOSSES[name].of_discriminator(real.flatten(), fake.flatten()))

    start = np.append(np.zeros(k), np.ones(n - k))
    best = minimize(of_d, start, bounds=[(-30, 30)] * n, method="Powell").fun
    levels = np.array([one.level for one in resting_levels(name)])
    assert np.abs(levels - best).min() < 1e-4


def test_every_registered_loss_has_levels_or_a_reason() -> None:
    assert set(LOSSES) == {*FAMILIES, *PAIRED, *WITHOUT}
    for name, loss in LOSSES.items():
        levels = [one.level for one in resting_levels(name)]
        assert bool(levels) == (name not in WITHOUT)
        assert levels == sorted(levels, reverse=True)
        assert all(level < loss.equilibrium - 1e-3 for level in levels)


def test_levels_are_in_the_landscape() -> None:
    """All censuses of up to five points, and two unequal modes, by their independent formulas."""
    for name, family, factor in (("minimax", "js", 2), ("hinge", "hinge", 2)):
        levels = np.array([one.level for one in resting_levels(name)])
        for n in range(2, 6):
            for plateau in separable_census(n, family):
                if plateau.minimum != "global":
                    assert np.abs(levels + factor * plateau.value).min() < 1e-9
    for large in (2, 3, 4, 5):
        a = large / (large + 1)
        wanted = -2 * imbalanced_value((a, 1 - a), (1, 0))
        levels = np.array([one.level for one in resting_levels("non_saturating")])
        assert np.abs(levels - wanted).min() < 1e-9
    paired = np.array([one.level for one in resting_levels("relativistic")])
    for n in range(2, 7):
        for plateau in relativistic_census(n):
            assert plateau.minimum == "global" or np.abs(paired + plateau.value).min() < 1e-9


def alarms(watch: CollapseWatch, losses: Any) -> list[str]:
    return [
        f"{alarm.kind}: {alarm.message}"
        for k, loss in enumerate(losses)
        for alarm in watch.observe({**USUAL, "loss_d": float(loss)}, k)
    ]


NAMED = {  # level, loss, words of the alarm
    "one of two": (2 * 0.4774, "non_saturating", "1/2 of the data"),
    "2 : 1": (2 * 0.5608, "minimax", "the larger of 2 : 1"),
    "5 : 1": (2 * 0.6316, "non_saturating", "the larger of 5 : 1"),
    "five, one doubled": (2 * 0.6068, "non_saturating", "2 : 1 : 1 : 1 : 0"),
    "five, two doubled": (2 * 0.5205, "non_saturating", "2 : 2 : 1 : 0 : 0"),
    "paired": (0.3466, "relativistic", "1/2 of the data"),
    "squares": (4 / 3, "least_squares", "1/2 of the data"),
    "hinge": (1.0, "hinge", "1/2 of the data"),
    "kl": (-LOG2, "kl", "1/2 of the data"),
    "hellinger": (-2 + math.sqrt(2), "hellinger", "1/2 of the data"),
}


@pytest.mark.parametrize("name", NAMED)
def test_the_watch_names_what_is_generated(name: str) -> None:
    level, loss, words = NAMED[name]
    rng = np.random.default_rng(0)
    still = alarms(CollapseWatch(loss, 200), np.full(450, level))
    noisy = alarms(CollapseWatch(loss, 200), level + 0.02 * abs(level) * rng.normal(size=450))
    for found in (still, noisy):
        assert len(found) == 2 and found[0].startswith("plateau") and words in found[0]
        assert ("relativistic loss" in found[0]) != LOSSES[loss].paired


def test_losses_of_ones_own_have_no_levels() -> None:
    own = pair_loss(PAIRS["js"])
    assert resting_levels(own) == () and alarms(CollapseWatch(own, 10), np.full(20, 0.1)) == []
    with pytest.raises(ConfigError, match="unknown loss"):
        discriminator_loss([0.5, 0.5], [1, 0], "wasserstein")
    with pytest.raises(ConfigError, match="above 0"):
        discriminator_loss([1, 0], [0.5, 0.5])


def test_an_accuracy_that_no_collapse_has_is_told() -> None:
    """At 5 : 1 nobody is right on more than 7/12, but a generator that is off makes it so."""
    for accuracy, told in ((7 / 12, False), (0.7, True)):
        watch = CollapseWatch("non_saturating", 10)
        report = {**USUAL, "loss_d": 2 * 0.6316, "d_accuracy": accuracy}
        messages = [a.message for k in range(10) for a in watch.observe(report, k)]
        assert len(messages) == 1 and ("58% is the most there" in messages[0]) == told
    halves = resting_levels("hinge")[-1]
    assert halves.accuracy == pytest.approx(1 - 1 / 12)  # 1 of 6


def test_rest_is_more_than_narrow_bounds() -> None:
    """A loss that learning moves past a level within the bounds of a plateau is no rest."""
    rng = np.random.default_rng(0)
    level, steps = 2 * 0.5608, np.arange(2000)
    noise = 0.01 * rng.normal(size=2000)
    for moving in (
        level + 0.03 * np.sin(steps / 60) + noise,
        level - 0.04 + 0.08 * steps / 2000 + noise,
        level + 0.004 * np.cumsum(rng.normal(size=2000)),
    ):
        assert alarms(CollapseWatch("non_saturating", 500), moving) == []
    assert len(alarms(CollapseWatch("non_saturating", 500), level + noise)) == 4


def test_equilibria_are_no_collapse() -> None:
    rng = np.random.default_rng(0)
    for name, loss in LOSSES.items():
        near = loss.equilibrium + 0.02 * rng.normal(size=3000) - 0.01
        assert alarms(CollapseWatch(name, 300), near) == []
