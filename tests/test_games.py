"""Analytic games: their fields against automatic differentiation, their published eigenvalues."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from twins import gan_games

from onet.adversarial.activations import JS, PAIRS, Activation, ActivationPair, find_pair
from onet.adversarial.factors import gamma_of_reg_param
from onet.errors import ConfigError
from onet.gan_theory.games.bilinear import Bilinear
from onet.gan_theory.games.catalogue import GAMES, build_game, dirac_methods
from onet.gan_theory.games.dirac import PENALTIES, DiracGan, Weight, WeightedPenalty
from onet.gan_theory.games.energy import EnergyDirac
from onet.gan_theory.games.feature_game import FeatureGame
from onet.gan_theory.games.four_points import FourPoints
from onet.gan_theory.games.function_space import LocalGan, lgan_spectrum
from onet.gan_theory.games.game import complex_step
from onet.gan_theory.games.linear_quadratic import LinearQuadratic
from onet.gan_theory.games.measures import measure
from onet.gan_theory.games.modified import Consensus, NagarajanKolter

# (rho1, rho2), corrected where the printed table fails its own definition.
CONSTANTS = {
    "js": (1 / 2, 1 / 2),
    "hellinger": (1 / 2, 1 / 2),
    "kl": (1, 1),
    "reverse_kl": (1, 1),
    "pearson": (2, 2),
    "least_squares": (2, 4),
    "wasserstein": (1, 0),
    "hinge": (1, 0),
}
ONE = np.array([0.4, -0.3])  # any state that is no equilibrium
FEATURE_GAMES = sorted(name for name, kind in GAMES.items() if issubclass(kind, FeatureGame))


def same_spectrum(a, b, tolerance=1e-9):
    """By their polynomials, and one by one; rounding parts double eigenvalues by its root."""
    np.testing.assert_allclose(np.poly(a), np.poly(b), atol=tolerance, rtol=tolerance)
    apart = np.abs(np.subtract.outer(a, b))
    assert apart[linear_sum_assignment(apart)].max() <= max(tolerance, 1e-6)


def numeric(game):
    return np.linalg.eigvals(game.jacobian(game.equilibrium))


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_are_valid_and_have_their_constants(name):
    pair = PAIRS[name]
    check = pair.check()
    assert check.failed == ()
    assert check.strict == (name not in ("wasserstein", "hinge"))
    assert (pair.rho1, pair.rho2) == pytest.approx(CONSTANTS[name])
    assert pair.gamma_critical == 2 * pair.rho1
    if pair.rho2:
        assert pair.sigma_critical**2 == pytest.approx(2 * pair.rho1 / pair.rho2)
    else:
        assert pair.sigma_critical is None


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_are_the_same_functions_in_torch(name):
    t = np.linspace(-3, 3, 25) + 0.01
    for phi in (PAIRS[name].phi1, PAIRS[name].phi2):
        x = torch.tensor(t, requires_grad=True)
        value = phi.value(x, torch)
        (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
        np.testing.assert_allclose(value.detach(), phi.value(t, np), atol=1e-12)
        np.testing.assert_allclose(slope.detach(), phi.slope(t), atol=1e-12)
        if slope.requires_grad:
            (bend,) = torch.autograd.grad(slope.sum(), x, allow_unused=True)
            bend = torch.zeros_like(x) if bend is None else bend
            np.testing.assert_allclose(bend, phi.curvature(t), atol=1e-12)


def printed(value, slope):
    activation = Activation(value, slope, lambda t: 0 * t)
    return ActivationPair("printed", activation, activation)


@pytest.mark.parametrize(
    ("pair", "condition"),
    [
        (printed(lambda t, xp: 2 * t + t**2, lambda t: 2 + 2 * t), r"phi1\(t\) \+ phi2\(-t\) <= 0"),
        (printed(lambda t, xp: 1 - xp.exp(-t / 2) / 2, lambda t: np.exp(-t / 2) / 4), r"= 0 \(it"),
        (printed(lambda t, xp: -(t**2), lambda t: -2 * t), "differ from 0"),
        (printed(lambda t, xp: t, lambda t: 2 + 0 * t), "is the derivative"),
        (dataclasses.replace(PAIRS["js"], phi2=PAIRS["wasserstein"].phi2), r"phi1'\(0\) = phi2'"),
    ],
)
def test_invalid_pairs_are_refused_with_the_condition(pair, condition):
    with pytest.raises(ConfigError, match=condition):
        DiracGan(pair)


def test_names_and_numbers_that_make_no_sense_are_refused():
    for bad in (
        lambda: find_pair("jss"),
        lambda: build_game("elipse"),
        lambda: build_game("bilinear", gamma=1.0),
        lambda: DiracGan(gamma=-1),
        lambda: DiracGan(penalty="r3"),
        lambda: DiracGan(noise=-0.1),
        lambda: DiracGan(x0=(1.0, 2.0), noise=-np.eye(2)),
        lambda: FourPoints(gamma=float("nan")),
        lambda: FourPoints(measure="middle"),
        lambda: EnergyDirac(measure="fake"),
        lambda: Consensus(DiracGan(), -1.0),
        lambda: LocalGan(xi=(0.0, 1.0)),
        lambda: gamma_of_reg_param(-1),
    ):
        with pytest.raises(ConfigError):
            bad()
    with pytest.raises(ConfigError, match="'ellipse'"):
        build_game("elipse")
    assert gamma_of_reg_param(10) == 20


@pytest.mark.parametrize("name", GAMES)
def test_every_game_rests_at_its_equilibrium_with_its_eigenvalues(name):
    game = build_game(name)
    games = [game]
    if hasattr(game, "gamma"):
        games.append(dataclasses.replace(game, gamma=0.7))
    if name == "linear_quadratic":
        games.append(dataclasses.replace(game, gamma=0.7, mean=0.6, std=1.3))
    for game in games:
        assert np.abs(game.field(game.equilibrium)).max() < 1e-14
        same_spectrum(game.eigenvalues(), numeric(game))
        assert 0 < game.generator < len(game.equilibrium)


@pytest.mark.parametrize("name", FEATURE_GAMES)
@pytest.mark.parametrize("measure", ["real", "fake", "midpoint"])
def test_games_are_the_gradients_of_their_losses(name, measure):
    for pair, non_saturating in (("js", False), ("js", True), ("pearson", False), ("kl", True)):
        options = {"pair": pair, "gamma": 0.6, "non_saturating": non_saturating}
        if name == "energy" and measure != "real":
            continue
        game = build_game(name, measure=measure, **options)
        equilibrium = torch.from_numpy(game.equilibrium)
        description = gan_games.describe(name, equilibrium)
        field = gan_games.field(
            description, PAIRS[pair], 0.6, measure, non_saturating, game.generator
        )
        state = game.equilibrium + np.resize([0.3, -0.2, 0.25], len(game.equilibrium))
        state_torch = torch.from_numpy(state)
        np.testing.assert_allclose(game.field(state), field(state_torch), atol=1e-12)
        automatic = gan_games.jacobian(field, state_torch)
        np.testing.assert_allclose(game.jacobian(state), automatic, atol=1e-11)


@given(
    pair=st.sampled_from(sorted(set(PAIRS) - {"hinge"})),
    gamma=st.floats(0, 3),
    non_saturating=st.booleans(),
    state=st.lists(st.floats(-1, 1), min_size=6, max_size=6),
)
def test_dirac_jacobian_is_closed_and_exact(pair, gamma, non_saturating, state):
    game = DiracGan(pair, (0.6, -0.2, 0.3), gamma, non_saturating=non_saturating)
    x = np.array(state)
    np.testing.assert_allclose(game.jacobian(x), complex_step(game.field, x), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_dirac_penalties_are_gradients(penalty):
    """Against automatic differentiation of the penalty itself, in two dimensions."""
    x0 = np.array([0.5, -0.25])
    game = DiracGan("js", x0, 0.8, penalty)
    free = DiracGan("js", x0)
    for scale in (0.5, 2.0):  # |psi| on both sides of 1
        x = np.array([0.7, 0.2, 0.6 * scale, -0.9 * scale])
        theta, psi = torch.from_numpy(x[:2]), torch.tensor(x[2:], requires_grad=True)
        norm, real = psi.norm(), torch.from_numpy(x0)
        value = {
            "zero_centred": 0.4 * norm**2,
            "one_centred": 0.4 * (norm - 1) ** 2,
            "one_sided": 0.4 * torch.relu(norm - 1) ** 2,
            "roth": 0.8
            * (torch.sigmoid(psi @ theta) ** 2 + (1 - torch.sigmoid(psi @ real)) ** 2)
            * norm**2,
            "sure": 0.8 * ((psi @ theta) ** 2 + (psi @ real) ** 2) * norm**2,
        }[penalty]
        (slope,) = torch.autograd.grad(value, psi)
        force = free.field(x) - game.field(x)
        np.testing.assert_allclose(force, [0, 0, *slope], atol=1e-12)


@given(
    fake=st.floats(-0.1, 1),
    real=st.floats(-0.1, 1),
    bends=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
)
def test_weighted_penalties_count_as_their_weights_at_0(fake, real, bends):
    """nu(0) alone decides ([M] (6.45)); quarter weights are R1."""

    def weight(value, bend):
        return Weight(lambda t: value + bend * t, lambda t: bend + 0 * t)

    x0 = (0.5, -0.3)
    penalty = WeightedPenalty(weight(fake, bends[0]), weight(real, bends[1]))
    game = DiracGan("js", x0, 0.7, penalty)
    same_spectrum(game.eigenvalues(), numeric(game), 1e-9)
    same_spectrum(
        game.eigenvalues(),
        np.linalg.eigvals(complex_step(game.field, game.equilibrium)),
        1e-6,
    )
    damped = game.eigenvalues().real.min() < -1e-6
    assert damped or fake + real < 0.1 or penalty.part == 0
    quarters = WeightedPenalty(weight(0.25, 0.0), weight(0.25, 0.0))
    x = np.array([0.3, -0.2, 0.8, 0.4])
    np.testing.assert_allclose(
        DiracGan("js", x0, 0.7, quarters).field(x), DiracGan("js", x0, 0.7).field(x), atol=1e-12
    )


def test_a_weight_that_vanishes_where_d_is_0_does_not_converge_linearly():
    free, sure = DiracGan("js", (1.0, 0.5)), DiracGan("js", (1.0, 0.5), 5.0, "sure")
    same_spectrum(free.eigenvalues(), sure.eigenvalues(), 1e-12)


def test_noise_is_the_mean_over_noisy_points():
    covariance = np.array([[0.5, 0.2], [0.2, 0.3]])
    game = DiracGan("js", (0.6, 0.3), noise=covariance)
    x = np.array([0.2, -0.4, 0.7, 0.5])
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    factor = np.linalg.cholesky(covariance)
    mean = np.zeros(4)
    for a, wa in zip(nodes, weights, strict=True):
        for b, wb in zip(nodes, weights, strict=True):
            shift = factor @ [a, b]
            fake, real = x[:2] + shift, np.array([0.6, 0.3]) + shift
            slope = JS.phi1.slope(-fake @ x[2:])
            pull = JS.phi2.slope(real @ x[2:]) * real - slope * fake
            mean += wa * wb * np.concatenate([slope * x[2:], pull])
    np.testing.assert_allclose(game.field(x), mean, atol=1e-12)


DIRAC = {
    "none": (DiracGan(), [0.5j]),
    "non-saturating": (DiracGan(non_saturating=True), [0.5j]),
    "gamma 0.3": (DiracGan(gamma=0.3), [-0.15 + 0.4769696j]),
    "gamma critical": (DiracGan(gamma=1.0), [-0.5, -0.5]),
    "gamma 2": (DiracGan(gamma=2.0), [-0.1339746, -1.8660254]),
    "non-saturating, gamma 0.3": (
        DiracGan(gamma=0.3, non_saturating=True),
        [-0.15 + 0.4769696j],
    ),
    "roth": (DiracGan(gamma=0.3, penalty="roth"), [-0.15 + 0.4769696j]),
    "consensus": (Consensus(DiracGan(), 1.0), [-0.25 + 0.5j]),
    "Nagarajan-Kolter": (NagarajanKolter(DiracGan(), 1.0), [-0.25 + 0.4330127j]),
    "noise 0.7": (DiracGan(noise=0.7), [-0.1225 + 0.4847617j]),
    "noise critical": (DiracGan(noise=2**0.5), [-0.5, -0.5]),
    "WGAN": (DiracGan("wasserstein"), [1j]),
}


@pytest.mark.parametrize("name", DIRAC)
def test_dirac_eigenvalues(name):
    game, expected = DIRAC[name]
    if len(expected) == 1:
        expected = [expected[0], np.conj(expected[0])]
    same_spectrum(game.eigenvalues(), expected, 1e-6)
    same_spectrum(numeric(game), expected, 1e-6)


@pytest.mark.parametrize("name", dirac_methods())
@pytest.mark.parametrize("pair", PAIRS)
def test_every_method_has_its_closed_eigenvalues(name, pair):
    methods = dirac_methods(pair)
    if name not in methods:
        assert find_pair(pair).sigma_critical is None
        return
    game = methods[name]
    if name == "WGAN-GP":
        for what in (game.eigenvalues, lambda: game.jacobian(np.zeros(2))):
            with pytest.raises(ValueError, match="jumps"):
                what()
        return
    same_spectrum(game.eigenvalues(), numeric(game), 1e-7)
    if not isinstance(game, Consensus | NagarajanKolter):  # these differentiate the field already
        automatic = complex_step(game.field, game.equilibrium)
        np.testing.assert_allclose(game.jacobian(game.equilibrium), automatic, atol=1e-6)


def test_many_dimensional_dirac_eigenvalues():
    """Corrected (4.20), (4.30) and (4.42): + under the root; n - 1 pairs do not see x0."""
    x0 = np.array([0.6, -0.3, 0.2])
    square = x0 @ x0

    def pair(damping):
        root = np.sqrt(complex(damping**2 / 4 - 0.25))
        return [-damping / 2 + root, -damping / 2 - root]

    for non_saturating in (False, True):
        for game, bulk, along in (
            (DiracGan("js", x0, non_saturating=non_saturating), 0.0, square / 2),
            (
                DiracGan("js", x0, noise=0.7, non_saturating=non_saturating),
                0.245,
                (0.49 + square) / 2,
            ),
            (
                DiracGan("js", x0, 0.3, non_saturating=non_saturating),
                0.3,
                0.3 + square / 2,
            ),
        ):
            expected = [*pair(bulk), *pair(bulk), *pair(along)]
            same_spectrum(game.eigenvalues(), expected)
            same_spectrum(numeric(game), expected)
    covariance = np.diag([0.1, 0.4, 0.9]) + 0.05
    game = DiracGan("js", x0, noise=covariance)
    damping = np.linalg.eigvalsh(covariance + np.outer(x0, x0)) / 2
    same_spectrum(game.eigenvalues(), np.concatenate([pair(d) for d in damping]))
    same_spectrum(numeric(game), game.eigenvalues())


@pytest.mark.parametrize("modified", [Consensus, NagarajanKolter])
def test_modified_games_descend_what_they_say(modified):
    game = DiracGan("js", gamma=0.3)
    x, step = np.array([0.8, -0.5]), 1e-6

    def energy(x, part):
        return np.sum(game.field(x)[part] ** 2)

    change = modified(game, 0.7).field(x) - game.field(x)
    for k in range(2):
        unit = np.eye(2)[k] * step
        part = slice(None) if modified is Consensus else slice(1, 2)
        slope = (energy(x + unit, part) - energy(x - unit, part)) / (2 * step)
        if modified is Consensus:
            assert change[k] == pytest.approx(-0.7 * slope / 2, abs=1e-8)
        else:
            assert change[k] == pytest.approx(-0.7 * slope if k == 0 else 0, abs=1e-8)
    away = modified(game, 0.7)
    rough = np.stack(
        [(away.field(x + u) - away.field(x - u)) / 2e-5 for u in np.eye(2) * 1e-5], axis=1
    )
    np.testing.assert_allclose(away.jacobian(x), rough, atol=1e-7)


PUBLISHED = [  # of a complex pair one; None for what is not printed
    ("ellipse", {}, [-0.0078125 + 0.249878j, -0.00390625 + 0.249969j]),
    ("four_points", {}, [0.5j, -0.03125 + 0.499022j]),
    ("four_points", {"gamma": 0.1}, [-0.05 + 0.497494j, -0.08125 + 0.493354j]),
    ("four_points", {"gamma": 1.0}, [-0.5, -0.5, -0.351732, -0.710768]),
    ("four_points", {"width": 2.0}, [-0.014342 + 0.504705j, None]),
    ("nagarajan_kolter", {}, [2j / 3]),
    ("nagarajan_kolter", {"gamma": 0.3}, [-0.2 + 0.635959j]),
    ("nagarajan_kolter", {"gamma": 1.0}, [-2 / 3, -2 / 3]),
    ("nagarajan_kolter", {"gamma": 3.0}, [-0.114382, -3.885618]),
    ("energy", {"curvature": -0.5}, [0, -0.25 + 0.4330127j]),
    ("energy", {"curvature": -1.0}, [0, -0.5, -0.5]),
    ("energy", {"curvature": 0.5}, [0, 0.25 + 0.4330127j]),
    ("linear_quadratic", {"pair": "wasserstein", "std": 0.7}, [1j, 1.4j]),
]


@pytest.mark.parametrize(("name", "options", "printed"), PUBLISHED)
def test_published_eigenvalues(name, options, printed):
    game = build_game(name, **options)
    expected = [v for p in printed if p is not None for v in {p, np.conj(p)}]
    for values in (game.eigenvalues(), numeric(game)):
        apart = np.abs(np.subtract.outer(values, expected))
        assert apart[linear_sum_assignment(apart)].max() < 1e-6
        assert None in printed or len(values) == len(expected)


def test_a_penalty_anywhere_is_r1_for_a_linear_discriminator():
    points = (np.array([[0.0], [1.0]]), np.array([0.25, 0.75]))
    fake = (np.array([[2.0], [3.0]]), np.array([0.5, 0.5]))
    means = {"real": 0.75, "fake": 2.5, "midpoint": 1.625, "interpolated": 1.625, "anchor": 1.25}
    squares = {"real": 0.75, "fake": 6.5, "midpoint": (0.75 + 6.5 + 2 * 0.75 * 2.5) / 4}
    squares["interpolated"] = (0.75 + 6.5 + 0.75 * 2.5) / 3
    squares["anchor"] = 6.5 / 3
    for name, mean in means.items():
        x, weights = measure(name, points, fake)
        assert weights.sum() == pytest.approx(1)
        assert weights @ x[:, 0] == pytest.approx(mean)
        assert weights @ x[:, 0] ** 2 == pytest.approx(squares[name])
    x, weights = measure("anchor", points, fake, np.array([4.0]))
    assert weights @ x[:, 0] == pytest.approx((4 + 2.5) / 2)
    with pytest.raises(ConfigError, match="anchor: 3 numbers for points of 1"):
        measure("anchor", points, fake, np.zeros(3))
    at = [build_game("ellipse", gamma=1.0, measure="anchor", anchor=a) for a in (None, [2.0, 1.0])]
    start = at[0].equilibrium + 0.1
    assert np.abs(at[0].field(start) - at[1].field(start)).max() > 0.01
    assert np.array_equal(
        at[0].field(start),
        build_game("ellipse", gamma=1.0, measure="anchor", anchor=np.zeros(2)).field(start),
    )


def test_linear_quadratic_with_the_gram_matrix_is_function_space():
    """Natural gradients of D turn the game of moments into the modes of N(0, s^2)."""
    s = 0.7
    game = LinearQuadratic(std=s)
    k_dg, k_dd, _ = game.blocks()
    gram = np.diag([s**2, 2 * s**4])  # of x and of x^2 without its mean, which psi does not see
    damped = np.diag([k_dd[0, 0], game.activations.rho2 * gram[1, 1]])
    metric = np.diag([1.0, 1.0])  # of a and b: |dG/da|^2 = E z^2 = |dG/db|^2 = 1
    inverse = np.linalg.inv(gram)
    jacobian = np.block([[np.zeros((2, 2)), metric @ k_dg.T], [-inverse @ k_dg, -inverse @ damped]])
    same_spectrum(np.linalg.eigvals(jacobian), lgan_spectrum([1 / s**2, 2 / s**2], 0.5, 0.5))
    same_spectrum(lgan_spectrum([1 / s**2], 0.5, 0.5), [-0.25 + 0.669107j, -0.25 - 0.669107j], 1e-6)


def test_bilinear_field():
    game = Bilinear((1.0, 2.0))
    np.testing.assert_array_equal(game.field(np.array([1.0, 2.0, 3.0, 4.0])), [-3, -8, 1, 4])
    same_spectrum(game.eigenvalues(), [1j, -1j, 2j, -2j])
