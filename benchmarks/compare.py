"""The methods that occupancy networks are compared with, trained alike on one store.

Every method is a configuration. Each is trained for the same minutes of processor time, makes
meshes of the test split, and is scored like any other generation. A method of which a mesh is open
has no IoU. Beside means stand 95 % intervals, by bootstrap over items. What was done is kept: when
it is called again, it goes on.

Writes compare.csv, compare_items.csv and compare.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onet.config import load_config
from onet.evaluation.meshes import evaluate_generation
from onet.files import replacing
from onet.inference.generate import generate
from onet.records import write_csv
from onet.report.tables import print_table
from onet.training.loop import train

METHODS = {
    "points": {
        "ONet": "pointcloud_small",
        "3D-R2N2": "r2n2_pointcloud_small",
        "PSGN + Poisson": "psgn_pointcloud_small",
        "AtlasNet, 25 patches": "atlasnet_pointcloud_small",
        "AtlasNet, sphere": "atlasnet_sphere_pointcloud_small",
        "Deep Marching Cubes": "dmc_small",
    },
    "image": {
        "ONet": "img_small",
        "3D-R2N2": "r2n2_img_small",
        "PSGN + Poisson": "psgn_img_small",
        "AtlasNet, 25 patches": "atlasnet_img_small",
        "Pixel2Mesh": "pixel2mesh_small",
    },
}
"""Configurations by the names of the methods, for each kind of observation."""

SHOWN = {"iou": 1, "chamfer_l1": -1, "normal_consistency": 1, "f_score_1pct": 1}
"""Columns of scores, and whether more is better."""
DRAWS = 2000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", type=Path, help="prepared data, with voxels and renderings")
    parser.add_argument("--input", choices=list(METHODS), nargs="+", default=list(METHODS))
    parser.add_argument("--minutes", type=float, default=60.0, help="of processor time a method")
    parser.add_argument("--samples", type=int, default=20_000, help="points on each surface")
    parser.add_argument("--methods", nargs="+", help="default: all")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of all methods")
    parser.add_argument("--out", type=Path, default=Path("out/compare"))


def run(arguments: argparse.Namespace) -> None:
    rows, items = [], []
    for kind in arguments.input:
        for method, name in METHODS[kind].items():
            if arguments.methods and method not in arguments.methods:
                continue
            folder = arguments.out / kind / name
            scores, trained = _scored(name, folder, arguments)
            items += [{"input": kind, "method": method, **row} for row in scores]
            rows.append({"input": kind, "method": method, **trained, **_means(scores)})
            _write(arguments, rows, items)
    print_table(rows, "Equal processor time")


def _scored(
    name: str, folder: Path, arguments: argparse.Namespace
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Train, generate and evaluate; what an earlier call did is kept."""
    config = load_config(
        name,
        [
            *(f"data.path={arguments.store}", f"training.max_minutes={arguments.minutes}"),
            *("training.threads=1", "training.device=cpu", *arguments.set),
        ],
    )
    result = train(config, folder, clock=time.process_time)
    if result.stopped == "interrupted":
        raise SystemExit(f"{folder}: interrupted; the same command goes on from here")
    made = generate(folder, device="cpu")
    report = evaluate_generation(made.out, samples=arguments.samples, noise_floor=False)
    closed = {(row["category"], row["model"]): row["watertight"] for row in made.rows}
    scores = []
    for row in report.items:
        shown = {key: row[key] for key in ("category", "model", "status", *SHOWN)}
        whole = closed[row["category"], row["model"]] is True
        scores.append(shown | {"closed": whole, "iou": row["iou"] if whole else None})
    trained = {"parameters": result.parameters, "iterations": result.iterations}
    return scores, trained


def _means(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and interval of each score over items, and how many are closed; None of nothing."""
    means: dict[str, Any] = {
        "items": len(items),
        "closed": sum(row["closed"] for row in items),
        "failed": sum(row["status"] != "ok" for row in items),
    }
    rng = np.random.default_rng(0)
    for key in SHOWN:
        values = np.array([float(row[key]) for row in items if row[key] not in (None, "")])
        if len(values) == 0 or (key == "iou" and means["closed"] < means["items"]):
            means |= {key: None, f"{key}_low": None, f"{key}_high": None}
            continue
        drawn = rng.choice(values, (DRAWS, len(values))).mean(axis=1)
        low, high = np.quantile(drawn, (0.025, 0.975))
        means |= {key: values.mean(), f"{key}_low": low, f"{key}_high": high}
    return means


def _write(
    arguments: argparse.Namespace, rows: list[dict[str, Any]], items: list[dict[str, Any]]
) -> None:
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_csv(arguments.out / "compare.csv", rows[0], rows)
    write_csv(arguments.out / "compare_items.csv", items[0], items)
    with replacing(arguments.out / "compare.md") as temporary:
        temporary.write_text(_markdown(rows), encoding="utf-8")


def _markdown(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"| input | method | parameters | iterations | closed | failed | {' | '.join(SHOWN)} |",
        "|---|---|---:|---:|---:|---:|" + "---:|" * len(SHOWN),
    ]
    for row in rows:
        cells = [row["input"], row["method"], f"{row['parameters']:,}", f"{row['iterations']:,}"]
        cells += [f"{row['closed']} of {row['items']}", str(row["failed"])]
        for key in SHOWN:
            low, high = row[f"{key}_low"], row[f"{key}_high"]
            known = row[key] is not None
            cells.append(f"{row[key]:.3f} ({low:.3f} to {high:.3f})" if known else "n/a")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
