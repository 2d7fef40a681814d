"""Where the discriminator's loss rests when a part of the data is not generated.

The data are `n` atoms of equal mass, and unequal modes are made of several (2 : 1 of three). With k
of them generated in their right proportions, or with the generated points spread over them as a
partition of n says, the best discriminator's loss is a sum over atoms of one function of the ratio
of generated to real mass ([S]; `onet.gan_theory.landscape`). Paired losses count the mass that
cannot be told apart. So the levels follow from the loss, and no list is kept of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log, sqrt

from onet.adversarial.losses import AdversarialLoss, find_loss
from onet.adversarial.separable import SEPARABLE, known_loss, partitions
from onet.errors import ConfigError

ATOMS = 6  # of the data, where k of n are generated in proportion: modes of up to 5 : 1
LOPSIDED = 5  # of the data, where generated points may be spread over them in any way

# sup_t phi2(t) + m phi1(-t) of the f-GAN losses, as `SEPARABLE` has it of the others.
DIVERGENCES: dict[str, Callable[[float], float]] = {
    "kl": lambda m: m * log(m) if m > 0 else 0.0,
    "pearson": lambda m: (m - 1) ** 2,
    "hellinger": lambda m: (1 - sqrt(m)) ** 2,
}
# What makes the discriminator's loss of the sum over atoms: of `SEPARABLE`, whose least squares
# have the targets 1 and 0 where training has 1 and -1.
FAMILIES: dict[str, tuple[Callable[[float], float], float]] = {
    "minimax": (SEPARABLE["js"], 1.0),
    "non_saturating": (SEPARABLE["js"], 1.0),
    "least_squares": (SEPARABLE["least_squares"], 4.0),
    "hinge": (SEPARABLE["hinge"], 1.0),
} | {name: (xi, 1.0) for name, xi in DIVERGENCES.items()}
WITHOUT = {
    "wasserstein": "the best loss is a distance, which has no bound",
    "reverse_kl": "a mode that is not generated makes the best loss fall without bound",
}


@dataclass(frozen=True)
class RestingLevel:
    """A value of the discriminator's loss, and what is generated there.

    Attributes:
        level: of the loss.
        state: in words.
        accuracy: on real and generated samples there, at most; a generator that makes everything,
            though not well, has more at the same loss. None for paired losses.
    """

    level: float
    state: str
    accuracy: float | None


def discriminator_loss(
    real: Sequence[float], fake: Sequence[float], loss: str | AdversarialLoss = "non_saturating"
) -> float:
    """Loss of the best discriminator for shares of data and of generated points on some modes.

    Generated points that lie on no mode are left out of `fake`; under `kl` and `pearson` they make
    the loss fall without bound, and under `hellinger` by their share.

    Args:
        real, fake: shares of each mode; those of the data above 0.
        loss: a key of `FAMILIES`.

    Raises:
        ConfigError: another loss, or a share of the data that is not above 0.
    """
    xi, factor = FAMILIES[known_loss(find_loss(loss).name, FAMILIES)]
    if not all(share > 0 for share in real):
        raise ConfigError(f"real: {list(real)}; each share of the data has to be above 0")
    return -factor * sum(a * xi(k / a) for a, k in zip(real, fake, strict=True))


@lru_cache(maxsize=32)
def resting_levels(loss: str | AdversarialLoss) -> tuple[RestingLevel, ...]:
    """Return the levels below the equilibrium, highest first; none for losses of `WITHOUT`, and for
    separable ones of one's own.
    """
    loss = find_loss(loss)
    goal = loss.equilibrium
    found: dict[float, RestingLevel] = {}
    for one in _levels(loss, goal):
        found.setdefault(round(one.level, 9), one)
    return tuple(found[level] for level in sorted(found, reverse=True) if level < goal)


def _levels(loss: AdversarialLoss, goal: float) -> Iterator[RestingLevel]:
    for n in range(2, ATOMS + 1):
        for k in range(1, n):
            state = f"{k}/{n} of the data is generated ({k} of {n} equal modes"
            state += f", or the larger of {k} : {n - k})" if 2 * k > n else ")"
            if loss.paired:
                yield RestingLevel(goal * k / n, state, None)
            elif loss.name in FAMILIES:
                yield _resting([1 / k] * k + [0.0] * (n - k), loss, state)
    if loss.name in FAMILIES:
        for n in range(3, LOPSIDED + 1):
            for parts in partitions(n):
                if len(parts) < n and len(set(parts)) > 1:
                    shares = [*parts, *[0] * (n - len(parts))]
                    state = f"{n} equal modes are generated as {' : '.join(map(str, shares))}"
                    yield _resting([s / n for s in shares], loss, state)


def _resting(fake: Sequence[float], loss: AdversarialLoss, state: str) -> RestingLevel:
    """Of shares of the generated points on equal atoms."""
    real = [1 / len(fake)] * len(fake)
    accuracy = sum(max(pair) for pair in zip(real, fake, strict=True)) / 2
    return RestingLevel(discriminator_loss(real, fake, loss), state, accuracy)
