"""Choosing the probability on the surface by grid search over validation items.

This threshold is the one parameter of an occupancy network that is chosen after training (thesis,
section 11.6.9). The network is evaluated once for each item, at the item's stored points; the IoU
at every probability is counted from these values. On request some items are also meshed at several
probabilities, which shows what accuracy pays for completeness (figure 11.13).
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onet.checkpoints.checkpoint import file_identity, resolve_checkpoint
from onet.checkpoints.run_folder import CHECKPOINTS, THRESHOLD, THRESHOLD_TABLE
from onet.data.dataset import ShapeDataset
from onet.data.store import Item, Store
from onet.errors import ConfigError
from onet.geometry.field_values import evaluate_in_batches
from onet.geometry.sampling import surface_area
from onet.inference import run_threshold
from onet.inference.generation_folder import take_in_turn
from onet.inference.reconstructor import Reconstructor, load
from onet.locks import hold, writer
from onet.metrics.penalties import RULE
from onet.metrics.scores import evaluate
from onet.nn.code import Code, as_batch
from onet.parallel import run_tasks
from onet.progress import Progress, reports_progress
from onet.provenance import Provenance
from onet.records import Row, write_csv, write_json
from onet.renamed import renamed_arguments

logger = logging.getLogger(__name__)

GRID = tuple(round(0.01 * k, 2) for k in range(1, 100))
MESH_GRID = tuple(round(0.1 * k, 1) for k in range(1, 7))
"""The range of probabilities that the thesis shows."""

MESH_SCORES = ("accuracy", "completeness", "chamfer_l1", "normal_consistency")
FAILED = "failed"  # meshes without a surface

UNITS = {
    **dict.fromkeys(MESH_SCORES, "longest edge"),
    "normal_consistency": "|cos|",
    FAILED: "meshes",
}
"""Of the columns of threshold.csv; an IoU is a fraction."""

KEYS = (
    *("probability", "iou", "configured", "iou_configured", "applied"),
    *("checkpoint", "temperature", "offset", "data", "split", "categories", "items", "limit"),
    *("probabilities", "meshes", "samples", "failed_rule", "seed", "seed_observations", "version"),
)
"""Of threshold.json."""


@dataclass(frozen=True)
class ThresholdReport:
    """The outcome of a search.

    Attributes:
        out: folder with threshold.json and threshold.csv, and threshold.png once
            `onet.report.threshold_curves` has drawn it.
        settings: what was searched and found; contents of threshold.json.
        rows: one a probability: `probability`, `iou` (mean over items), `iou NAME` of each
            category, and where meshes were made, `MESH_SCORES` (means over the meshed items) and
            `failed`, how many of them have no surface there.
    """

    out: Path
    settings: dict[str, Any]
    rows: list[Row]

    @property
    def best(self) -> float:
        """The probability with the highest mean IoU; of equals the middle one."""
        return float(self.settings["probability"])

    @property
    def title(self) -> str:
        """What the table shows, in which units."""
        s = self.settings
        meshes = (
            f"; accuracy, completeness and Chamfer-L1 of the meshes of {s['meshes']} items, "
            f"unsquared, in units of the longest edge, {s['samples']:,} samples, seed {s['seed']}; "
            f"a mesh without surface is counted as failed and counts as {RULE}"
            if s["meshes"]
            else ""
        )
        return (
            f"{s['checkpoint']['path']}: mean IoU of {s['items']} items of the split {s['split']} "
            f"at their stored points{meshes}"
        )

    def table(self) -> list[Row]:
        """About ten of the rows, those of meshes, that of the best and of the configured one."""
        step = max(1, len(self.rows) // 10)
        shown = {self.best, self.settings["configured"]}
        chosen = [
            row
            for number, row in enumerate(self.rows)
            if number % step == step - 1 or row["probability"] in shown or "accuracy" in row
        ]
        keys = ("iou", *((*MESH_SCORES, FAILED) if self.settings["meshes"] else ()))
        return [
            {"probability": f"{row['probability']:g}", **{key: row.get(key) for key in keys}}
            for row in chosen
        ]

    def summary(self) -> str:
        """What was found, in one line."""
        s = self.settings
        applied = s["applied"] and s["applied"]["probability"]
        return (
            f"best probability {self.best:g} with IoU {s['iou']:.4f}; configured "
            f"{s['configured']:g} with IoU {s['iou_configured']:.4f}; "
            + (f"applied to this run: {applied:g}" if applied else "none applied to this run")
            + f". See {self.out / THRESHOLD}"
        )


@renamed_arguments(thresholds="probabilities", mesh_thresholds="mesh_probabilities")
@reports_progress
@writer
def search_threshold(
    source: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    categories: Sequence[str] | None = None,
    limit: int | None = None,
    probabilities: Sequence[float] = GRID,
    meshes: int = 0,
    mesh_probabilities: Sequence[float] = MESH_GRID,
    samples: int = 100_000,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    apply: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> ThresholdReport:
    """Find the probability with the highest IoU over a split; writes threshold.{json,csv}.

    Observations are those that validation in training sees. Models without observation are measured
    by their reconstructions, as in validation: z is the mean of the posterior.

    Args:
        source: run folder or checkpoint file.
        data: root of the store; default from the model's configuration.
        split: of the store; default the configured validation split.
        categories: of the store; default those of the configuration.
        limit: at most so many items, taken from the categories in turn.
        probabilities: to try.
        meshes: also make meshes of so many items, taken from the categories in turn.
        mesh_probabilities: at which these meshes are made.
        samples: points on the surface of each mesh.
        seed: of these samples.
        out: folder of the results; default the run folder.
        apply: from now on the run folder is loaded with the best probability in place of the
            configured one; see `onet.inference.run_threshold`. An earlier one stays otherwise.
        device: see `onet.load`.
        progress: see `onet.progress`.

    Raises:
        ConfigError: no probabilities, or some outside (0, 1); `apply` together with `out`; a
            checkpoint file with `apply` or without `out`.
        CheckpointError, DataError: nothing to load or to measure.
    """
    grid = _checked(probabilities, "probabilities")
    mesh_grid = _checked(mesh_probabilities, "mesh_probabilities") if meshes else []
    _check_numbers(limit, meshes, samples)
    folder = _results_folder(source, out, apply)
    checkpoint = resolve_checkpoint(source)
    hold(folder, below=(CHECKPOINTS,))
    model = load(checkpoint, device)  # the file: the configured probability, not the one applied
    store = Store(data if data is not None else model.config.data.path)
    dataset = _validation_set(model, store, split, categories)
    items = take_in_turn(dataset.items, limit, lambda item: item.category)
    meshed = take_in_turn(items, meshes, lambda item: item.category)
    plan = _Plan(model, store, dataset, items, meshed, grid, mesh_grid, samples, seed)
    rows = _tabulate(plan, *_measure_items(plan))
    best = _best([row for row in rows if row["probability"] in grid])
    identity = file_identity(checkpoint)
    applied = _applied(folder, model, best["probability"] if apply else None, identity["sha256"])
    provenance = Provenance(identity, store.root, split or model.config.data.val_split, seed)
    settings = _settings(plan, rows, best, provenance, applied=applied, limit=limit)
    report = ThresholdReport(folder, settings, rows)
    _write(report)
    return report


def iou_at_probabilities(
    logits: NDArray[np.floating],  # (N,) of occupancy
    occupancies: NDArray[np.bool_],  # (N,)
    probabilities: Sequence[float],  # ascending
) -> NDArray[np.float64]:  # (T,)
    """IoU of the points above each of some probabilities with the occupied ones.

    1 where both are empty. Every point is sorted once, whatever the number of probabilities.
    """
    levels = [math.log(probability / (1 - probability)) for probability in probabilities]
    exceeded = np.searchsorted(levels, logits, side="left")  # so many levels are below a point

    def above(counted: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of the points, how many exceed each level."""
        counts = np.bincount(counted, minlength=len(levels) + 1)
        return counts[::-1].cumsum()[::-1][1:]

    both, predicted = above(exceeded[occupancies]), above(exceeded)
    either = predicted + np.count_nonzero(occupancies) - both
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


