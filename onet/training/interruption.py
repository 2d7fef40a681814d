"""Ctrl-C and other signals as a wish to stop that is granted between two iterations."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType
from typing import Any, NoReturn

from onet.stopping import SIGNALS

logger = logging.getLogger(__name__)


class Interruption:
    """Context in which the first signal to stop is noted; the second acts as it would outside.

    Signals that are ignored outside, as by `nohup`, stay ignored. Outside of the main thread, which
    alone may handle signals, nothing is changed.

    Attributes:
        requested: a signal came.
        signal: its name; None before.
    """

    def __init__(self) -> None:
        self.requested = False
        self.signal: str | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for name in SIGNALS:
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            self._restore()
            signal.raise_signal(number)
            return
        self.requested, self.signal = True, signal.Signals(number).name
        logger.info("%s: stopping after this iteration", self.signal)

    def _restore(self) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())


def pass_on(name: str | None) -> NoReturn:
    """Let the signal that ended a training act as it would have outside of it.

    Args:
        name: of the signal; None, where another process of the run got it, means Ctrl-C.
    """
    signal.raise_signal(signal.Signals[name or "SIGINT"])
    raise KeyboardInterrupt  # its handler is somebody's who wanted it to return
