"""Ctrl-C and SIGTERM as a wish to stop that is granted between two iterations."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType
from typing import Any

logger = logging.getLogger(__name__)

HANDLED = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Context in which the first such signal is noted; the second acts as it would outside.

    Outside of the main thread, which alone may handle signals, nothing is changed.

    Attributes:
        requested: a signal came.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in HANDLED}
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._restore()
        self.requested = True
        logger.info("%s: stopping after this iteration", signal.Signals(number).name)

    def _restore(self) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())
