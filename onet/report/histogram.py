"""Histograms of scores as drawings in a page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

_WIDTH, _HEIGHT, _BELOW = 300, 90, 16
_BINS = 20
_MOST = 0.98  # of the values are shown in bins of their own, the others in the last


def histogram(
    name: str, values: Sequence[float], failed: int = 0, limit: float | None = None
) -> str:
    """Return a chart of how often values occur, with their median.

    Args:
        name: of what is counted.
        values: finite, of the items that have one.
        failed: so many items have none; that is told.
        limit: the largest possible value; None for those without one, of which the largest of all
            values, those above the 98th percentile, share the last bin.
    """
    words = f"{len(values):,} items" + (f", {failed:,} failed left out" if failed else "")
    if not len(values):
        return f'<div class="card chart"><b>{escape(name)}</b> {words}</div>'
    counts, low, high, more = _counts(np.asarray(values, np.float64), limit)
    tallest, step = max(int(counts.max()), 1), _WIDTH / len(counts)
    bars = "".join(
        f'<rect x="{k * step:.1f}" y="{_HEIGHT * (1 - n / tallest):.1f}" width="{step - 1:.1f}" '
        f'height="{_HEIGHT * n / tallest:.1f}"><title>{_range(low, high, k, len(counts))}: {n}'
        "</title></rect>"
        for k, n in enumerate(counts)
    )
    median = float(np.median(values))
    x = _WIDTH * min(1.0, max(0.0, (median - low) / (high - low)))
    end = f"{high:.4g}" + (" and more" if more else "")
    return (
        f'<div class="card chart"><b>{escape(name)}</b> median {median:.4g}; {words}'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + _BELOW}" role="img" aria-label="'
        f'histogram of {escape(name)}">{bars}'
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{_HEIGHT}" stroke-dasharray="3 3"/>'
        f'<text x="0" y="{_HEIGHT + 12}">{low:.4g}</text><text x="{_WIDTH}" '
        f'y="{_HEIGHT + 12}" text-anchor="end">{end}</text></svg></div>'
    )


def _counts(values: np.ndarray, limit: float | None) -> tuple[np.ndarray, float, float, bool]:
    """Return numbers of values in bins, where these begin and end, and whether more lies beyond."""
    low = min(0.0, float(values.min()))
    high = float(np.quantile(values, _MOST)) if limit is None else limit
    if not high > low:
        high = low + (1.0 if limit is None else limit)
    counts, _ = np.histogram(np.minimum(values, high), _BINS, (low, high))
    return counts, low, high, bool(values.max() > high)


def _range(low: float, high: float, number: int, bins: int) -> str:
    ends = [low + (high - low) * (number + k) / bins for k in (0, 1)]
    return f"{ends[0]:.4g} to {ends[1]:.4g}"
