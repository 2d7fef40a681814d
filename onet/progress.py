"""How far a long call is: told to a function of the caller's, or shown on the screen.

A long call takes `progress`, a function `progress(done, total, what)`. It is called once before the
first item and after each, in the thread of the call; what it raises ends the call. A call that does
several things one after the other starts again from 0 with another `what`. Without a function there
is a bar on a terminal, and a line in the log every ten seconds elsewhere.
"""

from __future__ import annotations

import functools
import logging
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

logger = logging.getLogger(__name__)

Progress = Callable[[int, int | None, str], object]
"""`(done, total, what)`: so many of so many items of what is being done, `training` for instance.
The total is None where nobody knows it."""

LOG_EVERY = 10.0
"""Seconds between progress lines where there is no terminal."""

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_listener: ContextVar[Progress | None] = ContextVar("listener", default=None)


def reports_progress(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a long call: what its argument `progress` names hears of all that is done in it.

    Calls inside of it need not be handed the function: `listener` finds it.
    """

    @functools.wraps(function)
    def heard(*args: P.args, **kwargs: P.kwargs) -> R:
        with _heard_by(kwargs.get("progress")):  # type: ignore[arg-type]
            return function(*args, **kwargs)

    return heard


@contextmanager
def _heard_by(progress: Progress | None) -> Iterator[None]:
    token = _listener.set(progress or _listener.get())
    try:
        yield
    finally:
        _listener.reset(token)


def listener() -> Progress | None:
    """Return the function that hears of progress in the call under way, if there is one."""
    return _listener.get()


def followed(
    results: Iterable[T],
    total: int | None,
    describe: Callable[[T], str],
    title: str,
    progress: Progress | None = None,
    at_once: bool = False,
) -> Generator[T, None, None]:
    """Yield the results, and tell how many there were.

    Args:
        results: in the order in which they are finished.
        total: number of results, None if it is not known.
        describe: what to call a result on the screen.
        title: what is being done.
        progress: hears of it in place of the screen; default `listener()`.
        at_once: `progress` hears of a result before the caller has it, in place of when the caller
            is done with it and asks for the next.
    """
    progress = progress or listener()
    if progress is not None:
        progress(0, total, title)
        for done, result in enumerate(results, start=1):
            if at_once:
                progress(done, total, title)
            yield result
            if not at_once:
                progress(done, total, title)
    elif sys.stderr.isatty():
        yield from _on_terminal(results, total, describe, title)
    else:
        yield from _logged(results, total, describe, title)


def _on_terminal(
    results: Iterable[T], total: int | None, describe: Callable[[T], str], title: str
) -> Generator[T, None, None]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as shown:
        bar = shown.add_task(title, total=total)
        for result in results:
            shown.update(bar, advance=1, description=escape(f"{title} {describe(result)}"))
            yield result


def _logged(
    results: Iterable[T], total: int | None, describe: Callable[[T], str], title: str
) -> Generator[T, None, None]:
    start = last = time.monotonic()
    for done, result in enumerate(results, start=1):
        now = time.monotonic()
        if now - last >= LOG_EVERY or done == total:
            last = now
            if total is None:
                logger.info("%s: %d, last %s", title, done, describe(result))
            else:
                left = (now - start) / done * (total - done)
                logger.info(
                    "%s: %d of %d, %.0f s left, last %s", title, done, total, left, describe(result)
                )
        yield result
