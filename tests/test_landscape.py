"""Exact loss values, against optimisation over discriminators and enumeration of generators."""

from __future__ import annotations

from collections import Counter
from itertools import product
from math import factorial, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from onet.adversarial.separable import SEPARABLE, separable_value
from onet.errors import ConfigError
from onet.gan_theory.landscape import (
    RELATIVISTIC,
    bad_basins,
    imbalanced_value,
    relativistic_census,
    relativistic_value,
    separable_census,
    two_point_table,
)

H = {  # h1(t), h2(t), and h(t) of the paired loss
    "js": lambda t: -np.logaddexp(0, -t),
    "least_squares": lambda t: -((1 - t) ** 2),
    "hinge": lambda t: -np.maximum(0, 1 - t),
}
PAIRED = {"rs": "js", "rp_least_squares": "least_squares", "rp_hinge": "hinge"}


def best_discriminator(gain, points, bound=40.0):
    """The supremum over the values of D at a few points, which may lie at infinity."""
    ends = [
        minimize(lambda f: -gain(f), start, bounds=[(-bound, bound)] * points, method="Powell",
                 options={"xtol": 1e-9, "ftol": 1e-12, "maxiter": 20_000})
        for start in (np.zeros(points), np.linspace(-1, 1, points))
    ]  # fmt: skip
    return max(-end.fun for end in ends)


_TARGETS = {n: st.sampled_from([*range(n), None]) for n in (2, 3, 4)}


@settings(max_examples=settings().max_examples // 2)
@given(st.integers(2, 4).flatmap(lambda n: st.lists(_TARGETS[n], min_size=n, max_size=n)))
def test_paired_value_is_the_best_discriminators(targets):
    n = len(targets)
    for name, h in PAIRED.items():
        elsewhere = [n + i if t is None else t for i, t in enumerate(targets)]

        def gain(f, h=H[h], at=elsewhere):
            return np.mean([h(f[i] - f[j]) for i, j in enumerate(at)])

        found = best_discriminator(gain, 2 * n)
        assert relativistic_value(targets, name) == pytest.approx(found, abs=2e-3)


@pytest.mark.parametrize("loss", SEPARABLE)
@pytest.mark.parametrize("m", [0, 1, 2, 5])
def test_separable_value_is_the_best_discriminators(loss, m):
    t = np.linspace(-30, 30, 600_001)
    fake = H[loss](-t) if loss != "least_squares" else -(t**2)
    value = (H[loss](t) + m * fake).max()
    assert separable_value([m], 5, loss) == pytest.approx(value / 10, abs=1e-6)


def test_two_points():
    states = {row.pop("state"): row for row in two_point_table()}
    collapsed = (2 * log(2) - 3 * log(3)) / 4
    expected = {
        "both modes": (-log(2), -log(2), -0.25, -1),
        "both modes, crossed": (-log(2), -log(2), -0.25, -1),
        "collapsed on one mode": (collapsed, -log(2) / 2, -1 / 6, -0.5),
        "one mode, one elsewhere": (-log(2) / 2, -log(2) / 2, -0.125, -0.5),
        "one mode crossed, one elsewhere": (-log(2) / 2, 0, -0.125, -0.5),
        "both elsewhere": (0, 0, 0, 0),
    }
    assert collapsed == pytest.approx(-0.4774, abs=5e-5)
    assert states.keys() == expected.keys()
    for name, values in expected.items():
        found = [states[name][loss] for loss in ("js", "rs", "least_squares", "hinge")]
        assert found == pytest.approx(values)


def test_census_of_five_points():
    found = [(p.count, round(p.value, 4), p.modes[0]) for p in separable_census(5)]
    assert found == [
        (120, -0.6931, 5),
        (1200, -0.6068, 4),
        (900, -0.5205, 3),
        (600, -0.5022, 3),
        (200, -0.4159, 2),
        (100, -0.3888, 2),
        (5, -0.2703, 1),
    ]
    assert [p.minimum for p in separable_census(5)] == ["global"] + 6 * ["strict local"]
    assert separable_census(3, "hinge")[-1].minimum == "flat local"
    assert [bad_basins(n) for n in (2, 3, 4, 5)] == [2, 21, 232, 3005]


@pytest.mark.parametrize("n", [2, 3, 4])
def test_censuses_are_enumerations(n):
    configurations = list(product(range(n), repeat=n))
    for census, value in (
        (separable_census(n), lambda y: separable_value([y.count(i) for i in range(n)], n)),
        (relativistic_census(n), relativistic_value),
    ):
        counts = Counter(round(value(y), 9) for y in configurations)
        covered = {}
        for y in configurations:
            covered.setdefault(round(value(y), 9), set()).add(len(set(y)))
        assert {round(p.value, 9): p.count for p in census} == counts
        for p in census:
            seen = covered[round(p.value, 9)]
            assert p.modes == (min(seen), max(seen))
        assert sum(p.count for p in census if p.minimum == "global") == factorial(n)


def test_strict_basins_are_strict():
    """From a collapse, moving one point off raises the separable value and never the paired one."""
    for loss in ("js", "least_squares"):
        assert separable_value([2, 0], 2, loss) < separable_value([1, 0], 2, loss)
    assert separable_value([2, 0], 2, "hinge") == separable_value([1, 0], 2, "hinge")
    for loss in RELATIVISTIC:
        path = [(0, 0), (0, None), (0, 1)]
        values = [relativistic_value(y, loss) for y in path]
        assert values[0] >= values[1] > values[2]


def test_unequal_modes_have_deeper_basins():
    values = [imbalanced_value((a, 1 - a), (1, 0)) for a in (1 / 2, 2 / 3, 5 / 6)]
    assert values == pytest.approx([-0.4774, -0.5608, -0.6316], abs=5e-5)
    assert values[0] == pytest.approx(separable_value([2], 2))
    for a in (0.5, 0.8):
        shares = np.linspace(0, 1, 101)
        curve = [imbalanced_value((a, 1 - a), (k, 1 - k)) for k in shares]
        assert shares[np.argmin(curve)] == pytest.approx(a)
        assert min(curve) == pytest.approx(-log(2))


def test_what_makes_no_sense_is_refused():
    for what in (
        lambda: separable_value([3], 2),
        lambda: separable_value([-1], 2),
        lambda: separable_value([1], 2, "jss"),
        lambda: relativistic_value([0, 2]),
        lambda: relativistic_value([0], "js"),
        lambda: imbalanced_value((0.5, 0.5), (1.0,)),
        lambda: imbalanced_value((0.5, 0.6), (1.0, 0.0)),
    ):
        with pytest.raises(ConfigError):
            what()
