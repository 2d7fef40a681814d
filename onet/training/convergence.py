"""Was the run still improving when it stopped?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MIN_REPORTS = 4


def validation_improving(
    iterations: Sequence[int], values: Sequence[float], mode: str
) -> bool | None:
    """Return whether the best validation lies in the last 10 % of iterations.

    None where there are fewer than two.
    """
    if len(values) < 2:
        return None
    best = int(np.argmax(values) if mode == "max" else np.argmin(values))
    return iterations[best] > 0.9 * iterations[-1]


def loss_improving(losses: Sequence[float]) -> bool | None:
    """Whether the training loss still fell: the last eighth of the reports has a mean below that of
    the eighth before it by more than two standard errors of the difference.

    None where an eighth has fewer than four reports.
    """
    eighth = len(losses) // 8
    if eighth < MIN_REPORTS:
        return None
    before = np.asarray(losses[-2 * eighth : -eighth])
    last = np.asarray(losses[-eighth:])
    error = np.sqrt((before.var(ddof=1) + last.var(ddof=1)) / eighth)
    return bool(before.mean() - last.mean() > 2 * error)
