"""Further methods on the Dirac-GAN: fields are gradients of what is said, eigenvalues closed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from onet.adversarial.penalties import consensus
from onet.errors import ConfigError, DataError
from onet.gan_theory.dynamics import distances, trajectory
from onet.gan_theory.games.dirac import DiracGan
from onet.gan_theory.games.game import complex_step
from onet.gan_theory.games.modified import Consensus, DiscriminatorConsensus
from onet.gan_theory.games.variants import (
    FeatureMatching,
    HistoricalAverage,
    LabelSmoothing,
    MeanDiscrepancy,
    TwoDiscriminators,
    Unrolled,
    variants,
)
from onet.gan_theory.studies.dirac_variants import annealed_rows, other_rows

GAMES: dict[str, Any] = {
    **variants(),
    "smoothed more": LabelSmoothing(0.3, x0=0.7, bias=True),
    "smoothed, no bias": LabelSmoothing(0.2, x0=1.0),
    "logit of a sure D": FeatureMatching("wasserstein", logit=True, psi=0.8),
    "unrolled once": Unrolled("least_squares", 1, 0.1),
    "not unrolled": Unrolled("js", 0),
    "narrow": MeanDiscrepancy(0.3),
    "unequal": TwoDiscriminators(2.0),
    "slow average": HistoricalAverage("wasserstein", 1.0, 0.01),
}


@pytest.mark.parametrize("name", GAMES)
def test_games_rest_at_their_equilibria_with_their_eigenvalues(name: str) -> None:
    game = GAMES[name]
    state = game.equilibrium
    assert np.abs(game.field(state)).max() < 1e-12
    found = np.linalg.eigvals(complex_step(game.field, state))
    np.testing.assert_allclose(np.poly(found), np.poly(game.eigenvalues()), atol=1e-12)


NUMBER = st.floats(-1.5, 1.5)


@given(theta=NUMBER, psi=NUMBER, offset=NUMBER, x0=NUMBER)
def test_fields_are_gradients_of_the_losses(
    theta: float, psi: float, offset: float, x0: float
) -> None:
    t, p, b = (
        torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (theta, psi, offset)
    )

    def slopes(loss: Any, *parameters: Any) -> list[float]:
        found = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
        return [0.0 if g is None else -float(g) for g in found]

    fake, real = p * t + b, p * x0 + b
    of_d = 0.8 * F.softplus(-real) + 0.2 * F.softplus(real) + F.softplus(fake)
    expected = slopes(-F.softplus(fake), t) + slopes(of_d, p, b)
    found = LabelSmoothing(0.2, x0, bias=True).field(np.array([theta, psi, offset]))
    np.testing.assert_allclose(found, expected, atol=1e-12)

    expected = slopes((p * t) ** 2, t) + slopes(F.softplus(p * t), p)
    found = FeatureMatching("js", logit=True).field(np.array([theta, psi]))
    np.testing.assert_allclose(found, expected, atol=1e-12)

    ahead = p
    for _ in range(3):
        (slope,) = torch.autograd.grad(F.softplus(ahead * t), ahead, create_graph=True)
        ahead = ahead - 0.3 * slope
    expected = slopes(-F.softplus(ahead * t), t) + slopes(F.softplus(p * t), p)
    found = Unrolled("js", 3, 0.3).field(np.array([theta, psi]))
    np.testing.assert_allclose(found, expected, atol=1e-12)

    value = -(p * 0) + torch.exp(p * t) + 1 - 1.5 * b * t  # what D1 and D2 minimise, x0 = 0
    expected = slopes(-value, t) + slopes(value, p, b)
    found = TwoDiscriminators(1.5).field(np.array([theta, psi, offset]))
    np.testing.assert_allclose(found, expected, atol=1e-12)

    kernel = 2 - 2 * torch.exp(-(t**2) / (2 * 0.7**2))
    np.testing.assert_allclose(
        MeanDiscrepancy(0.7).field(np.array([theta])), slopes(kernel, t), atol=1e-12
    )


def test_smoothing_moves_a_generator_whose_discriminator_has_no_bias() -> None:
    """It ends at (1 - 2 amount) x0, and at x0 with a bias."""
    for bias, end in ((False, 0.8), (True, 1.0)):
        game = LabelSmoothing(0.1, x0=1.0, bias=bias)
        start = game.equilibrium + 0.3
        states = trajectory(game, start, 4000, "alternating", h_g=0.2)
        assert states[-1, 0] == pytest.approx(end, abs=1e-6)


def test_consensus_of_the_discriminator_alone_is_r1() -> None:
    for pair, gamma in (("js", 1.0), ("wasserstein", 0.5), ("least_squares", 0.2)):
        dirac = DiracGan(pair)
        game = DiscriminatorConsensus(dirac, gamma)
        rho1 = dirac.activations.rho1
        r1 = DiracGan(pair, gamma=gamma * rho1**2)
        np.testing.assert_allclose(game.eigenvalues(), r1.eigenvalues(), atol=1e-12)
        state = np.array([0.3, -0.4])
        both = Consensus(dirac, gamma).field(state)
        assert game.field(state)[0] == dirac.field(state)[0]
        assert game.field(state)[1] == both[1]
    start = np.array([1.0, -1.0])
    for kind, close in ((DiscriminatorConsensus, True), (Consensus, False)):
        states = trajectory(kind(DiracGan("js"), 1.0), start, 500, "alternating", h_g=0.2, n_d=5)
        assert (distances(states, np.zeros(2))[-1] < 1e-10) == close


def test_consensus_on_two_batches_is_that_of_the_mean_field() -> None:
    """Noisy data x0 of the Dirac-GAN with D = psi x: v_psi has the variance of x0 in it.

    On one batch the mean cost is that of the mean field and gamma/2 Var v, whose slope pulls psi to
    0 by itself; on two it is that of the mean field.
    """
    generator = torch.Generator().manual_seed(0)
    theta, psi = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.4, 0.7))
    data = torch.randn(2, 60_000, 1, generator=generator, dtype=torch.float64)

    def field(x: Any) -> list[Any]:
        of_d = (F.softplus(-psi * x) + F.softplus(psi * theta)).mean()
        of_g = F.softplus(-psi * theta)
        return [
            torch.autograd.grad(loss, p, create_graph=True)[0]
            for loss, p in ((of_g, theta), (of_d, psi))
        ]

    def slope(cost: Any) -> float:
        return float(torch.autograd.grad(cost, psi, retain_graph=True)[0])

    exact = slope(consensus(field(data.reshape(-1, 1)), 1.0))
    pairs = [(field(a), field(b)) for a, b in zip(data[0, :1500], data[1, :1500], strict=True)]
    one = np.array([slope(consensus(a, 1.0)) for a, _ in pairs])
    two = np.array([slope(consensus(a, 1.0, b)) for a, b in pairs])
    deviations = [s.std() / np.sqrt(len(s)) for s in (one, two)]
    assert abs(two.mean() - exact) < 3 * deviations[1]
    assert abs(one.mean() - exact) > 3.5 * deviations[0]
    same = field(data[0])
    assert consensus(same, 2.0, same) == consensus(same, 2.0)
    with pytest.raises(DataError, match="2 and 1 gradients"):
        consensus(same, 1.0, same[:1])
    with pytest.raises(DataError, match="no parameter"):
        consensus(same, 1.0, [None, None])


def test_falling_step_sizes() -> None:
    """Simultaneous descent on a rotation grows by sqrt(1 + (rho1 h_k)^2) in a step."""
    game, start = DiracGan("wasserstein"), np.array([1.0, 0.0])
    for power in (0.5, 1.0):
        states = trajectory(game, start, 200, h_g=0.3, annealing=(power, power))
        sizes = 0.3 / np.arange(1, 201) ** power
        expected = np.sqrt(np.cumprod(1 + sizes**2))
        np.testing.assert_allclose(distances(states, np.zeros(2))[1:], expected, rtol=1e-12)
    same = trajectory(game, start, 50, h_g=0.3, annealing=(0.0, 0.0))
    assert np.array_equal(same, trajectory(game, start, 50, h_g=0.3))
    first = trajectory(game, start, 1, h_g=0.3, h_d=0.1, annealing=(2.0, 1.0))
    assert np.array_equal(first, trajectory(game, start, 1, h_g=0.3, h_d=0.1))
    with pytest.raises(ConfigError, match="powers must be 0 or more"):
        trajectory(game, start, 5, annealing=(-1.0, 0.0))


def test_tables() -> None:
    rows = {row["method"]: row for row in other_rows((1.0, -1.0), 0.2, 500)}
    linear = {name for name, row in rows.items() if row["converges_linearly"] == "yes"}
    assert linear == {
        "label smoothing, 0.1, x0 = 1, no bias",
        "label smoothing, 0.1, x0 = 1, bias",
        "unrolled, 5 steps of 0.2",
        "MMD, width 1",
        "historical averaging",
    }
    assert "line" in rows["feature matching, on x"]["converges_linearly"]
    for row in annealed_rows("js", 0.3, (1.0, -1.0), 0.2, 500):
        assert float(row["none, simultaneous"]) > 1.4 and float(row["none, alternating"]) > 1.35
        assert float(row["R1, alternating"]) < float(row["none, alternating"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LabelSmoothing(0.5), "must be in"),
        (lambda: Unrolled("js", -1), "steps = -1"),
        (lambda: Unrolled("jss"), "unknown activation pair"),
        (lambda: MeanDiscrepancy(0.0), "must be positive"),
        (lambda: HistoricalAverage(weight=-1.0), "weight = -1"),
        (lambda: TwoDiscriminators(-1.0), "beta = -1"),
    ],
)
def test_numbers_that_make_no_sense(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
