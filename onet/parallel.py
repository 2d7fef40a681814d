"""Many independent tasks over the cores of this machine or over a dask cluster.

A task that raises, or whose process dies, costs its own item only. Scripts that call `run_tasks`
with more than one worker need the usual `if __name__ == "__main__":` guard, because processes are
spawned.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from onet.errors import MissingDependency, OnetError

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

LOG_EVERY = 10.0
"""Seconds between progress lines where there is no terminal."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Environment of worker processes: the cores are taken by the processes."""


class WorkerDied(OnetError, RuntimeError):
    """The process that worked on an item died: out of memory, or a crash in native code."""

    def __init__(self) -> None:
        super().__init__("its process died: out of memory, or a crash in native code")


def run_tasks(
    function: Callable[[T], R],
    items: Iterable[T],
    workers: int | None = None,
    scheduler: str | None = None,
    describe: Callable[[T], str] = str,
    title: str = "working",
) -> Iterator[tuple[T, R | Exception]]:
    """Apply `function` to each item; yields (item, result or exception) as they finish.

    Progress with the time left is shown on a terminal, and logged every ten seconds elsewhere.

    Args:
        function: called with one item; function, items and results are pickled.
        items: consumed before the first task starts.
        workers: processes on this machine, one native thread each; None means one a core. One
            worker means this very process, in order: a native crash ends it all.
        scheduler: address of a running dask scheduler (`tcp://host:8786`), in place of `workers`.
        describe: what to call an item in the progress display.
        title: what is being done.

    Raises:
        MissingDependency: `scheduler` is given and dask is not installed.
    """
    todo = list(items)
    if not todo:
        return
    workers = min(workers or _cores(), len(todo))
    if scheduler is not None:
        results = _run_on_cluster(function, todo, scheduler)
    elif workers == 1:
        results = _run_here(function, todo)
    else:
        results = _run_in_processes(function, todo, workers)
    yield from _show_progress(results, len(todo), describe, title)


def _run_here(function: Callable[[T], R], items: list[T]) -> Iterator[tuple[T, R | Exception]]:
    for item in items:
        try:
            outcome: R | Exception = function(item)
        except Exception as error:
            outcome = error
        yield item, outcome


def _run_in_processes(
    function: Callable[[T], R], items: list[T], workers: int
) -> Iterator[tuple[T, R | Exception]]:
    """When a process dies its pool dies with it, and all items in it are under suspicion.

    The others go on in a new pool; the suspects come last, each in a pool of its own.
    """
    waiting = deque(items)
    suspects: list[T] = []
    while waiting:
        running: dict[Future[R], T] = {}
        with _pool(min(workers, len(waiting))) as pool:
            broken = False
            while running or (waiting and not broken):
                try:
                    while waiting and not broken and len(running) < 2 * workers:
                        future = pool.submit(function, waiting[0])
                        running[future] = waiting.popleft()
                except BrokenProcessPool:
                    broken = True
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    item = running.pop(future)
                    try:
                        outcome: R | Exception = future.result()
                    except BrokenProcessPool:
                        broken = True
                        suspects.append(item)
                        continue
                    except Exception as error:
                        outcome = error
                    yield item, outcome
    for item in suspects:
        with _pool(1) as pool:
            try:
                outcome = pool.submit(function, item).result()
            except BrokenProcessPool:
                outcome = WorkerDied()
            except Exception as error:
                outcome = error
        yield item, outcome


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes, which start with the first task; what still waits at the end is dropped."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)  # read when NumPy and torch are imported: too late to set inside
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_ignore_interrupt
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _ignore_interrupt() -> None:
    """Ctrl-C reaches all processes of a terminal; the parent decides what to do about it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run_on_cluster(
    function: Callable[[T], R], items: list[T], scheduler: str
) -> Iterator[tuple[T, R | Exception]]:
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError:
        raise MissingDependency("a scheduler needs dask: pip install 'onet[cluster]'") from None
    with Client(scheduler, set_as_default=False) as client:
        futures = {client.submit(function, item, pure=False): item for item in items}
        for future in as_completed(futures, loop=client.loop):
            try:
                outcome: R | Exception = future.result()
            except KilledWorker:
                outcome = WorkerDied()
            except Exception as error:
                outcome = error
            item = futures.pop(future)
            future.release()
            yield item, outcome


def _show_progress(
    results: Iterator[tuple[T, R | Exception]],
    total: int,
    describe: Callable[[T], str],
    title: str,
) -> Iterator[tuple[T, R | Exception]]:
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            bar = progress.add_task(title, total=total)
            for item, outcome in results:
                progress.update(bar, advance=1, description=escape(f"{title} {describe(item)}"))
                yield item, outcome
        return
    start = last = time.monotonic()
    for done, (item, outcome) in enumerate(results, start=1):
        now = time.monotonic()
        if now - last >= LOG_EVERY or done == total:
            last = now
            left = (now - start) / done * (total - done)
            logger.info(
                "%s: %d of %d, %.0f s left, last %s", title, done, total, left, describe(item)
            )
        yield item, outcome
