"""The Poincare constant by a network that looks for it ([K] (30)-(32)).

A network w is trained to have the smallest quotient E|grad w|^2 / Var w on batches of the samples.
Where Ritz's method (`onet.gan_theory.poincare`) takes the best function of a given span, this
takes what gradient descent finds among many more: functions with steps between far modes, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from onet.adversarial.penalties import spectrally_normalised
from onet.errors import ConfigError
from onet.gan_theory.poincare import Points, require_samples

STEPS = 400
HELD_OUT = 0.2  # of the samples: the quotient is measured on them
CHUNK = 4096  # points at once


@dataclass(frozen=True, eq=False)
class NetworkEstimate:
    """The quotient of a trained network.

    Attributes:
        xi_min: on samples that it was not trained on, in units of 1 / length^2: but for their
            number an upper bound.
        trained: the mean quotient of the last tenth of the batches. Far below `xi_min` it has
            learned the samples by heart.
        network: points (N, d) -> values (N, 1), float32.
    """

    xi_min: float
    trained: float
    network: nn.Module


def poincare_network(
    points: Points,
    *,
    hidden: Sequence[int] = (64, 64),
    steps: int = STEPS,
    rate: float = 1e-2,
    batch: int = 256,
    spectral_norm: bool = False,
    seed: int = 0,
) -> NetworkEstimate:
    """Train a network towards the smallest quotient.

    Args:
        points: samples (N, d), of which a fifth is held out.
        hidden: widths of its layers, with tanh between them.
        steps: of Adam, whose rate falls to 0 on half a cosine.
        rate: at which it starts.
        batch: samples of a step.
        spectral_norm: divide weights by their largest singular values, as [K] does. The quotient
            does not depend on the size of w, but a bounded slope cannot step between far modes.
        seed: of weights, batches and what is held out.

    Raises:
        DataError: points that are not finite, or not (N, d) with N > 1.
        ConfigError: no steps, or batches or a held-out part of fewer than 2 samples.
    """
    samples = torch.from_numpy(require_samples(points)).float()
    if steps < 1 or batch < 2 or len(samples) * HELD_OUT < 2:
        raise ConfigError(
            f"steps = {steps}, batch = {batch}, {len(samples)} samples: a variance needs 2 samples "
            f"of each batch and of the {HELD_OUT:.0%} held out"
        )
    generator = torch.Generator().manual_seed(seed)
    shuffled = samples[torch.randperm(len(samples), generator=generator)]
    count = int(len(samples) * HELD_OUT)
    held_out, training = shuffled[:count], shuffled[count:]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(training, hidden, spectral_norm)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    quotients = []
    for _ in range(steps):
        chosen = torch.randint(len(training), (batch,), generator=generator)
        energy, square, mean = _moments(network, training[chosen], create_graph=True)
        quotient = energy / (square - mean**2).clamp(min=torch.finfo(torch.float32).tiny)
        optimizer.zero_grad()
        quotient.backward()
        optimizer.step()
        schedule.step()
        quotients.append(float(quotient.detach()))
    network.eval().requires_grad_(False)
    sums = [
        torch.stack(_moments(network, c)).detach().double() * len(c) for c in held_out.split(CHUNK)
    ]
    energy, square, mean = (torch.stack(sums).sum(0) / count).tolist()
    last = quotients[-max(1, steps // 10) :]
    return NetworkEstimate(energy / (square - mean**2), float(np.mean(last)), network)


class _Standardised(nn.Module):
    """Points in standard deviations from their mean, with one scale for all coordinates."""

    mean: Tensor
    scale: Tensor

    def __init__(self, like: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", like.mean(0))
        self.register_buffer("scale", like.std(0).max().clamp(min=torch.finfo(like.dtype).tiny))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.scale


def _network(like: Tensor, hidden: Sequence[int], spectral_norm: bool) -> nn.Module:
    layers: list[nn.Module] = [_Standardised(like)]
    for before, after in pairwise((like.shape[1], *hidden)):
        layers += [nn.Linear(before, after, dtype=like.dtype), nn.Tanh()]
    network = nn.Sequential(*layers, nn.Linear(hidden[-1], 1, dtype=like.dtype))
    return spectrally_normalised(network) if spectral_norm else network


def _moments(
    network: nn.Module, points: Tensor, create_graph: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Means of |grad w|^2, w^2 and w."""
    x = points.detach().requires_grad_(True)
    values = network(x)
    (gradients,) = torch.autograd.grad(values.sum(), x, create_graph=create_graph)
    return gradients.square().sum(1).mean(), values.square().mean(), values.mean()