@dataclass(frozen=True)
class _Plan:
    """What is measured, and at which probabilities.

    Attributes:
        model: with the probability that is configured.
        store, dataset: which the items are of, with observations as in validation.
        items: that are measured.
        meshed: those of them that are meshed too.
        grid: probabilities of which one is chosen.
        mesh_grid: probabilities that meshes are made at.
        samples: points on the surface of each mesh.
        seed: of these samples.
    """

    model: Reconstructor
    store: Store
    dataset: ShapeDataset
    items: list[Item]
    meshed: list[Item]
    grid: list[float]
    mesh_grid: list[float]
    samples: int
    seed: int

    @property
    def configured(self) -> float:
        """The probability of the configuration."""
        return self.model.generation_settings().probability

    @property
    def probabilities(self) -> list[float]:
        """All that are measured at, in ascending order."""
        return sorted({*self.grid, *self.mesh_grid, self.configured})

    def category(self, item: Item) -> str:
        """Return the name of the category of an item, as tables show it."""
        return self.store.labels[item.category]


def _check_numbers(limit: int | None, meshes: int, samples: int) -> None:
    for name, number in (("limit", limit), ("samples", samples)):
        if number is not None and number < 1:
            raise ConfigError(f"{name}: {number}; give at least 1")
    if meshes < 0:
        raise ConfigError(f"meshes: {meshes}; give 0 or more")


