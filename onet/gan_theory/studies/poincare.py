"""Poincare constants: exact ones, estimates from samples, and what they mean for training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from onet.archives import read_npy
from onet.errors import DataError
from onet.gan_theory.augmentations import rank_augmentations
from onet.gan_theory.games.function_space import gamma_range, lgan_spectrum, spectral_abscissa
from onet.gan_theory.mixtures import Mixture, bridged, gaussian, two_modes
from onet.gan_theory.poincare import Features, FourierFeatures, Points, Polynomials, advise, ritz
from onet.gan_theory.poincare_network import STEPS, poincare_network
from onet.gan_theory.studies.study import FigurePart, Study, TablePart, shown_eigenvalues

DEGREE = 7  # of the polynomials
_DATA: dict[str, tuple[Mixture, float | None]] = {  # with the estimate printed in [K] section 7
    "N(0, 1)": (gaussian(), None),
    "N(0, 0.7²)": (gaussian(0.7), None),
    "modes 3 apart": (two_modes(3.0), 0.25),
    "modes 4 apart": (two_modes(4.0), 0.124),
    "modes 6 apart (p = 0)": (bridged(0.0), None),
    "p = 0.2 moved between": (bridged(0.2), None),
    "p = 0.4 moved between": (bridged(0.4), None),
}


def poincare_study(samples: int = 20_000, seed: int = 0, network_steps: int = STEPS) -> Study:
    """The distributions of [K] section 7: exact values, estimates, and the GAN's spectrum.

    Args:
        samples: drawn from each distribution.
        seed: of the samples, of the random features and of the network.
        network_steps: in which a network is trained to estimate the same; 0 for none.
    """
    settings = {
        "samples": samples,
        "seed": seed,
        "degree": DEGREE,
        "cosines": 100,
        "network_steps": network_steps,
    }
    text = (
        "xi_min is the smallest eigenvalue of the data's operator. It is small where little "
        "connects the parts of the data, and bounds how fast a GAN can converge on it: at best "
        "like exp(-|beta| sqrt(xi_min) t). Moving samples between two modes, as an augmentation "
        "does, raises it."
    )
    return Study(
        "Poincaré constants",
        text,
        settings,
        [
            TablePart(
                "xi_min",
                "Exact by finite volumes, and estimated from samples",
                [
                    _estimate(n, m, printed, samples, seed, network_steps)
                    for n, (m, printed) in _DATA.items()
                ],
            ),
            FigurePart("distance", "xi_min of two modes, and its function", _distance()),
            TablePart("settings", "Leading eigenvalues in the settings of [K]", _printed()),
            FigurePart("abscissa", "Real part of the slowest mode over gamma", _abscissa()),
        ],
    )


def samples_study(
    path: Path,
    count: int = 3,
    seed: int = 0,
    network_steps: int = STEPS,
    augmentations: Mapping[str, float] | None = None,
) -> Study:
    """Poincare constant of a file of samples, and the penalty that it asks for.

    Args:
        path: `.npy`, or text with a sample in each line; (N, d).
        count: eigenvalues to show.
        seed: of the random features, of the network and of augmentations.
        network_steps: in which a network is trained to estimate the same; 0 for none.
        augmentations: names and strengths to rank; see `onet.gan_theory.augmentations`.

    Raises:
        DataError: a file that cannot be read, or not (N, d).
        ConfigError: more eigenvalues than the features have, or an unknown augmentation.
    """
    points = _read(path)
    features: dict[str, Features] = {
        "100 random cosines": FourierFeatures(points, 100, seed=seed),
    }
    if points.shape[1] == 1:
        features[f"polynomials to degree {DEGREE}"] = Polynomials(points, DEGREE)
    found = {name: ritz(points, feature, count) for name, feature in features.items()}
    rows: list[dict[str, Any]] = [
        {"features": name} | {f"xi_{k + 1}": float(v) for k, v in enumerate(f.values)}
        for name, f in found.items()
    ]
    xi_min = min(f.xi_min for f in found.values())
    if network_steps:
        by_network = poincare_network(points, steps=network_steps, seed=seed).xi_min
        others = {f"xi_{k + 2}": None for k in range(count - 1)}
        rows.append({"features": "network", "xi_1": by_network} | others)
        xi_min = min(xi_min, by_network)
    settings = {
        "file": str(path),
        "samples": len(points),
        "dimensions": points.shape[1],
        "seed": seed,
        "network_steps": network_steps,
    }
    text = (
        "Estimates by the Ritz method, upper bounds on the samples, and by a network, on samples "
        "held out. The rate is that of the slowest mode per unit of time (steps times their size), "
        "near the equilibrium."
    )
    parts: list[TablePart | FigurePart] = [
        TablePart("eigenvalues", "Smallest eigenvalues", rows),
        TablePart("advice", f"Penalties for xi_min = {xi_min:.4g}", _advice(xi_min)),
    ]
    if augmentations:
        parts.append(_ranking(points, augmentations, seed, network_steps))
    return Study(f"Poincaré constant of {path.name}", text, settings, parts)


def _advice(xi_min: float) -> list[dict[str, Any]]:
    """Return a row for each loss: the penalty that a Poincaré constant asks for."""
    rows = []
    for pair in ("js", "wasserstein", "least_squares"):
        a = advise(xi_min, pair)
        rows.append(
            {
                "loss": pair,
                "eigenvalue_without_penalty": f"{a.unregularised:.4f}",
                "fastest_gamma": a.fastest_gamma,
                "rate": a.rate,
                "not_oscillating": f"{a.real_gamma[0]:.4g} to {a.real_gamma[1]:.4g}",
            }
        )
    return rows


def _ranking(
    points: Points, augmentations: Mapping[str, float], seed: int, network_steps: int
) -> TablePart:
    """Return the table of augmentations by the Poincaré constants of what they make."""

    def estimate(samples: Points) -> float:
        if network_steps:
            return poincare_network(samples, steps=network_steps, seed=seed).xi_min
        return ritz(samples, FourierFeatures(samples, seed=seed)).xi_min

    ranked = rank_augmentations(points, augmentations, seed=seed, estimate=estimate)
    by = "the network" if network_steps else "cosines"
    caption = f"Augmentations by their xi_min ({by}); a Gaussian has connectedness 1"
    return TablePart("augmentations", caption, [asdict(row) for row in ranked])


def _read(path: Path) -> Points:
    try:
        points = None if path.suffix == ".npy" else np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as samples ({error})") from None
    if points is None:
        points = read_npy(path)
    if points.ndim != 2:
        raise DataError(f"{path}: shape {points.shape}, samples (N, d) are needed")
    return points


def _estimate(
    name: str, mixture: Mixture, printed: float | None, samples: int, seed: int, network_steps: int
) -> dict[str, Any]:
    points = mixture.sample(samples, seed)
    trained = None
    if network_steps:
        trained = poincare_network(points, steps=network_steps, seed=seed).xi_min
    return {
        "data": name,
        "exact": float(mixture.laplacian().spectrum(1)[0]),
        "polynomials": ritz(points, Polynomials(points, DEGREE)).xi_min,
        "cosines": ritz(points, FourierFeatures(points, 100, seed=seed)).xi_min,
        "network": trained,
        "network_in_[K]": printed,
    }


def _printed() -> list[dict[str, Any]]:
    rows = []
    for distance, (_, xi) in ((3, _DATA["modes 3 apart"]), (4, _DATA["modes 4 apart"])):
        assert xi is not None
        low, high = gamma_range(xi, 1.0)
        for name, alpha, beta, gamma in (
            ("WGAN", 0.0, 1.0, 0.0),
            ("WGAN, gamma = 2|beta|/√xi", 0.0, 1.0, high),
            ("WGAN, gamma = |beta|/√xi", 0.0, 1.0, low),
            ("LSGAN", 0.25, 0.5, 0.0),
            ("optimal alpha and gamma", xi**0.5, 1.0, low),
        ):
            spectrum = lgan_spectrum(xi, alpha, beta, gamma)
            rate = -spectral_abscissa(xi * np.geomspace(1, 1e6, 500), alpha, beta, gamma)
            rows.append(
                {
                    "data": f"modes {distance} apart",
                    "setting": name,
                    "alpha": alpha,
                    "beta": beta,
                    "gamma": gamma,
                    "at_xi_min": shown_eigenvalues(spectrum),
                    "rate_of_all_modes": rate + 0.0,
                }
            )
    return rows


def _distance() -> Figure:
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    apart = np.linspace(0, 6, 25)
    left.plot(apart, [two_modes(float(d)).laplacian(1500).spectrum(1)[0] for d in apart])
    left.plot([3, 4], [0.25, 0.124], "o", label="network in [K]")
    left.set(xlabel="distance of the modes", ylabel="xi_min", yscale="log")
    left.grid(alpha=0.3)
    left.legend()
    for distance in (1.0, 3.0, 6.0):
        operator = two_modes(distance).laplacian(1500)
        mode = operator.modes(1)[1][:, 0]
        x = operator.middles
        inside = (x > -2.5) & (x < distance + 2.5)
        right.plot(
            x[inside] - distance / 2,
            mode[inside] * np.sign(mode[-1]),
            label=f"modes {distance:g} apart",
        )
    right.set(xlabel="x from the middle", title="the slowest discriminator")
    right.grid(alpha=0.3)
    right.legend()
    return figure


def _abscissa() -> Figure:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    xi = 0.25 * np.geomspace(1, 1e6, 1500)
    gammas = np.linspace(0.02, 8, 300)
    for label, alpha in (("alpha = 0 (WGAN)", 0.0), ("alpha = |beta|√xi_min", 0.5)):
        axes.plot(gammas, [spectral_abscissa(xi, alpha, 1.0, g) for g in gammas], label=label)
        alone = [spectral_abscissa(0.25, alpha, 1.0, g, complete=False) for g in gammas]
        axes.plot(gammas, alone, ":", color=axes.lines[-1].get_color(), label="xi_min alone")
    for gamma in gamma_range(0.25, 1.0):
        axes.axvline(gamma, color="k", linewidth=0.6)
    axes.set(xlabel="gamma (lines: |beta|/√xi_min and twice that)", ylabel="largest real part")
    axes.set_title("xi_min = 0.25, |beta| = 1")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
