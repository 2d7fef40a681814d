"""A function of many points, evaluated tile by tile on several threads.

A tile's activations stay in the processor's cache, and each thread takes whole tiles, which scales
better than to split every single operation among the threads. Results do not depend on the number
of threads, as long as a point's result does not depend on its tile.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_threads = 0  # of the pool


def map_tiles(
    prepare: Callable[[], Callable[[Tensor], T]],
    tiles: Sequence[Tensor],
) -> list[T]:
    """Apply a function to every tile, on as many threads as torch may use in the calling one.

    The threads belong to the process and run each operation of torch on one core, so that calls
    from several threads at once share the cores. With one thread, or tiles on another device than
    the CPU, the calling thread does the work.

    Args:
        prepare: called once by each thread that takes part; returns the function it applies, which
            may hold buffers of its own.
        tiles: its first axis is that of the points.
    """
    if not tiles:
        return []
    waiting = deque(enumerate(tiles))
    results: dict[int, T] = {}

    def work() -> None:
        function = prepare()
        while True:
            try:
                index, tile = waiting.popleft()
            except IndexError:
                return
            try:
                results[index] = function(tile)
            except BaseException:
                waiting.clear()  # the other threads stop soon
                raise

    threads = torch.get_num_threads() if tiles[0].device.type == "cpu" else 1
    if threads == 1:
        work()
    else:
        jobs = _submit(work, min(threads, len(tiles)))
        try:
            for job in jobs:
                job.result()
        finally:
            waiting.clear()  # also after an interruption of the calling thread
    return [results[index] for index in range(len(tiles))]


def _submit(work: Callable[[], None], count: int) -> list[Future[None]]:
    """Start `work` on `count` threads of the pool, which grows to that size if need be."""
    global _pool, _threads
    with _lock:
        if _pool is None or _threads < count:
            if _pool is not None:
                _pool.shutdown(wait=False)
            _pool, _threads = _start(count), count
        return [_pool.submit(work) for _ in range(count)]


def _start(count: int) -> ThreadPoolExecutor:
    """Return a pool whose threads all run, each with one thread of torch's own."""
    allowed = torch.get_num_threads()
    started = threading.Barrier(count)
    pool = ThreadPoolExecutor(count, "onet-tiles", _one_thread)
    try:
        list(pool.map(lambda _: started.wait(), range(count)))
    finally:
        torch.set_num_threads(allowed)  # threads started later inherit the last value set
    return pool


def _one_thread() -> None:
    torch.get_num_threads()  # a thread takes the common value at first use: get that over with
    torch.set_num_threads(1)


def _forget() -> None:
    """In a forked process the threads are gone, and the lock may have been held."""
    global _lock, _pool, _threads
    _lock, _pool, _threads = threading.Lock(), None, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
