"""Signals that end a program, as an exception that is sure to reach the end of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")

CHECK_EVERY = 0.1
"""Seconds between looks whether the exception is still on its way."""

PATIENCE = 10.0
"""Seconds after which native code that does not return is left where it is."""


class Stopped(SystemExit):
    """A signal told the program to end. Files half written are removed on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number)


@contextmanager
def stoppable(names: Sequence[str] = SIGNALS) -> Iterator[None]:
    """Within it the first of these signals raises `Stopped` in the main thread.

    Libraries catch what they should not (`except BaseException` around an import), so a thread
    looks after the exception and raises it again where it got lost; an error that comes of the loss
    is `Stopped` too. The second signal is ignored, since launchers and terminals may send one
    signal twice; the third ends the process at once. Signals that were ignored before, as by
    `nohup`, still are. Outside of the main thread, which alone may handle signals, nothing is
    changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stop = _Stop()
    stop.begin([getattr(signal, name) for name in names if hasattr(signal, name)])
    try:
        yield
    except Exception as error:
        if stop.number is None:
            raise
        # What a library, half imported when the signal came, could not do any more.
        raise Stopped(stop.number) from error
    finally:
        stop.end()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Run a short section at whose end, and not within it, `Stopped` is raised."""
    stop = _Stop.current
    if stop is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    stop.held += 1
    try:
        yield
    finally:
        stop.held -= 1
    if not stop.held and stop.pending is not None:
        number, stop.pending = stop.pending, None
        raise Stopped(number)


class _Stop:
    """Handlers of the signals, and the thread that looks after them."""

    current: _Stop | None = None

    def __init__(self) -> None:
        self.held = 0  # sections that are not to be interrupted, one in another
        self.pending: int | None = None  # signal that came meanwhile
        self.count = 0  # of signals from outside
        self.number: int | None = None  # of the first of them
        self.again = False  # the next one comes from here
        self.ended = False
        self.before: dict[int, object] = {}

    def begin(self, numbers: Sequence[int]) -> None:
        before = {number: signal.getsignal(number) for number in numbers}
        self.before = {n: old for n, old in before.items() if old not in (signal.SIG_IGN, None)}
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.writer, False)
        for number in self.before:
            signal.signal(number, self.handle)
        self.wakeup = signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)
        self.outer, _Stop.current = _Stop.current, self
        threading.Thread(target=self.watch, name="onet-stop", daemon=True).start()

    def end(self) -> None:
        self.ended, _Stop.current = True, self.outer
        for number, old in self.before.items():
            if signal.getsignal(number) == self.handle:
                signal.signal(number, old)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self.wakeup)
        os.close(self.writer)  # ends the thread, which closes the other end

    def handle(self, number: int, frame: FrameType | None) -> None:
        self.count += not self.again
        first, self.again = self.again or self.count == 1, False
        self.number = self.number or number
        if not first:
            signal.signal(number, signal.SIG_DFL)
        elif self.held:
            self.pending = number
        else:
            raise Stopped(number)

    def watch(self) -> None:
        """Woken by the system as soon as a signal is there, whatever the main thread does."""
        while number := os.read(self.reader, 1):
            if signal.getsignal(number[0]) == self.handle:
                self.see_to(number[0])
        os.close(self.reader)

    def see_to(self, number: int) -> None:
        main, since, location, moves = threading.main_thread().ident, time.monotonic(), None, -1
        while not self.ended:
            time.sleep(CHECK_EVERY)
            if self.count == 0:
                if location != (location := _place(main)):
                    since, moves = time.monotonic(), moves + 1
                if moves > 1:
                    return  # another handler, which has gone since, took the signal
                if time.monotonic() - since > PATIENCE:  # no handler runs in native code
                    os._exit(128 + number)
            elif not self.again and not _on_its_way(main) and not self.ended:
                self.again = True
                _send(main, number)


def _place(thread: int | None) -> tuple[int, int] | None:
    """Where a thread is in its Python code."""
    frame = sys._current_frames().get(thread or 0)
    return None if frame is None else (id(frame), frame.f_lasti)


def _on_its_way(thread: int | None) -> bool:
    """Return whether a thread is cleaning up because of `Stopped`, directly or at one remove."""
    found = sys._current_exceptions().get(thread or 0)
    error = found[1] if isinstance(found, tuple) else found
    while error is not None and not isinstance(error, Stopped):
        error = error.__context__
    return error is not None


def _send(thread: int | None, number: int) -> None:
    if hasattr(signal, "pthread_kill") and thread is not None:
        signal.pthread_kill(thread, number)
    else:
        signal.raise_signal(number)
