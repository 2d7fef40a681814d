"""Augmentations in adversarial training are those that the theory ranks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torch import nn

from onet.adversarial.augmentation import _CHANGES, Augmentation
from onet.adversarial.networks import ModulePair
from onet.adversarial.trainer import AdversarialOptions, AdversarialTrainer
from onet.config import AdversarialSettings
from onet.errors import ConfigError
from onet.gan_theory.augmentations import AUGMENTATIONS
from onet.training.adversarial_update import options_of


def two_modes(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 2)) * [0.3, 1.0] + rng.choice([-2.0, 3.0], (count, 1)) * [1, 0.5]


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("strength", [0.3, 0.9])
def test_they_are_those_that_poincare_ranks(name: str, strength: float) -> None:
    """Distributions along several directions agree (Kolmogorov and Smirnov)."""
    points = two_modes(20_000)
    expected = AUGMENTATIONS[name](points, strength, np.random.default_rng(1))
    torch.manual_seed(2)
    samples = torch.from_numpy(points)
    found = Augmentation(name, strength)(samples, samples).numpy()
    for direction in ([1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.8, -0.6]):
        one, other = ((x @ direction).round(6) for x in (expected, found))  # ties are ties
        assert ks_2samp(one, other).statistic < 0.025, direction
    assert sorted(_CHANGES) == sorted(AUGMENTATIONS)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_gradients_reach_the_generator_but_not_the_real_samples(name: str) -> None:
    torch.manual_seed(0)
    fake = torch.randn(6, 3, 4, requires_grad=True)
    real = torch.randn(6, 3, 4, requires_grad=True)
    Augmentation(name, 0.4)(fake, real).square().sum().backward()
    assert fake.grad is not None and fake.grad.abs().sum() > 0 and real.grad is None
    same = Augmentation(name, 0.0)(fake, real)
    assert torch.allclose(same, fake)


def test_the_discriminator_sees_augmented_samples_of_both_kinds() -> None:
    seen: list[torch.Tensor] = []

    class Seeing(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x.detach())
            return super().forward(x)

    torch.manual_seed(0)
    generator = nn.Linear(1, 2)
    pair = ModulePair(generator, Seeing(2, 1))
    optimizer = torch.optim.SGD([*generator.parameters(), *pair.discriminator.parameters()], lr=0.0)
    options = AdversarialOptions(augmentation=Augmentation("mirror", 1.0))
    trainer = AdversarialTrainer(pair, optimizer, options=options)
    real = torch.tensor([[1.0, 2.0], [3.0, 5.0], [4.0, -1.0], [0.0, 0.0]])
    trainer.step(real)
    mean = real.mean(0)
    of_fake, of_real = seen[0], seen[1]
    assert torch.isclose(of_real, real).logical_or(torch.isclose(of_real, 2 * mean - real)).all()
    assert not torch.allclose(of_real, real)
    assert len(seen) == 3 and of_fake.shape == (4, 2)


def test_settings_name_them() -> None:
    section = AdversarialSettings(augmentation={"type": "mixup", "strength": 0.25})
    assert options_of(section).augmentation == Augmentation("mixup", 0.25)
    assert options_of(AdversarialSettings()).augmentation is None
    for given, words in (
        ({"type": "mixxup"}, "did you mean 'mixup'"),
        ({"type": "mixup", "strength": 1.5}, "give 0 to 1"),
        ({"type": "noise", "strengh": 1}, "did you mean 'strength'"),
        ({"strength": 0.5}, "augmentation.type is missing"),
    ):
        with pytest.raises(ConfigError, match=words):
            options_of(AdversarialSettings(augmentation=given))
