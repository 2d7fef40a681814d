"""The Dirac-GAN under every method: which converge, which circle."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from onet.adversarial.activations import find_pair
from onet.gan_theory.dynamics import (
    distances,
    spectral_radius,
    step_sizes,
    trajectory,
    update_jacobian,
)
from onet.gan_theory.games.catalogue import dirac_methods
from onet.gan_theory.games.dirac import DiracGan
from onet.gan_theory.games.game import Game
from onet.gan_theory.studies.dirac_variants import annealed_rows, other_rows
from onet.gan_theory.studies.study import FigurePart, Study, TablePart, shown_eigenvalues

RUNS: dict[str, dict[str, Any]] = {
    "simultaneous": {"scheme": "simultaneous"},
    "alternating": {"scheme": "alternating"},
    "alternating, n_d = 5": {"scheme": "alternating", "n_d": 5},
}
DIMENSIONS = 3  # of the second table
_ARROWS = 17  # along an edge of a vector field
_REACH = 1.7  # of the pictures
_COLORS = ("tab:blue", "tab:orange", "tab:green")


def dirac_study(
    pair: str = "js",
    gamma: float = 0.3,
    noise: float = 0.7,
    start: tuple[float, float] = (1.0, -1.0),
    step: float = 0.2,
    steps: int = 500,
) -> Study:
    """Eigenvalues, trajectories and vector fields of the methods of [M] Figures 3.2 to 3.5.

    Args:
        pair: name of the activation pair.
        gamma: of the zero-centred penalties.
        noise: standard deviation of instance noise.
        start: theta and psi.
        step: size of both players' steps.
        steps: how many.

    Raises:
        ConfigError: unknown pair, negative gamma or noise.
    """
    methods = dirac_methods(pair, gamma, noise)
    runs = {
        name: {
            run: trajectory(game, np.array(start), steps, h_g=step, **options)
            for run, options in RUNS.items()
        }
        for name, game in methods.items()
    }
    settings = {
        "pair": pair,
        "gamma": gamma,
        "noise": noise,
        "start": list(start),
        "step": step,
        "steps": steps,
    }
    text = (
        "One real point at 0, one fake point theta, D(x) = psi x; a logit above 0 means real. A "
        "method converges linearly if both eigenvalues at the equilibrium have negative real parts."
    )
    return Study(
        "Dirac-GAN",
        text,
        settings,
        [
            TablePart(
                "methods",
                f"Methods: distance from the equilibrium after {steps} steps",
                [_row(name, game, runs[name], step) for name, game in methods.items()],
            ),
            FigurePart("fields", "Vector fields and trajectories", _fields(methods, runs)),
            FigurePart("distances", "Distance from the equilibrium", _distances(runs)),
            FigurePart(
                "eigenvalues", "Eigenvalues up to twice the critical regularisation", _paths(pair)
            ),
            TablePart(
                "dimensions",
                f"In {DIMENSIONS} dimensions, data at distance 1 from 0",
                _dimensions(pair, gamma, noise),
            ),
            TablePart(
                "others",
                f"Other methods: distance of the generator from the data after {steps} steps",
                other_rows(start, step, steps),
            ),
            TablePart(
                "annealed",
                f"Falling step sizes: distance from the equilibrium after {steps} steps",
                annealed_rows(pair, gamma, start, step, steps),
            ),
        ],
    )


def _row(name: str, game: Game, runs: dict[str, Any], step: float) -> dict[str, Any]:
    row: dict[str, Any] = {"method": name}
    try:
        values = game.eigenvalues()
    except ValueError:
        row |= {"eigenvalues": None, "radius_simultaneous": None, "radius_alternating": None}
        verdict = "no: the field jumps at the equilibrium"
    else:
        jacobian, sizes = game.jacobian(game.equilibrium), step_sizes(game, step)
        row["eigenvalues"] = shown_eigenvalues(values)
        for scheme in ("simultaneous", "alternating"):
            update = update_jacobian(jacobian, sizes, game.generator, scheme)
            row[f"radius_{scheme}"] = spectral_radius(update)
        verdict = "yes" if values.real.max() < -1e-12 else "no"
    for run, states in runs.items():
        row[f"end, {run}"] = f"{distances(states, game.equilibrium)[-1]:.3g}"
    return row | {"converges_linearly": verdict}


def _fields(methods: dict[str, Game], runs: dict[str, Any]) -> Figure:
    columns = 4
    rows = -(-len(methods) // columns)
    figure = Figure(figsize=(3.1 * columns, 3.2 * rows), layout="constrained")
    grid = np.linspace(-_REACH, _REACH, _ARROWS)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, game) in zip(panels, methods.items(), strict=False):
        field = np.array([[game.field(np.array([a, b])) for a in grid] for b in grid])
        length = np.maximum(np.linalg.norm(field, axis=2, keepdims=True), 1e-12)
        arrows = field / length
        axes.quiver(
            grid,
            grid,
            arrows[..., 0],
            arrows[..., 1],
            length[..., 0],
            cmap="Greys",
            pivot="mid",
            norm="log",
            width=0.005,
        )
        for (run, states), color in zip(runs[name].items(), _COLORS, strict=True):
            axes.plot(*states.T, color=color, linewidth=1, label=run)
        axes.plot(*game.equilibrium, "k+", markersize=9)
        axes.set(title=name, xlim=(-_REACH, _REACH), ylim=(-_REACH, _REACH), aspect="equal")
        axes.set_xlabel("theta")
        axes.set_ylabel("psi")
    for axes in panels[len(methods) :]:
        axes.axis("off")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _distances(runs: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    for axes, run in zip(figure.subplots(1, len(RUNS), sharey=True), RUNS, strict=True):
        for number, (name, states) in enumerate(runs.items()):
            style = "-" if number < 10 else "--"
            axes.plot(distances(states[run], np.zeros(2)), style, linewidth=1.2, label=name)
        axes.set(title=run, xlabel="iteration", yscale="log", ylim=(1e-8, 10))
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", fontsize=8)
    return figure


def _paths(name: str) -> Figure:
    pair = find_pair(name)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    shares = np.linspace(0, 2, 401)
    paths = {"gamma": [DiracGan(pair, gamma=s * pair.gamma_critical) for s in shares]}
    if pair.sigma_critical is not None:
        paths["sigma^2"] = [DiracGan(pair, noise=s**0.5 * pair.sigma_critical) for s in shares]
    for axes, (parameter, games) in zip((left, right), paths.items(), strict=False):
        values = np.array([game.eigenvalues() for game in games])
        colors = np.repeat(shares, 2)
        points = axes.scatter(values.real, values.imag, c=colors, s=6, cmap="viridis")
        axes.plot(values[0].real, values[0].imag, "kx", label="none")
        axes.axvline(0, color="k", linewidth=0.6)
        axes.set(title=f"{parameter} in units of the critical one", aspect="equal")
        axes.set_xlabel("real part")
        axes.set_ylabel("imaginary part")
        axes.legend()
    figure.colorbar(points, ax=[left, right], location="bottom", shrink=0.5)
    if len(paths) == 1:
        right.axis("off")
        right.text(0.5, 0.5, "This loss has no curvature:\nnoise damps nothing.", ha="center")
    return figure


def _dimensions(pair: str, gamma: float, noise: float) -> list[dict[str, Any]]:
    x0 = np.ones(DIMENSIONS) / np.sqrt(DIMENSIONS)
    games = {
        "none": DiracGan(pair, x0),
        "instance noise": DiracGan(pair, x0, noise=noise),
        "R1": DiracGan(pair, x0, gamma=gamma),
        "R1, non-saturating": DiracGan(pair, x0, gamma=gamma, non_saturating=True),
    }
    rows = []
    for name, game in games.items():
        values = game.eigenvalues()
        undamped = int((values.real > -1e-12).sum())
        rows.append(
            {
                "method": name,
                "eigenvalues": shown_eigenvalues(values),
                "undamped": f"{undamped} of {len(values)}",
            }
        )
    return rows
