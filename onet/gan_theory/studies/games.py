"""Every analytic game under every scheme, with and without a penalty."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from onet.gan_theory.dynamics import SCHEMES, distances, trajectory
from onet.gan_theory.games.catalogue import GAMES, build_game
from onet.gan_theory.games.game import Game, Vector
from onet.gan_theory.studies.study import FigurePart, Study, TablePart

_OFFSETS = (0.2, -0.1)  # from the equilibrium, of the generator's parameters in turn


def games_study(
    names: Sequence[str] = (),
    pair: str | None = None,
    gamma: float = 1.0,
    step: float = 0.1,
    steps: int = 1000,
) -> Study:
    """Distance of the generator from the data over the steps of each scheme.

    Args:
        names: of `catalogue.GAMES`; default all.
        pair: activation pair of the games that have one; default each game's own.
        gamma: of the penalty in the second half of the runs.
        step: size of both players' steps.
        steps: how many.

    Raises:
        ConfigError: unknown game or pair, negative gamma.
    """
    rows, figures = [], []
    for name in names or sorted(GAMES):
        runs = {}
        for weight in (0.0, gamma) if takes(name, "gamma") else (0.0,):
            game = build_for(name, pair=pair, gamma=weight)
            states = {s: trajectory(game, beside(game), steps, s, h_g=step) for s in SCHEMES}
            runs[weight] = {s: _generator_distances(game, x) for s, x in states.items()}
            rows.append(_row(name, weight, game, runs[weight], steps))
        figures.append(FigurePart(f"{name}_distances", name, _figure(runs)))
    settings = {
        "games": list(names) or "all",
        "pair": pair or "of the game",
        "gamma": gamma,
        "step": step,
        "steps": steps,
    }
    text = (
        "Largest distance of the generator's parameters from the data's over the last tenth of the "
        "steps, starting beside the equilibrium. Damping is minus the largest real part of the "
        "eigenvalues there that are not 0: without damping nothing converges linearly. Games "
        "whose equilibria form a line have eigenvalues 0 along it."
    )
    table = TablePart("games", f"Largest distance over the last tenth of {steps} steps", rows)
    return Study("Analytic games", text, settings, [table, *figures])


def takes(name: str, option: str) -> bool:
    """Return whether a game has an option.

    Unknown games have all, so that building them complains.
    """
    return name not in GAMES or option in {f.name for f in dataclasses.fields(GAMES[name])}


def build_for(name: str, **options: Any) -> Game:
    """Return a game with those of the options that it has and that are given."""
    given = {k: v for k, v in options.items() if v is not None and takes(name, k)}
    return build_game(name, **given)


def beside(game: Game) -> Vector:
    """Return a start near the equilibrium, the discriminator unmoved."""
    start = np.array(game.equilibrium)
    start[: game.generator] += np.resize(_OFFSETS, game.generator)
    return start


def _generator_distances(game: Game, states: Any) -> Vector:
    n = game.generator
    return distances(states[:, :n], game.equilibrium[:n])


def _row(
    name: str, gamma: float, game: Game, runs: dict[str, Vector], steps: int
) -> dict[str, Any]:
    values = game.eigenvalues()
    moving = values[np.abs(values) > 1e-12]  # along a line of equilibria nothing moves
    damping = max(0.0, -float(moving.real.max())) if len(moving) else None
    row: dict[str, Any] = {"game": name, "gamma": gamma, "damping": damping}
    for scheme, series in runs.items():
        finished = len(series) == steps + 1
        row[scheme] = f"{series[-max(1, steps // 10) :].max():.3g}" if finished else "diverged"
    return row


def _figure(runs: dict[float, dict[str, Vector]]) -> Figure:
    figure = Figure(figsize=(5 * len(runs), 3.4), layout="constrained")
    panels = figure.subplots(1, len(runs), squeeze=False, sharey=True)[0]
    for axes, (gamma, series) in zip(panels, runs.items(), strict=True):
        for scheme, values in series.items():
            axes.plot(np.maximum(values, 1e-16), linewidth=1, label=scheme)
        axes.set(title=f"gamma = {gamma:g}", xlabel="iteration", yscale="log", ylim=(1e-10, 10))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("|theta - theta*|")
    panels[-1].legend(fontsize=8, loc="lower left")
    return figure
