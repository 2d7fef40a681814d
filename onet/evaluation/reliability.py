"""How often what is said with a probability is true."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 15


def reliability(
    probabilities: NDArray[np.floating],  # (N,)
    occupancies: NDArray[np.bool_],  # (N,)
    bins: int = BINS,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Mean probability, part that is occupied, and number of points, of equally wide bins.

    The first two are NaN where a bin has no points.
    """
    bin_of = np.minimum((probabilities * bins).astype(int), bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):
        said = np.bincount(bin_of, probabilities, bins) / counts
        true = np.bincount(bin_of, occupancies, bins) / counts
    return said, true, counts


def calibration_error(
    probabilities: NDArray[np.floating], occupancies: NDArray[np.bool_], bins: int = BINS
) -> float:
    """Expected calibration error: mean distance of probability and frequency over the points."""
    said, true, counts = reliability(probabilities, occupancies, bins)
    return float(np.nansum(counts * np.abs(said - true)) / counts.sum())
