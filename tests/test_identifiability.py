"""Whether moments of a discriminator's features determine the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from onet.errors import ConfigError
from onet.gan_theory.games.catalogue import build_game
from onet.gan_theory.games.energy import SquareDirac
from onet.gan_theory.games.feature_game import FeatureGame
from onet.gan_theory.identifiability import identifiability


@dataclass(frozen=True, eq=False)
class TwoPoints(FeatureGame):
    """Data at +-1, points theta_1 and theta_2, and powers of x as features."""

    powers: tuple[int, ...] = (1, 2)

    @property
    def generator(self):
        return 2

    @property
    def equilibrium(self):
        return np.array([-1.0, 1.0, *np.zeros(len(self.powers))])

    def real(self):
        return np.array([[-1.0], [1.0]]), np.full(2, 0.5)

    def fake(self, theta):
        return theta[:, None], np.full(2, 0.5)

    def fake_derivative(self, theta):
        return np.eye(2)[:, None, :]

    def features(self, points):
        return np.concatenate([points**k for k in self.powers], axis=1)

    def feature_gradients(self, points):
        return np.concatenate([k * points ** (k - 1) for k in self.powers], axis=1)[:, :, None]


def test_two_moments_determine_two_points_and_one_does_not() -> None:
    """The points may change places: the distribution is the same."""
    found = identifiability(TwoPoints())
    assert found.locally and len(found.confused) == 0
    # d(mean)/dtheta = 1/2 (1, 1), d(square)/dtheta = (-1, 1)
    assert (found.smallest, found.largest) == pytest.approx((0.5**0.5, 2**0.5))
    mean = identifiability(TwoPoints(powers=(1,)))
    assert not mean.locally and mean.smallest == 0 and len(mean.confused) > 5
    assert np.abs(mean.confused.sum(1)).max() < 1e-5
    square = identifiability(TwoPoints(powers=(2,)))
    assert not square.locally
    np.testing.assert_allclose((square.confused**2).sum(1), 2, atol=1e-5)


def test_the_games_whose_features_are_squares() -> None:
    """Box games have one generator to each moment but for signs, which make the same points."""
    for name in ("ellipse", "four_points"):
        found = identifiability(build_game(name), starts=20)
        assert found.locally and len(found.confused) == 0
    flat = identifiability(SquareDirac())  # x^2 at 0: nothing to first order, and nothing lost
    assert not flat.locally and len(flat.confused) == 0
    with pytest.raises(ConfigError, match="both must be above 0"):
        identifiability(SquareDirac(), starts=0)
