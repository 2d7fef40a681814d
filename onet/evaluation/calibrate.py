"""Measure and correct the probabilities of a trained model."""

from __future__ import annotations

import logging
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from onet._version import __version__
from onet.checkpoints.checkpoint import FOLDER, resolve_checkpoint
from onet.data.store import NEAR_SURFACE, POINTS, Item, Store
from onet.errors import CheckpointError, ConfigError, DataError
from onet.evaluation.reliability import calibration_error, draw_reliability
from onet.inference.calibration import (
    CALIBRATION,
    Calibration,
    Familiarity,
    code_numbers,
    distance,
    identity,
)
from onet.inference.reconstructor import Reconstructor, load
from onet.inference.scaling import UNCHANGED, Scaling, cross_entropy, fit_scaling
from onet.locks import hold, writer
from onet.parallel import run_tasks

logger = logging.getLogger(__name__)

PICTURE = "calibration.png"

Sample = tuple[NDArray[np.float64], NDArray[np.bool_]]  # logits and occupancies (N,)


@writer
def calibrate(
    run_dir: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    items: int = 200,
    points: int = 10_000,
    quantile: float = 0.99,
    seed: int = 0,
    device: str = "auto",
) -> Calibration:
    """Fit the probabilities of a run's best checkpoint, and summarise what it was trained on.

    Temperature and offset are fitted on uniform points of the validation split, where the
    cross-entropy cannot rise. What they do is measured on the test split: on uniform points, and
    where the store has them on points near the surface. If the cross-entropy of the uniform ones
    rises, a warning is logged: the two splits differ more than the calibration corrects. Written to
    the run folder: calibration.json, which `onet.load` uses from then on, and calibration.png.

    Args:
        run_dir: a run folder.
        data: root of the store; default from the model's configuration.
        items: at most so many of each split, chosen by `seed`.
        points: at most so many of each item, chosen by `seed`.
        quantile: part of the validation items that count as like the training data.
        seed: of choices and observations.
        device: see `onet.load`.

    Raises:
        CheckpointError, DataError: no run, no store, or splits without items.
        ConfigError: a model that observes nothing, or numbers out of range.
    """
    checkpoint = resolve_checkpoint(run_dir)
    if checkpoint.parent.name != FOLDER:
        raise CheckpointError(f"{run_dir}: is not in a run folder; give one `onet train` wrote")
    if items < 1 or points < 1 or not 0 < quantile < 1:
        raise ConfigError(
            f"items {items}, points {points}, quantile {quantile}: give at least 1, at least 1, "
            "and a number between 0 and 1"
        )
    hold(checkpoint.parent.parent, below=(FOLDER,))
    model = load(checkpoint, device)
    model.calibration = None
    if not model.input.conditions:
        raise ConfigError(f"{run_dir}: the model observes nothing that its probability depends on")
    settings = model.config.data
    store = Store(data or settings.path)
    splits = {}
    for split in (settings.train_split, settings.val_split, settings.test_split):
        found = store.items(split, settings.categories)
        if not found:
            raise DataError(f"{store.root}: the split {split!r} has no items; prepare some")
        order = np.random.default_rng(seed).permutation(len(found))[:items]
        splits[split] = [found[i] for i in sorted(order)]

    train = splits[settings.train_split]
    codes = np.stack([numbers for numbers, _ in _over(model, train, seed, ())])
    val = list(_over(model, splits[settings.val_split], seed, (POINTS,), points))
    scaling = fit_scaling(*_joined([samples[POINTS] for _, samples in val]))
    deviation = np.maximum(codes.std(axis=0), 1e-6 + 1e-3 * codes.std())
    mean = codes.mean(axis=0)
    limit = np.quantile([distance(numbers, mean, deviation) for numbers, _ in val], quantile)
    familiarity = Familiarity(mean.tolist(), deviation.tolist(), float(limit), quantile)

    test = splits[settings.test_split]
    kinds = {"uniform": POINTS}
    if all((item.path / NEAR_SURFACE).is_file() for item in test):
        kinds["near the surface"] = NEAR_SURFACE
    else:
        logger.info("%s: not every test item has %s; left out", store.root, NEAR_SURFACE)
    measured = list(_over(model, test, seed, tuple(kinds.values()), points))
    samples = {
        name: _joined([found[file] for _, found in measured]) for name, file in kinds.items()
    }
    result = Calibration(
        identity(checkpoint),
        scaling.temperature,
        familiarity,
        [_errors(name, *sample, scaling) for name, sample in samples.items()],
        {
            "data": str(store.root.resolve()),
            "items": {split: len(found) for split, found in splits.items()},
            "points": points,
            "seed": seed,
            "version": __version__,
        },
        scaling.offset,
    )
    uniform = result.errors[0]
    if uniform["cross_entropy_after"] > uniform["cross_entropy_before"]:
        logger.warning(
            "%s: on held-out points the cross-entropy rises from %.4f to %.4f; calibrate with more "
            "items, or delete %s",
            run_dir, uniform["cross_entropy_before"], uniform["cross_entropy_after"], CALIBRATION,
        )  # fmt: skip
    folder = checkpoint.parent.parent
    draw_reliability(samples, scaling, folder / PICTURE)
    result.write(folder)
    return result


def _over(
    model: Reconstructor,
    items: list[Item],
    seed: int,
    files: tuple[str, ...],
    points: int = 0,
) -> Any:
    """Of each item the numbers of its code, and logits with truth at points of each file."""

    def one(number: int) -> tuple[NDArray[np.float64], dict[str, Sample]]:
        item = items[number]
        rng = np.random.default_rng([seed, number])
        code = model.encode(model.input.sample(item, rng, training=False))
        samples = {}
        for file in files:
            all_points = item.points(file)
            first = len(all_points) // 2 if file == NEAR_SURFACE else 0  # half of them are uniform
            chosen = first + rng.permutation(len(all_points) - first)[:points]
            places = all_points[chosen].astype(np.float32)
            logits = model.field(code, z=model.latent(seed))(places)
            samples[file] = (np.asarray(logits, np.float64), item.occupancies(chosen, file))
        return code_numbers(code), samples

    tasks = run_tasks(
        one, range(len(items)), 1, describe=lambda n: items[n].name, title="calibrating"
    )
    for _, outcome in tasks:
        if isinstance(outcome, Exception):
            raise outcome
        yield outcome


def _joined(samples: list[Sample]) -> Sample:
    logits, truth = zip(*samples, strict=True)
    return np.concatenate(logits), np.concatenate(truth)


def _errors(
    name: str, logits: NDArray[np.float64], truth: NDArray[np.bool_], scaling: Scaling
) -> dict[str, Any]:
    row: dict[str, Any] = {"points": name, "count": len(logits), "occupied": float(truth.mean())}
    for when, applied in (("before", UNCHANGED), ("after", scaling)):
        row[f"cross_entropy_{when}"] = cross_entropy(applied(logits), truth)
        row[f"calibration_error_{when}"] = calibration_error(expit(applied(logits)), truth)
    return row