def _results_folder(
    source: str | os.PathLike[str], out: str | os.PathLike[str] | None, apply: bool
) -> Path:
    """Return the folder that is written to: `out`, or else the run folder."""
    if apply and (out is not None or not Path(source).is_dir()):
        raise ConfigError(f"{source}: apply needs a run folder, and no `out`")
    if out is None and Path(source).is_file():
        raise ConfigError(f"{source}: is a checkpoint, not a run folder; give `out` too")
    return Path(source) if out is None else Path(out)


def _validation_set(
    model: Reconstructor, store: Store, split: str | None, categories: Sequence[str] | None
) -> ShapeDataset:
    """Return the items of a split, with the observations that validation in training sees."""
    config = model.config
    return ShapeDataset(
        store,
        split or config.data.val_split,
        model.input,
        None,
        seed=config.training.seed,
        categories=categories or config.data.categories,
        cache=False,
        training=False,
        turned=False,
    )


def _measure_items(plan: _Plan) -> tuple[dict[int, NDArray[np.float64]], list[Row]]:
    """Return of each item, by its index, the IoU (T,) at each probability; and scores of meshes."""
    meshed = {item.index for item in plan.meshed}

    def one(index: int) -> tuple[NDArray[np.float64], list[Row]]:
        return _measure(plan, index, plan.mesh_grid if index in meshed else [])

    ious: dict[int, NDArray[np.float64]] = {}
    scores: list[Row] = []
    for index, outcome in run_tasks(
        one,
        [item.index for item in plan.items],
        1,
        describe=lambda index: plan.dataset.items[index].name,
        title="searching the probability",
    ):
        if isinstance(outcome, Exception):
            raise outcome
        ious[index], meshes_of_item = outcome
        scores += meshes_of_item
    return ious, scores


def _measure(
    plan: _Plan, index: int, mesh_probabilities: Sequence[float]
) -> tuple[NDArray[np.float64], list[Row]]:
    """Return the IoU (T,) of one item at each probability, and the scores of its meshes."""
    model, batch, item = plan.model, plan.dataset[index], plan.dataset.items[index]
    code = model.encode(batch["inputs"])
    latent = _latent(model, code, batch)
    field = model.field_of_code(code, z=latent)
    size = model.config.generation.batch_size
    logits = evaluate_in_batches(field, batch["points"].numpy(), batch_size=size)
    ious = iou_at_probabilities(logits, batch["occupancies"].numpy() > 0.5, plan.probabilities)
    scores = []
    if mesh_probabilities:
        pointcloud, normals = item.load_pointcloud()
    for probability in mesh_probabilities:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="no surface")  # it has the worst scores
            mesh = model.surface(code, latent=latent, probability=probability)
        metrics = evaluate(
            mesh,
            None,
            samples=plan.samples,
            seed=plan.seed,
            pointcloud=pointcloud,
            normals=normals,
        ).as_dict()
        scores.append(
            {
                "probability": probability,
                **{key: metrics[key] for key in MESH_SCORES},
                FAILED: int(not surface_area(mesh) > 0),
            }
        )
    return ious, scores


