"""Trajectories of the analytic games: who converges, how fast, and who circles."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from onet.errors import ConfigError
from onet.gan_theory.dynamics import (
    SCHEMES,
    distances,
    spectral_radius,
    step_sizes,
    trajectory,
    update_jacobian,
)
from onet.gan_theory.games.bilinear import Bilinear
from onet.gan_theory.games.catalogue import dirac_methods
from onet.gan_theory.games.dirac import DiracGan
from onet.gan_theory.games.ellipse import Ellipse
from onet.gan_theory.games.energy import SquareDirac
from onet.gan_theory.games.finite_mass import MASSES, FiniteMassDirac
from onet.gan_theory.games.four_points import FourPoints
from onet.gan_theory.games.modified import Consensus

START = np.array([1.0, -1.0])  # (1, 1) where positive logits mean fake, as in the thesis
STEPS = 500

# Distance after 500 steps of 0.2: simultaneous, alternating, alternating with five steps of D.
# Beyond 1e-16 only the size matters.
ENDS = {
    "none": (3.0969, 1.421, 1.845),
    "non-saturating": (0.640, 0.284, 0.139),
    "WGAN, clipped": (1.002, 1.024, 0.917),
    "WGAN-GP": (1.802, 1.221, 0.716),
    "consensus": (2.6e-10, 1.7e-11, 10.97),
    "instance noise": (5.7e-5, 4.0e-6, None),
    "R1": (2.6e-6, 2.3e-7, None),
    "R1, critical": (9.5e-22, 7.5e-17, 5.1e-12),
    "R1, non-saturating": (2.2e-6, 1.5e-7, None),
    "Roth": (3.2e-6, 2.5e-7, None),
}


def norms(game, start=START, steps=STEPS, scheme="simultaneous", **options):
    return distances(trajectory(game, start, steps, scheme, **options), game.equilibrium)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENDS)
def test_methods_end_where_published_code_does(name):
    game = dirac_methods()[name]
    runs = (("simultaneous", 1), ("alternating", 1), ("alternating", 5))
    for (scheme, n_d), expected in zip(runs, ENDS[name], strict=True):
        end = norms(game, scheme=scheme, n_d=n_d)[-1]
        if expected is None:
            assert end < 1e-16
        else:
            assert end == pytest.approx(expected, rel=0.02)


def test_the_flow_of_the_unregularised_game_goes_round():
    states = trajectory(DiracGan(), START, 3_000, "rk4", h_g=0.01)
    assert np.abs((states**2).sum(axis=1) - 2).max() < 1e-9


def test_alternating_descent_stays_on_a_cycle():
    last = norms(DiracGan(), scheme="alternating")[-100:]
    assert last.min() > 1.3 and last.max() < 1.5


@pytest.mark.parametrize("sizes", [(0.2, 0.2), (0.1, 0.5), (0.5, 0.1)])
def test_simultaneous_descent_spirals_out_from_everywhere(sizes):
    h_g, h_d = sizes
    update = update_jacobian(DiracGan().jacobian(np.zeros(2)), np.array(sizes), 1)
    assert spectral_radius(update) == pytest.approx(np.sqrt(1 + h_g * h_d / 4), abs=1e-9)
    if h_g == h_d:
        assert spectral_radius(update) == pytest.approx(1.0049876, abs=5e-8)
    for start in (START, np.array([1e-3, 0.0])):
        states = trajectory(DiracGan(), start, 200, h_g=h_g, h_d=h_d)
        weighted = states[:, 0] ** 2 / h_g + states[:, 1] ** 2 / h_d
        assert (np.diff(weighted) > 0).all()


def test_r1_converges_at_the_predicted_rate():
    game = DiracGan(gamma=0.3)
    for scheme, rate, end in (
        ("simultaneous", np.sqrt(1 - 0.06 + 0.01), 1e-5),
        ("alternating", np.sqrt(1 - 0.06), 1e-6),
    ):
        distance = norms(game, scheme=scheme)
        assert distance[-1] < end
        assert (distance[-1] / distance[-201]) ** (1 / 200) == pytest.approx(rate, abs=2e-3)
        update = update_jacobian(game.jacobian(np.zeros(2)), step_sizes(game, 0.2), 1, scheme)
        assert spectral_radius(update) == pytest.approx(rate)


def test_critical_regularisation_is_reached_in_two_steps():
    start = np.array([0.1, -0.1])
    for game in (DiracGan(gamma=1.0), DiracGan(noise=2**0.5)):
        distance = norms(game, start, 3, h_g=2.0)
        np.testing.assert_allclose(distance[:2], [0.1414, 7e-4], rtol=0.05)
        assert distance[3] < 1e-8


def test_optimal_steps_of_alternating_descent_are_nilpotent():
    distance = norms(DiracGan(gamma=0.3), np.array([0.1, -0.1]), 4, "alternating",
                     h_g=0.3 / 0.25, h_d=1 / 0.3)  # fmt: skip
    np.testing.assert_allclose(distance[:3], [0.1414, 0.0782, 2.6e-4], rtol=0.02)
    assert distance[-1] < 1e-6


@pytest.mark.slow
def test_non_saturating_loss_converges_like_one_over_time():
    game = DiracGan(non_saturating=True)
    found = solve_ivp(
        lambda t, x: game.field(x), (0, 1e4), START, "DOP853", [1e3, 1e4], rtol=1e-8, atol=1e-11
    )
    early, late = found.t * (found.y**2).sum(axis=0)
    assert early == pytest.approx(8, rel=0.01)
    assert late == pytest.approx(7.9968, abs=1e-4)
    for step, steps in ((0.2, 3000), (0.1, 3000), (0.05, 10_000)):
        last = norms(game, steps=steps, h_g=step)[-100:]
        assert (last**2).mean() == pytest.approx(2 * step, rel=0.02)


def test_methods_that_do_not_converge():
    for name in ("WGAN, clipped", "WGAN-GP"):
        game = dirac_methods()[name]
        for scheme in ("simultaneous", "alternating"):
            states = trajectory(game, START, STEPS, scheme)
            assert np.linalg.norm(states[-1]) > 0.5
            assert (np.diff(np.sign(states[-100:, 1])) != 0).any()
    assert norms(DiracGan(), scheme="alternating", n_d=5, h_g=0.05, h_d=0.2)[-1] > 0.5


def test_consensus_has_attractors_of_its_own():
    game = Consensus(DiracGan(), 1.0)
    assert norms(game)[-1] < 1e-9
    for start in ((2, -2), (3, 3), (0, -5)):
        states = trajectory(game, np.array(start, dtype=float), 700, "rk4", h_g=0.2)
        assert np.abs(states[-1, 1]) > 5
        assert np.abs(states[-1, 1]) > np.abs(states[-300, 1])


@pytest.mark.parametrize(
    ("scheme", "end", "rel"),
    [
        ("simultaneous", 3.0969, 1e-4),
        ("heun", 1.42815, 1e-5),
        ("rk4", 1.414197, 1e-6),
        ("extragradient", 0.12210, 1e-4),
        ("optimistic", 0.11703, 1e-4),
    ],
)
def test_integrators(scheme, end, rel):
    assert norms(DiracGan(), scheme=scheme)[-1] == pytest.approx(end, rel=rel)


FACTORS = {
    "simultaneous": lambda y: np.sqrt(1 + y**2),
    "heun": lambda y: np.sqrt(1 + y**4 / 4),
    "rk4": lambda y: np.sqrt(1 - y**6 / 72 + y**8 / 576),
    "extragradient": lambda y: np.sqrt(1 - y**2 + y**4),
    "optimistic": lambda y: np.abs(np.roots([1, -(1 + 2j * y), 1j * y])).max(),
    "alternating": lambda y: max(1.0, np.abs(np.roots([1, y**2 - 2, 1])).max()),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_steps_grow_like_their_linear_part(scheme):
    for y in (0.2, 0.57, 0.59, 1.2, 2.05):
        game = Bilinear((y,))
        sizes = step_sizes(game, 1.0)
        update = update_jacobian(game.jacobian(np.zeros(2)), sizes, 1, scheme)
        assert spectral_radius(update) == pytest.approx(FACTORS[scheme](y), rel=1e-9)
        if scheme != "optimistic":
            one = trajectory(game, START, 1, scheme, h_g=1.0)[-1]
            np.testing.assert_allclose(one, update @ START)
            continue
        states = trajectory(game, START, 2, scheme, h_g=1.0)
        np.testing.assert_allclose(
            np.concatenate([states[2], states[1]]), update @ np.concatenate([states[1], states[0]])
        )
        assert (spectral_radius(update) < 1) == (y < 1 / np.sqrt(3))


def test_repeated_steps_have_their_linear_part():
    game = FourPoints(gamma=0.2)
    near = game.equilibrium + 1e-6 * np.array([1, -2, 3, 1])
    sizes = step_sizes(game, 0.3, 0.1)
    after = trajectory(game, near, 1, "alternating", h_g=0.3, h_d=0.1, n_g=2, n_d=3)[-1]
    j = game.jacobian(game.equilibrium)
    update = update_jacobian(j, sizes, 2, "alternating", n_g=2, n_d=3)
    expected = update @ (near - game.equilibrium)
    np.testing.assert_allclose(after - game.equilibrium, expected, atol=1e-10)


def test_alternating_descent_leaves_the_unit_circle_at_two():
    """At n_g n_d h_g h_d rho1^2 = 4."""
    jacobian = DiracGan().jacobian(np.zeros(2))
    for n_g, n_d, h_g, h_d, radius in (
        (1, 1, 0.2, 0.2, 1.0),
        (1, 5, 0.2, 0.2, 1.0),
        (1, 1, 1.0, 15.9, 1.0),
        (1, 1, 4.0, 4.0, 1.0),
        (1, 4, 2.0, 2.0, 1.0),
        (4, 1, 2.0, 2.0, 1.0),
        (1, 1, 4.1, 4.1, 1.5625),
    ):
        sizes = np.array([h_g, h_d])
        update = update_jacobian(jacobian, sizes, 1, "alternating", n_g=n_g, n_d=n_d)
        moduli = np.abs(np.linalg.eigvals(update))
        assert moduli.max() == pytest.approx(radius, abs=1e-6)
        assert (np.ptp(moduli) < 1e-6) == (radius == 1)  # both on the circle


@pytest.mark.slow
def test_ellipse_converges_and_four_points_have_no_linear_rate():
    start = np.array([0.7, 0.4, 0.0, 0.0])

    def errors(game, steps, scheme="alternating"):
        return distances(trajectory(game, start, steps, scheme, h_g=0.1)[:, :2], np.full(2, 0.5))

    ellipse = errors(Ellipse(), 20_000)
    expected = [0.2236, 0.1233, 0.0107, 8.2e-5]
    np.testing.assert_allclose(ellipse[[0, 1000, 5000, 20_000]], expected, rtol=0.01)
    assert ellipse[-500:].max() < 2e-4
    free = errors(FourPoints(), 20_000)
    assert free[-500:].max() == pytest.approx(0.105, abs=0.002)
    assert free[-500:].max() < free[5000:5500].max()  # slower than any linear rate, but it falls
    assert errors(FourPoints(), 6000, "simultaneous")[-500:].max() == pytest.approx(1.54, abs=0.02)
    assert errors(FourPoints(gamma=1.0), 20_000)[-500:].max() < 1e-9


PIXELS = 256 * 256 * 3


def pixel_errors(game, start, scheme, steps):
    """Mean square at 0, 50, ... steps, in units in which a pixel is in [0, 1]."""
    result, n = [], game.generator
    for k in range(0, steps + 1, 10):  # all states at once would be a gigabyte
        if k % 50 == 0:
            result.append(np.sum((start[:n] - game.data) ** 2) * 256**2 / PIXELS)
        start = trajectory(game, start, 10, scheme, h_g=0.1)[-1]
    return result


@pytest.mark.slow
def test_image_sized_dirac_needs_the_penalty():
    """[M] 4.3: x0 and theta_0 are random pictures, and all that follows is in their plane."""
    rng = np.random.default_rng(0)
    x0, theta = rng.uniform(size=(2, PIXELS)) / 256
    plane, _ = np.linalg.qr(np.stack([x0, theta], axis=1))
    expected = {
        ("simultaneous", 1.0): [0.1662, 0.0151, 4.8e-4],
        ("alternating", 1.0): [0.1662, 0.0161, 6.0e-4],
        ("simultaneous", 0.0): [0.1662, 0.1226, 0.0144],
        ("alternating", 0.0): [0.1662, 0.1022, 0.0105],
    }
    for (scheme, gamma), published in expected.items():
        flat = DiracGan("js", plane.T @ x0, gamma)
        start = np.concatenate([plane.T @ theta, np.zeros(2)])
        found = pixel_errors(flat, start, scheme, 200)
        np.testing.assert_allclose(found[:3], published, rtol=0.03)
        assert found[4] < 1e-5 if gamma else found[4] > 1e-3
        steps = 200 if scheme == "simultaneous" else 50
        game = DiracGan("js", x0, gamma)
        start = np.concatenate([theta, np.zeros(PIXELS)])
        whole = pixel_errors(game, start, scheme, steps)
        np.testing.assert_allclose(whole, found[: len(whole)], rtol=1e-8)


def test_mass_of_the_penalty_measure_decides_the_basin():
    for mass, time, end in (
        ("one", 20, 1.11e-4),
        ("squared_distance", 20, 0.170),
        ("squared_distance", 200, 0.0536),
        ("bump", 20, 1.62),
        ("bump", 200, 2.49),
    ):
        states = trajectory(FiniteMassDirac(mass=mass), np.ones(2), time * 20, "rk4", h_g=0.05)
        assert np.linalg.norm(states[-1]) == pytest.approx(end, rel=0.01)
    for mass, (value, slope) in MASSES.items():  # Lyapunov: with M = M(theta, psi)
        theta, psi = 0.4, 0.6
        assert slope(theta, psi) == pytest.approx(np.imag(value(theta, psi + 1e-30j)) / 1e-30)
        field = FiniteMassDirac(0.8, mass).field(np.array([theta, psi]))
        decay = -0.8 * psi**2 * (2 * value(theta, psi) + psi * slope(theta, psi))
        assert 2 * (theta * field[0] + psi * field[1]) == pytest.approx(decay)
    bump = FiniteMassDirac(mass="bump")
    for angle in np.linspace(0, 2 * np.pi, 7):  # all of the ball of radius 1/2 falls inwards
        start = 0.499 * np.array([np.cos(angle), np.sin(angle)])
        inside = np.linalg.norm(trajectory(bump, start, 1000, "rk4", h_g=0.02), axis=1)
        assert (np.diff(inside) < 1e-12).all() and inside[-1] < 0.01
    beyond = np.array([0.0, 0.501])
    assert beyond @ bump.field(beyond) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "end"),
    [((1, 1), -0.922), ((0.2, 0.5), -0.446), ((1, -1), -1.1115), ((1, -3), -2.959), ((1, -2), -2)],
)
def test_penalty_between_points_ends_beside_the_equilibrium(start, end):
    """[P] Lemma 3 with weight 3/8; pairs are (theta, psi)."""
    game = SquareDirac(gamma=3 / 8, measure="interpolated")
    states = trajectory(game, np.array(start, dtype=float), 600, "rk4", h_g=0.1)
    np.testing.assert_allclose(states[-1], [0, end], atol=6e-4)


def test_trajectories_stop_at_what_is_not_a_number():
    states = trajectory(Bilinear((50.0,)), START, 1000, h_g=1.0)
    assert len(states) < 100 and np.isfinite(states).all()


def test_requests_that_make_no_sense_are_refused():
    game = DiracGan()
    for options in (
        {"scheme": "alternate"},
        {"scheme": "rk4", "n_d": 2},
        {"scheme": "alternating", "n_d": 0},
    ):
        with pytest.raises(ConfigError):
            trajectory(game, START, 1, **options)
    with pytest.raises(ConfigError, match="3 numbers"):
        trajectory(game, np.zeros(3), 1)
