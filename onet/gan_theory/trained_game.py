"""The game between the networks of a run: its trainer as training left it, and a batch to look at.

Eigenvalues of a game are those of one instant, so the weights are those in training, not their
moving average, and both players' are of the same iteration.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from onet.adversarial.trainer import AdversarialTrainer
from onet.checkpoints import checkpoint as checkpoints
from onet.checkpoints.run_folder import last_checkpoint
from onet.config import Config, with_changes
from onet.errors import ConfigError
from onet.gan_theory.spectrum import GameField
from onet.models import build_model
from onet.training.adversarial_update import AdversarialUpdate
from onet.training.schedule import LearningRate
from onet.training.stream import ItemSource, training_batches
from onet.training.update import build_update

PER_POINT = {"points", "occupancies", "distances", "weights"}  # of a batch


@dataclass(frozen=True)
class TrainedGame:
    """Networks in double precision, with what their losses are taken on.

    Attributes:
        config: of the run.
        path: of the checkpoint.
        iteration: when it was written.
        trainer: takes the run's steps.
        batch, latent: shapes or pictures of the training data, and as many codes of the prior.
        rates: learning rates of generator and discriminator at that iteration; of a schedule that
            falls to 0 those from which it falls.
    """

    config: Config
    path: Path
    iteration: int
    trainer: AdversarialTrainer
    batch: dict[str, Tensor]
    latent: Tensor
    rates: tuple[float, float]

    def losses(self, penalty: bool = True) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """What `AdversarialTrainer.losses` gives; the same noise is drawn in every call.

        Args:
            penalty: with that of the run.
        """
        trainer = self.trainer
        if not penalty:
            options = replace(trainer.options, penalty=None)
            trainer = AdversarialTrainer(
                trainer.networks, trainer.optimizer_g, trainer.optimizer_d, options
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.iteration)
            return trainer.losses(self.batch, self.latent, self.iteration)

    def field(self, penalty: bool = True) -> GameField:
        """Return the field of the game, of the same losses.

        Raises:
            TrainingError: it is not finite.
        """
        of_g, of_d, _ = self.losses(penalty)
        return GameField(of_g, of_d, self.trainer.parameters_g, self.trainer.parameters_d)


def load_game(
    path: str | os.PathLike[str],
    shapes: int = 4,
    points: int | None = None,
    seed: int = 0,
    data: str | os.PathLike[str] | None = None,
    datasets: Mapping[str, ItemSource] | None = None,
) -> TrainedGame:
    """Load the players of a run, on the CPU.

    Args:
        path: a run folder, for the weights in training at its last checkpoint; or a checkpoint, for
            the weights in that file, which are averages where the run keeps some.
        shapes: how many the losses are means over. Work and memory grow with it.
        points: so many query points of each, where it has some; default those of training.
        seed: of the codes and the choice of points; the shapes are those of the next iteration.
        data: prepared data, instead of the run's.
        datasets: `train`, instead of what the configuration describes.

    Raises:
        CheckpointError: no checkpoint there, or one that cannot be read, or a run folder without
            the state of training.
        ConfigError: the run is not adversarial, or there are no shapes to look at.
        DataError: the data is missing.
    """
    if shapes < 1 or (points is not None and points < 1):
        raise ConfigError(f"shapes: {shapes}, points: {points}; losses are means over at least 1")
    path = Path(path)
    last = last_checkpoint(path)
    whole = path.is_dir() and last.is_file()
    checkpoint = checkpoints.load_checkpoint(last if whole else path)
    config, iteration = checkpoint.config, checkpoint.metadata["iteration"]
    if data is not None:
        section = with_changes(config.data, {"path": os.fspath(data)}, "data")
        config = config.model_copy(update={"data": section})

    model = build_model(config.model)
    update = build_update(Fabric(accelerator="cpu", devices=1), model, config.training)
    if not isinstance(update, AdversarialUpdate):
        raise ConfigError(
            f"{path}: not the run of a game: model.type={config.model['type']} has no "
            "discriminator; train one with `onet train gan` or `onet train vae_gan`"
        )
    checkpoints.load_into(model, checkpoint)
    if whole:
        checkpoints.load_training_state(last.parent, model, update.optimizer, iteration)
    model.double().train()

    if datasets is None:
        from onet.data.build import build_datasets

        datasets = build_datasets(config)
    batches = training_batches(datasets["train"], shapes, config.training.seed, iteration)
    batch = {key: _double(value) for key, value in next(iter(batches)).items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        latent = update.trainer.networks.latent(batch)
        if "points" in batch:  # of shapes; pictures are taken whole
            chosen = torch.randperm(batch["points"].shape[1])[:points]
            batch |= {key: batch[key][:, chosen] for key in PER_POINT & batch.keys()}
    schedule = LearningRate(config.training)
    rate = schedule(iteration, checkpoint.metadata["minutes"])
    if schedule.falls:
        rate = config.training.learning_rate
    rates = rate * update.factors[0], rate * update.factors[-1]
    return TrainedGame(config, checkpoint.path, iteration, update.trainer, batch, latent, rates)


def _double(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value
