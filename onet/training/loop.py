"""The training loop, for any model and dataset.

A model offers `loss` and `validate` (see `onet.models`), a dataset what `stream.ItemSource` says;
how a batch changes the weights is up to a `step.Step`; the loop knows nothing else of the task. A
run is a function of its configuration and data: weights are drawn from the seed, batches from
(seed, iteration), and whatever a model draws while it trains comes from torch's generator, seeded
anew with (seed, iteration, process). Hence a run that was interrupted and resumed ends with the
same weights, bit for bit on a CPU with the same number of threads.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from onet.checkpoints import checkpoint as checkpoints
from onet.checkpoints import run_folder
from onet.checkpoints.repository import git_state
from onet.config import Config
from onet.errors import ConfigError, DataError, FolderInUse, TrainingError
from onet.locks import hold, writer
from onet.models import build_model, check_config, fit_to_data, load_pretrained
from onet.progress import Progress, listener, reports_progress
from onet.provenance import Provenance
from onet.registry import nearest
from onet.training.averaging import AveragedModel
from onet.training.convergence import loss_improving, validation_improving
from onet.training.curves import draw_curves
from onet.training.fabric import build_fabric, choose_threads
from onet.training.interruption import Interruption
from onet.training.logs import RunLog, duration, show
from onet.training.memory import keep_freed_memory
from onet.training.result import TrainingResult
from onet.training.resumption import checkpoint_to_resume
from onet.training.schedule import LearningRate
from onet.training.stream import ItemSource, lasting_batches
from onet.training.update import build_update
from onet.training.validation import validate

logger = logging.getLogger(__name__)

"""Folders of a run that training writes to; others, of generations for instance, are their own."""


METADATA = (
    *("iteration", "epoch", "minutes", "metrics", "best", "validated"),
    *("seed", "data_fingerprint", "git", "version"),
)
"""Keys of the metadata of a checkpoint, beside its configuration."""


@reports_progress
@writer
def train(
    config: Config,
    run_dir: str | Path,
    *,
    resume: bool = True,
    datasets: Mapping[str, ItemSource] | None = None,
    clock: Callable[[], float] = time.monotonic,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train until `max_iterations`, `max_minutes`, Ctrl-C or SIGTERM.

    The run folder gets config.yaml, checkpoints/{best,last}.safetensors, metrics.csv, logs/ for
    tensorboard, and at the end training.json and curves.png.

    Args:
        config: what to train on what.
        run_dir: the run folder. If it holds a run, that run goes on; limits and intervals may have
            been changed since.
        resume: False refuses a folder that already holds a run.
        datasets: `train` and `val`, instead of those that `config.data` describes.
        clock: seconds, of which all minutes of the run are made. `time.process_time` compares runs
            on a machine that does other work meanwhile.
        progress: see `onet.progress`; called after every iteration, in the main process of several.

    Raises:
        ConfigError: impossible settings, an input that the model does not observe, or another
            model than that of the run to resume.
        DataError: the data is missing or incomplete, or a split is empty.
        CheckpointError: the run to resume cannot be read.
        TrainingError: loss or weights became NaN or infinite; checkpoints are older than that.
        FolderInUse: another process writes to the run folder.
    """
    threads = torch.get_num_threads()
    try:
        return _Run(config, Path(run_dir), resume, datasets, clock).train()
    finally:
        torch.set_num_threads(threads)


def _hold_together(fabric: Fabric, run_dir: Path) -> None:
    """Lock the run folder for all processes of the run: the first one holds it, or none goes on."""
    problem: FolderInUse | DataError | None = None
    if fabric.is_global_zero:
        try:
            hold(run_dir, below=(run_folder.CHECKPOINTS,))
        except (FolderInUse, DataError) as error:
            problem = error
    problem = fabric.broadcast(problem)
    if problem is not None:
        raise problem


