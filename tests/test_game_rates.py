"""Bounds of eigenvalues and rates: never violated, sometimes attained."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from onet.errors import ConfigError
from onet.gan_theory.dynamics import spectral_radius, update_jacobian
from onet.gan_theory.games.dirac import DiracGan
from onet.gan_theory.games.game import block_jacobian
from onet.gan_theory.rates import (
    Extremes,
    alternating_rate,
    eigenvalue_bounds,
    extremes,
    largest_alternating_step,
    largest_step,
    nagarajan_kolter_bounds,
    optimal_steps,
    simultaneous_floor,
    simultaneous_rate,
)

TOLERANCE = 1e-7  # of square roots of rounding errors, at double eigenvalues


SYSTEMS = 1000


def systems():
    """Coupling P and damping Q (n, n), n up to 5, of any relative size."""
    rng = np.random.default_rng(0)
    for k in range(SYSTEMS):
        n = 1 + k % 5
        p, factor = rng.standard_normal((n, n)), rng.standard_normal((n, n + 2))
        q = rng.choice([0.01, 0.3, 1.0, 10.0]) * factor @ factor.T / n
        yield p, q, rng


def test_eigenvalues_keep_to_their_bounds():
    kinds = Counter()
    for p, q, _ in systems():
        e = extremes(p, q)
        bounds = eigenvalue_bounds(e)
        values = np.linalg.eigvals(block_jacobian(p, q))
        slack = TOLERANCE * (1 + e.s_max + e.eta_max)
        is_real = np.abs(values.imag) < slack
        surely = {"complex": not is_real.any(), "real": is_real.all(), "mixed": True}
        assert surely[bounds.kind]
        kinds[bounds.kind] += 1
        turning, still = values[~is_real], values[is_real].real

        def inside(numbers, interval, slack=slack):
            return ((numbers >= interval[0] - slack) & (numbers <= interval[1] + slack)).all()

        assert inside(turning.real, bounds.complex_real)
        assert inside(np.abs(turning), bounds.modulus)
        assert inside(np.abs(turning.imag), bounds.imaginary)
        assert inside(still, bounds.real)
        older_complex, older_real = nagarajan_kolter_bounds(e)
        assert (turning.real <= older_complex + slack).all()
        assert (still <= older_real + slack).all()
    assert min(kinds.values()) > 20 and len(kinds) == 3


def test_bounds_are_attained():
    """[M] Lemma C.3."""
    p, q = np.diag([0.5, 0.5, 2.0, 2.0]), np.diag([0.3, 0.9, 0.3, 0.9])
    bounds = eigenvalue_bounds(extremes(p, q))
    values = np.linalg.eigvals(block_jacobian(p, q))
    assert bounds.kind == "complex"
    for found, interval in (
        (values.real, bounds.complex_real),
        (np.abs(values), bounds.modulus),
        (np.abs(values.imag), bounds.imaginary),
    ):
        np.testing.assert_allclose([found.min(), found.max()], interval)
    real = eigenvalue_bounds(extremes(np.diag([0.1, 0.2]), np.diag([1.0, 2.0])))
    assert real.kind == "real"
    values = np.linalg.eigvals(block_jacobian(np.diag([0.1, 0.2]), np.diag([2.0, 1.0])))
    np.testing.assert_allclose([values.min(), values.max()], real.real)


def test_rates_are_kept():
    for p, q, rng in systems():
        e = extremes(p, q)

        def radius(h, tau, scheme, p=p, q=q):
            sizes = np.repeat([h / tau, h * tau], len(p))
            return spectral_radius(update_jacobian(block_jacobian(p, q), sizes, len(p), scheme))

        for slow in (True, False):  # Lemmas 7.5 and 7.7
            part_h, part_tau = rng.uniform(0.01, 1, 2)
            if slow:
                tau = part_tau * 2 * e.s_min / e.eta_max
                h = 0.999 * part_h * tau * e.eta_min / e.s_max**2
            else:
                tau = 2 * e.s_max / e.eta_min / part_tau
                high = tau * e.eta_max / 2 + np.sqrt(tau**2 * e.eta_max**2 / 4 - e.s_min**2)
                h = 0.999 * part_h * 2 / high
            rate = simultaneous_rate(e, h, tau)
            assert radius(h, tau, "simultaneous") <= rate + TOLERANCE
        middle, longest = 2 / (e.s_max + e.s_min), 2 / e.s_max
        for s, h in (  # Lemma 7.11, short and long steps
            (e.s_min, rng.uniform(0.01, 1) * middle),
            (e.s_max, middle + rng.uniform(0, 0.99) * (longest - middle)),
        ):
            tau = rng.uniform(0.01, 1) * (2 * s - h * s**2) / e.eta_max
            assert radius(h, tau, "alternating") <= alternating_rate(e, h, tau) + TOLERANCE
        for scheme in ("simultaneous", "simultaneous_complex", "alternating"):
            best = optimal_steps(e, scheme)
            rule = scheme.split("_")[0]
            found = radius(np.sqrt(best.h_g * best.h_d), np.sqrt(best.h_d / best.h_g), rule)
            assert found <= best.rate + 1e-5
        assert optimal_steps(e).rate <= simultaneous_floor(e) + 1e-12
        assert simultaneous_floor(e) <= optimal_steps(e, "simultaneous").rate + 1e-12


GOLDEN = [
    ((0.5, 1, 0.5, 1), (0.968246, 0.935414, 0.866025, 0.745356)),
    ((0.1, 1, 0.1, 1), (0.99995, 0.99950, 0.994987, 0.983332)),
]


@pytest.mark.parametrize(("numbers", "rates"), GOLDEN)
def test_published_rates(numbers, rates):
    e = Extremes(*numbers)
    found = (
        optimal_steps(e, "simultaneous_complex").rate,
        optimal_steps(e, "simultaneous").rate,
        simultaneous_floor(e),
        optimal_steps(e, "alternating").rate,
    )
    np.testing.assert_allclose(found, rates, atol=2e-6)


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.5])
def test_best_steps_on_the_dirac_gan_are_nilpotent(gamma):
    game = DiracGan(gamma=gamma)
    j = game.jacobian(game.equilibrium)
    e = extremes(-j[1:, :1], -j[1:, 1:])
    assert e == Extremes(0.5, 0.5, gamma, gamma)
    for scheme, sizes in (
        ("simultaneous", (gamma / 0.5, 2 / gamma)),
        ("alternating", (gamma / 0.25, 1 / gamma)),
    ):
        best = optimal_steps(e, scheme)
        assert (best.h_g, best.h_d, best.rate) == pytest.approx((*sizes, 0))
        update = update_jacobian(j, np.array([best.h_g, best.h_d]), 1, scheme)
        assert np.abs(update @ update).max() < 1e-12


def test_largest_step_is_where_the_radius_is_one():
    for gamma in (0.3, 1.0, 3.0):
        game = DiracGan(gamma=gamma)
        j = game.jacobian(game.equilibrium)
        step = largest_step(game.eigenvalues())
        update = update_jacobian(j, np.full(2, step), 1)
        assert spectral_radius(update) == pytest.approx(1)
    assert largest_step(DiracGan(gamma=0.3).eigenvalues()) == pytest.approx(1.2)
    assert largest_step(DiracGan().eigenvalues()) == 0


def test_alternating_descent_converges_below_its_largest_step():
    for p, q, rng in systems():
        e, ratio = extremes(p, q), 10 ** rng.uniform(-2, 2)
        h = largest_alternating_step(e.s_max, e.eta_max, ratio)
        for part in (0.999, rng.uniform(0.1, 1)):
            sizes = np.repeat([part * h, part * h * ratio], len(p))
            update = update_jacobian(block_jacobian(p, q), sizes, len(p), "alternating")
            assert spectral_radius(update) < 1
    for gamma in (0.0, 0.3, 1.0, 5.0):  # attained where there is one direction
        j = DiracGan(gamma=gamma).jacobian(np.zeros(2))
        for ratio in (0.1, 1.0, 7.0):
            h = largest_alternating_step(0.5, gamma, ratio)
            for part, outside in ((0.999, False), (1.001, True)):
                update = update_jacobian(j, part * h * np.array([1, ratio]), 1, "alternating")
                assert (spectral_radius(update) > 1 + 1e-6) == outside
    assert largest_alternating_step(0.5, 0.0) == pytest.approx(4)
    assert largest_alternating_step(0.0, 0.5) == pytest.approx(4)


def test_what_no_lemma_covers_is_refused():
    e = Extremes(0.5, 1.0, 0.5, 1.0)
    for what in (
        lambda: simultaneous_rate(e, 10.0, 0.5),
        lambda: simultaneous_rate(e, 0.1, 2.0),
        lambda: alternating_rate(e, 5.0, 1.0),
        lambda: optimal_steps(e, "heun"),
        lambda: largest_alternating_step(0.0, 0.0),
        lambda: largest_alternating_step(1.0, -0.1),
        lambda: largest_alternating_step(1.0, 1.0, 0.0),
        lambda: Extremes(0.0, 1.0, 0.5, 1.0),
        lambda: Extremes(0.5, 1.0, 2.0, 1.0),
    ):
        with pytest.raises(ConfigError):
            what()
