"""Which of many observations of one object are used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def evenly(things: Sequence[T], count: int) -> list[T]:
    """Return `count` of them, the first one among them, as evenly spaced as can be."""
    return [things[k * len(things) // count] for k in range(count)]
