"""The order of training: an endless stream of items, a function of the seed alone.

Each epoch is one permutation, drawn from (seed, epoch), and the permutations follow one another
without a gap; batch k holds the positions k·B to (k+1)·B. So the batches do not depend on the
number of processes or workers, all have the same size, and a run resumes anywhere by starting at
its iteration.
"""

from __future__ import annotations

import functools
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler

from onet.parallel import end_with_parent, ignore_interrupts, in_main_thread

logger = logging.getLogger(__name__)

DEATHS = 3
"""Times that workers may be killed before a batch is there."""

LINGER = 5
"""Seconds that workers go on after SIGTERM, for the iteration after which training stops."""

Key = tuple[int, int]  # epoch, index


class ItemSource(Protocol):
    """What training needs of a dataset; all randomness of an item derives from (epoch, index)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> dict[str, Any]: ...

    def set_epoch(self, epoch: int) -> None: ...

    def fingerprint(self) -> str: ...


class _EpochItems(Dataset[dict[str, Any]]):
    """Items addressed by (epoch, index), so that workers need not be restarted for a new epoch."""

    def __init__(self, source: ItemSource) -> None:
        self.source = source

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, index = key
        self.source.set_epoch(epoch)
        return self.source[index]


class StreamSampler(Sampler[list[Key]]):
    """The endless sequence of batches from `start` on; process `rank` of `world` gets its share."""

    def __init__(
        self, length: int, batch_size: int, seed: int, start: int, rank: int = 0, world: int = 1
    ) -> None:
        self.length, self.batch_size, self.seed, self.start = length, batch_size, seed, start
        self.rank, self.world = rank, world

    def __iter__(self) -> Iterator[list[Key]]:
        position = self.start * self.batch_size
        order, drawn = np.empty(0, np.int64), -1
        while True:
            batch = []
            for step in range(self.batch_size):
                epoch, number = divmod(position + step, self.length)
                if epoch != drawn:
                    rng = np.random.default_rng([self.seed, epoch])
                    order, drawn = rng.permutation(self.length), epoch
                batch.append((epoch, int(order[number])))
            position += self.batch_size
            yield batch[self.rank :: self.world]


def training_batches(
    source: ItemSource,
    batch_size: int,
    seed: int,
    start: int,
    *,
    rank: int = 0,
    world: int = 1,
    workers: int = 0,
    pin_memory: bool = False,
) -> DataLoader[dict[str, Any]]:
    """Collated batches of iterations `start`, `start` + 1, ... without end."""
    return DataLoader(
        _EpochItems(source),
        batch_sampler=StreamSampler(len(source), batch_size, seed, start, rank, world),
        num_workers=workers,
        pin_memory=pin_memory,
        worker_init_fn=functools.partial(_begin_worker, in_main_thread()) if workers else None,
    )


def lasting_batches(
    source: ItemSource, batch_size: int, seed: int, start: int, *, workers: int = 0, **options: Any
) -> Iterator[dict[str, Any]]:
    """Yield the same batches, also when workers are killed: others draw what is missing again.

    Args:
        source, batch_size, seed, start, workers, options: see `training_batches`.

    Raises:
        RuntimeError: workers died several times before a batch was there.
    """
    deaths = 0
    while True:
        loader = training_batches(source, batch_size, seed, start, workers=workers, **options)
        try:
            with _untold_deaths(workers > 0):
                stream = iter(loader)
            for batch in stream:
                yield batch
                start, deaths = start + 1, 0
        except RuntimeError as error:
            deaths += 1
            # What a worker raised itself comes as "Caught ... in DataLoader worker process ..."
            if not str(error).startswith("DataLoader worker (pid") or deaths > DEATHS:
                raise
            logger.warning(
                "iteration %d: a process that reads data was killed (%s); starting others", start,
                str(error).partition("\n")[0],
            )  # fmt: skip


@contextmanager
def _untold_deaths(several: bool) -> Iterator[None]:
    """Keep torch from raising the death of a worker amid a training step.

    It does so in a signal handler, which it installs when workers are first started; without, the
    death is found when the next batch is waited for.
    """
    handled = several and hasattr(signal, "SIGCHLD") and in_main_thread()
    before = signal.getsignal(signal.SIGCHLD) if handled else None
    if getattr(before, "__module__", "").startswith("torch."):  # of another loader, before this one
        before = signal.SIG_DFL
    try:
        yield
    finally:
        if handled:
            signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)


def _begin_worker(by_main_thread: bool, number: int) -> None:
    """Leave it to the process that trains when to end: signals to all reach the workers too.

    SIGTERM may also come from that process, at its own end: it counts a little later.
    """
    ignore_interrupts()
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(LINGER))
    end_with_parent(by_main_thread)
