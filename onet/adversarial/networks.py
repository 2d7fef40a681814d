"""What adversarial training needs of the two networks, whatever they generate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

Batch = Any
"""Whatever the networks read real samples from."""


class AdversarialNetworks(Protocol):
    """A generator and a discriminator. Samples are tensors (B, ...), logits (B,), above 0 for real.

    What a sample depends on beside its numbers (the query points of occupancies, say) is in the
    batch, the same for real and fake.
    """

    def generator_parameters(self) -> Iterable[nn.Parameter]:
        """What is trained to generate, the encoder of an autoencoder included."""

    def discriminator_module(self) -> nn.Module:
        """What is trained to tell real from fake."""

    def latent(self, batch: Batch) -> Tensor:
        """Latent codes (B, Z) from the prior, drawn from torch's generator."""

    def real(self, batch: Batch) -> Tensor:
        """Real samples."""

    def fake(self, batch: Batch, latent: Tensor) -> Tensor:
        """Generated samples, shaped like the real ones."""

    def discriminate(self, batch: Batch, samples: Tensor) -> Tensor:
        """Logits of samples."""

    def auxiliary_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return a further loss of the generator under `loss`, with numbers to log, or nothing."""


@dataclass
class ModulePair:
    """Any two modules: the batch is the real samples themselves.

    Attributes:
        generator: latent codes (B, Z) -> samples (B, ...).
        discriminator: samples (B, ...) -> logits, (B,) or (B, 1).
        prior: number of codes -> codes; by default (B, `z_dim`) from N(0, 1).
        z_dim: size of a code.
    """

    generator: nn.Module
    discriminator: nn.Module
    z_dim: int = 1
    prior: Callable[[int], Tensor] | None = None

    def generator_parameters(self) -> Iterable[nn.Parameter]:
        return self.generator.parameters()

    def discriminator_module(self) -> nn.Module:
        return self.discriminator

    def latent(self, batch: Tensor) -> Tensor:
        if self.prior is not None:
            return self.prior(len(batch))
        return torch.randn(len(batch), self.z_dim, dtype=batch.dtype, device=batch.device)

    def real(self, batch: Tensor) -> Tensor:
        return batch

    def fake(self, batch: Tensor, latent: Tensor) -> Tensor:
        samples: Tensor = self.generator(latent)
        return samples

    def discriminate(self, batch: Tensor, samples: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(samples)
        return logits.reshape(len(samples))

    def auxiliary_loss(self, batch: Tensor) -> dict[str, Tensor]:
        return {}
