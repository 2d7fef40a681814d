"""Scores of a generation folder against the truth in its store, by the published protocol.

Each mesh is brought to the unit frame by its item's `loc` and `scale` and compared with the item's
stored points (volume) and surface points (distances, normals).

An item without a usable mesh counts in every mean with the worst of each score (see
`onet.metrics.penalties`), none is left out; so the means tell accuracy and failures at once. Where
items failed, the tables say what each counts as, and a row more has the means without them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import trimesh

from onet.data.store import Item, Store
from onet.data.store_folder import POINTCLOUD, POINTS
from onet.data.truth import PUBLISHED, describe, labels_of_items
from onet.errors import DataError
from onet.geometry.mesh_io import load_mesh
from onet.geometry.normalization import UnitFrame
from onet.geometry.sampling import surface_area
from onet.inference import generation_folder as folder
from onet.inference.generation_folder import REPORT
from onet.locks import hold, writer
from onet.metrics import penalties
from onet.metrics.penalties import PENALTIES, RULE
from onet.metrics.scores import check_mesh, evaluate
from onet.parallel import run_tasks
from onet.progress import Progress, reports_progress
from onet.provenance import Provenance
from onet.records import Row, write_csv, write_json

logger = logging.getLogger(__name__)

MEAN = "mean"  # unweighted over categories, as published
MEAN_OF_ITEMS = "mean (items)"
WITHOUT_FAILED = "mean (without failed)"  # of the items that have a mesh
A_FAILED_ITEM = "a failed item"  # what it counts as

SCORES = {key: score.unit for key, score in penalties.SCORES.items()}
"""Measured quantities and their units, which the columns of the CSV files name."""

SHOWN = tuple(key for key, score in penalties.SCORES.items() if score.shown)
"""Scores in the table on the screen."""

NOISE_FLOOR = "noise floor"

SAMPLED = tuple(key for key in SCORES if key != "iou")  # what depends on samples of the surface

COUNTS = ("watertight", "manifold", "oriented", "outward")

KEYS = (
    *("samples", "seed", "data", "split", "version", "labels"),
    *("noise_floor", "failed", "failed_counts_as", "failed_rule"),
)
"""Of evaluation.json."""

Task = tuple[Item, Path, Row | None]  # an item, the generation folder, what is there of the item


@dataclass(frozen=True)
class EvaluationReport:
    """Scores of a generation folder.

    Attributes:
        folder: the generation folder.
        protocol: samples, seed, data and split; contents of evaluation.json.
        items: one row per item: category, model, status, the scores and topology flags.
        categories: one row per category: the number of `items` and of those `failed`, mean scores,
            and how many meshes are watertight, manifold, oriented, outward. Then a row `mean` with
            the unweighted mean over categories, as published, and a row `mean (items)`.
        noise_floor: scores of the generated meshes against themselves, by two independent samples
            of each: unweighted mean over categories. Smaller differences are differences of the
            samples. None where that was not asked for, or no mesh has a surface.
        failures: where items failed, a row `a failed item` with the scores that each counts with
            in all means but that of the next row; then, if there are others, a row `mean (without
            failed)`, over the items that have a mesh.
    """

    folder: Path
    protocol: dict[str, Any]
    items: list[Row]
    categories: list[Row]
    noise_floor: dict[str, float] | None = None
    failures: tuple[Row, ...] = ()

    shown = REPORT

    @property
    def mean(self) -> Row:
        """The row of the published mean."""
        return next(row for row in self.categories if row["category"] == MEAN)

    @property
    def title(self) -> str:
        """What the table shows, in which units, measured how."""
        return (
            f"{self.folder}: split {self.protocol['split']}, {self.protocol['samples']:,} surface "
            f"samples, seed {self.protocol['seed']}. Truth: {self.truth}. "
            "IoU on the stored points; Chamfer-L1, accuracy and completeness unsquared, in units "
            "of the longest edge (not times 10); normal consistency |cos|; F-score within 1 % of "
            "the longest edge. "
            + self.failed_rule
            + (
                " Noise floor: the same meshes sampled twice; smaller differences mean nothing."
                if self.noise_floor
                else ""
            )
        )

    @property
    def truth(self) -> str:
        """Which solids the truth is of, in words."""
        return describe(self.protocol.get("labels") or {PUBLISHED: 1})

    @property
    def failed_rule(self) -> str:
        """How many items failed, and what each of them counts as."""
        return _failed_rule(self.categories[-1])

    @property
    def rows(self) -> list[Row]:
        """Contents of eval.csv: categories, `failures`, means."""
        return [*self.categories[:-2], *self.failures, *self.categories[-2:]]

    def table(self) -> list[Row]:
        """Return the columns of `rows` that fit on a screen, and the noise floor."""
        keys = ("category", "items", "failed", *SHOWN, *COUNTS[:3])
        rows = self.rows
        if self.noise_floor:
            rows.append({"category": NOISE_FLOOR, **self.noise_floor})
        return [{key: row.get(key) for key in keys} for row in rows]

    def summary(self) -> str:
        """How many items were scored, failed and are solid, in one line."""
        total = self.categories[-1]
        counts = ", ".join(f"{total[key]} {key}" for key in COUNTS)
        return f"{total['items']} items, {total['failed']} failed; meshes: {counts}"


@reports_progress
@writer
def evaluate_generation(
    generation_dir: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    samples: int = 100_000,
    seed: int = 0,
    workers: int | None = 1,
    scheduler: str | None = None,
    noise_floor: bool = True,
    stored: int | None = None,
    progress: Progress | None = None,
) -> EvaluationReport:
    """Score all items of a generation folder; writes eval_items.csv, eval.csv, evaluation.json.

    Args:
        generation_dir: a folder that `generate` wrote for a split of a store, or its run folder.
        data: root of the store with the truth; default the one that was generated from.
        samples: points on each predicted surface. Of the truth all stored points are used.
        seed: of these samples; equal arguments give equal scores.
        workers: processes; None for one per core.
        scheduler: address of a dask scheduler in their place, see `onet.parallel.run_tasks`.
        noise_floor: measure what the scores of a perfect result would be, which takes about half
            of the time; changes no score.
        stored: number of points that each item must have in the volume and on the surface; None
            takes what there is.
        progress: see `onet.progress`.

    Raises:
        DataError: no generation folder, one made from scans (there is no truth), or truth that is
            missing or damaged, or of another size than `stored`.
    """
    root = folder.locate(Path(generation_dir))
    settings = folder.read_settings(root)
    hold(root)
    if "split" not in settings:
        raise DataError(
            f"{root}: was generated from {settings.get('input')}, not from a store; there is no "
            "truth to compare with. Compare single meshes with `onet.evaluate`"
        )
    store = Store(data if data is not None else settings["data"])
    measure = partial(
        _evaluate_one, samples=samples, seed=seed, noise_floor=noise_floor, stored=stored
    )
    rows, floors = _measure(root, settings, store, measure, workers, scheduler)
    labels = labels_of_items(store.items(settings["split"], settings["categories"]))
    table, failures = _tabulate(rows), _failures(rows)
    lowest = [_means(of_category, SAMPLED) for of_category in floors.values()]
    floor_mean = _means(lowest, SAMPLED) if lowest else None
    provenance = Provenance(data=store.root, split=settings["split"], seed=seed)
    protocol = provenance.as_dict(
        KEYS,
        samples=samples,
        labels=labels,
        noise_floor=floor_mean,
        failed=table[-1]["failed"],
        failed_counts_as={key: PENALTIES[key] for key in SCORES},
        failed_rule=_failed_rule(table[-1]),
    )
    report = EvaluationReport(root, protocol, rows, table, floor_mean, failures)
    _write(root / folder.EVAL_ITEMS, ["category", "model", "status"], [*COUNTS, "reason"], rows)
    _write(root / folder.EVAL, ["category", "items", "failed"], COUNTS, report.rows)
    write_json(root / folder.PROTOCOL, protocol)
    return report


def _measure(
    root: Path,
    settings: dict[str, Any],
    store: Store,
    measure: Callable[[Task], tuple[Row, Row | None]],
    workers: int | None,
    scheduler: str | None,
) -> tuple[list[Row], dict[str, list[Row]]]:
    """Return a row of scores for each item, and the noise floors of each category.

    Args:
        root: the generation folder.
        settings: how it was generated.
        store: with the truth.
        measure: makes row and noise floor of an item.
        workers, scheduler: see `evaluate_generation`.
    """
    items = folder.take_in_turn(
        store.items(settings["split"], settings["categories"]),
        settings.get("limit"),
        lambda item: item.category,
    )
    if not items:
        raise DataError(
            f"{store.root}: the split {settings['split']!r} has no items to compare with"
        )
    results = folder.read_results(root)
    tasks = [(item, root, results.get((item.category, item.model))) for item in items]
    rows: list[Row] = []
    floors: dict[str, list[Row]] = {}
    outcomes = run_tasks(
        measure, tasks, workers, scheduler, lambda task: task[0].name, "evaluating"
    )
    with closing(outcomes):
        for (item, _, result), outcome in outcomes:
            if isinstance(outcome, Exception):
                raise DataError(
                    f"{item.path}: cannot be compared ({outcome}); see "
                    f"`onet data check {store.root}`"
                ) from outcome
            row, floor = outcome
            rows.append(row)
            if row["status"] == folder.FAILED and result and result["status"] == folder.OK:
                logger.warning("%s failed: %s", item.name, row["reason"])
            if floor is not None:
                floors.setdefault(item.category, []).append(floor)
    rows.sort(key=lambda row: (row["category"], row["model"]))
    return rows, floors


def _evaluate_one(
    task: Task,
    samples: int,
    seed: int,
    noise_floor: bool,
    stored: int | None,
) -> tuple[Row, Row | None]:
    """Return the scores of an item and their noise floor."""
    item, root, result = task
    mesh, reason = _read_mesh(item.frame(), root, result)
    points, occupancies = item.load_points()
    pointcloud, normals = item.load_pointcloud()
    for file, found in ((POINTS, len(points)), (POINTCLOUD, len(pointcloud))):
        if stored is not None and found != stored:
            raise DataError(
                f"{item.path / file}: has {found:,} points, the protocol takes {stored:,}; prepare "
                f"the data with so many, or measure without the protocol"
            )
    metrics = evaluate(
        mesh,
        None,
        samples=samples,
        seed=seed,
        points=points,
        occupancies=occupancies,
        pointcloud=pointcloud,
        normals=normals,
        noise_floor=noise_floor,
    ).as_dict()
    scores = PENALTIES if reason else metrics
    row = {
        "category": item.category,
        "model": item.model,
        "status": folder.FAILED if reason else folder.OK,
        **{key: scores[key] for key in SCORES},
        **{key: metrics[key] for key in COUNTS},
        "reason": reason,
    }
    return row, metrics["noise_floor"]


def _read_mesh(frame: UnitFrame, root: Path, result: Row | None) -> tuple[trimesh.Trimesh, str]:
    """Return the mesh in the unit frame; or an empty one, and the reason why."""
    empty = trimesh.Trimesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64), process=False)
    if result is None:
        return empty, "was not generated"
    if result["status"] != folder.OK:
        return empty, str(result["reason"])
    path = root / result["mesh"]
    try:
        mesh = frame.mesh_to_unit(load_mesh(path))
        check_mesh(mesh, str(path))
    except DataError as error:
        return empty, str(error)
    if not surface_area(mesh) > 0:
        return empty, f"{path}: its faces have no area"
    return mesh, ""


def _failed_rule(total: Row) -> str:
    """Return how many of all items failed, and what each of them counts as."""
    counted = f"{total['failed']} of {total['items']} items failed"
    if not total["failed"]:
        return f"{counted}; one that fails counts as {RULE}."
    return f"{counted}; each counts as {RULE}. '{WITHOUT_FAILED}' is over the other items."


def _tabulate(rows: Sequence[Row]) -> list[Row]:
    """Return the row of each category, of their means and of the means over items."""
    names = sorted({row["category"] for row in rows})
    table = [_summary(name, [row for row in rows if row["category"] == name]) for name in names]
    of_items = _summary(MEAN_OF_ITEMS, rows)
    return [*table, of_items | {"category": MEAN} | _means(table), of_items]


def _failures(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rows that tell what failed items do to the means; none where there are none."""
    made = [row for row in rows if row["status"] == folder.OK]
    if len(made) == len(rows):
        return ()
    penalty: Row = {"category": A_FAILED_ITEM, **{key: PENALTIES[key] for key in SCORES}}
    penalty |= dict.fromkeys(("items", "failed", *COUNTS))
    return (penalty, *([_summary(WITHOUT_FAILED, made)] if made else []))


def _summary(name: str, rows: Sequence[Row]) -> Row:
    return {
        "category": name,
        "items": len(rows),
        "failed": sum(row["status"] != folder.OK for row in rows),
        **_means(rows),
        **{key: sum(row[key] for row in rows) for key in COUNTS},
    }


def _means(rows: Sequence[Row], keys: Iterable[str] = SCORES) -> Row:
    return {key: fmean(row[key] for row in rows) for key in keys}


def _write(path: Path, before: Sequence[str], after: Sequence[str], rows: Sequence[Row]) -> None:
    """A CSV file whose columns of scores are named with their units."""
    titles = {key: f"{key} [{unit}]" for key, unit in SCORES.items()}
    named = [{titles.get(key, key): value for key, value in row.items()} for row in rows]
    write_csv(path, [*before, *titles.values(), *after], named)
