"""Poincare constants, and the GAN in function space whose rates they bound."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from onet.errors import ConfigError, DataError
from onet.gan_theory.augmentations import (
    AUGMENTATIONS,
    parse_augmentations,
    rank_augmentations,
)
from onet.gan_theory.games.function_space import (
    LocalGan,
    discrete_operator,
    euler_moduli,
    fastest_gamma,
    gamma_range,
    lgan_spectrum,
    spectral_abscissa,
)
from onet.gan_theory.mixtures import bridged, gaussian, two_modes
from onet.gan_theory.poincare import FourierFeatures, Polynomials, advise, ritz
from onet.gan_theory.poincare_network import poincare_network
from onet.gan_theory.weighted_laplacian import WeightedLaplacian

SAMPLES = 20_000


def test_exact_spectra():
    for std in (0.7, 1.0, 3.0):  # k / s^2
        found = gaussian(std).laplacian().spectrum(4)
        np.testing.assert_allclose(found * std**2, [1, 2, 3, 4], rtol=1e-5)
    coarse = gaussian().laplacian(100)
    every = np.linalg.eigvals(coarse.divergence() @ coarse.gradient())
    np.testing.assert_allclose(np.sort(-every.real)[:3], [0, 1, 2], atol=0.01)
    box = WeightedLaplacian.of(np.ones_like, 0, 2)
    np.testing.assert_allclose(box.spectrum(2), [(np.pi / 2) ** 2, np.pi**2], rtol=1e-5)


TWO_MODES = {
    0: 1, 0.5: 0.9412, 1: 0.7996, 1.5: 0.6357, 2: 0.4851, 2.5: 0.3587, 3: 0.2572,
    3.5: 0.1784, 4: 0.1191, 4.5: 0.0760, 5: 0.0462, 6: 0.0143,
}  # fmt: skip
BRIDGED = {0: 0.01432, 0.2: 0.05474, 0.4: 0.08262, 1: 0.1645}


def test_mixtures_have_their_constants():
    for distance, expected in TWO_MODES.items():
        found = two_modes(distance).laplacian().spectrum(1)[0]
        assert found == pytest.approx(expected, abs=6e-5)
    found = [bridged(p).laplacian().spectrum(1)[0] for p in BRIDGED]
    assert found == pytest.approx(list(BRIDGED.values()), abs=5e-5)
    assert found == sorted(found)


def test_modes_are_orthonormal_functions_with_their_energies():
    operator = two_modes(2.0).laplacian(400)
    values, modes = operator.modes(3)
    weights = operator.cells / operator.cells.sum()
    np.testing.assert_allclose((modes * weights[:, None]).T @ modes, np.eye(3), atol=1e-9)
    applied = operator.divergence() @ operator.gradient() @ modes
    np.testing.assert_allclose(applied, -values * modes, atol=1e-6)


def hermite(count):
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes[:, None], weights / weights.sum()


def test_ritz_on_a_gaussian():
    nodes, weights = hermite(30)
    exact = ritz(nodes, Polynomials(nodes, 4), 4, weights)
    np.testing.assert_allclose(exact.values, [1, 2, 3, 4], rtol=1e-6)
    values = Polynomials(nodes, 4)(nodes)[0] @ exact.weights
    mean = weights @ values
    covariance = (values - mean).T @ ((values - mean) * weights[:, None])
    np.testing.assert_allclose(covariance, np.eye(4), atol=1e-8)
    samples = gaussian().sample(100_000, 0)
    found = ritz(samples, Polynomials(samples, 4), 4).values
    np.testing.assert_allclose(found, [1, 2, 3, 4], rtol=0.04)


def test_ritz_on_mixtures():
    three, four = two_modes(3.0).sample(SAMPLES, 0), two_modes(4.0).sample(SAMPLES, 0)
    for degree in (3, 7):
        assert 0.25 < ritz(three, Polynomials(three, degree)).xi_min < 0.28
    assert 0.25 < ritz(three, FourierFeatures(three)).xi_min < 0.28
    assert 0.115 < ritz(four, FourierFeatures(four)).xi_min < 0.14


@pytest.mark.slow
def test_a_network_finds_the_constant():
    for data, steps, low, high in (
        (gaussian(0.7), 150, 0.95 / 0.49, 1.1 / 0.49),
        (two_modes(3.0), 150, 0.24, 0.28),
        (two_modes(6.0), 400, 0.0130, 0.019),  # polynomials and cosines give 0.031 and 0.022
    ):
        samples = data.sample(SAMPLES, 0)
        found = poincare_network(samples, steps=steps)
        assert low < found.xi_min < high
        assert found.xi_min == pytest.approx(found.trained, rel=0.25)
    x = samples[:500].astype(np.float32)  # the last one's mode is a step between the modes
    values = found.network(torch.from_numpy(x)).numpy()[:, 0]
    assert abs(np.corrcoef(values, x[:, 0] > 3)[0, 1]) > 0.95
    flat = poincare_network(samples, spectral_norm=True, steps=100)
    assert flat.xi_min > 1.5 * found.xi_min  # a slope of at most 1 is no step
    again = poincare_network(samples, spectral_norm=True, steps=100)
    assert again.xi_min == flat.xi_min


def test_networks_in_many_dimensions_are_measured_on_other_samples():
    points = np.random.default_rng(0).standard_normal((60, 30))
    found = poincare_network(points, steps=150, batch=60)
    assert found.trained < 0.5 and found.xi_min > 2 * found.trained
    for options in ({"steps": 0}, {"batch": 1}):
        with pytest.raises(ConfigError, match="2 samples"):
            poincare_network(points, **options)
    with pytest.raises(ConfigError):
        poincare_network(points[:8])


def test_estimates_do_not_depend_on_the_default_of_torch():
    points = np.random.default_rng(0).standard_normal((200, 2))
    before = torch.get_default_dtype()
    found = []
    for spectral_norm in (False, True):
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            torch.set_default_dtype(dtype)
            try:
                estimate = poincare_network(points, steps=20, spectral_norm=spectral_norm)
            finally:
                torch.set_default_dtype(before)
            assert all(p.dtype == torch.float32 for p in estimate.network.parameters())
            found.append(estimate.xi_min)
    assert found[0] == found[1] == found[2] and found[3] == found[4] == found[5]


def by_cosines(samples):
    return ritz(samples, FourierFeatures(samples)).xi_min


@pytest.mark.slow
def test_augmentations_that_connect_the_modes_come_first():
    samples = two_modes(6.0).sample(4000, 0)
    ranked = rank_augmentations(samples, {"mixup": 0.5, "mirror": 0.1}, sweeps=2)
    assert ranked[0].name == "mixup"
    assert ranked[0].gain > 3
    assert {row.name: row for row in ranked}["none"].connectedness < 0.3  # a network finds the gap
    mixed = [
        rank_augmentations(samples, {"mixup": s}, 2, estimate=by_cosines)[0].xi_min
        for s in (0.1, 0.3, 0.5)
    ]
    assert mixed == sorted(mixed)
    (same, other) = rank_augmentations(samples, {"dropout": 0.0}, 2, estimate=by_cosines)
    assert same.xi_min == pytest.approx(other.xi_min, rel=1e-9)
    round_ones = np.random.default_rng(0).standard_normal((4000, 2)) * [1.0, 3.0]
    for row in rank_augmentations(round_ones, {"mirror": 1.0}, 1, estimate=by_cosines):
        assert row.connectedness == pytest.approx(1, abs=0.1)
        assert row.xi_min == pytest.approx(1 / 9, rel=0.1)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_keep_the_mean_and_the_shape(name):
    rng = np.random.default_rng(0)
    points = rng.standard_normal((20_000, 3)) * [1, 2, 3] + [4, 5, 6]
    changed = AUGMENTATIONS[name](points, 0.6, rng)
    np.testing.assert_allclose(changed.mean(axis=0), [4, 5, 6], atol=0.1)
    spread = {  # of each coordinate's variance: E over a strength uniform up to 0.6
        "noise": 1 + 0.6**2 / 3,
        "scale": 1 + 0.6**2 / 3,
        "mixup": 1 - 0.6 + 2 * 0.6**2 / 3,
        "dropout": 1 - 0.6 / 2,
        "mirror": 1.0,
    }[name]
    np.testing.assert_allclose(changed.var(axis=0), spread * points.var(axis=0), rtol=0.06)
    assert not np.allclose(changed, points)
    np.testing.assert_allclose(AUGMENTATIONS[name](points, 0.0, rng), points)


def test_names_and_strengths_of_augmentations():
    assert parse_augmentations(["noise", "mixup=0.25"]) == {"noise": 0.5, "mixup": 0.25}
    assert parse_augmentations(["all=0.1"]) == dict.fromkeys(AUGMENTATIONS, 0.1)
    points = gaussian().sample(200, 0)
    for bad in ({"nois": 0.1}, {"mixup": 1.5}, {"noise": -0.1}, {"noise": float("nan")}):
        with pytest.raises(ConfigError, match=r"nois|mixup"):
            rank_augmentations(points, bad)
    with pytest.raises(ConfigError, match="sweeps"):
        rank_augmentations(points, {}, sweeps=0)


def test_ritz_values_fall_as_functions_are_added():
    samples = two_modes(3.0).sample(2000, 1)
    found = [ritz(samples, Polynomials(samples, degree)).xi_min for degree in (1, 2, 3, 5, 7)]
    assert found == sorted(found, reverse=True)
    assert found[0] == pytest.approx(1 / samples.var())


def test_ritz_in_several_dimensions():
    rng = np.random.default_rng(0)
    cube = rng.uniform(size=(SAMPLES, 3))
    np.testing.assert_allclose(ritz(cube, Polynomials(cube, 3), 3).values, np.pi**2, rtol=0.04)
    ball = rng.standard_normal((SAMPLES, 3))
    ball *= rng.uniform(size=(SAMPLES, 1)) ** (1 / 3) / np.linalg.norm(ball, axis=1)[:, None]
    np.testing.assert_allclose(ritz(ball, Polynomials(ball, 3), 3).values, 4.33296, rtol=0.04)
    apart = ball + [[3.0, 0, 0]] * rng.integers(2, size=(SAMPLES, 1))
    assert ritz(apart, Polynomials(apart, 3)).xi_min < 0.5


@given(st.integers(1, 3), st.integers(0, 100))
def test_gradients_of_features(dimension, seed):
    rng = np.random.default_rng(seed)
    like, points, step = (
        rng.standard_normal((50, dimension)),
        rng.standard_normal((7, dimension)),
        1e-6,
    )
    for features in (Polynomials(like, 3), FourierFeatures(like, 8, seed=seed)):
        gradients = features(points)[1]
        for axis, unit in enumerate(np.eye(dimension) * step):
            rough = (features(points + unit)[0] - features(points - unit)[0]) / (2 * step)
            np.testing.assert_allclose(gradients[..., axis], rough, atol=1e-5)


def test_local_spectrum_is_the_operators():
    operator = gaussian().laplacian(300)
    for gamma, tolerance in ((0.0, 1e-9), (0.3, 1e-6)):
        expected = lgan_spectrum(operator.spectrum(299), 0.5, 0.5, gamma)
        found = np.linalg.eigvals(discrete_operator(operator, 0.5, -0.5, gamma))
        for value in expected[np.argsort(np.abs(expected))][:40]:
            assert np.abs(found - value).min() < tolerance * (1 + abs(value))
    values = lgan_spectrum([1, 2], 0.5, 0.5)
    for value in (-0.25 + 0.433013j, -0.25 + 0.661438j):
        assert np.abs(values - value).min() < 1e-6


@given(
    alpha=st.floats(0, 2), beta=st.floats(0.1, 2), gamma=st.floats(0, 2), t=st.floats(0, 5),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_solution_is_the_exponential(alpha, beta, gamma, t, seed):
    game = LocalGan((0.2, 1.0, 3.0), alpha, beta, gamma)
    start = np.random.default_rng(seed).standard_normal(6)
    expected = expm(t * game.jacobian(start)) @ start
    np.testing.assert_allclose(game.solution(start, t), expected, atol=1e-9)


def test_solution_at_a_double_root():
    game = LocalGan((1.0,), 2.0, 1.0)
    found = game.solution(np.array([1.0, 0.0]), 1.0)
    np.testing.assert_allclose(found, expm(game.jacobian(np.zeros(2)))[:, 0], atol=1e-9)


def test_slowest_mode_and_best_penalty():
    """The rate of the smallest xi alone would be the same for all gamma up to twice the best."""
    xi = 0.25 * np.geomspace(1, 1e8, 4001)
    assert gamma_range(0.25, 1.0) == (2, 4)
    assert spectral_abscissa(xi, 0.5, 1.0, 2.0) == pytest.approx(-0.5, abs=1e-6)
    assert spectral_abscissa(xi, 0.0, 1.0, 4.0) == pytest.approx(-0.25, abs=1e-6)
    assert spectral_abscissa(0.25, 0.0, 1.0, 4.0) == pytest.approx(-0.25)  # the modes beyond count
    assert spectral_abscissa(0.25, 0.0, 1.0, 4.0, complete=False) == pytest.approx(-0.5, abs=1e-6)
    assert spectral_abscissa(0.25, 0.0, 1.0) == 0
    for gamma in (2.0, 2.5, 3.0, 4.0):
        alpha = max(0.0, 1.0 - gamma * 0.25)
        expected = max(-0.5, -1 / gamma)
        assert spectral_abscissa(xi, alpha, 1.0, gamma) == pytest.approx(expected, abs=1e-6)
    gamma, abscissa = fastest_gamma(0.25, 0.0, 1.0)
    assert gamma == pytest.approx(np.sqrt(2) / 0.5, rel=1e-3)
    assert abscissa == pytest.approx(-np.sqrt(0.125), rel=1e-3)
    assert fastest_gamma(0.25, 1.0, 0.5)[0] == 0


def test_euler_modulus():
    """[K] (29) with the last division: 0.98, printed 1.068."""
    moduli = euler_moduli(lgan_spectrum(3, 0.5, 1.0), 0.1)
    np.testing.assert_allclose(moduli**2, 0.98, rtol=1e-9)


PUBLISHED = [  # xi, alpha, beta, gamma, leading eigenvalue
    (0.25, 0, 1, 0, 0.5j),
    (0.124, 0, 1, 0, 0.352j),
    (0.25, 0, 1, 2, -0.25 + 0.433j),
    (0.124, 0, 1, 1 / np.sqrt(0.124), -0.176 + 0.305j),
    (0.25, 0.25, 0.5, 0, -0.125 + 0.2165j),
    (0.124, 0.25, 0.5, 0, -0.125 + 0.124j),
    (0.25, 0.5, 1, 2, -0.5),
]


@pytest.mark.parametrize(("xi", "alpha", "beta", "gamma", "leading"), PUBLISHED)
def test_leading_eigenvalues_of_published_settings(xi, alpha, beta, gamma, leading):
    assert np.abs(lgan_spectrum(xi, alpha, beta, gamma) - leading).min() < 6e-4


def test_advice_is_for_the_loss():
    advice = advise(0.25, "wasserstein")
    assert advice.unregularised == pytest.approx(-0.5j) or advice.unregularised == pytest.approx(
        0.5j
    )
    assert advice.rate == pytest.approx(np.sqrt(0.125), rel=1e-3)
    assert advice.real_gamma == (2, 4)
    assert advise(1.0, "js").real_gamma == (0.5, 1)


def test_what_makes_no_sense_is_refused():
    points = gaussian().sample(200, 0)
    for what in (
        lambda: ritz(points, Polynomials(points, 3), 4),
        lambda: ritz(points, Polynomials(points, 3), 0),
        lambda: gaussian().laplacian(5).spectrum(5),
        lambda: WeightedLaplacian.of(lambda x: x, -1, 1),
        lambda: WeightedLaplacian.of(np.ones_like, 1, 1),
        lambda: lgan_spectrum(1, 0.5, 0.5, -0.1),
        lambda: advise(0.0),
    ):
        with pytest.raises(ConfigError):
            what()
    with pytest.raises(ConfigError, match="4 eigenvalues asked for; these features have 3"):
        ritz(points, Polynomials(points, 3), 4)
    for bad in (points[:, 0], points[:1], np.full((3, 1), np.nan)):
        with pytest.raises(DataError):
            ritz(bad, Polynomials(points, 3))
