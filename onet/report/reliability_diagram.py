"""How often what is said with a probability is true, as a diagram."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from onet.evaluation.reliability import calibration_error, reliability
from onet.files import replacing
from onet.inference.scaling import UNCHANGED, Scaling


def draw_reliability(
    samples: Mapping[str, tuple[NDArray[np.float64], NDArray[np.bool_]]],
    scaling: Scaling,
    path: Path,
) -> None:
    """Draw the occupied part over the probability, before and after calibration, as PNG.

    Args:
        samples: logits and occupancies (N,) of each kind of points.
        scaling: of the logits.
        path: the file.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(samples), 4.6), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(samples)))
    for axes, (name, (logits, truth)) in zip(panels, samples.items(), strict=True):
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        after = f"T = {scaling.temperature:.3f}, b = {scaling.offset:.3f}"
        for label, applied in (("before", UNCHANGED), (after, scaling)):
            probabilities = expit(applied(logits))
            said, true, _ = reliability(probabilities, truth)
            error = calibration_error(probabilities, truth)
            there = np.isfinite(said)
            axes.plot(said[there], true[there], marker=".", label=f"{label}: error {error:.4f}")
        axes.set(
            xlabel="probability", ylabel="part that is occupied", title=f"points {name}", aspect=1
        )
        axes.grid(alpha=0.3)
        axes.legend()
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)
