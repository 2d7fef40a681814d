"""Measure and correct the probabilities of a trained model."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from onet.checkpoints.checkpoint import resolve_checkpoint
from onet.checkpoints.run_folder import CALIBRATION, CALIBRATION_PICTURE, CHECKPOINTS
from onet.data.store import Item, Store
from onet.data.store_folder import NEAR_SURFACE, POINTS
from onet.errors import CheckpointError, ConfigError, DataError
from onet.evaluation.reliability import calibration_error
from onet.inference.calibration import (
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
from onet.progress import Progress, reports_progress
from onet.provenance import Provenance

logger = logging.getLogger(__name__)

KEYS = ("data", "items", "points", "seed", "version")
"""Of the entry `protocol` in calibration.json."""

Sample = tuple[NDArray[np.float64], NDArray[np.bool_]]  # logits and occupancies (N,)
Draw = Callable[[Mapping[str, Sample], Scaling, Path], object]
"""Called with the test points of each kind, the scaling of their logits, and a file."""


@reports_progress
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
    draw: Draw | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """Fit the probabilities of a run's best checkpoint, and summarise what it was trained on.

    Temperature and offset are fitted on uniform points of the validation split, where the
    cross-entropy cannot rise. What they do is measured on the test split: on uniform points, and
    where the store has them on points near the surface. If the cross-entropy of the uniform ones
    rises, a warning is logged: the two splits differ more than the calibration corrects. Written to
    the run folder: calibration.json, which `onet.load` uses from then on.

    Args:
        run_dir: a run folder.
        data: root of the store; default from the model's configuration.
        items: at most so many of each split, chosen by `seed`.
        points: at most so many of each item, chosen by `seed`.
        quantile: part of the validation items that count as like the training data.
        seed: of choices and observations.
        device: see `onet.load`.
        draw: `onet.report.reliability_diagram.draw_reliability`, for calibration.png beside it.
        progress: see `onet.progress`.

    Raises:
        CheckpointError, DataError: no run, no store, or splits without items.
        ConfigError: a model that observes nothing, or numbers out of range.
    """
    checkpoint = resolve_checkpoint(run_dir)
    if checkpoint.parent.name != CHECKPOINTS:
        raise CheckpointError(f"{run_dir}: is not in a run folder; give one `onet train` wrote")
    _check_numbers(items, points, quantile)
    folder = checkpoint.parent.parent
    hold(folder, below=(CHECKPOINTS,))
    model = load(checkpoint, device)
    model.calibration = None
    if not model.input.conditions:
        raise ConfigError(f"{run_dir}: the model observes nothing that its probability depends on")
    store = Store(data or model.config.data.path)
    splits = _choose_items(model, store, items, seed)
    scaling, familiarity = _fit(model, splits, points, quantile, seed)
    samples = _measure(model, splits, points, seed, str(store.root))
    result = Calibration(
        identity(checkpoint),
        scaling.temperature,
        familiarity,
        [_errors(name, *sample, scaling) for name, sample in samples.items()],
        Provenance(data=store.root, seed=seed).as_dict(
            KEYS, items={split: len(found) for split, found in splits.items()}, points=points
        ),
        scaling.offset,
    )
    _warn_if_worse(result, run_dir)
    if draw is not None:
        draw(samples, scaling, folder / CALIBRATION_PICTURE)
    result.write(folder)
    return result


def _check_numbers(items: int, points: int, quantile: float) -> None:
    if items < 1 or points < 1 or not 0 < quantile < 1:
        raise ConfigError(
            f"items {items}, points {points}, quantile {quantile}: give at least 1, at least 1, "
            "and a number between 0 and 1"
        )


def _choose_items(
    model: Reconstructor, store: Store, count: int, seed: int
) -> dict[str, list[Item]]:
    """Return at most `count` items of the splits for training, validation and test."""
    settings = model.config.data
    splits = {}
    for split in (settings.train_split, settings.val_split, settings.test_split):
        found = store.items(split, settings.categories)
        if not found:
            raise DataError(f"{store.root}: the split {split!r} has no items; prepare some")
        order = np.random.default_rng(seed).permutation(len(found))[:count]
        splits[split] = [found[i] for i in sorted(order)]
    return splits


def _fit(
    model: Reconstructor,
    splits: dict[str, list[Item]],
    points: int,
    quantile: float,
    seed: int,
) -> tuple[Scaling, Familiarity]:
    """Return the scaling of validation, and the summary of the codes of training."""
    names = model.config.data
    train = splits[names.train_split]
    codes = np.stack([numbers for numbers, _ in _over(model, train, seed, ())])
    measured = list(_over(model, splits[names.val_split], seed, (POINTS,), points))
    scaling = fit_scaling(*_joined([samples[POINTS] for _, samples in measured]))
    deviation = np.maximum(codes.std(axis=0), 1e-6 + 1e-3 * codes.std())
    mean = codes.mean(axis=0)
    limit = np.quantile([distance(numbers, mean, deviation) for numbers, _ in measured], quantile)
    return scaling, Familiarity(mean.tolist(), deviation.tolist(), float(limit), quantile)


def _measure(
    model: Reconstructor, splits: dict[str, list[Item]], points: int, seed: int, name: str
) -> dict[str, Sample]:
    """Return logits and truth of all test items, for each kind of points that they all have."""
    test = splits[model.config.data.test_split]
    kinds = {"uniform": POINTS}
    if all((item.path / NEAR_SURFACE).is_file() for item in test):
        kinds["near the surface"] = NEAR_SURFACE
    else:
        logger.info("%s: not every test item has %s; left out", name, NEAR_SURFACE)
    measured = list(_over(model, test, seed, tuple(kinds.values()), points))
    return {kind: _joined([found[file] for _, found in measured]) for kind, file in kinds.items()}


def _warn_if_worse(result: Calibration, run_dir: str | os.PathLike[str]) -> None:
    uniform = result.errors[0]
    if uniform["cross_entropy_after"] > uniform["cross_entropy_before"]:
        logger.warning(
            "%s: on held-out points the cross-entropy rises from %.4f to %.4f; calibrate with more "
            "items, or delete %s",
            run_dir, uniform["cross_entropy_before"], uniform["cross_entropy_after"], CALIBRATION,
        )  # fmt: skip


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
            logits = model.field_of_code(code, z=model.latent(seed))(places)
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
