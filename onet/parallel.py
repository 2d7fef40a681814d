"""Many independent tasks over the cores of this machine or over a dask cluster.

A task that raises, or whose process dies, costs its own item only. Scripts that call `run_tasks`
with more than one worker need the usual `if __name__ == "__main__":` guard, because processes are
spawned.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from onet.errors import OnetError

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

LOG_EVERY = 10.0
"""Seconds between progress lines where there is no terminal."""

WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "DASK_LOGGING__DISTRIBUTED": "critical",
}


class WorkerDied(OnetError, RuntimeError):
    """The process that worked on an item died: out of memory, or a crash in native code."""


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
            worker means this very process, in order: no dask, but a native crash ends it all.
        scheduler: address of a running dask scheduler (`tcp://host:8786`), in place of `workers`.
        describe: what to call an item in the progress display.
        title: what is being done.
    """
    todo = list(items)
    if not todo:
        return
    if scheduler is None:
        from dask.system import CPU_COUNT

        workers = min(CPU_COUNT if workers is None else workers, len(todo))
    if scheduler is None and workers == 1:
        results = _run_here(function, todo)
    else:
        results = _run_on_dask(function, todo, workers, scheduler)
    yield from _show_progress(results, len(todo), describe, title)


def _run_here(function: Callable[[T], R], items: list[T]) -> Iterator[tuple[T, R | Exception]]:
    for item in items:
        try:
            outcome: R | Exception = function(item)
        except Exception as error:
            outcome = error
        yield item, outcome


def _run_on_dask(
    function: Callable[[T], R], items: list[T], workers: int | None, scheduler: str | None
) -> Iterator[tuple[T, R | Exception]]:
    import dask
    from distributed import Client, LocalCluster

    if scheduler is not None:
        with Client(scheduler, set_as_default=False) as client:
            yield from _submit(client, function, items)
        return
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    settings = {
        "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
        "distributed.scheduler.allowed-failures": 0,
        "distributed.comm.timeouts.connect": "60s",
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield from _submit(client, function, items)


def _submit(
    client: Client, function: Callable[[T], R], items: list[T]
) -> Iterator[tuple[T, R | Exception]]:
    """Keeps two tasks a thread in flight, so that results do not pile up in memory.

    When a process dies, dask blames all tasks that it held. The blamed ones are tried again in the
    end, one at a time, so that only the guilty one is reported.
    """
    from distributed import Future, KilledWorker, as_completed

    waiting = iter(items)
    running: dict[Future, T] = {}
    blamed: list[T] = []
    finished = as_completed(loop=client.loop)

    def start(item: T) -> None:
        future = client.submit(function, item, pure=False)
        running[future] = item
        finished.add(future)

    def refill(limit: int) -> None:
        while len(running) < limit:
            try:
                start(next(waiting))
            except StopIteration:
                return

    def threads() -> int:
        return max(1, sum(client.nthreads().values()))

    refill(2 * threads())
    while running or blamed:
        alone = not running
        if alone:
            start(blamed.pop())
        future = next(finished)
        item = running.pop(future)
        refill(2 * threads())
        try:
            outcome: R | Exception = future.result()
        except KilledWorker:
            if not alone:
                blamed.append(item)
                continue
            outcome = WorkerDied("its process died: out of memory, or a crash in native code")
        except Exception as error:
            outcome = error
        del future  # lets the cluster forget the result
        yield item, outcome


def _show_progress(
    results: Iterator[tuple[T, R | Exception]],
    total: int,
    describe: Callable[[T], str],
    title: str,
) -> Iterator[tuple[T, R | Exception]]:
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            bar = progress.add_task(title, total=total)
            for item, outcome in results:
                progress.update(bar, advance=1, description=f"{title} {describe(item)}")
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
