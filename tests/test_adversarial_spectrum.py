"""Jacobians of games between networks against closed formulas, differences and dense matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from dirac_networks import Linear, Point
from torch import Tensor, nn

from onet.adversarial.networks import ModulePair
from onet.adversarial.penalties import GradientPenalty
from onet.adversarial.trainer import AdversarialOptions, AdversarialTrainer
from onet.errors import ConfigError
from onet.gan_theory.blocks import block_values, game_blocks
from onet.gan_theory.games.dirac import DiracGan
from onet.gan_theory.spectrum import GameField, stability_report


def trainer(networks: ModulePair, **options: Any) -> AdversarialTrainer:
    optimizers = [
        torch.optim.SGD(m.parameters(), lr=0.1)
        for m in (networks.generator, networks.discriminator)
    ]
    return AdversarialTrainer(networks, *optimizers, options=AdversarialOptions(**options))


def field_of(networks: ModulePair, batch: Tensor, **options: Any) -> GameField:
    torch.manual_seed(0)
    return GameField.of_trainer(trainer(networks, **options), batch, networks.latent(batch))


X0 = (0.6, 0.3, -0.2)


@pytest.mark.parametrize("loss", ["minimax", "non_saturating", "least_squares", "wasserstein"])
@pytest.mark.parametrize("measure", ["real", "fake"])
def test_jacobian_of_the_dirac_gan_anywhere(loss: str, measure: Any) -> None:
    theta, psi = [0.4, -0.7, 0.2], [0.5, 0.1, -0.3]
    pair = {"minimax": "js", "non_saturating": "js"}.get(loss, loss)
    heuristic = loss in ("non_saturating", "least_squares")
    game = DiracGan(pair, X0, gamma=0.7, non_saturating=heuristic)
    penalty = GradientPenalty(measure, gamma=0.7)
    batch = torch.tensor([X0], dtype=torch.float64)
    field = field_of(ModulePair(Point(theta), Linear(psi)), batch, loss=loss, penalty=penalty)
    state = np.array(theta + psi)
    np.testing.assert_allclose(field.value(), game.field(state), atol=1e-12)
    np.testing.assert_allclose(field.jacobian(), game.jacobian(state), atol=1e-12)


@pytest.mark.parametrize(
    ("gamma", "expected"),
    [(0.0, 0.5j), (0.3, -0.15 + 0.4769696j), (1.0, -0.5), (2.0, -0.1339746)],
)
def test_eigenvalues_at_the_equilibrium(gamma: float, expected: complex) -> None:
    networks = ModulePair(Point([0.0]), Linear([0.0]))
    batch = torch.zeros(1, 1, dtype=torch.float64)
    field = field_of(networks, batch, penalty=GradientPenalty(gamma=gamma))
    values = field.spectrum(2)
    assert np.abs(values - expected).min() < 1e-6
    report = stability_report(values)
    assert report.largest_real == pytest.approx(expected.real, abs=1e-6)
    if gamma == 0:
        assert report.largest_step == 0 and "no step size" in report.advice(0.1)
    if gamma == 0.3:  # R1, simultaneous: stable below gamma / rho1^2
        assert report.largest_step == pytest.approx(1.2, abs=1e-6)
        assert report.radius(0.2) == pytest.approx(np.sqrt(1 - 0.06 + 0.01), abs=1e-9)
        assert report.rotation == pytest.approx(0.4769696 / 0.15, abs=1e-5)
        assert "too long" in report.advice(1.3) and "converges" in report.advice(0.2)


def small_networks() -> tuple[ModulePair, Tensor]:
    torch.manual_seed(3)
    generator = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    discriminator = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 1)).double()
    return ModulePair(generator, discriminator, z_dim=2), torch.randn(7, 2).double()


def test_products_are_differences_of_the_field() -> None:
    networks, batch = small_networks()
    options: dict[str, Any] = {"penalty": GradientPenalty("both", gamma=0.4)}
    field = field_of(networks, batch, **options)
    direction = np.random.default_rng(0).standard_normal(field.size)
    values, step = [], 1e-5
    for sign in (1, -1):
        moved, place = small_networks()[0], 0
        for module in (moved.generator, moved.discriminator):
            for p in module.parameters():
                part = direction[place : place + p.numel()].reshape(p.shape)
                p.data += sign * step * torch.from_numpy(part)
                place += p.numel()
        values.append(field_of(moved, batch, **options).value())
    expected = (values[0] - values[1]) / (2 * step)
    np.testing.assert_allclose(field.product(direction), expected, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["LM", "LR", "LI"])
def test_arnoldi_finds_the_eigenvalues_of_the_dense_matrix(which: Any) -> None:
    networks, batch = small_networks()
    field = field_of(networks, batch, penalty=GradientPenalty(gamma=1.0))
    count = 4 if which == "LI" else 6  # further imaginary parts are small
    found = field.spectrum(count, which)
    values = np.linalg.eigvals(field.jacobian())
    key = {"LM": np.abs, "LR": np.real, "LI": lambda v: np.abs(np.imag(v))}[which]
    assert len(found) == count
    assert np.abs(found[:, None] - values[None]).min(1).max() < 1e-7
    np.testing.assert_allclose(np.sort(key(found)), np.sort(key(values))[-count:], atol=1e-7)
    everything = field.spectrum(field.size, which)
    np.testing.assert_allclose(np.sort_complex(everything), np.sort_complex(values), atol=1e-7)


def test_more_eigenvalues_than_there_are_is_refused() -> None:
    networks, batch = small_networks()
    field = field_of(networks, batch)
    for count in (field.size + 1, 0):
        with pytest.raises(ConfigError, match=f"{count} eigenvalues asked for, and the game has"):
            field.spectrum(count)
    with pytest.raises(ConfigError, match="there are none"):
        stability_report(np.empty(0))


def test_directions_in_which_nothing_happens_are_left_out() -> None:
    report = stability_report(np.array([-0.5 + 1j, -0.5 - 1j, 1e-9, -1e-10]))
    assert report.largest_real == -0.5 and report.rotation == pytest.approx(2)
    assert report.largest_step == pytest.approx(2 * 0.5 / 1.25)
    assert stability_report(np.zeros(3)).largest_step == 0


def test_blocks_make_up_the_jacobian_at_the_equilibrium() -> None:
    networks = ModulePair(Point(list(X0)), Linear([0.0, 0.0, 0.0]))
    batch = torch.tensor([X0] * 2, dtype=torch.float64)
    game = DiracGan("js", X0, gamma=0.7)
    blocks = game_blocks(networks, batch, networks.latent(batch), gamma=0.7)
    np.testing.assert_allclose(blocks.k_dd, 0.5 * np.outer(X0, X0), atol=1e-12)
    np.testing.assert_allclose(blocks.l_dd, 0.7 * np.eye(3), atol=1e-12)
    np.testing.assert_allclose(blocks.jacobian(), game.jacobian(game.equilibrium), atol=1e-12)


class Square(nn.Module):
    """D(x) = psi_1 x^2 + psi_2 x, not linear in x."""

    def __init__(self) -> None:
        super().__init__()
        self.psi = nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.square(), x], 1) @ self.psi


def test_blocks_of_samples_make_up_the_jacobian_where_real_is_fake() -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.theta = nn.Parameter(torch.tensor([1.0, 0.0], dtype=torch.float64))

        def forward(self, z: Tensor) -> Tensor:
            return self.theta[0] * z + self.theta[1]

    networks = ModulePair(Scale(), Square())
    latent = torch.randn(9, 1, generator=torch.Generator().manual_seed(0)).double()
    penalty = GradientPenalty(gamma=0.9)
    field = GameField.of_trainer(trainer(networks, penalty=penalty), latent, latent)
    blocks = game_blocks(networks, latent, latent, gamma=0.9)
    np.testing.assert_allclose(field.jacobian(), blocks.jacobian(), atol=1e-12)
    assert np.linalg.eigvalsh(blocks.k_dd).min() > 0 and np.linalg.eigvalsh(blocks.l_dd).min() > 0


def test_large_matrices_are_not_written_down() -> None:
    networks = ModulePair(nn.Linear(2, 2), nn.Linear(2, 5000))
    with pytest.raises(ConfigError, match=r"too large to write down; use GameField\.spectrum"):
        game_blocks(networks, torch.randn(2, 2), torch.randn(2, 2))


# -- blocks of any size ---------------------------------------------------------------------------


def test_values_of_blocks_are_those_of_the_jacobian() -> None:
    networks, batch = small_networks()
    field = field_of(networks, batch, penalty=GradientPenalty(gamma=1.5))
    free = field_of(networks, batch)
    n, j, without = field.generator, field.jacobian(), free.jacobian()
    y, x = (np.random.default_rng(k).standard_normal(k) for k in (field.size - n, n))
    np.testing.assert_allclose(field.damping_product(y), -j[n:, n:] @ y, atol=1e-12)
    np.testing.assert_allclose(
        field.coupling_gram_product(x), j[n:, :n].T @ j[n:, :n] @ x, atol=1e-12
    )
    for count in (1, 4, min(n, field.size - n)):
        found = block_values(field, free, count)
        for values, block in (
            (found.damping, -j[n:, n:]),
            (found.k_dd, -without[n:, n:]),
            (found.l_dd, without[n:, n:] - j[n:, n:]),
        ):
            exact = np.linalg.eigvalsh(block)
            exact = exact[np.argsort(-np.abs(exact))][:count]
            np.testing.assert_allclose(np.abs(values), np.abs(exact), rtol=1e-5, atol=1e-9)
        singular = np.linalg.svd(j[n:, :n], compute_uv=False)[:count]
        np.testing.assert_allclose(found.k_dg, singular, rtol=1e-5, atol=1e-6)
    assert not block_values(free).l_dd.any()
    with pytest.raises(ConfigError, match="1000 values of each block asked for"):
        block_values(field, free, 1000)
    with pytest.raises(ConfigError, match="other parameters"):
        block_values(field, field_of(ModulePair(Point([0.0]), Linear([0.0])), batch[:, :1]))


def test_blocks_at_the_equilibrium_are_the_published_ones() -> None:
    networks = ModulePair(Point(list(X0)), Linear([0.0, 0.0, 0.0]))
    batch = torch.tensor([X0] * 2, dtype=torch.float64)
    field = field_of(networks, batch, penalty=GradientPenalty(gamma=0.7))
    found = block_values(field, field_of(networks, batch), 3)
    np.testing.assert_allclose(found.k_dd, [0.5 * np.dot(X0, X0), 0, 0], atol=1e-12)
    np.testing.assert_allclose(found.l_dd, 0.7)
    np.testing.assert_allclose(found.k_dg, 0.5)
