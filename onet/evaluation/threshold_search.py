"""Choosing the probability on the surface by grid search over validation items.

The threshold is the one parameter of an occupancy network that is chosen after training (thesis,
section 11.6.9). The network is evaluated once for each item, at the item's stored points; the IoU
at every threshold is counted from these values. On request some items are also meshed at several
thresholds, which shows what accuracy pays for completeness (figure 11.13).
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

from onet._version import __version__
from onet.checkpoints.checkpoint import FOLDER, checksum, resolve_checkpoint
from onet.data.dataset import ShapeDataset
from onet.data.store import Store
from onet.errors import ConfigError
from onet.files import replacing
from onet.geometry.field_values import evaluate_in_batches
from onet.geometry.sampling import surface_area
from onet.inference import run_threshold
from onet.inference.generation_folder import Row, take_in_turn, write_csv, write_json
from onet.inference.reconstructor import Reconstructor, load
from onet.locks import hold, writer
from onet.metrics.penalties import RULE
from onet.metrics.scores import evaluate
from onet.nn.code import Code, as_batch
from onet.parallel import run_tasks

logger = logging.getLogger(__name__)

GRID = tuple(round(0.01 * k, 2) for k in range(1, 100))
MESH_GRID = tuple(round(0.1 * k, 1) for k in range(1, 7))
"""The range of thresholds that the thesis shows."""

MESH_SCORES = ("accuracy", "completeness", "chamfer_l1", "normal_consistency")
FAILED = "failed"  # meshes without a surface
CSV, PICTURE = "threshold.csv", "threshold.png"


@dataclass(frozen=True)
class ThresholdReport:
    """The outcome of a search.

    Attributes:
        out: folder with threshold.json, threshold.csv and threshold.png.
        settings: what was searched and found; contents of threshold.json.
        rows: one a threshold: `threshold`, `iou` (mean over items), `iou NAME` of each category,
            and where meshes were made, `MESH_SCORES` (means over the meshed items) and `failed`,
            how many of them have no surface there.
    """

    out: Path
    settings: dict[str, Any]
    rows: list[Row]

    @property
    def best(self) -> float:
        """The threshold with the highest mean IoU; of equals the middle one."""
        return float(self.settings["threshold"])

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
            if number % step == step - 1 or row["threshold"] in shown or "accuracy" in row
        ]
        keys = ("iou", *((*MESH_SCORES, FAILED) if self.settings["meshes"] else ()))
        return [
            {"threshold": f"{row['threshold']:g}", **{key: row.get(key) for key in keys}}
            for row in chosen
        ]

    def summary(self) -> str:
        """What was found, in one line."""
        s = self.settings
        applied = s["applied"] and s["applied"]["threshold"]
        return (
            f"best threshold {self.best:g} with IoU {s['iou']:.4f}; configured "
            f"{s['configured']:g} with IoU {s['iou_configured']:.4f}; "
            + (f"applied to this run: {applied:g}" if applied else "none applied to this run")
            + f". See {self.out / run_threshold.FILE}, {self.out / PICTURE}"
        )


@writer
def search_threshold(
    source: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    categories: Sequence[str] | None = None,
    limit: int | None = None,
    thresholds: Sequence[float] = GRID,
    meshes: int = 0,
    mesh_thresholds: Sequence[float] = MESH_GRID,
    samples: int = 100_000,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    apply: bool = False,
    device: str = "auto",
) -> ThresholdReport:
    """Find the threshold with the highest IoU over a split; writes threshold.{json,csv,png}.

    Observations are those that validation in training sees. Models without observation are measured
    by their reconstructions, as in validation: z is the mean of the posterior.

    Args:
        source: run folder or checkpoint file.
        data: root of the store; default from the model's configuration.
        split: of the store; default the configured validation split.
        categories: of the store; default those of the configuration.
        limit: at most so many items, taken from the categories in turn.
        thresholds: probabilities to try.
        meshes: also make meshes of so many items, taken from the categories in turn.
        mesh_thresholds: at these thresholds.
        samples: points on the surface of each mesh.
        seed: of these samples.
        out: folder of the results; default the run folder.
        apply: from now on the run folder is loaded with the best threshold in place of the
            configured one; see `onet.inference.run_threshold`. An earlier one stays otherwise.
        device: see `onet.load`.

    Raises:
        ConfigError: no thresholds, or some outside (0, 1); `apply` together with `out`; a
            checkpoint file with `apply` or without `out`.
        CheckpointError, DataError: nothing to load or to measure.
    """
    grid = _checked(thresholds, "thresholds")
    mesh_grid = _checked(mesh_thresholds, "mesh_thresholds") if meshes else []
    for name, number in (("limit", limit), ("samples", samples)):
        if number is not None and number < 1:
            raise ConfigError(f"{name}: {number}; give at least 1")
    if meshes < 0:
        raise ConfigError(f"meshes: {meshes}; give 0 or more")
    if apply and (out is not None or not Path(source).is_dir()):
        raise ConfigError(f"{source}: apply needs a run folder, and no `out`")
    if out is None and Path(source).is_file():
        raise ConfigError(f"{source}: is a checkpoint, not a run folder; give `out` too")
    checkpoint = resolve_checkpoint(source)
    folder = Path(source) if out is None else Path(out)
    hold(folder, below=(FOLDER,))
    model = load(checkpoint, device)  # the file: the configured threshold, not the one applied
    config = model.config
    store = Store(data if data is not None else config.data.path)
    dataset = ShapeDataset(
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
    chosen = take_in_turn(dataset.items, limit, lambda item: item.category)
    meshed = {item.index for item in take_in_turn(chosen, meshes, lambda item: item.category)}
    configured = model.generation_settings().threshold
    tried = sorted({*grid, *mesh_grid, configured})

    def one(index: int) -> tuple[NDArray[np.float64], list[Row]]:
        return _measure(
            model, dataset, index, tried, mesh_grid if index in meshed else [], samples, seed
        )

    ious: dict[int, NDArray[np.float64]] = {}
    scores: list[Row] = []
    for index, outcome in run_tasks(
        one,
        [item.index for item in chosen],
        1,
        describe=lambda index: dataset.items[index].name,
        title="searching the threshold",
    ):
        if isinstance(outcome, Exception):
            raise outcome
        ious[index], meshes_of_item = outcome
        scores += meshes_of_item

    mean = np.mean([ious[item.index] for item in chosen], axis=0)
    members: dict[str, list[NDArray[np.float64]]] = {}
    for item in chosen:
        members.setdefault(store.labels[item.category], []).append(ious[item.index])
    of_categories = {name: np.mean(values, axis=0) for name, values in sorted(members.items())}
    rows = []
    for place, threshold in enumerate(tried):
        row: Row = {"threshold": threshold, "iou": float(mean[place])}
        row |= {f"iou {name}": float(values[place]) for name, values in of_categories.items()}
        at = [score for score in scores if score["threshold"] == threshold]
        if at:
            row |= {key: fmean(score[key] for score in at) for key in MESH_SCORES}
            row[FAILED] = sum(score[FAILED] for score in at)
        rows.append(row)
    best = _best([row for row in rows if row["threshold"] in grid])

    identity = {"path": str(checkpoint.resolve()), "sha256": checksum(checkpoint)}
    applied = run_threshold.read_applied(folder)
    if applied:
        applied = run_threshold.restated(applied, model.scaling)
    if apply:
        applied = {
            "threshold": best["threshold"],
            "sha256": identity["sha256"],
            **asdict(model.scaling),
        }
    settings = {
        "threshold": best["threshold"],
        "iou": best["iou"],
        "configured": configured,
        "iou_configured": next(row["iou"] for row in rows if row["threshold"] == configured),
        "applied": applied,
        "checkpoint": identity,
        **asdict(model.scaling),
        "data": str(store.root.resolve()),
        "split": split or config.data.val_split,
        "categories": sorted(members),
        "items": len(chosen),
        "limit": limit,
        "thresholds": [grid[0], grid[-1], len(grid)],
        "meshes": len(meshed),
        "samples": samples,
        "failed_rule": RULE,
        "seed": seed,
        "seed_observations": config.training.seed,
        "version": __version__,
    }
    folder.mkdir(parents=True, exist_ok=True)
    titles = {"threshold": "threshold [probability]"} | {
        key: f"{key} [{'|cos|' if key == 'normal_consistency' else 'longest edge'}]"
        for key in MESH_SCORES
    }
    titles[FAILED] = f"{FAILED} [meshes]"
    titles |= {key: f"{key} [fraction]" for key in rows[0] if key.startswith("iou")}
    columns = [*rows[0], *(key for key in (*MESH_SCORES, FAILED) if scores and key not in rows[0])]
    named = [{titles[key]: value for key, value in row.items()} for row in rows]
    write_csv(folder / CSV, [titles[key] for key in columns], named)
    write_json(folder / run_threshold.FILE, settings)
    report = ThresholdReport(folder, settings, rows)
    draw_threshold(report, folder / PICTURE)
    return report


def iou_at_thresholds(
    logits: NDArray[np.floating],  # (N,) of occupancy
    occupancies: NDArray[np.bool_],  # (N,)
    thresholds: Sequence[float],  # probabilities, ascending
) -> NDArray[np.float64]:  # (T,)
    """IoU of the points whose probability exceeds each threshold with the occupied ones.

    1 where both are empty. Every point is sorted once, whatever the number of thresholds.
    """
    levels = [math.log(threshold / (1 - threshold)) for threshold in thresholds]
    exceeded = np.searchsorted(levels, logits, side="left")  # so many thresholds are below a point

    def above(counted: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of the points, how many exceed each threshold."""
        counts = np.bincount(counted, minlength=len(levels) + 1)
        return counts[::-1].cumsum()[::-1][1:]

    both, predicted = above(exceeded[occupancies]), above(exceeded)
    either = predicted + np.count_nonzero(occupancies) - both
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


