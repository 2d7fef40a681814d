"""The outcome of a run."""

from __future__ import annotations

from dataclasses import dataclass

from onet.training.logs import show


@dataclass(frozen=True)
class TrainingResult:
    """Outcome of a run; also written to training.json in the run folder.

    `stopped` is `max_iterations`, `max_minutes` or `interrupted`. `best` and `last` are validation
    metrics with their `iteration`. `still_improving` says for `validation` and `training_loss`
    whether they improved until the end (criteria in `onet.training.convergence`); None if too few
    reports tell. `minutes` includes validation and what went before a resumption. `signal` is the
    name of the one that interrupted this process.
    """

    run_dir: str
    stopped: str
    iterations: int
    epochs: int
    minutes: float
    best: dict[str, float] | None
    last: dict[str, float] | None
    still_improving: dict[str, bool | None]
    parameters: int
    threads: int
    seed: int
    device: str
    precision: str
    signal: str | None = None

    def summary(self) -> str:
        """How the run ended, in one line."""
        best = f"best validation {show(self.best)}" if self.best else "not validated"
        return (
            f"{self.run_dir}: stopped ({self.stopped}) at iteration {self.iterations} after "
            f"{self.minutes:.1f} minutes; {best}"
        )
