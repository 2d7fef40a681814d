"""Moving shapes at equal processor time: Occupancy Flow and its baselines on held-out sequences.

Sequences of the store are called INDIVIDUAL__MOTION (as `onet prepare --sequences` calls them from
folders INDIVIDUAL/MOTION). A sixth of the individuals is held out, and of every other one that
makes three kinds of motion or more, one kind: `individual` and `motion` in the table. The lists
flow_train, flow_val, flow_motion and flow_individual are written to the store; training is the same
for both.

Every configuration is trained in a process of its own for the same processor time on one thread,
then moving meshes of the held-out sequences are made and measured as `onet eval --protocol oflow`
does. With --meshes, the folder that the store was prepared from, three rows more: `still`, the true
first frame standing still; `true frame, CONFIG`, the true first frame carried by the motion that a
model with velocities has learned, which tells motion from shape; and `mean`, the occupancy at a
place and time that most training sequences have (IoU alone).

Columns: means over sequences of means over time; a sequence of which nothing was made (`failed`)
has IoU 0 and no distances. `own still` is the correspondence if the first frame that the method
made stood still. Written to OUT: runs/CONFIG/SEED with run and generations, runs.csv, scores.csv,
sequences.csv, and with --meshes SPLIT.png, some sequences over time below the truth. What is
finished is not made again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Sequence as Items
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _flow_rows, _training
from benchmarks._flow_splits import INDIVIDUAL, MOTION, TRAIN, VAL, write_lists
from benchmarks._runs import finished, keep
from benchmarks._training import Row

METHODS = (
    "flow_small", "flow_small_correspond", "flow_frames_small", "onet4d_small",
    "psgn4d_small_correspond",
)  # fmt: skip
BASE = (
    f"data.train_split={TRAIN}", f"data.val_split={VAL}", f"data.test_split={MOTION}",
    "data.sequence.length=null", "training.validate_every=1000", "training.validation_points=1000",
)  # fmt: skip
HELD_OUT = {"motion": MOTION, "individual": INDIVIDUAL}
SCORES = ("iou", "chamfer", "chamfer_squared", "correspondence", "still", "cycle")
TITLES = {"still": "own still", "chamfer_squared": "chamfer²"}
SETTINGS = ("share",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="STORE", help="prepared sequences")
    parser.add_argument(
        "--configs", nargs="+", default=list(METHODS), metavar="'CONFIG KEY=VALUE ...'",
        help="YAML files or packaged names, each with changes of its own, quoted",
    )  # fmt: skip
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, each run")
    parser.add_argument("--meshes", type=Path, help="what the store was prepared from")
    parser.add_argument("--share", type=float, default=1 / 6, help="of the individuals held out")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--resolution", type=int, default=64, help="of the surfaces")
    parser.add_argument("--samples", type=int, default=5000, help="surface points of a frame")
    parser.add_argument("--pictures", type=int, default=2, help="sequences of a split to draw")
    parser.add_argument("--train-only", action="store_true", help="no meshes and scores yet")
    parser.add_argument("--out", type=Path, default=Path("out/flow"))
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="to every one")
    parser.add_argument("--single", nargs=2, help=argparse.SUPPRESS)  # one run, in a child process


def run(arguments: argparse.Namespace) -> None:
    arguments.clock, arguments.threads = "cpu", 1
    arguments.set = [*BASE, *arguments.set]
    if arguments.single:
        folder, _, row = _training.train_single(arguments)
        keep(folder / _training.RESULT, _training.settings_of(arguments, SETTINGS), row)
        return
    _training.check_names(arguments)
    write_lists(arguments.data, arguments.share)
    runs = [
        _training.finished_run(arguments, config, seed, SETTINGS)
        for seed in arguments.seeds
        for config in arguments.configs
    ]
    _training.write_csv(arguments.out / "runs.csv", runs)
    _training.write_settings(arguments, SETTINGS)
    _training.show(
        [_training.summary_of(row["config"], runs, ("parameters", "steps", "minutes"))
         for row in runs if row["seed"] == arguments.seeds[0]],
        [{"parameters": ("parameters", 0), "steps": ("steps", 0), "minutes": ("minutes", 1)}],
        [f"{arguments.minutes:g} processor minutes each, one thread"],
    )  # fmt: skip
    if not arguments.train_only:
        _measure(arguments)


def _measure(arguments: argparse.Namespace) -> None:
    from onet.report.tables import print_table

    scores: list[Row] = []
    for title, split in HELD_OUT.items():
        own = _split_scores(arguments, split)
        scores += [{"held out": title} | row for row in own]
    _training.write_csv(arguments.out / "sequences.csv", scores)
    means = _means(scores)
    _training.write_csv(arguments.out / "scores.csv", means)
    for title in HELD_OUT:
        some = [row for row in means if row["held out"] == title]
        count = max(row["sequences"] for row in some)
        table = [
            {"method": row["method"], "failed": row["failed"]}
            | {TITLES.get(key, key): None if row[key] == "" else f"{row[key]:.4f}"
               for key in SCORES}
            for row in some
        ]  # fmt: skip
        print_table(table, f"{title} held out, {count} sequences, means over time")


def _split_scores(arguments: argparse.Namespace, split: str) -> list[Row]:
    """Scores of each sequence of a split, by every method and the trivial ones."""
    rows: list[Row] = []
    resolution, samples = arguments.resolution, arguments.samples
    how = {"samples": samples, "share": arguments.share}
    truth = _flow_rows.TrueMotions(arguments.data, arguments.meshes, split, samples)
    runs = [(c, s) for c in arguments.configs for s in arguments.seeds]
    for config, seed in runs:
        folder = _training.folder_of(arguments, config, seed)
        own = _kept(
            folder / f"{split}.json",
            how | {"resolution": resolution},
            lambda f=folder: _flow_rows.made(f, split, resolution, samples),
        )
        rows += [{"method": _training.name_of(config), "seed": seed} | row for row in own]
    if arguments.meshes:
        _draw(arguments, truth, split)
        own = _kept(arguments.out / f"still_{split}.json", how, truth.still)
        rows += [{"method": "still", "seed": ""} | row for row in own]
        for config, seed in runs:
            folder = _training.folder_of(arguments, config, seed)
            own = _kept(folder / f"carried_{split}.json", how, lambda f=folder: truth.carried(f))
            name = f"true frame, {_training.name_of(config)}"
            rows += [{"method": name, "seed": seed} | row for row in own]
    mean = _flow_rows.mean_occupancy(arguments.data, TRAIN, VAL, split)
    return rows + [{"method": "mean", "seed": ""} | row for row in mean]


def _draw(arguments: argparse.Namespace, truth: Any, split: str) -> None:
    """Some sequences of a split over time: the truth, and below it what each method made."""
    from onet.report.motion_sheet import motion_sheet

    chosen = np.linspace(0, len(truth.sequences) - 1, arguments.pictures).round().astype(int)
    meshes, names = [], []
    for number in dict.fromkeys(chosen.tolist()):
        item = truth.sequences[number].item
        meshes.append(truth.moving[number])
        names.append(item.model)
        for config in arguments.configs:
            folder = _training.folder_of(arguments, config, arguments.seeds[0]) / split
            if (made := _flow_rows.read_made(folder, item)) is not None:
                meshes.append(made)
                names.append(_training.name_of(config))
    motion_sheet(meshes, names, arguments.out / f"{split}.png", 128)


def _kept(path: Path, settings: Row, make: Callable[[], list[Row]]) -> list[Row]:
    """Rows that were measured before, or are now."""
    result = finished(path, settings) or keep(path, settings, {"rows": make()})
    rows: list[Row] = result["rows"]
    return rows


def _means(rows: Items[Row]) -> list[Row]:
    """Means over sequences, and seeds, of what there is of each method."""
    result: list[Row] = []
    for key in dict.fromkeys((row["held out"], row["method"]) for row in rows):
        own = [row for row in rows if (row["held out"], row["method"]) == key]
        mean: dict[str, Any] = {"held out": key[0], "method": key[1]}
        mean["sequences"] = len({row["sequence"] for row in own})
        mean["failed"] = sum(row.get("failed", 0) for row in own)
        for score in SCORES:
            values = [row[score] for row in own if row.get(score, "") != ""]
            mean[score] = float(np.mean(values)) if values else ""
        result.append(mean)
    return result