def draw_threshold(report: ThresholdReport, path: Path) -> None:
    """IoU over the threshold, and beside it accuracy over completeness where there were meshes."""
    from matplotlib.figure import Figure

    rows = report.rows
    meshed = [row for row in rows if "accuracy" in row]
    figure = Figure(figsize=(10 if meshed else 5.5, 4), layout="constrained")
    left, *others = figure.subplots(1, 2 if meshed else 1, squeeze=False)[0]
    thresholds = [row["threshold"] for row in rows]
    for key in rows[0]:
        if key.startswith("iou "):
            values = [row[key] for row in rows]
            left.plot(thresholds, values, linewidth=0.8, label=key.removeprefix("iou "))
    left.plot(thresholds, [row["iou"] for row in rows], "k", linewidth=2, label="mean of items")
    left.axvline(report.best, color="k", linestyle="--", label=f"best {report.best:g}")
    configured = report.settings["configured"]
    left.axvline(configured, color="0.6", linestyle=":", label=f"configured {configured:g}")
    left.set(xlabel="threshold", ylabel="IoU", xlim=(0, 1))
    left.grid(alpha=0.3)
    left.legend(fontsize="x-small")
    for axes in others:
        completeness = [row["completeness"] for row in meshed]
        accuracy = [row["accuracy"] for row in meshed]
        axes.plot(completeness, accuracy, "k.-")
        for row in meshed:
            place = (row["completeness"], row["accuracy"])
            axes.annotate(f"{row['threshold']:g}", place, (4, 4), textcoords="offset points")
        axes.set(
            xlabel="completeness [longest edge], less is better",
            ylabel="accuracy [longest edge], less is better",
            title=f"meshes of {report.settings['meshes']} items, by threshold",
        )
        axes.grid(alpha=0.3)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def _measure(
    model: Reconstructor,
    dataset: ShapeDataset,
    index: int,
    thresholds: Sequence[float],
    mesh_thresholds: Sequence[float],
    samples: int,
    seed: int,
) -> tuple[NDArray[np.float64], list[Row]]:
    """IoU (T,) of one item at each threshold, and scores of its meshes."""
    batch, item = dataset[index], dataset.items[index]
    code = model.encode(batch["inputs"])
    latent = _latent(model, code, batch)
    field = model.field(code, z=latent)
    size = model.config.generation.batch_size
    logits = evaluate_in_batches(field, batch["points"].numpy(), batch_size=size)
    ious = iou_at_thresholds(logits, batch["occupancies"].numpy() > 0.5, thresholds)
    scores = []
    if mesh_thresholds:
        pointcloud, normals = item.load_pointcloud()
    for threshold in mesh_thresholds:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="no surface")  # it has the worst scores
            mesh = model.surface(code, latent=latent, threshold=threshold)
        metrics = evaluate(
            mesh, None, samples=samples, seed=seed, pointcloud=pointcloud, normals=normals
        ).as_dict()
        scores.append(
            {
                "threshold": threshold,
                **{key: metrics[key] for key in MESH_SCORES},
                FAILED: int(not surface_area(mesh) > 0),
            }
        )
    return ious, scores


