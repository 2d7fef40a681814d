"""Eight Gaussians: what is generated, and all eigenvalues before and after training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import SymmetricalLogLocator
from numpy.typing import NDArray

from onet.adversarial.collapse import mode_shares
from onet.errors import ConfigError
from onet.gan_theory.eigenpairs import Eigenpairs, whole_spectrum
from onet.gan_theory.gaussian_ring import CENTRES, METHODS, Method, RingGame
from onet.gan_theory.studies.study import FigurePart, Study, TablePart
from onet.registry import nearest

NEAR = 0.1  # ten standard deviations of a mode
SHARE = 0.02  # of the samples on a mode that counts as generated; an eighth is right
SAMPLES = 2000
STILL = 1e-3  # part of the largest modulus below which an eigenvalue counts as 0
ON_AXIS = 0.1  # -Re / |l| below which an eigenvalue is near the imaginary axis
RESOLUTION = 1e-6  # part of the largest modulus that errors are bounded by
NAMES = {"none": "no penalty", "consensus": "consensus", "r1": "R1"}

Samples = dict[int, NDArray[np.float64]]  # iteration -> points


def gaussian_ring_study(
    iterations: int = 20_000,
    gamma: float = 10.0,
    methods: Sequence[str] = METHODS,
    rate: float = 1e-4,
    seed: int = 0,
) -> Study:
    """Train each method on eight Gaussians from the same networks ([M] 2.4.3, figures 2.3 and 2.4).

    Args:
        iterations: of each training.
        gamma: of consensus optimisation and of R1.
        methods: of `none`, `consensus`, `r1`.
        rate: learning rate of RMSprop.
        seed: of networks and draws.

    Raises:
        ConfigError: an unknown method, no iterations, or a rate that is not above 0.
    """
    for name in methods:
        if name not in METHODS:
            raise ConfigError(f"unknown method {name!r}: {nearest(name, list(METHODS))}")
    if iterations < 1 or not methods:
        raise ConfigError(f"iterations: {iterations}; give at least 1, and a method")
    if not 0 < rate < float("inf"):
        raise ConfigError(f"rate: {rate:g}; give a number above 0")
    stops = tuple(sorted({0, iterations // 4, iterations // 2, iterations}))
    found: dict[str, Samples] = {}
    spectra: dict[str, Eigenpairs] = {}
    for name in methods:
        method: Method = next(one for one in METHODS if one == name)
        game = RingGame.start(method, gamma, rate, seed)
        found[method] = {}
        for iteration in game.train(iterations, stops):
            found[method][iteration] = game.samples(SAMPLES)
            if iteration in (0, iterations):
                when = "before" if iteration == 0 else "after"
                spectra |= {f"{key}, {when}": v for key, v in _spectra(game).items()}
    settings = {
        "iterations": iterations,
        "gamma": gamma,
        "methods": ", ".join(methods),
        "learning rate": rate,
        "seed": seed,
        "samples": SAMPLES,
    }
    text = (
        "Networks of four layers of 16 ReLUs, trained simultaneously by RMSprop from the same "
        "weights. Eigenvalues are all those of the Jacobian of the field on one batch of 512, in "
        "double precision: v of the losses, w = v - gamma grad |v|^2 / 2 of consensus "
        "optimisation. Plain gradient "
        "descent is attracted where all real parts are negative; RMSprop scales the rows."
    )
    return Study(
        "Eight Gaussians",
        text,
        settings,
        [
            TablePart("modes", "What is generated", _mode_rows(found)),
            TablePart("spectra", "Eigenvalues of the field", _spectrum_rows(spectra)),
            FigurePart("samples", "Samples during training, on the modes", _sample_figure(found)),
            FigurePart("eigenvalues", "Eigenvalues before and after", _spectrum_figure(spectra)),
        ],
    )


def _spectra(game: RingGame) -> dict[str, Eigenpairs]:
    """Return all eigenvalues of the fields of a game, by their names.

    Errors of those without eigenvectors of their own, as along dead units, are bounded.
    """
    field = game.field()
    name = NAMES[game.method]
    fields = {f"{name}: v": field}
    if game.method == "consensus":
        fields[f"{name}: w"] = field.regularised(game.gamma)
    found = {key: whole_spectrum(one.jacobian(), one.eps) for key, one in fields.items()}
    return {
        key: replace(
            every, errors=np.minimum(every.errors, RESOLUTION * np.abs(every.values).max())
        )
        for key, every in found.items()
    }


def _mode_rows(found: dict[str, Samples]) -> list[dict[str, Any]]:
    rows = []
    for method, samples in found.items():
        for iteration, points in samples.items():
            shares = mode_shares(points, CENTRES, NEAR)
            rows.append(
                {
                    "method": NAMES[method],
                    "iterations": iteration,
                    "modes": int((shares >= SHARE).sum()),
                    "samples near a mode": float(shares.sum()),
                    "least and most on a mode": f"{shares.min():.3f} to {shares.max():.3f}",
                }
            )
    return rows


def _spectrum_rows(spectra: dict[str, Eigenpairs]) -> list[dict[str, Any]]:
    rows = []
    for name, every in spectra.items():
        values, sizes = every.values, np.abs(every.values)
        away = sizes > STILL * sizes.max()
        moving, errors = values[away], every.errors[away]
        turning = moving[np.abs(moving.imag) > STILL * sizes.max()]
        on_axis = -turning.real < ON_AXIS * np.abs(turning)
        rows.append(
            {
                "field": name,
                "largest Re": float(values.real.max()),
                "smallest Re": float(values.real.min()),
                "largest Im": float(values.imag.max()),
                "not 0": len(moving),
                "of these with Re > 0": int((moving.real > errors).sum()),
                "turning": len(turning),
                "of these near the axis": int(on_axis.sum()),
                "largest error": float(errors.max(initial=0.0)),
            }
        )
    return rows


def _sample_figure(found: dict[str, Samples]) -> Figure:
    columns = max(len(samples) for samples in found.values())
    figure = Figure(figsize=(2.3 * columns, 2.4 * len(found)), layout="constrained")
    axes = figure.subplots(len(found), columns, squeeze=False, sharex=True, sharey=True)
    for row, (method, samples) in zip(axes, found.items(), strict=True):
        for place, (iteration, points) in zip(row, samples.items(), strict=False):
            place.scatter(*CENTRES.T, s=60, facecolors="none", edgecolors="#d1495b", linewidth=0.8)
            place.scatter(*points.T, s=1.5, alpha=0.25, color="#2b5d8a", linewidths=0)
            place.set(aspect="equal", xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), xticks=[], yticks=[])
            place.set_title(f"{NAMES[method]}, {iteration:,}", fontsize=9)
    return figure


def _spectrum_figure(spectra: dict[str, Eigenpairs]) -> Figure:
    fields = [*dict.fromkeys(name.rpartition(", ")[0] for name in spectra)]
    figure = Figure(figsize=(3.2 * len(fields), 5.6), layout="constrained")
    axes = figure.subplots(2, len(fields), squeeze=False)
    for column, field in enumerate(fields):
        for row, when in enumerate(("before", "after")):
            _scatter(axes[row][column], spectra[f"{field}, {when}"].values, f"{field}, {when}")
    return figure


def _scatter(place: Axes, values: NDArray[np.complex128], title: str) -> None:
    """Draw eigenvalues; far ones would hide the others, so axes are linear about 0 only."""
    reach = float(np.abs(values).max()) or 1.0
    place.scatter(values.real, values.imag, s=5, alpha=0.5, color="#2b5d8a", linewidths=0)
    place.axvline(0, color="#888888", linewidth=0.6)
    place.set_xscale("symlog", linthresh=STILL * reach)
    place.set_yscale("symlog", linthresh=STILL * reach)
    for axis in (place.xaxis, place.yaxis):  # a tick for every second power of 10
        axis.set_major_locator(SymmetricalLogLocator(base=100, linthresh=STILL * reach))
    place.set_title(title, fontsize=9)
    place.tick_params(labelsize=6)
    place.set(xlabel="Re", ylabel="Im")
