"""Independent tasks on the workers of a dask cluster that somebody else started.

Any cluster of dask.distributed will do: `dask scheduler` and `dask worker` by hand, dask-jobqueue,
dask-kubernetes. Its workers need this package and the folders of the command under the same paths.
A worker that dies costs time: its tasks are given to others. A task that kills one worker after the
other is given up (`distributed.scheduler.allowed-failures`).
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

from onet.errors import ConfigError, DataError, MissingDependency, WorkerDied

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

MEMORY_RESOURCE = "MEMORY"
"""Resource, in bytes, by which workers say how many tasks they have memory for."""

AHEAD = 4
"""Tasks that the scheduler knows of for every thread of its workers: it holds what it knows."""
LEAST_AHEAD = 1000

_place = threading.Condition()  # of a worker: all its tasks run in one working directory at a time
_running = 0

_making = threading.Lock()
_kept: dict[Hashable, Any] = {}


def run_on_cluster(
    function: Callable[[T], R], items: list[T], scheduler: str, memory: float
) -> Generator[tuple[T, R | Exception], None, None]:
    """Apply `function` to each item, the first ones first; yields results as they finish.

    Paths mean what they mean here: tasks run in this working directory.

    Args:
        function, items: are pickled.
        scheduler: its address, `tcp://host:8786`.
        memory: bytes that a task takes at its peak. Workers that were started with `--resources
            MEMORY=...` take no more tasks at a time than fit.

    Raises:
        MissingDependency: dask is not installed.
        ConfigError: nobody answers at that address.
    """
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise MissingDependency("a scheduler needs dask: pip install 'onet[cluster]'") from None
    try:
        client = Client(scheduler, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{scheduler}: no dask scheduler answers ({error}); start one with `dask scheduler`, "
            "or correct the address"
        ) from error
    with client:
        threads, resources = _offered(client, memory, scheduler)
        waiting, here = deque(items), os.getcwd()
        running: dict[Any, T] = {}
        # Results are fetched as soon as they are there: those on a worker that dies are lost.
        done = as_completed(with_results=True, raise_errors=False, loop=client.loop)

        def submit() -> None:
            future = client.submit(
                _run, function, waiting[0], here,
                pure=False, priority=len(waiting), resources=resources,
            )  # fmt: skip
            running[future] = waiting.popleft()
            done.add(future)

        while waiting and len(running) < max(LEAST_AHEAD, AHEAD * threads):
            submit()
        for future, found in done:
            # The status may tell of later: what is here stays a result when its worker dies.
            known = isinstance(found, _Result)
            outcome: R | Exception = found.value if known else _failure(future.status, found)
            item = running.pop(future)
            future.release()
            if waiting:
                submit()
            yield item, outcome


def kept(key: Hashable, make: Callable[[], T]) -> T:
    """Return what `make` makes, once for a worker: it keeps the last thing until asked for another.

    Of several threads one makes it, and the others wait.
    """
    with _making:
        if key not in _kept:
            _kept.clear()  # first, so that two never need memory at once
            _kept[key] = make()
        return _kept[key]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class _Result:
    """What a task returned."""

    value: Any


def _failure(status: str, found: Any) -> Exception:
    """Return why a task has no result."""
    from distributed import KilledWorker

    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, KilledWorker):
        return WorkerDied()
    if isinstance(error, Exception):
        return error
    return RuntimeError(f"the cluster has given it up ({status}: {error!r})")


def _offered(client: Any, memory: float, scheduler: str) -> tuple[int, dict[str, float] | None]:
    """Return the threads of all workers, and what to ask of one of them for a task."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if not workers:
        logger.warning("%s: has no workers yet; waiting for some", scheduler)
        client.wait_for_workers(1)
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
    threads = sum(worker["nthreads"] for worker in workers)
    if workers and all(MEMORY_RESOURCE in worker["resources"] for worker in workers):
        return threads, {MEMORY_RESOURCE: memory}
    small = [
        worker for worker in workers
        if 0 < worker["memory_limit"] < memory * worker["nthreads"]
    ]  # fmt: skip
    if small:
        logger.warning(
            "%s: %d of %d workers have less than the %.1f GB that a task may take on each thread; "
            "start them with fewer threads, or all with --resources %s=BYTES",
            scheduler, len(small), len(workers), memory / 1e9, MEMORY_RESOURCE,
        )  # fmt: skip
    return threads, None


def _run(function: Callable[[T], R], item: T, folder: str) -> _Result:
    """On a worker: `function(item)` in the working directory of the command.

    Raises:
        DataError: the worker does not have it.
    """
    global _running
    with _place:
        _place.wait_for(lambda: _running == 0 or os.getcwd() == folder)
        try:
            os.chdir(folder)
        except OSError as error:
            raise DataError(
                f"{folder}: cannot be used on a worker of the cluster ({error.strerror}); give its "
                "workers the folders of the command under the same paths"
            ) from error
        _running += 1
    try:
        return _Result(function(item))
    finally:
        with _place:
            _running -= 1
            _place.notify_all()
