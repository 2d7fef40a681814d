"""Games by name, and the rows of the published comparison of methods on the Dirac-GAN."""

from __future__ import annotations

import dataclasses
from typing import Any

from onet.adversarial.activations import WASSERSTEIN, ActivationPair, find_pair
from onet.errors import ConfigError
from onet.gan_theory.games.bilinear import Bilinear
from onet.gan_theory.games.dirac import DiracGan
from onet.gan_theory.games.ellipse import Ellipse
from onet.gan_theory.games.energy import EnergyDirac, SquareDirac
from onet.gan_theory.games.finite_mass import FiniteMassDirac
from onet.gan_theory.games.four_points import FourPoints
from onet.gan_theory.games.function_space import LocalGan
from onet.gan_theory.games.game import Game
from onet.gan_theory.games.linear_quadratic import LinearQuadratic
from onet.gan_theory.games.modified import Consensus, DiscriminatorConsensus, NagarajanKolter
from onet.gan_theory.games.nagarajan_kolter import Interval
from onet.registry import nearest

GAMES: dict[str, type] = {
    "bilinear": Bilinear,
    "dirac": DiracGan,
    "ellipse": Ellipse,
    "energy": EnergyDirac,
    "finite_mass": FiniteMassDirac,
    "four_points": FourPoints,
    "function_space": LocalGan,
    "linear_quadratic": LinearQuadratic,
    "nagarajan_kolter": Interval,
    "square_dirac": SquareDirac,
}


def build_game(name: str, **options: Any) -> Game:
    """Return a game by its name, with the options of its class.

    Raises:
        ConfigError: an unknown name or option, or a value that the game refuses.
    """
    if name not in GAMES:
        raise ConfigError(f"unknown game {name!r}: {nearest(name, list(GAMES))}")
    known = [f.name for f in dataclasses.fields(GAMES[name]) if f.init]
    for key in options:
        if key not in known:
            raise ConfigError(f"the game {name!r} has no option {key!r}: {nearest(key, known)}")
    return GAMES[name](**options)


def dirac_methods(
    pair: ActivationPair | str = "js", gamma: float = 0.3, noise: float = 0.7
) -> dict[str, Game]:
    """Return the methods of [M] Figures 3.2 to 3.4 on the one-dimensional Dirac-GAN.

    Args:
        pair: of all methods but those with the Wasserstein loss.
        gamma: of the zero-centred penalties that are not critical.
        noise: standard deviation of instance noise that is not critical.
    """
    pair = find_pair(pair)
    methods: dict[str, Game] = {
        "none": DiracGan(pair),
        "non-saturating": DiracGan(pair, non_saturating=True),
        "WGAN, clipped": DiracGan(WASSERSTEIN, clip=1.0),
        "WGAN-GP": DiracGan(WASSERSTEIN, gamma=0.7, penalty="one_centred"),
        "consensus": Consensus(DiracGan(pair), 1.0),
        "consensus, of D alone": DiscriminatorConsensus(DiracGan(pair), 1.0),
        "Nagarajan-Kolter": NagarajanKolter(DiracGan(pair), 1.0),
        "instance noise": DiracGan(pair, noise=noise),
        "R1": DiracGan(pair, gamma=gamma),
        "R1, critical": DiracGan(pair, gamma=pair.gamma_critical),
        "R1, non-saturating": DiracGan(pair, gamma=gamma, non_saturating=True),
        "Roth": DiracGan(pair, gamma=gamma, penalty="roth"),
    }
    if pair.sigma_critical is not None:
        methods["instance noise, critical"] = DiracGan(pair, noise=pair.sigma_critical)
    return methods
