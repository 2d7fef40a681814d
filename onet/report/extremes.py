"""Which items of a page are shown in 3D."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

K = TypeVar("K", bound=Any)


def extremes(scores: Mapping[K, float], count: int) -> tuple[list[K], list[K]]:
    """Return the items with the lowest and those with the highest score, none of them twice."""
    order = sorted(scores, key=lambda key: (scores[key], key))
    worst = order[:count]
    return worst, [key for key in reversed(order) if key not in worst][:count]
