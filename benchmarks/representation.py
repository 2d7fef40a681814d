"""Representation power: learned codes of training shapes against grids (thesis, figure 11.6).

For every shape the IoU with the stored query points, of which all are used, of

- grids of several resolutions: a voxel is full where the surface crosses it or its centre is inside
  (`onet.geometry.voxels.voxelize`), and a point is inside where its voxel is full;
- with --run, the field that the network of a run with learned codes (input `index`) gives for the
  code of the shape, at the probability of its configuration.

Beside the means stand the numbers that a representation keeps: of a grid one a voxel and shape; of
the network one code a shape and the decoder, which all shapes share. Grids are made from the stored
meshes, which are simplified; labels belong to the full ones.

Writes representation.csv (the table), representation_items.csv and representation.png.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from onet.data.store import Item, Store
from onet.files import replacing
from onet.geometry.mesh_io import load_mesh
from onet.geometry.voxels import resample_voxels, voxelize
from onet.metrics.scores import intersection_over_union
from onet.metrics.voxel_iou import voxel_iou
from onet.parallel import run_tasks
from onet.records import write_csv
from onet.report.tables import print_table

Scores = dict[str, float]  # of one representation, by the name of the shape


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", type=Path, help="prepared data")
    # Not `run`: that is the function that a benchmark is called by.
    parser.add_argument(
        "--run", dest="network", type=Path, help="run with learned codes, or checkpoint"
    )
    parser.add_argument("--categories", nargs="+", help="default: all, with --run those of the run")
    parser.add_argument("--split", help="default: train, with --run that of the run")
    parser.add_argument("--resolutions", type=int, nargs="+", default=[16, 32, 64, 128])
    parser.add_argument("--limit", type=int, help="at most so many shapes, the first ones")
    parser.add_argument("--workers", type=int, default=1, help="processes that make grids")
    parser.add_argument("--out", type=Path, default=Path("out/representation"))


def run(arguments: argparse.Namespace) -> None:
    network = _Network(arguments.network, arguments.store) if arguments.network else None
    data = network.config.data if network else None
    split = arguments.split or (data.train_split if data else "train")
    categories = arguments.categories or (data.categories if data else None)
    items = Store(arguments.store).items(split, categories)[: arguments.limit]
    if not items:
        sys.exit(f"{arguments.store}: the split {split!r} has no items of these categories")
    columns: dict[str, Scores] = {}
    rows = []
    by_resolution = _grid_scores(items, sorted(arguments.resolutions), arguments.workers)
    for resolution, scores in by_resolution.items():
        columns[f"grid {resolution}"] = scores
        count = resolution**3
        rows.append(_row(f"grid {resolution}^3", scores, count, 0))
    if network:
        columns["learned codes"] = network.scores(items)
        decoder = sum(p.numel() for p in network.model.model.decoder.parameters())
        size = network.model.model.c_dim
        rows.append(_row("learned codes", columns["learned codes"], size, decoder))

    arguments.out.mkdir(parents=True, exist_ok=True)
    write_csv(arguments.out / "representation.csv", rows[0], rows)
    write_csv(
        arguments.out / "representation_items.csv",
        ["shape", *columns],
        [
            {"shape": item.name, **{name: scores[item.name] for name, scores in columns.items()}}
            for item in items
        ],
    )
    _draw(rows, sorted(arguments.resolutions), arguments.out / "representation.png")
    title = (
        f"{arguments.store}, split {split}: {len(items)} shapes, IoU on all stored points, mean "
        "over shapes. Numbers: of one shape, shared by all, and both for all shapes"
    )
    print_table(rows, title)
    print(f"written to {arguments.out}")


def _row(name: str, scores: Scores, each: int, shared: int) -> dict[str, Any]:
    values = np.array(list(scores.values()))
    return {
        "representation": name,
        "iou": float(values.mean()),
        "median": float(np.median(values)),
        "worst": float(values.min()),
        "shapes": len(values),
        "numbers_a_shape": each,
        "numbers_shared": shared,
        "numbers_in_all": each * len(values) + shared,
    }


def _grid_scores(
    items: Sequence[Item], resolutions: Sequence[int], workers: int
) -> dict[int, Scores]:
    table: dict[int, Scores] = {resolution: {} for resolution in resolutions}
    task = partial(_score_grids, resolutions=tuple(resolutions))
    for item, outcome in run_tasks(task, items, workers, describe=_name, title="voxelising"):
        if isinstance(outcome, Exception):
            raise outcome
        for resolution, score in outcome.items():
            table[resolution][item.name] = score
    return table


def _name(item: Item) -> str:
    return item.name


def _score_grids(item: Item, resolutions: tuple[int, ...]) -> dict[int, float]:
    """IoU of the grids of one shape; a grid that divides a finer one is made from it."""
    mesh = load_mesh(item.mesh_path)
    points, occupancies = item.load_points()
    grids: dict[int, np.ndarray] = {}
    for resolution in reversed(resolutions):  # the finest first
        finer = next((r for r in grids if r % resolution == 0), None)
        grids[resolution] = (
            voxelize(mesh, resolution)
            if finer is None
            else resample_voxels(grids[finer], resolution)  # which gives the same
        )
    return {r: voxel_iou(grids[r], points, occupancies) for r in resolutions}


class _Network:
    """A trained network with learned codes, and which shape each of them belongs to."""

    def __init__(self, path: Path, store: Path) -> None:
        from onet.data.build import build_datasets
        from onet.inference.reconstructor import load

        self.model = load(path)
        data = self.model.config.data
        if data.input["type"] != "index":
            sys.exit(f"{path}: has no learned codes, it observes {data.input['type']!r}")
        self.config = self.model.config.model_copy(
            update={"data": data.model_copy(update={"path": store, "cache": False})}
        )
        dataset = build_datasets(self.config)["train"]
        if dataset.fingerprint() != self.model.metadata["data_fingerprint"]:
            sys.exit(f"{path}: was trained on other data than the lists of {store} give now")
        self.numbers = {item.name: item.index for item in dataset.items}

    def scores(self, items: Sequence[Item]) -> Scores:
        """IoU of the field of each shape's code."""
        unknown = [item.name for item in items if item.name not in self.numbers]
        if unknown:
            sys.exit(f"{unknown[0]}: has no code; leave out --split and --categories")
        settings = self.model.generation_settings()
        level = math.log(settings.probability / (1 - settings.probability))
        result: Scores = {}
        tasks = run_tasks(partial(self._score, level), items, 1, describe=_name, title="decoding")
        for item, outcome in tasks:
            if isinstance(outcome, Exception):
                raise outcome
            result[item.name] = outcome
        return result

    def _score(self, level: float, item: Item) -> float:
        points, occupancies = item.load_points()
        field = self.model.field_of_code(self.model.encode(self.numbers[item.name]))
        return intersection_over_union(field(points) > level, occupancies)


def _draw(rows: Sequence[dict[str, Any]], resolutions: Sequence[int], path: Path) -> None:
    """IoU (solid) and numbers for all shapes (dashed) over the resolution of the grids."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    memory = axes.twinx()
    grids = rows[: len(resolutions)]
    axes.plot(resolutions, [row["iou"] for row in grids], "o-", color="C0", label="grid")
    memory.plot(resolutions, [row["numbers_in_all"] for row in grids], "--", color="C0")
    for row in rows[len(resolutions) :]:
        axes.axhline(row["iou"], color="C1", label=row["representation"])
        memory.axhline(row["numbers_in_all"], color="C1", linestyle="--")
    axes.set_xscale("log", base=2)
    axes.set_xticks(resolutions, [str(resolution) for resolution in resolutions])
    axes.set_xlabel("resolution of the grid")
    axes.set_ylabel("IoU (solid)")
    axes.set_ylim(0, 1)
    memory.set_yscale("log")
    memory.set_ylabel(f"numbers for {rows[0]['shapes']} shapes (dashed)")
    axes.legend(loc="lower right")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)
