"""The Dirac-GAN whose point is a picture: what is generated on the way, and how fast ([M] 4.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from onet.data.images import middle_square, open_image
from onet.errors import ConfigError
from onet.gan_theory.dynamics import spectral_radius, states, step_sizes, update_jacobian
from onet.gan_theory.games.dirac import DiracGan
from onet.gan_theory.studies.study import FigurePart, Study, TablePart

SCHEMES = ("simultaneous", "alternating")
_COLORS = {"simultaneous": "#2b5d8a", "alternating": "#d1495b"}

Picture = NDArray[np.float64]  # (S, S, 3) in [0, 1]


def image_dirac_study(
    picture: Path,
    size: int = 256,
    pair: str = "js",
    gamma: float = 1.0,
    step: float = 0.1,
    steps: int = 200,
    seed: int = 0,
) -> Study:
    """Generate a picture by a Dirac-GAN of as many dimensions as it has numbers.

    Args:
        picture: its middle square is taken.
        size: pixels along an edge that it is brought to.
        pair: activation pair of the loss.
        gamma: of R1, which is compared with none.
        step: size of both players' steps.
        steps: number of them.
        seed: of the pixels that the generator starts from.

    Raises:
        DataError: the file is no picture.
        ConfigError: an unknown pair, a negative gamma, or sizes below 1.
    """
    if min(size, steps) < 1 or not step > 0:
        raise ConfigError(f"size {size}, steps {steps}, step {step:g}: they must be above 0")
    target = middle_square(open_image(picture), size) / 255
    # [M] divides by 256 at 256 pixels, so that |x0|^2 does not grow with the number of pixels
    data = target.ravel() / size
    start = np.concatenate(
        [np.random.default_rng(seed).uniform(0, 1, data.size) / size, np.zeros(data.size)]
    )
    stops = sorted({round(share * steps) for share in (0, 0.25, 0.5, 1)})
    curves: dict[str, list[float]] = {}
    pictures: dict[str, list[Picture]] = {}
    for weight in dict.fromkeys((0.0, gamma)):
        game = DiracGan(pair, x0=data, gamma=weight)
        for scheme in SCHEMES:
            name = f"{'R1' if weight else 'no penalty'}, {scheme}"
            curves[name], pictures[name] = [], []
            for k, state in enumerate(states(game, start, steps, scheme, h_g=step)):
                made = state[: data.size].reshape(target.shape) * size
                curves[name].append(float(np.square(made - target).mean()))
                if k in stops:
                    pictures[name].append(made.clip(0, 1))
    settings = {
        "picture": picture.name,
        "size": size,
        "numbers": data.size,
        "|x0|^2": float(data @ data),
        "pair": pair,
        "gamma": gamma,
        "step": step,
        "steps": steps,
        "seed": seed,
    }
    text = (
        "The generator is the picture itself, the discriminator a linear function of it, at first "
        "0. Pixels are divided by the size. The rate is the factor of the distance in a step: that "
        "of the directions along the picture, which the loss damps too, and of all others."
    )
    return Study(
        "The Dirac-GAN of a picture",
        text,
        settings,
        [
            TablePart("error", "Mean squared error", _rows(curves, pair, gamma, step, data, stops)),
            FigurePart("pictures", "What is generated", _picture_figure(pictures, target, stops)),
            FigurePart("curves", "Mean squared error over the steps", _curve_figure(curves)),
        ],
    )


def _rows(
    curves: dict[str, list[float]],
    pair: str,
    gamma: float,
    step: float,
    data: NDArray[np.float64],
    stops: list[int],
) -> list[dict[str, Any]]:
    rows = []
    for name, errors in curves.items():
        method, _, scheme = name.partition(", ")
        along, across = _rates(pair, gamma if method == "R1" else 0.0, step, data, scheme)
        row: dict[str, Any] = {"method": name}
        row |= {f"after {k}": errors[k] if k < len(errors) else None for k in stops}
        rows.append(row | {"rate along the picture": along, "rate across": across})
    return rows


def _rates(
    pair: str, gamma: float, step: float, data: NDArray[np.float64], scheme: str
) -> tuple[float, float]:
    """Return the factors of one step along the picture and across: of games of one dimension."""
    found = []
    for x0 in (float(np.linalg.norm(data)), 0.0):
        game = DiracGan(pair, x0=x0, gamma=gamma)
        jacobian, sizes = game.jacobian(game.equilibrium), step_sizes(game, step)
        found.append(spectral_radius(update_jacobian(jacobian, sizes, game.generator, scheme)))
    return found[0], found[1]


def _picture_figure(
    pictures: dict[str, list[Picture]], target: Picture, stops: list[int]
) -> Figure:
    figure = Figure(figsize=(2 * (len(stops) + 1), 2.15 * len(pictures)), layout="constrained")
    axes = figure.subplots(len(pictures), len(stops) + 1, squeeze=False)
    for row, (name, made) in zip(axes, pictures.items(), strict=True):
        titled = [*zip(made, (f"{k} steps" for k in stops), strict=False), (target, "the picture")]
        for place, (picture, title) in zip(row, titled, strict=False):
            place.imshow(picture, interpolation="nearest", vmin=0, vmax=1)
            place.set_title(title, fontsize=9)
        for place in row:
            place.set(xticks=[], yticks=[])
        row[0].set_ylabel(name, fontsize=9)
    return figure


def _curve_figure(curves: dict[str, list[float]]) -> Figure:
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, errors in curves.items():
        method, _, scheme = name.partition(", ")
        style = "-" if method == "R1" else "--"
        axes.semilogy(np.maximum(errors, 1e-300), style, color=_COLORS[scheme], label=name)
    axes.set(xlabel="steps", ylabel="mean squared error of pixels")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return figure
