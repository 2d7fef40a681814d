"""Meshes of many observations, made beside one another and given in order."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import trimesh

from onet.errors import ConfigError, DataError
from onet.machine import workers_for
from onet.names import printable
from onet.progress import Progress, followed

logger = logging.getLogger(__name__)

MEMORY = 3e8
"""Bytes that a reconstruction takes beside the model: octree, activations of a batch, the mesh."""

AHEAD = 2
"""Observations taken for each worker: one that it works on, one that waits."""

Reconstruct = Callable[[Any], trimesh.Trimesh]
Outcome = tuple[str, trimesh.Trimesh | Exception]  # of an observation, with its name


@dataclass(frozen=True)
class Failure:
    """An observation of which no mesh could be made.

    Attributes:
        index: its place among the observations, from 0.
        observation: the file, or `observation INDEX`.
        error: why.
    """

    index: int
    observation: str
    error: Exception

    def __str__(self) -> str:
        return f"{printable(self.observation)}: {type(self.error).__name__}: {self.error}"


class Reconstructions(Iterator[trimesh.Trimesh | None]):
    """Iterator over meshes in the order of their observations, None for one that failed.

    Use it in a `with` block, or call `close`, where the loop over it may end early: what is in the
    making is finished then, and no more is begun.

    Attributes:
        failures: what failed so far.
    """

    def __init__(self, meshes: Generator[trimesh.Trimesh | None], failures: list[Failure]) -> None:
        self._meshes = meshes
        self.failures = failures

    def __next__(self) -> trimesh.Trimesh | None:
        return next(self._meshes)

    def close(self) -> None:
        """End the work."""
        self._meshes.close()

    def __enter__(self) -> Reconstructions:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def reconstruct_each(
    function: Reconstruct,
    observations: Iterable[Any],
    device: torch.device,
    workers: int | None,
    on_error: Literal["report", "raise"],
    progress: Progress | None,
) -> Reconstructions:
    """Apply `function` to each observation; see `Reconstructor.reconstruct_many`."""
    _check(observations, workers, on_error)
    if workers is None:
        wanted = torch.get_num_threads() if device.type == "cpu" else 2
        workers = min(wanted, workers_for(MEMORY)) if wanted > 1 else 1
    total = len(observations) if isinstance(observations, Sized) else None
    failures: list[Failure] = []
    meshes = _meshes(function, observations, total, workers, on_error, progress, failures)
    return Reconstructions(meshes, failures)


def _check(observations: Any, workers: int | None, on_error: str) -> None:
    if on_error not in ("report", "raise"):
        raise ConfigError(f"on_error: {on_error!r}; choose report or raise")
    if workers is not None and workers < 1:
        raise ConfigError(f"workers: {workers}; give at least 1")
    if isinstance(observations, str | bytes | os.PathLike):
        raise DataError(
            f"observations: {observations!r} is one; give a list, such as "
            "sorted(Path(folder).glob('*.ply'))"
        )
    if not isinstance(observations, Iterable) or getattr(observations, "ndim", 1) in (0, 2):
        shape = np.shape(observations) if hasattr(observations, "shape") else None
        found = type(observations).__name__ + (f" of shape {tuple(shape)}" if shape else "")
        raise DataError(f"observations: {found} is not many of them; give a list")


def _meshes(
    function: Reconstruct,
    observations: Iterable[Any],
    total: int | None,
    workers: int,
    on_error: str,
    progress: Progress | None,
    failures: list[Failure],
) -> Generator[trimesh.Trimesh | None]:
    named = ((_name(number, one), one) for number, one in enumerate(observations))
    outcomes = _here(function, named) if workers == 1 else _beside(function, named, workers)

    def shown_name(outcome: Outcome) -> str:
        return printable(outcome[0])

    shown = followed(outcomes, total, shown_name, "reconstructing", progress, at_once=True)
    number = 0
    try:
        for number, (name, outcome) in enumerate(shown, start=1):
            if number == total:
                outcomes.close()  # the caller may ask no further
            if not isinstance(outcome, Exception):
                yield outcome
                continue
            if on_error == "raise":
                raise outcome
            failures.append(Failure(number - 1, name, outcome))
            yield None
    finally:
        outcomes.close()
        if failures:
            reasons = "".join(f"\n  {failure}" for failure in failures[:10])
            more = "\n  ..." if len(failures) > 10 else ""
            logger.warning("%d of %d observations failed:%s%s",
                           len(failures), number, reasons, more)  # fmt: skip


def _name(number: int, observation: Any) -> str:
    is_file = isinstance(observation, str | os.PathLike)
    return os.fsdecode(observation) if is_file else f"observation {number}"


def _here(function: Reconstruct, named: Iterator[tuple[str, Any]]) -> Generator[Outcome]:
    for name, observation in named:
        try:
            outcome: trimesh.Trimesh | Exception = function(observation)
        except Exception as error:
            outcome = error
        yield name, outcome


def _beside(
    function: Reconstruct, named: Iterator[tuple[str, Any]], workers: int
) -> Generator[Outcome]:
    """Yield the same by threads.

    One more observation is taken for each mesh, and until one is there.
    """
    allowed = torch.get_num_threads()
    torch.set_num_threads(max(1, allowed // workers))  # of each thread that starts from now on
    pool = ThreadPoolExecutor(workers, "onet-reconstruct")
    pending: deque[tuple[str, Future[trimesh.Trimesh]]] = deque()
    problem: Exception | None = None  # of the observations themselves
    try:
        while True:
            taken = 0
            while problem is None and len(pending) < AHEAD * workers:
                if taken and pending[0][1].done():  # observations may be slow to come
                    break
                try:
                    name, observation = next(named)
                except Exception as error:  # StopIteration is one: there are no more
                    problem = error
                    break
                pending.append((name, pool.submit(function, observation)))
                taken += 1
            if not pending:
                break
            name, future = pending.popleft()
            failed = future.exception()
            yield name, (failed if isinstance(failed, Exception) else future.result())
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(allowed)
    if problem is not None and not isinstance(problem, StopIteration):
        raise problem
