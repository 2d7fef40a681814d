"""The benchmark of training at equal time: when a run was as good as the first one in the end."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import pytest

from benchmarks import train
from onet.config import Config

COURSES = {  # validations after 1, 2, ... minutes and 10, 20, ... steps
    ("max", "iou"): {"first": [0.2, 0.5, 0.6], "other": [0.1, 0.7, 0.8], "never": [0.1, 0.2]},
    ("min", "loss"): {"first": [9.0, 5.0, 4.0], "other": [8.0, 3.0, 2.0], "never": [9.0, 8.0]},
}


def write_run(out: Path, name: str, seed: int, mode: str, metrics: dict[str, list[float]]) -> None:
    folder = out / "runs" / name / str(seed)
    folder.mkdir(parents=True)
    metric = next(iter(metrics))
    settings = {"training": {"selection_mode": mode, "selection_metric": metric}}
    (folder / "config.yaml").write_text(Config.model_validate(settings).to_yaml())
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["iteration", "minutes", "split", *metrics])
        for k, values in enumerate(zip(*metrics.values(), strict=True), 1):
            writer.writerow([10 * k, k, "val", *values])


def reached(out: Path, rows: list[dict[str, Any]]) -> list[tuple[float | None, int | None]]:
    train._reached(argparse.Namespace(out=out), rows, "first")
    return [(row["minutes_to_reach"], row["steps_to_reach"]) for row in rows]


@pytest.mark.parametrize(("mode", "metric"), COURSES)
def test_more_is_better_or_less(mode: str, metric: str, tmp_path: Path) -> None:
    rows = []
    for name, values in COURSES[mode, metric].items():
        write_run(tmp_path, name, 0, mode, {metric: values})
        rows.append({"config": name, "seed": 0, "metric": metric, "val": values[-1]})
    assert reached(tmp_path, rows) == [(3, 30), (2, 20), (None, None)]


def test_the_metric_is_that_of_the_first_configuration(tmp_path: Path) -> None:
    """A run that selects by another is judged by the same numbers, or not at all."""
    write_run(tmp_path, "first", 0, "max", {"iou": [0.2, 0.5]})
    write_run(tmp_path, "both", 0, "min", {"loss": [0.9, 0.8], "iou": [0.5, 0.6]})
    write_run(tmp_path, "none", 0, "min", {"loss": [0.9, 0.8]})
    ends = {"first": ("iou", 0.5), "both": ("loss", 0.8), "none": ("loss", 0.8)}
    rows = [{"config": c, "seed": 0, "metric": m, "val": v} for c, (m, v) in ends.items()]
    assert reached(tmp_path, rows) == [(2, 20), (1, 10), (None, None)]
