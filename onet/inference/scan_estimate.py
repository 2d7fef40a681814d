"""How long a scan will take, said before it does."""

from __future__ import annotations

import logging

from onet.inference.scan_input import ScanInput
from onet.machine import threads

logger = logging.getLogger(__name__)

LONG = 20.0
"""Seconds that are worth saying so."""

_START = 1.0  # seconds
_PER_POINT = 1.5e-4  # seconds of one core: encoding
_PER_SQUARE = 5e-5  # seconds of one core for the square of cells along the longest side: decoding


def estimated_cells(scan: ScanInput, resolution: int | None = None) -> int:
    """Return about how many cells of extraction lie along the longest side."""
    extent = scan.frame.scale
    return resolution or max(1, round(extent / scan.spacing.typical))


def estimated_seconds(scan: ScanInput, resolution: int | None = None) -> float:
    """Return about how long a scan takes on the processor, within a factor of three."""
    squares = sum(estimated_cells(part, resolution) ** 2 for part in scan.parts())
    return _START + (_PER_POINT * len(scan) + _PER_SQUARE * squares) / threads()


def announce(scan: ScanInput, resolution: int | None = None) -> None:
    """Log what a scan is and how long it will take, where that is long."""
    seconds = estimated_seconds(scan, resolution)
    if seconds > LONG:
        logger.info(
            "%s: %s points, about %d cells along the longest side; about %.0f s on %d cores",
            scan.name, f"{len(scan):,}", estimated_cells(scan.parts()[0], resolution), seconds,
            threads(),
        )  # fmt: skip
