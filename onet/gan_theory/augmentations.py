"""Which augmentation makes a set of samples easier for a GAN: that with the largest xi_min ([K] 6).

Augmentations are of plain samples (N, d): points, features, or latent codes of shapes. Each is
applied to every sample, with a strength drawn for it up to the given one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from onet.adversarial.factors import STRENGTH, require_strength
from onet.errors import ConfigError
from onet.gan_theory.poincare import Points, require_samples
from onet.registry import nearest

# Samples (N, d), strength, generator -> samples (N, d).
Augmentation = Callable[[Points, float, np.random.Generator], NDArray[np.floating]]


def noise(points: Points, strength: float, rng: np.random.Generator) -> NDArray[np.floating]:
    """Gaussian noise of up to `strength` standard deviations of each coordinate."""
    size = rng.uniform(0, strength, (len(points), 1)) * points.std(axis=0)
    return points + size * rng.standard_normal(points.shape)


def scale(points: Points, strength: float, rng: np.random.Generator) -> NDArray[np.floating]:
    """Stretched about the mean by a factor within 1 - `strength` and 1 + `strength`."""
    mean = points.mean(axis=0)
    return mean + rng.uniform(1 - strength, 1 + strength, (len(points), 1)) * (points - mean)


def mixup(points: Points, strength: float, rng: np.random.Generator) -> NDArray[np.floating]:
    """Moved towards another sample, up to `strength` of the way (Zhang et al., mixup, 2018)."""
    others = points[rng.permutation(len(points))]
    return points + rng.uniform(0, strength, (len(points), 1)) * (others - points)


def dropout(points: Points, strength: float, rng: np.random.Generator) -> NDArray[np.floating]:
    """Each coordinate replaced by its mean with a probability of up to `strength`."""
    lost = rng.uniform(size=points.shape) < rng.uniform(0, strength, (len(points), 1))
    return np.where(lost, points.mean(axis=0), points)


def mirror(points: Points, strength: float, rng: np.random.Generator) -> NDArray[np.floating]:
    """Each coordinate reflected at its mean with a probability of up to `strength`."""
    turned = rng.uniform(size=points.shape) < rng.uniform(0, strength, (len(points), 1))
    return np.where(turned, 2 * points.mean(axis=0) - points, points)


AUGMENTATIONS: dict[str, Augmentation] = {
    "noise": noise,
    "scale": scale,
    "mixup": mixup,
    "dropout": dropout,
    "mirror": mirror,
}


@dataclass(frozen=True)
class Ranked:
    """An augmentation and what it makes of the samples.

    Attributes:
        name, strength: of the augmentation; `none` and 0 for the samples themselves.
        xi_min: an estimate.
        gain: xi_min as a multiple of that of the samples themselves.
        connectedness: xi_min times the largest variance in any direction. It has no unit, is 1 for
            a Gaussian and at most 1, and falls to 0 as the samples fall into parts.
    """

    name: str
    strength: float
    xi_min: float
    gain: float
    connectedness: float


def rank_augmentations(
    points: Points,
    augmentations: Mapping[str, float],
    sweeps: int = 5,
    seed: int = 0,
    estimate: Callable[[Points], float] | None = None,
) -> list[Ranked]:
    """Return the samples under each augmentation, largest xi_min first, `none` among them.

    Args:
        points: samples (N, d).
        augmentations: names in `AUGMENTATIONS` with their strengths.
        sweeps: so many augmented versions of each sample, as [K] takes.
        seed: of what is drawn, and of the network.
        estimate: samples -> xi_min; by default that of `poincare_network`. Cosines and polynomials
            see too little of gaps between modes in several dimensions.

    Raises:
        DataError: points that are not finite or not (N, d) with N > 1.
        ConfigError: an unknown name, a strength that it cannot have, no sweeps.
    """
    points = require_samples(points)
    if sweeps < 1:
        raise ConfigError(f"sweeps: {sweeps}; take at least 1")
    for name, strength in augmentations.items():
        if name not in AUGMENTATIONS:
            raise ConfigError(f"unknown augmentation {name!r}: {nearest(name, [*AUGMENTATIONS])}")
        require_strength(name, strength, f"augmentation {name}: strength")

    if estimate is None:
        estimate = partial(_by_network, seed=seed)

    def measured(samples: Points) -> tuple[float, float]:
        xi_min = estimate(samples)
        largest = np.linalg.eigvalsh(np.atleast_2d(np.cov(samples.T)))[-1]
        return xi_min, xi_min * float(largest)

    plain, connectedness = measured(points)
    rows = [Ranked("none", 0.0, plain, 1.0, connectedness)]
    for name, strength in augmentations.items():
        rng = np.random.default_rng(seed)
        copies = [AUGMENTATIONS[name](points, strength, rng) for _ in range(sweeps)]
        xi_min, connectedness = measured(np.concatenate(copies))
        rows.append(Ranked(name, strength, xi_min, xi_min / plain, connectedness))
    return sorted(rows, key=lambda row: -row.xi_min)


def _by_network(samples: Points, seed: int) -> float:
    from onet.gan_theory.poincare_network import poincare_network

    return poincare_network(samples, seed=seed).xi_min


def parse_augmentations(words: list[str]) -> dict[str, float]:
    """`NAME` or `NAME=STRENGTH`; `all` for every one at the usual strength.

    Raises:
        ConfigError: a strength that is no number.
    """
    result: dict[str, float] = {}
    for word in words:
        name, _, strength = word.partition("=")
        try:
            value = float(strength) if strength else STRENGTH
        except ValueError:
            raise ConfigError(f"augmentation {word!r}: {strength!r} is no number") from None
        result |= dict.fromkeys(AUGMENTATIONS if name == "all" else [name], value)
    return result
