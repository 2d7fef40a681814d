"""Whether a discriminator of the form psi . f(x) can tell every generator from the data.

Where E_real[grad_psi D] differs from E_fake[grad_psi D] for every other distribution, each Nash
equilibrium makes the data ([M] Lemma 1.15). For D = psi . f that is a question about moments: do
the means of f determine the distribution?
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onet.errors import ConfigError
from onet.gan_theory.games.feature_game import FeatureGame
from onet.gan_theory.games.game import Vector, complex_step
from onet.gan_theory.games.measures import Weighted

SAME = 1e-6  # differences of moments that count as none
APART = 0.05  # energy distance of distributions from which they differ, for a reach of 1
RANK = 1e-9  # singular values below this part of the largest are 0


@dataclass(frozen=True)
class Identifiability:
    """What the moments E[f] tell.

    Attributes:
        smallest, largest: singular values of their derivative by theta at the equilibrium.
        locally: no direction of theta leaves them all as they are to first order. Where it is
            False, none need be lost: a feature may only bend.
        confused: parameters (k, n) with the moments of the data and another distribution, found
            from random starts; each is a Nash equilibrium that does not make the data.
    """

    smallest: float
    largest: float
    locally: bool
    confused: NDArray[np.float64]


def identifiability(
    game: FeatureGame, starts: int = 50, reach: float = 2.0, seed: int = 0
) -> Identifiability:
    """Of a game's features, in a box around its equilibrium.

    Args:
        game: its features, data and generator.
        starts: of the search for other generators with the same moments.
        reach: half the edge of the box, where starts are drawn.
        seed: of the starts.

    Raises:
        ConfigError: no starts, or an empty box.
    """
    from scipy.optimize import least_squares

    if starts < 1 or not reach > 0:
        raise ConfigError(f"starts = {starts}, reach = {reach:g}: both must be above 0")
    theta = game.equilibrium[: game.generator]
    goal = _moments(game, game.real())

    def apart(other: Vector) -> Vector:
        return _moments(game, game.fake(other)) - goal

    values = np.linalg.svd(complex_step(apart, theta), compute_uv=False)
    smallest = float(values[-1]) if len(values) == len(theta) else 0.0
    rng = np.random.default_rng(seed)
    found: list[Vector] = []
    for start in theta + rng.uniform(-reach, reach, (starts, len(theta))):
        end = least_squares(apart, start, xtol=1e-14, ftol=1e-14, gtol=1e-14).x
        same = np.abs(apart(end)).max() < SAME
        other = _energy_distance(game.fake(end), game.real()) > APART * reach**0.5
        known = any(np.abs(end - one).max() < APART * reach for one in found)
        if same and other and not known:
            found.append(end)
    confused = np.array(found).reshape(-1, len(theta))
    locally = smallest > RANK * float(values[0])
    return Identifiability(smallest, float(values[0]), locally, confused)


def _moments(game: FeatureGame, where: Weighted) -> Vector:
    moments: Vector = where[1] @ game.features(where[0])
    return moments


def _energy_distance(first: Weighted, second: Weighted) -> float:
    """Energy distance of weighted points, 0 for equal distributions alone."""

    def mean(a: Weighted, b: Weighted) -> float:
        lengths = np.linalg.norm(a[0][:, None] - b[0][None], axis=2)
        return float(a[1] @ lengths @ b[1])

    squared = 2 * mean(first, second) - mean(first, first) - mean(second, second)
    return float(np.sqrt(max(0.0, squared)))
