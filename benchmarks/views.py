"""Several point clouds of one object: mean code against one cloud of all points together.

Accuracy, not speed: the mean IoU of a split at the stored points of the volume, at the configured
probability. "mean code" averages the codes of N clouds, as `onet generate --views N` does; "union"
is one cloud of as many points as the network was trained with, drawn from all N clouds together;
"all points" is one cloud of all of them, more than the network was trained with. Ratios are to
"union", and peak memory is that of the process.

The settings are clouds as in training; clouds with more noise; and clouds that show a part only:
the half of the surface on one side of a plane through the middle, whose direction is random.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks._memory import peak_mib
from onet.data.inputs import PointCloudInput
from onet.data.store import Item, Store
from onet.data.store_folder import POINTCLOUD
from onet.inference.reconstructor import Reconstructor, load
from onet.metrics.scores import intersection_over_union

Cloud = NDArray[np.float32]
CONTENDERS = ("mean code", "union", "all points")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="run folder or checkpoint, for point clouds")
    parser.add_argument("--data", type=Path, help="prepared data; default the model's")
    parser.add_argument("--split", default="test")
    parser.add_argument("--views", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--noise", type=float, default=0.03, help="of the second setting")
    parser.add_argument("--points", type=int, default=2000, help="at which an IoU is measured")
    parser.add_argument("--limit", type=int, help="items, taken evenly from the split")
    parser.add_argument("--seed", type=int, default=0)


def run(arguments: argparse.Namespace) -> None:
    from onet.report.tables import print_table

    model = load(arguments.model, "cpu")
    if not isinstance(model.input, PointCloudInput):
        raise SystemExit(f"{arguments.model}: needs a model that observes point clouds")
    items = Store(arguments.data or model.config.data.path).items(arguments.split)
    if arguments.limit:
        items = items[:: max(1, len(items) // arguments.limit)][: arguments.limit]
    settings: dict[str, Callable[[Item, np.random.Generator], Cloud]] = {
        f"noise {model.input.noise:g}": lambda item, rng: _draw(item, rng, model),
        f"noise {arguments.noise:g}": lambda item, rng: _draw(item, rng, model, arguments.noise),
        "half of the surface": lambda item, rng: _draw(item, rng, model, half=True),
    }
    rows = []
    for name, draw in settings.items():
        scores = [_measure(model, item, draw, arguments) for item in items]
        for views in arguments.views:
            mean = {key: statistics.fmean(s[views, key] for s in scores) for key in CONTENDERS}
            wins = statistics.fmean(s[views, "mean code"] > s[views, "union"] for s in scores)
            rows.append(
                {
                    "clouds": name,
                    "number": views,
                    **mean,
                    "mean code / union": mean["mean code"] / mean["union"],
                    "all points / union": mean["all points"] / mean["union"],
                    "mean code better": f"{100 * wins:.0f} %",
                }
            )
    print_table(
        rows,
        f"Mean IoU of {len(items)} items of the split {arguments.split}, {arguments.points:,} "
        f"points each, {model.input.count} points a cloud, probability "
        f"{model.generation_settings().probability:g}, seed {arguments.seed}; peak memory "
        f"{peak_mib():.0f} MiB",
    )


def _draw(
    item: Item,
    rng: np.random.Generator,
    model: Reconstructor,
    noise: float | None = None,
    half: bool = False,
) -> Cloud:
    """A cloud of an item as the network was trained with, or of a part of its surface."""
    count = model.config.data.input["count"]
    surface = item.points(POINTCLOUD).astype(np.float32)
    if half:
        direction = rng.standard_normal(3)
        height = surface @ direction
        surface = surface[height >= np.median(height)]
    chosen = surface[rng.integers(len(surface), size=count)]
    size = model.config.data.input["noise"] if noise is None else noise
    return chosen + np.float32(size) * rng.standard_normal(chosen.shape, dtype=np.float32)


def _measure(
    model: Reconstructor,
    item: Item,
    draw: Callable[[Item, np.random.Generator], Cloud],
    arguments: argparse.Namespace,
) -> dict[tuple[int, str], float]:
    """IoU by number of clouds and contender; fewer clouds are the first ones of more."""
    rng = np.random.default_rng([arguments.seed, item.index])
    points, occupancies = item.load_points()
    points, occupancies = points[: arguments.points], occupancies[: arguments.points]
    clouds = [draw(item, rng) for _ in range(max(arguments.views))]
    level = model.generation_settings().level
    scores = {}
    for views in arguments.views:
        together = np.concatenate(clouds[:views])
        union = together[rng.choice(len(together), len(clouds[0]), replace=False)]
        codes = [model.encode(union)] * len(CONTENDERS)
        if views > 1:
            codes = [model.encode_multiview(clouds[:views]), codes[0], model.encode(together)]
        for contender, code in zip(CONTENDERS, codes, strict=True):
            inside = model.field_of_code(code)(points) > level
            scores[views, contender] = intersection_over_union(inside, occupancies)
    return scores
