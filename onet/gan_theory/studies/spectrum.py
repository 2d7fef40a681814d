"""The eigenvalues of one game, what bounds them, and the step sizes that follow."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from onet.errors import ConfigError
from onet.gan_theory.dynamics import spectral_radius, step_sizes, update_jacobian
from onet.gan_theory.games.game import Game, Matrix, complex_step
from onet.gan_theory.rates import (
    Extremes,
    eigenvalue_bounds,
    extremes,
    largest_step,
    optimal_steps,
    simultaneous_floor,
)
from onet.gan_theory.studies.games import build_for, takes
from onet.gan_theory.studies.study import FigurePart, Study, TablePart


def spectrum_study(
    name: str = "four_points",
    pair: str | None = None,
    gamma: float = 1.0,
    measure: str | None = None,
    step: float = 0.1,
    count: int | None = None,
) -> Study:
    """Spectrum of a game at its equilibrium.

    Args:
        name: of `catalogue.GAMES`.
        pair: activation pair; default the game's own.
        gamma: of the zero-centred penalty; the picture shows all up to it.
        measure: where the penalty is taken.
        step: size of both players' steps.
        count: so many eigenvalues, those with the largest real part; default all.

    Raises:
        ConfigError: unknown game, pair or measure, negative gamma, an option that the game does not
            have, or more eigenvalues than it has.
    """
    weight = gamma if takes(name, "gamma") else None
    game = build_for(name, pair=pair, gamma=weight, measure=measure)
    values = np.array(sorted(game.eigenvalues(), key=lambda v: (-v.real, -v.imag)))
    shown = len(values) if count is None else count
    if not 1 <= shown <= len(values):
        raise ConfigError(
            f"{shown} eigenvalues asked for; the game {name!r} has {len(values)} of them"
        )
    jacobian = game.jacobian(game.equilibrium)
    settings = {
        "game": name,
        "pair": pair or "of the game",
        "gamma": weight,
        "step": step,
        "measure": measure or "real",
        "eigenvalues": shown,
    }
    text = (
        "Eigenvalues of the Jacobian at the equilibrium, from the published formulas. Simultaneous "
        "descent converges below the smallest of the largest steps; it is 0 where nothing damps."
    )
    automatic = np.linalg.eigvals(complex_step(game.field, game.equilibrium))
    parts: list[TablePart | FigurePart] = [
        TablePart(
            "eigenvalues", f"Eigenvalues, {shown} of {len(values)}", _rows(values[:shown], step)
        ),
        TablePart("schemes", "One step of each scheme", _schemes(game, jacobian, step)),
        TablePart(
            "advice", "Bounds and step sizes from the blocks P and Q", _advice(game, jacobian)
        ),
    ]
    if weight:
        path = _path(name, pair, measure, weight)
        parts.append(FigurePart("path", f"Eigenvalues for gamma from 0 to {weight:g}", path))
    settings["largest_difference_to_differentiation"] = float(
        np.abs(np.poly(automatic) - np.poly(values)).max()
    )
    return Study(f"Spectrum of the game {name}", text, settings, parts)


def _rows(values: NDArray[np.complexfloating], step: float) -> list[dict[str, Any]]:
    """Return a row for each eigenvalue."""
    return [
        {
            "real_part": float(v.real),
            "imaginary_part": float(v.imag),
            "largest_step": largest_step(np.array([v])),
            "modulus_after_a_step": float(abs(1 + step * v)),
        }
        for v in values
    ]


def _schemes(game: Game, jacobian: Matrix, step: float) -> list[dict[str, Any]]:
    sizes = step_sizes(game, step)
    rows = []
    for scheme in ("simultaneous", "alternating", "heun", "rk4", "extragradient", "optimistic"):
        update = update_jacobian(jacobian, sizes, game.generator, scheme)
        radius = spectral_radius(update)
        rows.append(
            {
                "scheme": scheme,
                "spectral_radius": f"{radius:.6f}",
                "converges_linearly": radius < 1 - 1e-12,
            }
        )
    return rows


def blocks_of(game: Game, jacobian: Matrix) -> Extremes:
    """Extremes of P and Q, where the equilibrium has the form that the bounds are for.

    Raises:
        ConfigError: a generator that is damped itself, players of different size, or a Q or P that
            leaves a direction alone.
    """
    n = game.generator
    if 2 * n != len(jacobian) or np.abs(jacobian[:n, :n]).max() > 1e-12:
        raise ConfigError(
            "the bounds need as many parameters of both players, and an undamped theta"
        )
    q = -jacobian[n:, n:]
    p = -jacobian[n:, :n]
    if np.linalg.svd(p, compute_uv=False).min() < 1e-12 or np.linalg.eigvalsh(q).min() < 1e-12:
        raise ConfigError("some direction is not damped or not coupled: no rate without a penalty")
    return extremes(p, q)


def _advice(game: Game, jacobian: Matrix) -> list[dict[str, Any]]:
    try:
        e = blocks_of(game, jacobian)
    except ConfigError as error:
        return [{"what": "none", "value": str(error)}]
    bounds = eigenvalue_bounds(e)
    rows = [
        {"what": "singular values of P", "value": f"{e.s_min:.6g} to {e.s_max:.6g}"},
        {"what": "eigenvalues of Q", "value": f"{e.eta_min:.6g} to {e.eta_max:.6g}"},
        {"what": "all eigenvalues are", "value": bounds.kind},
        {"what": "real part if complex", "value": _interval(bounds.complex_real)},
        {"what": "imaginary part if complex", "value": _interval(bounds.imaginary)},
    ]
    if bounds.kind != "complex":
        rows.append({"what": "if real", "value": _interval(bounds.real)})
    for scheme in ("simultaneous", "alternating"):
        advice = optimal_steps(e, scheme)
        rows.append(
            {
                "what": f"best {scheme} steps",
                "value": f"h_g = {advice.h_g:.6g}, h_d = {advice.h_d:.6g}: rate {advice.rate:.6f}",
            }
        )
    floor = simultaneous_floor(e)
    return [*rows, {"what": "no simultaneous steps beat", "value": f"rate {floor:.6f}"}]


def _interval(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.6g} to {ends[1]:.6g}"


def _path(name: str, pair: str | None, measure: str | None, gamma: float) -> Figure:
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.subplots()
    weights = np.linspace(0, gamma, 201)
    for weight in weights:
        values = build_for(name, pair=pair, gamma=float(weight), measure=measure).eigenvalues()
        colors = np.full(len(values), weight)
        points = axes.scatter(
            values.real, values.imag, c=colors, s=7, cmap="viridis", vmin=0, vmax=gamma
        )
    axes.axvline(0, color="k", linewidth=0.6)
    axes.set(xlabel="real part", ylabel="imaginary part", title=f"{name}: gamma in colours")
    figure.colorbar(points, ax=axes, label="gamma")
    return figure
