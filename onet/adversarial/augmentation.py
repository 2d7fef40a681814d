"""Augmentations of real and generated samples alike, on the way to the discriminator.

They change the distribution that the game is about, so that modes which lie apart may touch; what
`onet stability poincare --augment` ranks are these, of the same names and strengths. The generator
is still judged by what the discriminator sees of its samples, so at an equilibrium the augmented
distributions are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from onet.adversarial.factors import STRENGTH, require_strength
from onet.errors import ConfigError
from onet.registry import nearest

# Samples (B, D), strength of each (B, 1), mean and deviation (D,) of the real ones.
_Change = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def _noise(samples: Tensor, strength: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    return samples + strength * deviation * torch.randn_like(samples)


def _scale(samples: Tensor, strength: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    sign = 2 * torch.randint_like(strength, 2) - 1
    return mean + (1 + sign * strength) * (samples - mean)


def _mixup(samples: Tensor, strength: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    others = samples[torch.randperm(len(samples), device=samples.device)]
    return samples + strength * (others - samples)


def _dropout(samples: Tensor, strength: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    return torch.where(torch.rand_like(samples) < strength, mean.expand_as(samples), samples)


def _mirror(samples: Tensor, strength: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    return torch.where(torch.rand_like(samples) < strength, 2 * mean - samples, samples)


_CHANGES: dict[str, _Change] = {
    "noise": _noise,
    "scale": _scale,
    "mixup": _mixup,
    "dropout": _dropout,
    "mirror": _mirror,
}


@dataclass(frozen=True)
class Augmentation:
    """A random change of every sample, of a strength that is drawn for it up to the given one.

    Attributes:
        type: `noise`, Gaussian, in standard deviations of each number; `scale` about the mean, by 1
            - strength to 1 + strength; `mixup`, moved towards another sample of the batch;
            `dropout` and `mirror`, numbers replaced by their mean or reflected at it, with this
            probability. Means and deviations are those of the batch's real samples.
        strength: largest; at most 1 for the last three.

    Raises:
        ConfigError: an unknown name, or a strength that it cannot have.
    """

    type: str
    strength: float = STRENGTH

    def __post_init__(self) -> None:
        if self.type not in _CHANGES:
            raise ConfigError(
                f"training.adversarial.augmentation.type: {self.type!r}; "
                f"{nearest(self.type, [*_CHANGES])}"
            )
        require_strength(self.type, self.strength, "training.adversarial.augmentation.strength")

    def __call__(self, samples: Tensor, real: Tensor) -> Tensor:
        """Return samples (B, ...) that are changed, by torch's generator.

        Args:
            samples: real or generated ones.
            real: the batch's real ones, for means and deviations; no gradient flows into them.
        """
        known = real.detach().flatten(1)
        mean, deviation = known.mean(0), known.std(0, correction=0)
        rows = samples.flatten(1)
        strength = self.strength * torch.rand(len(rows), 1, dtype=rows.dtype, device=rows.device)
        return _CHANGES[self.type](rows, strength, mean, deviation).view_as(samples)
