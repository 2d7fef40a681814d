"""Exact loss values of collapsed and complete generators, for separable and paired losses."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from onet.errors import ConfigError
from onet.gan_theory.landscape import (
    Plateau,
    imbalanced_value,
    relativistic_census,
    separable_census,
    two_point_table,
)
from onet.gan_theory.studies.study import FigurePart, Study, TablePart

LARGEST = 40  # points: there are 37,338 ways to write 40 as a sum
_SHARES = {"1 : 1": 1 / 2, "2 : 1": 2 / 3, "5 : 1": 5 / 6}  # of the larger of two modes


def landscape_study(n: int = 5, separable: str = "js", relativistic: str = "rs") -> Study:
    """Values for two points, a census for n, and two modes of different size.

    Args:
        n: real points, and generated points.
        separable: loss of `onet.adversarial.separable.SEPARABLE`.
        relativistic: loss of `landscape.RELATIVISTIC`.

    Raises:
        ConfigError: unknown loss, or n out of range.
    """
    if not 2 <= n <= LARGEST:
        raise ConfigError(f"n = {n}: a census takes 2 to {LARGEST} points")
    apart, paired = separable_census(n, separable), relativistic_census(n, relativistic)
    bad = sum(p.count for p in apart if p.minimum != "global")
    text = (
        f"The discriminator is optimal, the generated points move. Of {n**n:,} ways to put {n} "
        f"generated points onto {n} real ones, {bad:,} are sub-optimal minima of the separable "
        "loss; the paired loss has none."
    )
    return Study(
        "Landscape of GAN losses",
        text,
        {"n": n, "separable": separable, "relativistic": relativistic},
        [
            TablePart("two_points", "Two points", two_point_table()),
            TablePart("separable", f"{n} points, {separable}", _rows(apart)),
            TablePart("relativistic", f"{n} points, {relativistic}", _rows(paired)),
            FigurePart(
                "census",
                "Share of all configurations below a value",
                _census({separable: apart, relativistic: paired}, n),
            ),
            TablePart(
                "imbalanced",
                "All generated points on the larger of two modes, js",
                [
                    {
                        "modes": k,
                        "value": imbalanced_value((a, 1 - a), (1, 0)),
                        "global_minimum": imbalanced_value((a, 1 - a), (a, 1 - a)),
                    }
                    for k, a in _SHARES.items()
                ],
            ),
            FigurePart("shares", "Two modes: value over the share on one", _imbalanced()),
        ],
    )


def _rows(census: list[Plateau]) -> list[dict[str, Any]]:
    return [
        {
            "configurations": p.count,
            "value": p.value,
            "minimum": p.minimum,
            "modes_covered": str(p.modes[0])
            if p.modes[0] == p.modes[1]
            else f"{p.modes[0]} to {p.modes[1]}",
        }
        for p in census
    ]


def _census(census: dict[str, list[Plateau]], n: int) -> Figure:
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    axes = figure.subplots()
    for name, plateaus in census.items():
        shares = np.cumsum([p.count / n**n for p in plateaus])
        axes.step([p.value for p in plateaus], shares, where="post", marker="o", label=name)
    axes.set(xlabel="value (the global minimum is leftmost)", ylabel="share of configurations")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _imbalanced() -> Figure:
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    axes = figure.subplots()
    k = np.linspace(0, 1, 401)
    for name, a in _SHARES.items():
        axes.plot(k, [imbalanced_value((a, 1 - a), (s, 1 - s)) for s in k], label=name)
    axes.set(xlabel="share of generated points on the larger mode", ylabel="value")
    axes.axhline(-np.log(2), color="k", linewidth=0.6)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