def _latent(model: Reconstructor, code: Code, batch: dict[str, Any]) -> Tensor | None:
    """Return the latent code (Z,) of validation: the posterior's mean where nothing is observed."""
    network = model.model
    if not network.z_dim or model.input.conditions:
        return model.latent(0)
    known = [batch[key][None, : network.infer_points] for key in ("points", "occupancies")]
    with torch.no_grad():
        posterior = network.infer_z(*(part.to(model.device) for part in known), as_batch(code))
    mean: Tensor = posterior.mean[0]
    return mean


def _tabulate(
    plan: _Plan, ious: dict[int, NDArray[np.float64]], scores: Sequence[Row]
) -> list[Row]:
    """Return a row a probability: means over all items, those of a category, and those meshed."""
    members: dict[str, list[Item]] = {"iou": plan.items}
    for name in sorted({plan.category(item) for item in plan.items}):
        members[f"iou {name}"] = [item for item in plan.items if plan.category(item) == name]
    means = {
        key: np.mean([ious[item.index] for item in items], axis=0) for key, items in members.items()
    }
    rows = []
    for number, probability in enumerate(plan.probabilities):
        row: Row = {"probability": probability}
        row |= {key: float(values[number]) for key, values in means.items()}
        at = [score for score in scores if score["probability"] == probability]
        if at:
            row |= {key: fmean(score[key] for score in at) for key in MESH_SCORES}
            row[FAILED] = sum(score[FAILED] for score in at)
        rows.append(row)
    return rows


def _applied(
    folder: Path, model: Reconstructor, probability: float | None, sha256: str
) -> dict[str, Any] | None:
    """Return the entry `applied` of the folder: the probability given, or else the one there."""
    applied = run_threshold.read_applied(folder)
    if probability is not None:
        return {"probability": probability, "sha256": sha256, **asdict(model.scaling)}
    return applied and run_threshold.restated(applied, model.scaling)


def _settings(
    plan: _Plan, rows: Sequence[Row], best: Row, provenance: Provenance, **known: Any
) -> dict[str, Any]:
    """Return the contents of threshold.json; `known` are values that it takes as they are."""
    configured = plan.configured
    return provenance.as_dict(
        KEYS,
        probability=best["probability"],
        iou=best["iou"],
        configured=configured,
        iou_configured=next(row["iou"] for row in rows if row["probability"] == configured),
        categories=sorted({plan.category(item) for item in plan.items}),
        items=len(plan.items),
        probabilities=[plan.grid[0], plan.grid[-1], len(plan.grid)],
        meshes=len(plan.meshed),
        samples=plan.samples,
        failed_rule=RULE,
        seed_observations=plan.model.config.training.seed,
        **asdict(plan.model.scaling),
        **known,
    )


def _write(report: ThresholdReport) -> None:
    """Write threshold.csv, whose columns are named with their units, and threshold.json."""
    report.out.mkdir(parents=True, exist_ok=True)
    columns = dict.fromkeys(key for row in report.rows for key in row)
    titles = {key: f"{key} [{UNITS.get(key, 'fraction')}]" for key in columns}
    named = [{titles[key]: value for key, value in row.items()} for row in report.rows]
    write_csv(report.out / THRESHOLD_TABLE, titles.values(), named)
    write_json(report.out / THRESHOLD, report.settings)


def _checked(probabilities: Sequence[float], name: str) -> list[float]:
    """Return the probabilities in ascending order, each once."""
    ordered = sorted({float(probability) for probability in probabilities})
    if not ordered:
        raise ConfigError(f"{name}: none given; give probabilities between 0 and 1")
    outside = [probability for probability in ordered if not 0 < probability < 1]
    if outside:
        raise ConfigError(f"{name}: {outside[0]:g} is not between 0 and 1")
    return ordered


def _best(rows: Sequence[Row]) -> Row:
    """Return the row with the highest IoU; of equals the middle one."""
    highest = max(row["iou"] for row in rows)
    equal = [row for row in rows if row["iou"] == highest]
    if len(equal) > 1:
        logger.info(
            "%d probabilities from %g to %g have the same IoU; taking the middle one",
            len(equal),
            equal[0]["probability"],
            equal[-1]["probability"],
        )
    best = equal[len(equal) // 2]
    if len(rows) > 1 and best in (rows[0], rows[-1]):
        logger.warning(
            "the best probability %g is the last one of those tried; try more beyond it",
            best["probability"],
        )
    return best
