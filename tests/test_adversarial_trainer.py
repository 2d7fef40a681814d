"""The trainer plays the analytic games step by step; its losses and penalties; what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from dirac_networks import Linear, Point
from torch import Tensor, nn

from onet.adversarial.activations import PAIRS, Activation, ActivationPair
from onet.adversarial.losses import LOSSES, find_loss, pair_loss
from onet.adversarial.networks import ModulePair
from onet.adversarial.penalties import (
    NAMED,
    GradientPenalty,
    InstanceNoise,
    named_penalty,
    require_no_batch_norm,
    spectrally_normalised,
)
from onet.adversarial.trainer import INTEGRATORS, AdversarialOptions, AdversarialTrainer
from onet.errors import ConfigError, DataError, TrainingError
from onet.gan_theory.dynamics import trajectory
from onet.gan_theory.games.dirac import DiracGan
from onet.gan_theory.games.modified import Consensus, NagarajanKolter

H_G, H_D = 0.11, 0.07
STEPS = 3


START = ([1.0, -0.4], [0.8, 0.5])
X0 = (0.3, 0.2)


def played(options: AdversarialOptions, steps: int, start: Any = START, x0: Any = X0) -> np.ndarray:
    """States (steps + 1, 4) of the trainer with plain gradient descent."""
    generator, discriminator = Point(start[0]), Linear(start[1])
    trainer = AdversarialTrainer(
        ModulePair(generator, discriminator),
        torch.optim.SGD(generator.parameters(), lr=H_G),
        torch.optim.SGD(discriminator.parameters(), lr=H_D),
        options,
    )
    batch = torch.tensor([x0] * 3, dtype=torch.float64)
    states = [np.concatenate(start)]
    for k in range(steps):
        trainer.step(batch, k)
        states.append(torch.cat([generator.theta, discriminator.psi]).detach().numpy())
    return np.stack(states)


def predicted(game: Any, steps: int, scheme: str, n_d: int = 1, start: Any = START) -> np.ndarray:
    return trajectory(game, np.concatenate(start), steps, scheme, h_g=H_G, h_d=H_D, n_d=n_d)


GAMES: dict[str, dict[str, Any]] = {
    "minimax": {"pair": "js"},
    "non_saturating": {"pair": "js", "non_saturating": True},
    "wasserstein": {"pair": "wasserstein"},
    "least_squares": {"pair": "least_squares", "non_saturating": True},
    "hinge": {"pair": "hinge"},  # the same where |D| < 1, as it is on these paths
    "kl": {"pair": "kl"},
    "reverse_kl": {"pair": "reverse_kl"},
    "pearson": {"pair": "pearson"},
    "hellinger": {"pair": "hellinger"},
}
# With the real point at 0 a paired loss is a separable one.
PAIRED: dict[str, dict[str, Any]] = {
    "relativistic": {"pair": "js", "non_saturating": True},
    "relativistic_hinge": {"pair": "hinge", "non_saturating": True},
    "relativistic_least_squares": {"pair": "least_squares"},
}
# All measures agree on a linear discriminator.
PENALTIES: dict[str | None, str] = {
    None: "zero_centred",
    "r1": "zero_centred",
    "r2": "zero_centred",
    "r1_r2": "zero_centred",  # of twice the gamma
    "wgan_gp0": "zero_centred",
    "midpoint": "zero_centred",
    "anchor": "zero_centred",
    "wgan_gp": "one_centred",
    "dragan": "one_centred",
    "wgan_lp": "one_sided",
    "roth": "roth",
}
ORDERS = [("alternating", 1), ("alternating", 3), ("simultaneous", 1), ("optimistic", 1)] + [
    (name, 1) for name in INTEGRATORS
]


def test_every_loss_and_penalty_is_played() -> None:
    assert GAMES.keys() | PAIRED.keys() == LOSSES.keys()
    assert PENALTIES.keys() - {None} == NAMED.keys()


@pytest.mark.parametrize(
    ("loss", "update", "n_d"),
    [
        pytest.param(
            loss,
            *order,
            marks=[] if loss == "non_saturating" or order == ORDERS[0] else pytest.mark.slow,
        )
        for loss in GAMES
        for order in ORDERS
    ],
)
def test_the_trainer_plays_the_analytic_game(loss: str, update: str, n_d: int) -> None:
    for penalty, kind in PENALTIES.items():
        gamma = 0.0 if penalty is None else 0.7
        options = AdversarialOptions(
            loss=loss,
            penalty=None if penalty is None else named_penalty(penalty, gamma=gamma),
            update=update,
            discriminator_steps=n_d,
        )
        weight = 2 * gamma if penalty == "r1_r2" else gamma
        game = DiracGan(x0=X0, gamma=weight, penalty=kind, **GAMES[loss])
        expected = predicted(game, STEPS, update, n_d)
        assert np.abs(played(options, STEPS) - expected).max() < 1e-6, penalty
        assert np.abs(np.diff(expected, axis=0)).max(axis=1).min() > 1e-3


def test_each_player_may_take_several_steps() -> None:
    options = AdversarialOptions(
        penalty=named_penalty("r1", gamma=0.7), discriminator_steps=2, generator_steps=3
    )
    game = DiracGan(x0=X0, gamma=0.7, **GAMES["non_saturating"])
    start = np.concatenate(START)
    expected = trajectory(game, start, STEPS, "alternating", h_g=H_G, h_d=H_D, n_g=3, n_d=2)
    assert np.abs(played(options, STEPS) - expected).max() < 1e-6


@pytest.mark.parametrize(("update", "n_d"), ORDERS)
@pytest.mark.parametrize("name", PAIRED)
def test_the_trainer_plays_the_paired_game(name: str, update: str, n_d: int) -> None:
    options = AdversarialOptions(
        loss=name,
        penalty=GradientPenalty("real", gamma=0.7),
        update=update,
        discriminator_steps=n_d,
    )
    game = DiracGan(x0=(0.0, 0.0), gamma=0.7, **PAIRED[name])
    states = played(options, STEPS, x0=(0.0, 0.0))
    assert np.abs(states - predicted(game, STEPS, update, n_d)).max() < 1e-6


@pytest.mark.parametrize(("update", "n_d"), ORDERS)
@pytest.mark.parametrize(
    "loss",
    [
        "non_saturating",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("minimax", "wasserstein")),
    ],
)
def test_the_trainer_plays_the_modified_games(loss: str, update: str, n_d: int) -> None:
    game = DiracGan(x0=X0, gamma=0.4, **GAMES[loss])
    common: Any = {
        "loss": loss,
        "penalty": GradientPenalty(gamma=0.4),
        "update": update,
        "discriminator_steps": n_d,
    }
    states = played(AdversarialOptions(consensus=0.3, **common), STEPS)
    expected = predicted(Consensus(game, 0.3), STEPS, update, n_d)
    assert np.abs(states - expected).max() < 1e-6
    states = played(AdversarialOptions(nagarajan_kolter=0.3, **common), STEPS)
    expected = predicted(NagarajanKolter(game, 0.3), STEPS, update, n_d)
    assert np.abs(states - expected).max() < 1e-6


# -- losses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GAMES)
def test_losses_are_their_activation_pairs_up_to_a_constant(name: str) -> None:
    loss, spec = find_loss(name), GAMES[name]
    twin = pair_loss(PAIRS[spec["pair"]], spec.get("non_saturating", False))
    real, fake = torch.linspace(-0.9, 0.9, 14, dtype=torch.float64).view(2, 7).requires_grad_()
    for found, expected in (
        (loss.discriminator(real, fake), twin.discriminator(real, fake)),
        (loss.generator(fake), twin.generator(fake)),
    ):
        gradients = torch.autograd.grad(found, (real, fake), allow_unused=True)
        wanted = torch.autograd.grad(expected, (real, fake), allow_unused=True)
        for a, b in zip(gradients, wanted, strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_pull_real_logits_up_and_fake_ones_down(name: str) -> None:
    loss = LOSSES[name]
    real, fake = torch.zeros(2, 5, dtype=torch.float64).requires_grad_()
    up, down = torch.autograd.grad(loss.discriminator(real, fake), (real, fake))
    assert (up < 0).all() and (down > 0).all()
    (generator,) = torch.autograd.grad(loss.generator(fake, real), fake)
    assert (generator < 0).all()
    assert loss.discriminator(real, fake).item() == pytest.approx(loss.equilibrium)


def test_the_cross_entropy_has_the_right_curvature_at_zero() -> None:
    for name, curvature in (("non_saturating", 0.25), ("minimax", 0.25), ("relativistic", 0.25)):
        zero = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        value = LOSSES[name].discriminator(zero.detach(), zero)
        (slope,) = torch.autograd.grad(value, zero, create_graph=True)
        (second,) = torch.autograd.grad(slope, zero)
        assert second.item() == pytest.approx(curvature)


@pytest.mark.parametrize("name", PAIRED)
def test_paired_losses_need_batches_of_one_size(name: str) -> None:
    loss = LOSSES[name]
    with pytest.raises(DataError, match=r"as many real as fake samples, not \(3,\) and \(2,\)"):
        loss.discriminator(torch.zeros(3), torch.zeros(2))
    with pytest.raises(DataError, match="give their logits"):
        loss.generator(torch.zeros(3))
    LOSSES["non_saturating"].discriminator(torch.zeros(3), torch.zeros(2))


def test_invalid_pairs_and_unknown_names_are_refused() -> None:
    steep = Activation(lambda t, xp: 2 * t, lambda t: 2 + 0 * t, lambda t: 0 * t)
    with pytest.raises(ConfigError, match=r"phi1'\(0\) = phi2'\(0\)"):
        pair_loss(ActivationPair("steep", steep, PAIRS["wasserstein"].phi2))
    with pytest.raises(ConfigError, match="did you mean 'wasserstein'"):
        find_loss("waserstein")
    with pytest.raises(ConfigError, match="did you mean 'wgan_gp"):
        named_penalty("wgangp")
    with pytest.raises(ConfigError, match=r"unknown option 'gama'.*'gamma'"):
        named_penalty("r1", gama=1)
    with pytest.raises(ConfigError, match="did you mean 'alternating'"):
        AdversarialOptions(update="alternate")


# -- penalties ------------------------------------------------------------------------------------


def quadratic(x: Tensor) -> Tensor:
    """Gradient x, so that every measure shows in the penalty."""
    return x.square().sum(1) / 2


def test_penalties_take_the_gradient_where_they_say() -> None:
    torch.manual_seed(0)
    real, fake = torch.randn(4000, 3), 2 * torch.randn(4000, 3) + 1
    squares = {k: v.square().sum(1).mean().item() for k, v in (("real", real), ("fake", fake))}
    expected = {
        "r1": squares["real"],
        "r2": squares["fake"],
        "r1_r2": squares["real"] + squares["fake"],
        "midpoint": ((real + fake) / 2).square().sum(1).mean().item(),
        "wgan_gp0": (squares["real"] + squares["fake"] + (real * fake).sum(1).mean().item()) / 3,
        "anchor": (squares["fake"] + 0.75 + 0.5 * fake.sum(1).mean().item()) / 3,
    }
    for name, value in expected.items():
        found = named_penalty(name, gamma=2.0)(quadratic, real, fake).item()
        assert found == pytest.approx(value, rel=0.05), name
    noisy = named_penalty("dragan", gamma=2.0, centre=0.0, spread=0.3)(quadratic, real, fake)
    assert noisy.item() == pytest.approx(squares["real"] + 3 * 0.09, rel=0.05)
    centred = named_penalty("wgan_gp", measure="real", gamma=2.0)(quadratic, real, fake)
    assert centred.item() == pytest.approx((real.norm(dim=1) - 1).square().mean().item(), rel=1e-4)
    one_sided = named_penalty("wgan_lp", measure="real", gamma=2.0)(quadratic, real, fake)
    wanted = (real.norm(dim=1) - 1).clamp(min=0).square().mean().item()
    assert one_sided.item() == pytest.approx(wanted, rel=1e-4) and one_sided < centred


def test_anchors_of_as_many_numbers_as_a_sample() -> None:
    """Uniformly on the segment from fake to a: E x^2 = (f^2 + f a + a^2) / 3."""
    torch.manual_seed(0)
    real, fake = torch.randn(4000, 2, 3), torch.randn(4000, 2, 3) + 1
    anchor = [[0.5, -1.0, 2.0], [0.0, 1.5, -0.5]]

    def squared(x: Tensor) -> Tensor:
        return x.square().sum((1, 2)) / 2

    flat = np.ravel(anchor)
    means = fake.mean(0).flatten().numpy()
    wanted = (fake.square().sum((1, 2)).mean().item() + means @ flat + flat @ flat) / 3
    for given in (anchor, flat, tuple(flat), torch.tensor(anchor)):
        penalty = named_penalty("anchor", gamma=2.0, anchor=given)
        assert penalty(squared, real, fake).item() == pytest.approx(wanted, rel=0.05)
        assert penalty == named_penalty("anchor", gamma=2.0, anchor=flat.tolist())
        assert hash(penalty)
    torch.manual_seed(1)
    first = named_penalty("anchor", anchor=0.5)(squared, real, fake)
    torch.manual_seed(1)
    assert named_penalty("anchor", anchor=[0.5] * 6)(squared, real, fake) == first
    with pytest.raises(DataError, match=r"the anchor has 5 numbers and a sample 6 \(\(2, 3\)\)"):
        named_penalty("anchor", anchor=[1.0] * 5)(squared, real, fake)
    for bad in ("middle", [], [1.0, float("nan")], None, [[1.0], [2.0, 3.0]]):
        with pytest.raises(ConfigError, match="give a finite number, or as many"):
            named_penalty("anchor", anchor=bad)


def test_both_names_of_the_factor_and_the_number_of_points() -> None:
    real = torch.randn(8, 2, 5)

    def module(x: Tensor) -> Tensor:
        return x.square().sum((1, 2))

    by_gamma = named_penalty("r1", gamma=20.0)(module, real, real)
    torch.testing.assert_close(by_gamma, named_penalty("r1", reg_param=10.0)(module, real, real))
    torch.testing.assert_close(by_gamma, 10 * 4 * real.square().sum((1, 2)).mean())
    shared = named_penalty("r1", gamma=20.0, norm="mean")(module, real, real)
    torch.testing.assert_close(10 * shared, by_gamma)
    one_sided = named_penalty("r1", gamma=20.0, norm="field", centre=1e-9)(module, real, real)
    torch.testing.assert_close(one_sided, 10 * by_gamma)
    torch.testing.assert_close(named_penalty("r1")(module, real, real), by_gamma / 2)
    with pytest.raises(ConfigError, match="two names of one factor"):
        GradientPenalty(gamma=1.0, reg_param=1.0)


def test_the_norm_of_a_field_does_not_depend_on_the_number_of_points() -> None:
    torch.manual_seed(0)
    for pooled, norm in ((Tensor.mean, "field"), (Tensor.sum, "mean")):
        costs = []
        penalty = named_penalty("r1", norm=norm)
        for x in (torch.rand(500, 100), torch.rand(500, 400)):
            costs.append(penalty(lambda o, p=pooled: p(o**2, 1), x, x).item())
        assert costs[0] == pytest.approx(costs[1], rel=0.02)


def test_bad_penalties_are_refused() -> None:
    for options in ({"gamma": -1.0}, {"reg_param": -0.5}, {"gamma": float("nan")}):
        with pytest.raises(ConfigError, match="0 or more"):
            GradientPenalty(**options)
    weight = torch.ones(2, requires_grad=True)
    real = torch.randn(3, 2)
    for module in (
        lambda x: x.detach() @ weight,
        lambda x: x.detach().sum(1),
        lambda x: weight.sum().expand(len(x)),
    ):
        with pytest.raises(DataError, match="no gradient by its input"):
            named_penalty("r1")(module, real, real)
    with pytest.raises(DataError, match=r"mixes real and fake samples, which are \(3, 2\)"):
        named_penalty("wgan_gp")(quadratic, real, real[:2])
    with pytest.raises(ConfigError, match="unknown norm 'felid'; did you mean 'field'"):
        named_penalty("r1", norm="felid")
    with pytest.raises(ConfigError, match="measure=both"):
        GradientPenalty("real", weighting="sigmoid")


def test_a_flat_discriminator_gives_no_nan() -> None:
    weight = torch.zeros(2, requires_grad=True)
    for name in NAMED:
        torch.manual_seed(0)
        cost = named_penalty(name)(lambda x: x @ weight, torch.randn(3, 2), torch.randn(3, 2))
        (gradient,) = torch.autograd.grad(cost, weight)
        assert torch.isfinite(gradient).all(), name


def test_instance_noise_falls_to_nothing() -> None:
    noise = InstanceNoise(0.5, steps=10)
    assert [noise.deviation(k) for k in (0, 5, 10, 99)] == [0.5, 0.25, 0, 0]
    cosine = InstanceNoise(0.5, steps=10, schedule="cosine")
    assert cosine.deviation(1) > noise.deviation(1) and cosine.deviation(9) < noise.deviation(9)
    assert InstanceNoise(0.5).deviation(10**6) == 0.5
    torch.manual_seed(0)
    assert noise(torch.zeros(10_000), 5).std().item() == pytest.approx(0.25, rel=0.05)
    samples = torch.randn(3)
    assert noise(samples, 10) is samples
    with pytest.raises(ConfigError, match=r"noise\.sigma"):
        InstanceNoise(-1.0)


def test_spectral_normalisation_bounds_every_layer() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 9), nn.LeakyReLU(), nn.Linear(9, 1))
    for layer in (network[0], network[2]):
        nn.init.normal_(layer.weight, std=3)  # type: ignore[arg-type]
    spectrally_normalised(network)
    for _ in range(30):
        network(torch.zeros(1, 4))
    for layer in (network[0], network[2]):
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, rel=1e-3)


# -- the trainer ----------------------------------------------------------------------------------


def test_batch_normalisation_in_the_discriminator_is_refused_by_name() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.BatchNorm1d(3)), nn.Linear(3, 1))
    with pytest.raises(ConfigError, match=r"layer 1\.0 is a BatchNorm1d"):
        require_no_batch_norm(network)
    require_no_batch_norm(nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    with pytest.raises(ConfigError, match="BatchNorm1d"):
        AdversarialTrainer(ModulePair(nn.Linear(1, 2), network), optimizer)


def test_integrators_need_plain_descent() -> None:
    networks = ModulePair(Point([1.0]), Linear([1.0]))
    for make in (
        lambda p: torch.optim.RMSprop(p, lr=0.1),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    ):
        optimizer = make([*networks.generator.parameters(), *networks.discriminator.parameters()])
        for update in (*INTEGRATORS, "optimistic"):
            with pytest.raises(ConfigError, match="use SGD without momentum"):
                AdversarialTrainer(networks, optimizer, options=AdversarialOptions(update=update))
        AdversarialTrainer(networks, optimizer, options=AdversarialOptions(update="simultaneous"))
    with pytest.raises(ConfigError, match="further steps of one network"):
        AdversarialOptions(update="heun", discriminator_steps=2)


class Recorded(ModulePair):
    """Remembers the codes that samples are made of."""

    def fake(self, batch: Tensor, latent: Tensor) -> Tensor:
        codes.append(latent)
        return super().fake(batch, latent)


codes: list[Tensor] = []


@pytest.mark.parametrize("same", [True, False])
def test_both_players_may_see_the_same_codes(same: bool) -> None:
    codes.clear()
    torch.manual_seed(0)
    networks = Recorded(nn.Linear(1, 2), nn.Linear(2, 1))
    parameters = [*networks.generator.parameters(), *networks.discriminator.parameters()]
    optimizer = torch.optim.RMSprop(parameters, lr=1e-4)
    options = AdversarialOptions(same_latent=same, discriminator_steps=2)
    AdversarialTrainer(networks, optimizer, options=options).step(torch.randn(4, 2))
    assert len(codes) == 3
    assert torch.equal(codes[0], codes[1]) is same
    assert not torch.equal(codes[1], codes[2])


def test_one_optimiser_for_both_is_two() -> None:
    def course(shared: bool) -> list[Tensor]:
        torch.manual_seed(0)
        networks = ModulePair(nn.Linear(3, 2), nn.Linear(2, 1), z_dim=3)
        sets = [list(m.parameters()) for m in (networks.generator, networks.discriminator)]
        if shared:
            sets = [[*sets[0], *sets[1]]]
        trainer = AdversarialTrainer(
            networks,
            *(torch.optim.Adam(p, lr=0.01) for p in sets),
            options=AdversarialOptions(penalty=GradientPenalty()),
        )
        for k in range(4):
            trainer.step(torch.randn(5, 2), k)
        return [*trainer.parameters_g, *trainer.parameters_d]

    for a, b in zip(course(True), course(False), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("part", ["real", "generator", "discriminator"])
def test_a_loss_that_is_nan_is_named_and_changes_nothing(part: str) -> None:
    torch.manual_seed(0)
    networks = ModulePair(nn.Linear(3, 2), nn.Linear(2, 1), z_dim=3)
    optimizers = [
        torch.optim.SGD(m.parameters(), lr=0.1)
        for m in (networks.generator, networks.discriminator)
    ]
    batch = torch.randn(4, 2)
    if part == "real":
        batch[0] = float("nan")
    else:
        getattr(networks, part).bias.data.fill_(float("nan"))
    before = [p.detach().clone() for p in networks.discriminator.parameters()]
    named = "loss_d = nan.*" if part == "real" else "loss_g = nan.*"
    with pytest.raises(TrainingError, match=named + "iteration 17; lower the learning rate"):
        AdversarialTrainer(networks, *optimizers).step(batch, 17)
    for old, new in zip(before, networks.discriminator.parameters(), strict=True):
        assert torch.equal(old.nan_to_num(9), new.nan_to_num(9))


def test_clipping_bounds_each_player() -> None:
    torch.manual_seed(0)
    networks = ModulePair(nn.Linear(3, 2), nn.Linear(2, 1), z_dim=3)
    optimizers = [
        torch.optim.SGD(m.parameters(), lr=1.0)
        for m in (networks.generator, networks.discriminator)
    ]
    before = [
        p.detach().clone()
        for m in (networks.generator, networks.discriminator)
        for p in m.parameters()
    ]
    trainer = AdversarialTrainer(
        networks, *optimizers, options=AdversarialOptions(clip=1e-3, loss="wasserstein")
    )
    report = trainer.step(100 * torch.randn(6, 2))
    moves = [
        (a - b).detach().flatten()
        for a, b in zip(before, [*trainer.parameters_g, *trainer.parameters_d], strict=True)
    ]
    for part, name in ((moves[:2], "gradient_g"), (moves[2:], "gradient_d")):
        assert torch.cat(part).norm().item() == pytest.approx(1e-3, rel=1e-2)
        assert report[name] > 1e-2


def test_the_weight_and_the_supplement_make_the_generators_loss() -> None:
    class Supplemented(ModulePair):
        def auxiliary_loss(self, batch: Tensor) -> dict[str, Tensor]:
            cost = self.generator.bias.square().sum()
            return {"loss": cost, "size": cost.detach()}

    torch.manual_seed(0)
    networks = Supplemented(nn.Linear(3, 2), nn.Linear(2, 1), z_dim=3)
    parameters = [*networks.generator.parameters(), *networks.discriminator.parameters()]
    trainer = AdversarialTrainer(
        networks, torch.optim.SGD(parameters, lr=0.1), options=AdversarialOptions(weight=0.25)
    )
    report = trainer.step(torch.randn(4, 2))
    expected = 0.25 * report["loss_g"] + report["size"]
    torch.testing.assert_close(report["loss"], expected)
