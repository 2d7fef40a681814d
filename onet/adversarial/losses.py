"""Losses of the two players, by name, on logits that are above 0 for what looks real.

A separable loss judges real and fake each by itself; a paired one compares every real sample with
one fake sample, which leaves no sub-optimal basins of collapsed generators [S].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from onet.adversarial.activations import PAIRS, ActivationPair
from onet.errors import ConfigError, DataError
from onet.registry import nearest


@dataclass(frozen=True)
class AdversarialLoss:
    """What both players minimise, means over the batch.

    Attributes:
        name: in `LOSSES`, or of the activation pair it was made of.
        of_discriminator: logits (B,) of real and of fake samples -> scalar.
        of_generator: logits (B,) of fake samples, and of real ones if `paired` -> scalar.
        paired: real and fake logits belong together by their place in the batch.
    """

    name: str
    of_discriminator: Callable[[Tensor, Tensor], Tensor]
    of_generator: Callable[[Tensor, Tensor], Tensor]
    paired: bool = False

    def discriminator(
        self,
        real: Tensor,  # (B,)
        fake: Tensor,  # (B,)
    ) -> Tensor:
        """Return the discriminator's loss, a scalar.

        Raises:
            DataError: a paired loss and batches of different sizes.
        """
        self._check(real, fake)
        return self.of_discriminator(real, fake)

    def generator(
        self,
        fake: Tensor,  # (B,)
        real: Tensor | None = None,  # (B,), for paired losses
    ) -> Tensor:
        """Return the generator's loss, a scalar.

        Raises:
            DataError: a paired loss without real logits, or with another number of them.
        """
        if not self.paired:
            return self.of_generator(fake, fake)
        if real is None:
            raise DataError(
                f"the paired loss {self.name!r} compares with real samples: give their logits"
            )
        self._check(real, fake)
        return self.of_generator(fake, real)

    @property
    def equilibrium(self) -> float:
        """The discriminator's loss where it is 0 everywhere, as it is when training has ended."""
        zero = torch.zeros(1, dtype=torch.float64)
        return float(self.of_discriminator(zero, zero))

    def _check(self, real: Tensor, fake: Tensor) -> None:
        if self.paired and real.shape != fake.shape:
            raise DataError(
                f"the paired loss {self.name!r} needs as many real as fake samples, not "
                f"{tuple(real.shape)} and {tuple(fake.shape)}; draw one fake sample for each real "
                "one, or choose a separable loss"
            )


def pair_loss(pair: ActivationPair, non_saturating: bool = False) -> AdversarialLoss:
    """Return the loss of an activation pair: D maximises E[phi1(-D(fake))] + E[phi2(D(real))].

    Args:
        pair: its conditions are checked.
        non_saturating: the generator maximises E[phi2(D(fake))], which pushes hardest where the
            discriminator is sure, instead of minimising what the discriminator maximises.

    Raises:
        ConfigError: a pair that is not valid; it says which condition fails.
    """
    pair.require_valid()

    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        return -(pair.phi2.value(real, torch).mean() + pair.phi1.value(-fake, torch).mean())

    def saturating(fake: Tensor, real: Tensor) -> Tensor:
        value: Tensor = pair.phi1.value(-fake, torch).mean()
        return value

    def heuristic(fake: Tensor, real: Tensor) -> Tensor:
        return -pair.phi2.value(fake, torch).mean()

    return AdversarialLoss(pair.name, discriminator, heuristic if non_saturating else saturating)


def find_loss(loss: str | AdversarialLoss) -> AdversarialLoss:
    """Return a loss by its name.

    Raises:
        ConfigError: an unknown name.
    """
    if isinstance(loss, AdversarialLoss):
        return loss
    if loss not in LOSSES:
        raise ConfigError(f"unknown adversarial loss {loss!r}: {nearest(loss, list(LOSSES))}")
    return LOSSES[loss]


# The cross-entropy is written with softplus and not with `PAIRS["js"]`: torch's one also has the
# right second derivative at 0, where every run begins. Values are those without constants.


def _cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def _squares(real: Tensor, fake: Tensor) -> Tensor:
    return (1 - real).square().mean() + (1 + fake).square().mean()


def _hinge(real: Tensor, fake: Tensor) -> Tensor:
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


LOSSES: dict[str, AdversarialLoss] = {
    loss.name: loss
    for loss in (
        # Goodfellow et al., Generative Adversarial Nets, 2014: both forms of the generator
        AdversarialLoss("minimax", _cross_entropy, lambda fake, _: -F.softplus(fake).mean()),
        AdversarialLoss("non_saturating", _cross_entropy, lambda fake, _: F.softplus(-fake).mean()),
        # Arjovsky et al., Wasserstein GAN, 2017; needs a penalty or spectral normalisation
        AdversarialLoss(
            "wasserstein",
            lambda real, fake: fake.mean() - real.mean(),
            lambda fake, _: -fake.mean(),
        ),
        # Mao et al., Least Squares GAN, 2017, with targets 1 and -1
        AdversarialLoss("least_squares", _squares, lambda fake, _: (1 - fake).square().mean()),
        # Lim and Ye, Geometric GAN, 2017; the generator's loss has no kink
        AdversarialLoss("hinge", _hinge, lambda fake, _: -fake.mean()),
        # Nowozin et al., f-GAN, 2016
        *(pair_loss(PAIRS[name]) for name in ("kl", "reverse_kl", "pearson", "hellinger")),
        # Sun et al. [S]: relativistic pairing
        AdversarialLoss(
            "relativistic",
            lambda real, fake: F.softplus(fake - real).mean(),
            lambda fake, real: F.softplus(real - fake).mean(),
            paired=True,
        ),
        AdversarialLoss(
            "relativistic_hinge",
            lambda real, fake: F.relu(1 + fake - real).mean(),
            lambda fake, real: F.relu(1 + real - fake).mean(),
            paired=True,
        ),
        AdversarialLoss(  # in [S] the only one whose generator minimises the same quantity
            "relativistic_least_squares",
            lambda real, fake: (1 + fake - real).square().mean(),
            lambda fake, real: -(1 + fake - real).square().mean(),
            paired=True,
        ),
    )
}
