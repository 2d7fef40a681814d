"""Tables of the Dirac-GAN: methods that change more than the penalty, and falling step sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from onet.gan_theory.dynamics import distances, trajectory
from onet.gan_theory.games.dirac import DiracGan
from onet.gan_theory.games.game import Game, Vector
from onet.gan_theory.games.variants import (
    HistoricalAverage,
    LabelSmoothing,
    variants,
)
from onet.gan_theory.studies.study import shown_eigenvalues

SCHEMES = ("simultaneous", "alternating")
ZERO = 1e-9  # real parts below it are 0
# Powers of generator and discriminator, and the discriminator's first step over the generator's.
SCHEDULES = {
    "constant": (0.0, 0.0, 1.0),
    "constant, D four times as fast": (0.0, 0.0, 4.0),
    "1/sqrt(k)": (0.5, 0.5, 1.0),
    "1/k": (1.0, 1.0, 1.0),
    "G 1/k, D 1/k^0.6": (1.0, 0.6, 1.0),
    "G 1/k^0.6, D 1/k": (0.6, 1.0, 1.0),
}


def other_rows(start: tuple[float, float], step: float, steps: int) -> list[dict[str, Any]]:
    """Return what the methods of `variants` do from beside the equilibrium, by the schemes.

    The ends are theta's distances from the data.
    """
    rows = []
    for name, game in variants().items():
        values = game.eigenvalues()
        state = beside(game, start)
        row = {"method": name, "eigenvalues": shown_eigenvalues(values)}
        data = game.x0 if isinstance(game, LabelSmoothing) else game.equilibrium[0]
        for scheme in SCHEMES:
            states = trajectory(game, state, steps, scheme, h_g=step)
            row[f"end, {scheme}"] = f"{abs(states[-1, 0] - data):.3g}"
        rows.append(row | {"converges_linearly": _linear(values)})
    return rows


def beside(game: Game, start: tuple[float, float]) -> Vector:
    """Return a state with theta and psi beside the equilibrium's; averages start where they are."""
    state = np.array(game.equilibrium, dtype=np.float64)
    count = min(2, len(state))
    state[:count] += start[:count]
    if isinstance(game, LabelSmoothing) and game.bias:
        state[2] = 0.0
    if isinstance(game, HistoricalAverage):
        state[2:] = state[:2]
    return state


def _linear(values: Vector) -> str:
    real, still = values.real, np.abs(values) < ZERO
    if (real[~still] > -ZERO).any() or still.all():
        return "no"
    return "yes, to a line of equilibria" if still.any() else "yes"


def annealed_rows(
    pair: str, gamma: float, start: tuple[float, float], step: float, steps: int
) -> list[dict[str, Any]]:
    """Return the distances with step sizes that fall, unequally, with and without a penalty."""
    rows = []
    for name, (of_g, of_d, ratio) in SCHEDULES.items():
        row: dict[str, Any] = {"steps": name}
        for method, weight in (("none", 0.0), ("R1", gamma)):
            game = DiracGan(pair, gamma=weight)
            for scheme in SCHEMES:
                states = trajectory(
                    game,
                    np.array(start),
                    steps,
                    scheme,
                    h_g=step,
                    h_d=ratio * step,
                    annealing=(of_g, of_d),
                )
                row[f"{method}, {scheme}"] = f"{distances(states, game.equilibrium)[-1]:.3g}"
        rows.append(row)
    return rows
