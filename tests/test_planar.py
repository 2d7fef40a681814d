"""Distributions in the plane, modes that samples fall on, and networks trained side by side."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks._planar import PLANAR, ring, ring_centres
from benchmarks._replicas import Replicas
from onet.adversarial.collapse import mode_shares
from onet.adversarial.networks import ModulePair
from onet.adversarial.penalties import named_penalty
from onet.adversarial.trainer import AdversarialOptions, AdversarialTrainer
from onet.errors import ConfigError


def gap_to_support(name: str, points: np.ndarray) -> np.ndarray:
    """Distance of points (N, 2) from where the distribution has its mass."""
    x, y = np.abs(points).T
    match name:
        case "line":
            return np.abs(points @ (1, -2)) / 5**0.5 + np.maximum(x - 1, 0)
        case "circle":
            return np.abs(np.hypot(x, y) - 1)
        case "four lines":
            return np.abs(np.maximum(x, y) - 1) + np.maximum(np.minimum(x, y) - 0.5, 0)
        case "four squares":
            return np.maximum(np.abs(x - 0.75), np.abs(y - 0.75)).clip(0.25) - 0.25
        case "eight":
            return np.abs(np.hypot(x, y - 0.5) - 0.5)
    return np.zeros(len(points))


@pytest.mark.parametrize("name", PLANAR)
def test_points_lie_where_they_should_and_everywhere_there(name: str) -> None:
    points = PLANAR[name](4000, np.random.default_rng(0))
    assert points.shape == (4000, 2)
    assert gap_to_support(name, points).max() < 1e-12
    # All six are symmetric about the origin; second moments in closed form.
    moments = {
        "gaussian": (0.25, 0.25),
        "line": (1 / 3, 1 / 12),
        "circle": (0.5, 0.5),
        "four lines": (0.5 + 1 / 24, 0.5 + 1 / 24),
        "four squares": (0.5625 + 1 / 48, 0.5625 + 1 / 48),
        "eight": (0.125, 0.375),
    }
    assert np.abs(points.mean(0)).max() < 0.05
    assert (points**2).mean(0) == pytest.approx(moments[name], rel=0.08)


def test_the_ring_has_equal_modes() -> None:
    points = ring(5000, np.random.default_rng(0))
    shares = mode_shares(points, ring_centres(5), radius=0.25)  # 5.6 standard deviations
    assert shares.sum() == pytest.approx(1)
    assert shares == pytest.approx(np.full(5, 0.2), abs=0.03)
    nearest = np.linalg.norm(points[:, None] - ring_centres(5), axis=2).min(1)
    assert (nearest**2).mean() == pytest.approx(2 * 0.002, rel=0.1)


def test_samples_between_the_modes_are_in_none() -> None:
    samples = np.array([[0.0], [0.4], [0.6], [4.0], [9.0]])
    assert mode_shares(samples, [[0.0], [4.0]], 0.5).tolist() == [0.4, 0.2]


def network(sizes: tuple[int, ...], seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    first, hidden, last = sizes
    return nn.Sequential(
        nn.Linear(first, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(),
        nn.Linear(hidden, last),
    ).double()  # fmt: skip


OPTIMISERS = {
    "sgd": (torch.optim.SGD, {"momentum": 0.9}),
    "rmsprop": (torch.optim.RMSprop, {"eps": 1e-3}),  # large enough to matter
    "adam": (torch.optim.Adam, {"eps": 1e-3}),
}


def trained(seeds: list[int], name: str, loss: str) -> list[Tensor]:
    """What the generators of the seeds make after some steps side by side: (20, 2) each."""
    count = len(seeds)
    generator = Replicas([network((3, 6, 2), seed) for seed in seeds])
    discriminator = Replicas([network((2, 7, 1), 10 + seed) for seed in seeds])
    codes, real = (
        torch.cat([torch.randn(20, n, generator=g).double() for g in generators])
        for n, generators in (
            (n, [torch.Generator().manual_seed(start + seed) for seed in seeds])
            for n, start in ((3, 20), (2, 40))
        )
    )
    kind, options = OPTIMISERS[name]
    options, rate = dict(options), 0.01
    if "eps" in options:
        options["eps"] /= count
    else:
        rate *= count
    trainer = AdversarialTrainer(
        ModulePair(generator, discriminator, prior=lambda _: codes),
        kind(generator.parameters(), lr=rate, **options),
        kind(discriminator.parameters(), lr=rate, **options),
        AdversarialOptions(loss=loss, penalty=named_penalty("r1", gamma=1.0)),
    )
    for step in range(10):
        trainer.step(real, step)
    with torch.no_grad():
        return list(generator(codes).split(20))


@pytest.mark.parametrize("loss", ["non_saturating", "relativistic"])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_networks_side_by_side_learn_what_each_learns_alone(name: str, loss: str) -> None:
    together = trained([0, 1, 2], name, loss)
    alone = [trained([seed], name, loss)[0] for seed in (0, 1, 2)]
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)
    assert (together[0] - together[1]).abs().max() > 0.01


def test_replicas_compute_what_the_networks_do() -> None:
    networks = [network((3, 6, 2), seed) for seed in range(4)]
    x = torch.randn(4, 5, 3, dtype=torch.float64)
    expected = torch.cat([net(part) for net, part in zip(networks, x, strict=True)])
    torch.testing.assert_close(Replicas(networks)(x.flatten(0, 1)), expected)


def test_networks_that_cannot_be_stacked_are_refused() -> None:
    with pytest.raises(ConfigError, match="same layers"):
        Replicas([network((3, 6, 2), 0), network((3, 5, 2), 0)])
    with pytest.raises(ConfigError, match="LayerNorm"):
        Replicas([nn.Sequential(nn.LayerNorm(2))])
