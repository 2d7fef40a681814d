"""What models have in common that are trained against a discriminator of theirs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.adversarial.networks import AdversarialNetworks
from onet.errors import ConfigError

CODES_SEED = 0  # of the codes that validation samples


class Adversarial(nn.Module):
    """The part of `onet.adversarial.networks.AdversarialNetworks` that is the same for all models.

    It comes before the network's own class; what else generates belongs to the model.

    Attributes:
        discriminator: judges samples; a part of the model.
        aligned: the same number of two samples is the same thing, as a pixel is, and not the
            occupancy of another point.
    """

    discriminator: Any  # a module, with what the model asks of its kind
    generative = True
    aligned = False

    def generator_parameters(self) -> Iterable[nn.Parameter]:
        discriminating = {id(p) for p in self.discriminator.parameters()}
        return [p for p in self.parameters() if id(p) not in discriminating]

    def discriminator_module(self) -> nn.Module:
        module: nn.Module = self.discriminator
        return module

    def loss(self: AdversarialNetworks, batch: Any) -> dict[str, Tensor]:
        """Return the generator's non-saturating loss, and auxiliary ones."""
        losses = self.auxiliary_loss(batch)
        logits = self.discriminate(batch, self.fake(batch, self.latent(batch)))
        adversarial = F.softplus(-logits).mean()
        total = adversarial + losses["loss"] if losses else adversarial
        return {**losses, "loss": total, "loss_g": adversarial.detach()}


def codes_generator() -> torch.Generator:
    """Return what draws the codes of validation, the same for every item and every time."""
    return torch.Generator().manual_seed(CODES_SEED)


def check_validation_samples(count: int) -> None:
    """Refuse fewer samples than two, between which there is no distance.

    Raises:
        ConfigError: fewer than 2.
    """
    if count < 2:
        raise ConfigError(f"model.validation_samples: {count}; give at least 2")
