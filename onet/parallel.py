"""Many independent tasks over the cores of this machine or over a dask cluster.

A task that raises, or whose process dies, costs its own item only. Processes end with the one that
started them, however that one ends. Scripts that call `run_tasks` with more than one worker need
the usual `if __name__ == "__main__":` guard, because processes are spawned.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing, contextmanager
from multiprocessing import connection
from typing import TypeVar

from onet.cluster import run_on_cluster
from onet.errors import WorkerDied
from onet.machine import workers_for
from onet.names import printable
from onet.progress import Progress, followed
from onet.stopping import Stopped, stoppable, uninterrupted

_PR_SET_PDEATHSIG = 1  # of sys/prctl.h
_pools: set[ProcessPoolExecutor] = set()
_stop = ExitStack()  # of a worker process, as long as it lives

T = TypeVar("T")
R = TypeVar("R")

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Environment of worker processes: the cores are taken by the processes."""

MEMORY = 5e8
"""Bytes that a process may take where the caller does not say: NumPy, torch and small tasks."""

GRACE = 5.0
"""Seconds that processes get to remove unfinished files when the work is stopped."""


def run_tasks(
    function: Callable[[T], R],
    items: Iterable[T],
    workers: int | None = None,
    scheduler: str | None = None,
    describe: Callable[[T], str] = str,
    title: str = "working",
    memory: float = MEMORY,
    progress: Progress | None = None,
    size: Callable[[T], float] | None = None,
) -> Generator[tuple[T, R | Exception], None, None]:
    """Apply `function` to each item; yields (item, result or exception) as they finish.

    Progress is told as `onet.progress` says. Processes are ended when the iterator is closed early:
    `contextlib.closing` does so whatever happens in the loop over it.

    Args:
        function: called with one item; function, items and results are pickled.
        items: consumed before the first task starts.
        workers: processes on this machine, one native thread each; None means as many as there are
            cores and memory for, see `onet.machine`. One worker means this very process, in order:
            a native crash ends it all.
        scheduler: address of a running dask scheduler (`tcp://host:8786`), in place of `workers`.
        describe: what to call an item in the progress display.
        title: what is being done.
        memory: bytes that a process takes at its peak.
        progress: see `onet.progress`; default that of the call under way.
        size: of an item, in any unit: several processes begin with the largest, so that none is
            left with it at the end.

    Raises:
        MissingDependency: `scheduler` is given and dask is not installed.
        ConfigError: nobody answers at that address.
    """
    todo = list(items)
    if not todo:
        nothing: list[tuple[T, R | Exception]] = []
        yield from followed(nothing, 0, str, title, progress)  # says so
        return
    if scheduler is not None:
        results = run_on_cluster(function, _largest_first(todo, size), scheduler, memory)
    elif (count := _count(workers, len(todo), memory)) == 1:
        results = _run_here(function, todo)
    else:
        todo = _largest_first(todo, size)
        results = _run_in_processes(function, todo, count)

    def shown_name(result: tuple[T, R | Exception]) -> str:
        return printable(describe(result[0]))

    shown = followed(results, len(todo), shown_name, title, progress)
    with closing(results), closing(shown):
        yield from shown


def _largest_first(items: list[T], size: Callable[[T], float] | None) -> list[T]:
    return items if size is None else sorted(items, key=size, reverse=True)


def _count(workers: int | None, tasks: int, memory: float) -> int:
    wanted = None if workers is None else min(workers, tasks)
    return 1 if tasks == 1 or wanted == 1 else min(workers_for(memory, wanted), tasks)


def _run_here(
    function: Callable[[T], R], items: list[T]
) -> Generator[tuple[T, R | Exception], None, None]:
    for item in items:
        try:
            outcome: R | Exception = function(item)
        except Exception as error:
            outcome = error
        yield item, outcome


def _run_in_processes(
    function: Callable[[T], R], items: list[T], workers: int
) -> Generator[tuple[T, R | Exception], None, None]:
    """When a process dies its pool dies with it, and all items in it are under suspicion.

    The others go on in a new pool; the suspects come last, one after the other, so that the one
    that brings its process down is known.
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
                        with _starting():
                            future = pool.submit(_call, function, waiting[0])
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
    while suspects:
        with _pool(1) as pool:
            broken = False
            while suspects and not broken:
                item = suspects.pop(0)
                try:
                    with _starting():
                        future = pool.submit(_call, function, item)
                    outcome = future.result()
                except BrokenProcessPool:
                    broken, outcome = True, WorkerDied()
                except Exception as error:
                    outcome = error
                yield item, outcome


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes, which start with the first task; what still waits at the end is dropped."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)  # read when NumPy and torch are imported: too late to set inside
    pool = ProcessPoolExecutor(
        workers,
        multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(in_main_thread(),),
    )
    _pools.add(pool)
    try:
        yield pool
    except BaseException:
        _end(pool)
        raise
    finally:
        _pools.discard(pool)
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _starting() -> Iterator[None]:
    """Processes that start here ignore Ctrl-C, and none is left half started by a signal."""
    block = getattr(signal, "pthread_sigmask", None)
    before = block(signal.SIG_BLOCK, _interrupts()) if block else ()
    try:
        with uninterrupted():
            yield
    finally:
        if block:
            block(signal.SIG_SETMASK, before)


def end_processes() -> None:
    """End the processes of iterators that an error left open; else Python waits for their tasks."""
    for pool in [*_pools]:
        _end(pool)


def _end(pool: ProcessPoolExecutor) -> None:
    """End the processes of a pool, whatever they are doing."""
    processes = list((pool._processes or {}).values())  # Python 3.14 has terminate_workers
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + GRACE
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()


# -- in the worker processes ----------------------------------------------------------------------


def _begin(by_main_thread: bool) -> None:
    """Prepare a worker process: it is up to the parent to say when to end."""
    ignore_interrupts()
    _stop.enter_context(stoppable(["SIGTERM"]))  # so that unfinished files are removed
    end_with_parent(by_main_thread)


def _call(function: Callable[[T], R], item: T) -> R:
    """`function(item)`; the executor would take `SystemExit` for a result."""
    try:
        return function(item)
    except Stopped as stopped:
        os._exit(128 + stopped.signal)


def ignore_interrupts() -> None:
    """In a worker: leave Ctrl-C, and a terminal that closes, which reach all, to the parent."""
    for number in _interrupts():
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _interrupts())


def _interrupts() -> list[signal.Signals]:
    return [getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)]


def in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def end_with_parent(by_main_thread: bool) -> None:
    """End this process, made by `multiprocessing`, as soon as the one that started it is gone.

    Args:
        by_main_thread: whether the parent's main thread started it. Linux ends a process with the
            very thread that did, which may be gone long before its process.
    """
    if sys.platform == "linux" and by_main_thread:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_await_end, args=(parent.sentinel,), daemon=True).start()


def _await_end(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
