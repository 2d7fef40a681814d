"""Eight Gaussians on a circle: a game small enough for its whole spectrum ([M] 2.4.3).

Generator and discriminator have four layers of 16 ReLUs, the latent code 16 numbers from N(0, 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onet.adversarial.networks import ModulePair
from onet.adversarial.penalties import named_penalty
from onet.adversarial.trainer import AdversarialOptions, AdversarialTrainer
from onet.gan_theory.spectrum import GameField

Method = Literal["none", "consensus", "r1"]
METHODS: tuple[Method, ...] = ("none", "consensus", "r1")

MODES, STD = 8, 0.01
WIDTH, LAYERS, Z_DIM = 16, 4, 16
BATCH = 512

_ANGLES = 2 * np.pi * np.arange(MODES) / MODES
CENTRES: NDArray[np.float64] = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


def draw(count: int, generator: torch.Generator) -> Tensor:  # (count, 2)
    """Return real points."""
    chosen = torch.randint(MODES, (count,), generator=generator)
    centres = torch.from_numpy(CENTRES).float()
    return centres[chosen] + STD * torch.randn(count, 2, generator=generator)


def network(inputs: int, outputs: int) -> nn.Sequential:
    """Return one of the two networks, with torch's initial weights."""
    sizes = [inputs, *[WIDTH] * LAYERS]
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, outputs))


@dataclass
class RingGame:
    """Two networks with the way in which they are trained, simultaneously, by RMSprop.

    Attributes:
        method: nothing, consensus optimisation, or R1.
        gamma: of the method.
        trainer: with all of it.
        generator: what everything random is drawn from.
    """

    method: Method
    gamma: float
    trainer: AdversarialTrainer
    generator: torch.Generator

    @classmethod
    def start(cls, method: Method, gamma: float, rate: float = 1e-4, seed: int = 0) -> RingGame:
        """Return the game with the initial networks, the same for each method."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            pair = ModulePair(network(Z_DIM, 2), network(2, 1), Z_DIM)
        generator = torch.Generator().manual_seed(seed)
        pair.prior = lambda count: torch.randn(count, Z_DIM, generator=generator)
        options = AdversarialOptions(
            update="simultaneous",
            consensus=gamma if method == "consensus" else 0.0,
            penalty=named_penalty("r1", gamma=gamma) if method == "r1" else None,
        )
        of_g, of_d = (
            torch.optim.RMSprop(part.parameters(), lr=rate)
            for part in (pair.generator, pair.discriminator)
        )
        return cls(method, gamma, AdversarialTrainer(pair, of_g, of_d, options), generator)

    def train(self, iterations: int, stops: tuple[int, ...]) -> Iterator[int]:
        """Train, and yield at each of some iterations, 0 among them perhaps."""
        for iteration in range(iterations + 1):
            if iteration in stops:
                yield iteration
            if iteration < iterations:
                self.trainer.step(draw(BATCH, self.generator), iteration)

    def samples(self, count: int, seed: int = 0) -> NDArray[np.float64]:  # (count, 2)
        """Return generated points, of the same codes every time."""
        codes = torch.randn(count, Z_DIM, generator=torch.Generator().manual_seed(seed))
        networks = self.trainer.networks
        with torch.no_grad():
            made: NDArray[np.float64] = networks.fake(codes, codes).double().numpy()
        return made

    def field(self, count: int = BATCH, seed: int = 0) -> GameField:
        """Return the field of the losses, R1 among them, on samples that do not change.

        It is that of the present networks in double precision. That of consensus optimisation is
        its `regularised`.
        """
        generator = torch.Generator().manual_seed(seed)
        real = draw(count, generator).double()
        latent = torch.randn(count, Z_DIM, generator=generator).double()
        networks = self.trainer.networks
        assert isinstance(networks, ModulePair)
        made, judge = (
            deepcopy(part).double() for part in (networks.generator, networks.discriminator)
        )
        of_g, of_d = (torch.optim.SGD(part.parameters(), lr=0.0) for part in (made, judge))
        pair = ModulePair(made, judge, Z_DIM)
        trainer = AdversarialTrainer(pair, of_g, of_d, self.trainer.options)
        return GameField.of_trainer(trainer, real, latent)