class _Run:
    """State of a run: model, optimiser, iteration, records."""

    def __init__(
        self,
        config: Config,
        run_dir: Path,
        resume: bool,
        datasets: Mapping[str, ItemSource] | None,
        clock: Callable[[], float],
    ) -> None:
        settings = config.training
        self.config, self.run_dir, self.clock = config, run_dir, clock
        self.last_path = run_folder.last_checkpoint(run_dir)
        self.best_path = run_folder.best_checkpoint(run_dir)
        keep_freed_memory()
        self.threads = choose_threads(settings)
        torch.set_num_threads(self.threads)
        self.fabric, self.precision = build_fabric(settings)
        if not self.fabric.is_global_zero:
            logger.setLevel(logging.WARNING)
        _hold_together(self.fabric, run_dir)
        resuming = self.last_path.is_file()
        if resuming and not resume:
            raise ConfigError(
                f"{run_dir}: already holds a run; resume it or choose another run folder"
            )
        self.datasets = self._open_datasets(datasets, resuming)
        self._build_model(pretrained=not resuming)
        self.parameters = sum(p.numel() for p in self.model.parameters())
        self.fingerprint = self.datasets["train"].fingerprint()

        self.iteration, self.validated = 0, 0
        self.minutes_before = 0.0
        self.agreed: float | None = None
        self.best: dict[str, float] | None = None
        self.last: dict[str, float] | None = None
        self.git = git_state(Path.cwd())
        checkpoint = self._read_checkpoint() if resuming else None
        self.learning_rate = LearningRate(settings)
        self.update = build_update(self.fabric, self.model, settings)
        self.average = AveragedModel(self.model, settings.ema) if settings.ema else None
        if checkpoint is not None:
            self._load_training_state(checkpoint)
        self.log: RunLog | None = self._open_log()
        self.interruption = Interruption()
        self.progress = listener() if self.fabric.is_global_zero else None

    def _open_datasets(
        self, datasets: Mapping[str, ItemSource] | None, resuming: bool
    ) -> Mapping[str, ItemSource]:
        """Return the datasets given, or those of the configuration, each with items."""
        if datasets is None:
            from onet.data.build import build_datasets

            targets = check_config(self.config, trained=resuming)
            datasets = build_datasets(self.config, targets)
        for name, dataset in datasets.items():
            if len(dataset) == 0:
                raise DataError(f"the {name} split has no items; add some or choose another split")
        return datasets

    def _build_model(self, pretrained: bool) -> None:
        """Make the model, with weights drawn from the seed, and what the data say of its sizes."""
        section = fit_to_data(self.config.model, len(self.datasets["train"]))
        self.config = self.config.model_copy(update={"model": section})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.training.seed)
            self.model = build_model(section)
        if pretrained:
            load_pretrained(self.model)

    def _load_training_state(self, checkpoint: checkpoints.Checkpoint) -> None:
        # Where there is an average, the checkpoint held it; the weights in training are beside.
        state = checkpoints.load_training_state(
            self.last_path.parent, self.model, self.update.optimizer, self.iteration
        )
        self.update.load_state_dict(state)
        logger.info(
            "resuming %s at iteration %d, %.1f minutes (written by onet %s)",
            self.run_dir,
            self.iteration,
            self.minutes_before,
            checkpoint.metadata.get("version"),
        )

    def _open_log(self) -> RunLog | None:
        """Write config.yaml and return the log, in the process that writes."""
        if not self.fabric.is_global_zero:
            return None
        self.run_dir.mkdir(parents=True, exist_ok=True)
        run_folder.write_config(self.run_dir, self.config)
        return RunLog(self.run_dir, self.iteration)

    def _read_checkpoint(self) -> checkpoints.Checkpoint:
        checkpoint = checkpoint_to_resume(self.last_path, self.config, self.fingerprint)
        metadata = checkpoint.metadata
        checkpoints.load_into(self.model, checkpoint)
        self.iteration = metadata["iteration"]
        self.validated = metadata["validated"]
        self.minutes_before = metadata["minutes"]
        self.best, self.last = metadata["best"], metadata["metrics"]
        self.git = metadata["git"]
        return checkpoint

    # -- the loop ---------------------------------------------------------------------------------

    def train(self) -> TrainingResult:
        self.started = self.clock()
        logger.info(
            "training %s parameters on %d items (%d to validate), %s, %s, %d threads, %d processes",
            f"{self.parameters:,}",
            len(self.datasets["train"]),
            len(self.datasets["val"]),
            self.fabric.device,
            self.precision,
            self.threads,
            self.fabric.world_size,
        )
        with self.interruption:
            try:
                self._check_metric()
                stopped = self._iterate()
                if stopped != "interrupted" and self.validated != self.iteration:
                    self._validate()
                self._save(self.last_path)
                return self._finish(stopped)
            finally:
                if self.log:
                    self.log.close()

    def _iterate(self) -> str:
        settings = self.config.training
        first, self.rate_started = self.iteration, time.monotonic()
        if self._due(settings.validate_every) and self.validated != self.iteration:
            self._validate()  # the run was interrupted during this validation
        stream = lasting_batches(
            self.datasets["train"],
            settings.batch_size,
            settings.seed,
            self.iteration,
            rank=self.fabric.global_rank,
            world=self.fabric.world_size,
            workers=self.config.data.workers,
            pin_memory=self.fabric.device.type == "cuda",
        )
        reported = self.iteration
        totals: dict[str, Any] = {}
        reported_at = time.monotonic()
        stopped = self._stop_reason()
        self._tell()
        while stopped is None:
            losses = self._step(next(stream))
            totals = {key: totals.get(key, 0) + value for key, value in losses.items()}
            self.iteration += 1
            self._tell()
            save = self._due(settings.checkpoint_every)
            check = self._due(settings.validate_every)
            stopped = self._stop_reason()
            if self._due(settings.print_every) or save or check or stopped:
                steps = self.iteration - reported
                means = {
                    key: float(self.fabric.all_reduce(value / steps))  # type: ignore[arg-type]
                    for key, value in totals.items()
                }
                self._check_finite(means, reported)
                now = time.monotonic()
                rate = steps / (now - reported_at)
                self._report(means, rate, first)
                reported, totals = self.iteration, {}
            if check:
                self._validate()
                save = True
            if save:
                self._save(self.last_path)
            if reported == self.iteration:
                reported_at = time.monotonic()
            stopped = stopped or self._stop_reason()
        return stopped

    def _step(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        state = np.random.SeedSequence(
            [self.config.training.seed, self.iteration, self.fabric.global_rank]
        ).generate_state(1, np.uint64)
        torch.manual_seed(int(state[0]))
        self.rate = self.learning_rate(self.iteration, self._shared_minutes())
        losses = self.update(self.fabric.to_device(batch), self.iteration, self.rate)
        if self.average:
            self.average.update(self.model, self.iteration + 1)
        return losses

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.iteration, self.config.training.max_iterations, "training")

    def _due(self, every: int) -> bool:
        return self.iteration > 0 and self.iteration % every == 0

    def _minutes(self) -> float:
        return self.minutes_before + (self.clock() - self.started) / 60

    def _shared_minutes(self) -> float:
        """Minutes that all processes agree on, for a learning rate that follows the clock."""
        if self.fabric.world_size == 1 or not self.learning_rate.timed:
            return self._minutes()
        if self.agreed is None or self.iteration % self.config.training.print_every == 0:
            self.agreed = self.fabric.broadcast(self._minutes())
        return self.agreed

    def _stop_reason(self) -> str | None:
        """Why to stop now; the same in all processes, which ask after the same iterations."""
        settings = self.config.training
        if settings.max_iterations is not None and self.iteration >= settings.max_iterations:
            return "max_iterations"
        reason = None
        if self.interruption.requested:
            reason = "interrupted"
        elif settings.max_minutes is not None and self._minutes() >= settings.max_minutes:
            reason = "max_minutes"
        if self.fabric.world_size == 1:
            return reason
        if self.iteration % settings.print_every:
            return None
        agreed: str | None = self.fabric.broadcast(reason)
        return agreed

    # -- validation -------------------------------------------------------------------------------

    @property
    def evaluated(self) -> nn.Module:
        """The model that is validated and kept: the average, where there is one."""
        return self.average.model if self.average else self.model

    def _check_metric(self) -> None:
        """Validate one item before training, so that mistakes show now and not hours later."""
        metrics = validate(
            self.fabric, self.model, self.datasets["val"], self.config.generation, limit=1
        )
        name = self.config.training.selection_metric
        if metrics and name not in metrics:
            raise ConfigError(
                f"training.selection_metric: the model has no validation metric {name!r}; "
                f"{nearest(name, list(metrics))}"
            )

    def _validate(self) -> None:
        settings = self.config.training
        started = time.monotonic()
        if self.fabric.world_size > 1:  # running statistics are those of each process's own items
            for buffer in self.evaluated.buffers():
                torch.distributed.broadcast(buffer, 0)
        metrics = validate(
            self.fabric,
            self.evaluated,
            self.datasets["val"],
            self.config.generation,
            stop=lambda: self.interruption.requested and self.fabric.world_size == 1,
        )
        if metrics is None:
            return
        self.validated = self.iteration
        self.last = {"iteration": self.iteration, **metrics}
        metric, sign = settings.selection_metric, 1 if settings.selection_mode == "max" else -1
        better = self.best is None or sign * metrics[metric] > sign * self.best[metric]
        if better:
            self.best = self.last
            self._save(self.best_path)
        if self.log:
            self.log.add("val", self.iteration, self._minutes(), metrics)
        logger.info(
            "validation at iteration %d: %s%s (%.1f s)",
            self.iteration,
            show(metrics),
            ", the best so far" if better else "",
            time.monotonic() - started,
        )

    # -- records ----------------------------------------------------------------------------------

    def _check_finite(self, losses: dict[str, float], since: int) -> None:
        if all(map(math.isfinite, losses.values())):
            return
        raise TrainingError(
            f"{self.run_dir}: the loss became NaN or infinite between iterations {since} and "
            f"{self.iteration} ({show(losses)}); {self._way_out()}"
        )

    def _way_out(self) -> str:
        kept = f"{self.last_path} is older and intact" if self.last_path.is_file() else "none saved"
        return (
            f"checkpoints: {kept}. Lower training.learning_rate, set training.precision=32-true, "
            "and look for NaN in the data with `onet data check`"
        )

    def _report(self, losses: dict[str, float], rate: float, first: int) -> None:
        settings = self.config.training
        elapsed = time.monotonic() - self.rate_started
        remaining = []
        if settings.max_iterations is not None:
            left = settings.max_iterations - self.iteration
            remaining.append(left * elapsed / (self.iteration - first))
        if settings.max_minutes is not None:
            remaining.append(60 * max(0.0, settings.max_minutes - self._minutes()))
        if self.log:
            rate_now = {"learning_rate": self.rate} if self.learning_rate.varies else {}
            self.log.add("train", self.iteration, self._minutes(), losses | rate_now)
        logger.info(
            "iteration %d: %s, %.2f it/s, %s",
            self.iteration,
            show(losses),
            rate,
            f"ETA {duration(min(remaining))}" if remaining else "no limit",
        )

    def _save(self, path: Path) -> None:
        """Write the weights that are validated, and with the last ones the state of training."""
        for key, value in self.model.state_dict().items():
            if not torch.isfinite(value).all():
                raise TrainingError(
                    f"{self.run_dir}: weights {key} are NaN or infinite at iteration "
                    f"{self.iteration}; {self._way_out()}"
                )
        if not self.fabric.is_global_zero:
            return
        metadata = Provenance(seed=self.config.training.seed, git=self.git).as_dict(
            METADATA,
            iteration=self.iteration,
            epoch=self._epoch(),
            minutes=self._minutes(),
            metrics=self.last,
            best=self.best,
            validated=self.validated,
            data_fingerprint=self.fingerprint,
        )
        if self.log:
            self.log.flush()
        if path == self.last_path:
            state = self.update.optimizer.state_dict()
            if self.average:
                state |= {checkpoints.WEIGHTS: self.model.state_dict()}
            if more := self.update.state_dict():
                state |= {checkpoints.STEP: more}
            checkpoints.save_last(path.parent, self.evaluated, state, self.config, metadata)
        else:
            checkpoints.save_checkpoint(path, self.evaluated, self.config, metadata)

    def _epoch(self) -> int:
        seen = self.iteration * self.config.training.batch_size
        return seen // len(self.datasets["train"])

    def _finish(self, stopped: str) -> TrainingResult:
        settings = self.config.training
        improving: dict[str, bool | None] = {"validation": None, "training_loss": None}
        if self.log:
            iterations, values = self.log.series("val", settings.selection_metric)
            improving = {
                "validation": validation_improving(iterations, values, settings.selection_mode),
                "training_loss": loss_improving(self.log.series("train", "loss")[1]),
            }
        result = TrainingResult(
            run_dir=str(self.run_dir),
            stopped=stopped,
            iterations=self.iteration,
            epochs=self._epoch(),
            minutes=round(self._minutes(), 3),
            best=self.best,
            last=self.last,
            still_improving=improving,
            parameters=self.parameters,
            threads=self.threads,
            seed=settings.seed,
            device=str(self.fabric.device),
            precision=self.precision,
            signal=self.interruption.signal if stopped == "interrupted" else None,
        )
        if self.log:
            run_folder.write_training(self.run_dir, asdict(result))
            draw_curves(self.log, settings.selection_metric, self.run_dir / run_folder.CURVES)
        said = {True: "still improving", False: "no longer improving", None: "too few reports"}
        logger.info(
            "stopped (%s) at iteration %d after %.1f minutes; validation: %s, training loss: %s",
            stopped,
            self.iteration,
            result.minutes,
            said[improving["validation"]],
            said[improving["training_loss"]],
        )
        if stopped == "interrupted":
            logger.info("to resume, train again with the same run folder: %s", self.run_dir)
        return result