def _latent(model: Reconstructor, code: Code, batch: dict[str, Any]) -> Tensor | None:
    """The latent code (Z,) of validation: the posterior's mean where nothing is observed."""
    network = model.model
    if not network.z_dim or model.input.conditions:
        return model.latent(0)
    known = [batch[key][None, : network.infer_points] for key in ("points", "occupancies")]
    with torch.no_grad():
        posterior = network.infer_z(*(part.to(model.device) for part in known), as_batch(code))
    mean: Tensor = posterior.mean[0]
    return mean


def _checked(thresholds: Sequence[float], name: str) -> list[float]:
    """The thresholds in ascending order, each once."""
    ordered = sorted({float(threshold) for threshold in thresholds})
    if not ordered:
        raise ConfigError(f"{name}: none given; give probabilities between 0 and 1")
    outside = [threshold for threshold in ordered if not 0 < threshold < 1]
    if outside:
        raise ConfigError(f"{name}: {outside[0]:g} is not between 0 and 1")
    return ordered


def _best(rows: Sequence[Row]) -> Row:
    """The row with the highest IoU; of equals the middle one."""
    highest = max(row["iou"] for row in rows)
    equal = [row for row in rows if row["iou"] == highest]
    if len(equal) > 1:
        logger.info(
            "%d thresholds from %g to %g have the same IoU; taking the middle one",
            len(equal),
            equal[0]["threshold"],
            equal[-1]["threshold"],
        )
    best = equal[len(equal) // 2]
    if len(rows) > 1 and best in (rows[0], rows[-1]):
        logger.warning(
            "the best threshold %g is the last one of those tried; try more beyond it",
            best["threshold"],
        )
    return best
