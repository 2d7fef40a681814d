"""Scores of a generation folder against the truth in its store, by the published protocol.

Each mesh is brought to the unit frame by its item's `loc` and `scale` and compared with the item's
stored points (volume) and surface points (distances, normals). An item without a usable mesh gets
the published penalties and counts in every mean; none is left out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import trimesh

from onet import __version__
from onet.data.store import Item, Store
from onet.errors import DataError
from onet.geometry.mesh_io import load_mesh
from onet.geometry.metrics import evaluate
from onet.geometry.normalization import UnitFrame
from onet.inference import generation_folder as folder
from onet.inference.generation_folder import Row
from onet.parallel import run_tasks

MEAN = "mean"  # unweighted over categories, as published
MEAN_OF_ITEMS = "mean (items)"

SCORES = {
    "iou": "fraction",
    "chamfer_l1": "longest edge",
    "accuracy": "longest edge",
    "completeness": "longest edge",
    "normal_consistency": "|cos|",
    "normal_consistency_signed": "cos",
    "chamfer_l2": "longest edge squared",
    "accuracy2": "longest edge squared",
    "completeness2": "longest edge squared",
}
"""Measured quantities and their units, which the columns of the CSV files name."""

COUNTS = ("watertight", "manifold", "oriented", "outward")


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
    """

    folder: Path
    protocol: dict[str, Any]
    items: list[Row]
    categories: list[Row]

    @property
    def mean(self) -> Row:
        """The row of the published mean."""
        return next(row for row in self.categories if row["category"] == MEAN)

    @property
    def title(self) -> str:
        """What the table shows, in which units, measured how."""
        return (
            f"{self.folder}: split {self.protocol['split']}, {self.protocol['samples']:,} surface "
            f"samples, seed {self.protocol['seed']}. IoU on the stored points; "
            "Chamfer-L1, accuracy and completeness unsquared, in units of the longest edge (not "
            "times 10); normal consistency |cos|. Failed items count with the published penalties."
        )

    def table(self) -> list[Row]:
        """The columns of `categories` that fit on a screen."""
        keys = ("category", "items", "failed", *list(SCORES)[:5], *COUNTS[:3])
        return [{key: row[key] for key in keys} for row in self.categories]

    def summary(self) -> str:
        """How many items were scored, failed and are solid, in one line."""
        total = self.categories[-1]
        counts = ", ".join(f"{total[key]} {key}" for key in COUNTS)
        return f"{total['items']} items, {total['failed']} failed; meshes: {counts}"


def evaluate_generation(
    generation_dir: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    samples: int = 100_000,
    seed: int = 0,
    workers: int | None = 1,
) -> EvaluationReport:
    """Score all items of a generation folder; writes eval_items.csv, eval.csv, evaluation.json.

    Args:
        generation_dir: a folder that `generate` wrote for a split of a store, or its run folder.
        data: root of the store with the truth; default the one that was generated from.
        samples: points on each predicted surface. Of the truth all stored points are used.
        seed: of these samples; equal arguments give equal scores.
        workers: processes; None for one per core.

    Raises:
        DataError: no generation folder, one made from scans (there is no truth), or truth that is
            missing or damaged.
    """
    root = folder.locate(Path(generation_dir))
    settings = folder.read_settings(root)
    if "split" not in settings:
        raise DataError(
            f"{root}: was generated from {settings.get('input')}, not from a store; there is no "
            "truth to compare with. Compare single meshes with `onet.evaluate`"
        )
    store = Store(data if data is not None else settings["data"])
    items = folder.take_in_turn(
        store.items(settings["split"], settings["categories"]),
        settings.get("limit"),
        lambda item: item.category,
    )
    results = folder.read_results(root)
    tasks = [(item, root, results.get((item.category, item.model))) for item in items]
    rows = []
    for (item, *_), outcome in run_tasks(
        partial(_evaluate_one, samples=samples, seed=seed),
        tasks,
        workers,
        describe=lambda task: task[0].name,
        title="evaluating",
    ):
        if isinstance(outcome, Exception):
            raise DataError(
                f"{item.path}: cannot be compared ({outcome}); see `onet data check {store.root}`"
            ) from outcome
        rows.append(outcome)
    rows.sort(key=lambda row: (row["category"], row["model"]))

    names = sorted({row["category"] for row in rows})
    table = [_summary(name, [r for r in rows if r["category"] == name]) for name in names]
    of_items = _summary(MEAN_OF_ITEMS, rows)
    of_categories = of_items | {"category": MEAN} | _means(table)
    table += [of_categories, of_items]
    protocol = {
        "samples": samples,
        "seed": seed,
        "data": str(store.root.resolve()),
        "split": settings["split"],
        "version": __version__,
    }
    _write(root / folder.EVAL_ITEMS, ["category", "model", "status"], [*COUNTS, "reason"], rows)
    _write(root / folder.EVAL, ["category", "items", "failed"], COUNTS, table)
    folder.write_json(root / folder.PROTOCOL, protocol)
    return EvaluationReport(root, protocol, rows, table)


def _evaluate_one(task: tuple[Item, Path, Row | None], samples: int, seed: int) -> Row:
    item, root, result = task
    mesh, reason = _read_mesh(item.frame(), root, result)
    points, occupancies = item.load_points()
    pointcloud, normals = item.load_pointcloud()
    metrics = evaluate(
        mesh,
        None,
        samples=samples,
        seed=seed,
        points=points,
        occupancies=occupancies,
        pointcloud=pointcloud,
        normals=normals,
    ).as_dict()
    return {
        "category": item.category,
        "model": item.model,
        "status": folder.FAILED if reason else folder.OK,
        **{key: metrics[key] for key in (*SCORES, *COUNTS)},
        "reason": reason,
    }


def _read_mesh(frame: UnitFrame, root: Path, result: Row | None) -> tuple[trimesh.Trimesh, str]:
    """The mesh in the unit frame; or an empty one, and the reason why."""
    empty = trimesh.Trimesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64), process=False)
    if result is None:
        return empty, "was not generated"
    if result["status"] != folder.OK:
        return empty, str(result["reason"])
    try:
        return frame.mesh_to_unit(load_mesh(root / result["mesh"])), ""
    except DataError as error:
        return empty, str(error)


def _summary(name: str, rows: Sequence[Row]) -> Row:
    return {
        "category": name,
        "items": len(rows),
        "failed": sum(row["status"] != folder.OK for row in rows),
        **_means(rows),
        **{key: sum(row[key] for row in rows) for key in COUNTS},
    }


def _means(rows: Sequence[Row]) -> Row:
    return {key: fmean(row[key] for row in rows) for key in SCORES}


def _write(path: Path, before: Sequence[str], after: Sequence[str], rows: Sequence[Row]) -> None:
    """A CSV file whose columns of scores are named with their units."""
    titles = {key: f"{key} [{unit}]" for key, unit in SCORES.items()}
    named = [{titles.get(key, key): value for key, value in row.items()} for row in rows]
    folder.write_csv(path, [*before, *titles.values(), *after], named)
