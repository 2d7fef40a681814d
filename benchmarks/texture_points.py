"""Colours of scans by a network, against those of the nearest points, which need none.

A network of coloured points is trained for some minutes of processor time on one thread, and
colours the surface that the pictures of the test split show, from clouds of several sizes with
noise of places and of colours. Beside it stand the colours of the nearest points of the same cloud
(`onet.geometry.carried_colors`), which `onet scan` and `onet bake` give a mesh. The score is the
mean absolute difference of sRGB in levels of 255, over the object's pixels, mean over pictures; two
numbers of one row are of the same clouds. "better" is the share of objects for which the network
is. What was trained is kept: when it is called again, it only compares.

Writes texture_points.csv.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from onet.data.views import ViewDataset
    from onet.inference.painting import Painter

CONFIG = "texture_points_small"
CELLS = [
    (count, noise, color_noise)
    for color_noise in (0.0, 0.1)
    for noise in (0.005, 0.02)
    for count in (300, 1000, 3000)
]
"""Points, deviations of their places in longest edges, and of their colours in [0, 1]."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", type=Path, help="prepared data with pictures in colours")
    parser.add_argument("--minutes", type=float, default=30.0, help="of processor time")
    parser.add_argument("--views", type=int, default=3, help="pictures of each object")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("out/texture_points"))


def run(arguments: argparse.Namespace) -> None:
    from onet.config import load_config
    from onet.inference.painting import Painter
    from onet.records import write_csv
    from onet.report.tables import print_table
    from onet.training.loop import train

    limits = [f"training.max_minutes={arguments.minutes}", "training.threads=1"]
    place = [f"data.path={arguments.store.resolve()}", "training.device=cpu"]
    config = load_config(CONFIG, [*place, *limits, *arguments.set])
    result = train(config, arguments.out / CONFIG, clock=time.process_time)
    if result.stopped == "interrupted":
        raise SystemExit(f"{arguments.out}: interrupted; the same command goes on from here")
    painter = Painter.load(arguments.out / CONFIG, "cpu")
    rows = list(_compared(painter, arguments))
    write_csv(arguments.out / "texture_points.csv", list(rows[0]), rows)
    print_table(rows, f"{arguments.minutes:g} minutes, {result.iterations} steps; levels of 255")


def _compared(painter: Painter, arguments: argparse.Namespace) -> Iterable[dict[str, Any]]:
    from onet.data.build import build_views
    from onet.data.inputs import ColoredCloudInput
    from onet.data.store import Store

    for count, noise, color_noise in CELLS:
        observation = ColoredCloudInput(count, noise, color_noise)
        dataset = build_views(painter.config, Store(arguments.store), observation, "test")
        scores = np.array(
            [_errors(painter, dataset, n, arguments.views) for n in range(len(dataset))]
        )
        means = scores.mean(axis=0)
        yield {
            "points": count,
            "noise": noise,
            "colour noise": color_noise,
            "nearest points": round(float(means[0]), 1),
            "network": round(float(means[1]), 1),
            "better": round(float((scores[:, 1] < scores[:, 0]).mean()), 2),
        }


def _errors(painter: Painter, dataset: ViewDataset, index: int, views: int) -> tuple[float, float]:
    """Errors of nearest points and of the network on an object, of one cloud for all pictures."""
    import torch

    from onet.geometry.carried_colors import CloudColors

    rng = np.random.default_rng(index)
    cloud: Any = dataset.view_of(index, 0, rng)["inputs"]
    places, colors = np.split(cloud.numpy().astype(np.float64), 2, axis=1)
    carried = CloudColors(places, np.round(255 * colors).astype(np.uint8))
    with torch.no_grad():
        _, code = painter.model.observe(cloud[None])
    network = painter.model.field(torch.zeros(1, 0), local=code)
    errors = []
    for view in range(views):
        item = dataset.view_of(index, view, np.random.default_rng(0))
        shown = item["mask"].numpy()
        points, true = item["points"].numpy()[shown], item["colors"].numpy()[shown]
        errors.append([np.abs(field(points) - true).mean() for field in (carried, network)])
    first, second = 255 * np.mean(errors, axis=0)
    return float(first), float(second)
