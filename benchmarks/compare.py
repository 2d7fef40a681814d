"""The methods that occupancy networks are compared with, trained alike on one store.

Every learned method is a configuration. Each is trained for the same minutes of processor time,
makes meshes of the test split, and is scored like any other generation. Classical methods get the
same point clouds. What was done is kept: when it is called again, it goes on; with other --methods
it adds their rows to the table.

Writes compare.csv, compare_items.csv, compare.md and, with --sheet, compare_INPUT.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._compare_methods import SHOWN, Scored, score_classical, score_learned
from benchmarks._compare_sheet import draw_sheet
from benchmarks._runs import finished, keep
from onet.errors import MissingDependency
from onet.evaluation.intervals import mean_of
from onet.files import replacing
from onet.inference.generation_folder import OK
from onet.records import write_csv
from onet.report.tables import print_table

METHODS: dict[str, dict[str, tuple[str, ...]]] = {
    "points": {
        "ONet": ("pointcloud_small",),
        "3D-R2N2": ("r2n2_pointcloud_small",),
        "PSGN + Poisson": ("psgn_pointcloud_small",),
        "AtlasNet, 25 patches": ("atlasnet_pointcloud_small",),
        "AtlasNet, sphere": ("atlasnet_sphere_pointcloud_small",),
        "Deep Marching Cubes": ("dmc_small",),
        "local features": ("pointcloud_planes_small", "data.input.count=300"),
    },
    "image": {
        "ONet": ("img_small",),
        "3D-R2N2": ("r2n2_img_small",),
        "PSGN + Poisson": ("psgn_img_small",),
        "AtlasNet, 25 patches": ("atlasnet_img_small",),
        "Pixel2Mesh": ("pixel2mesh_small",),
    },
}
"""Configurations and changes of them, by the names of the methods, for each kind of observation."""

CLASSICAL = {
    "screened Poisson": "poisson",
    "ball pivoting": "ball-pivoting",
    "alpha shapes": "alpha-shapes",
}
"""Methods of points that learn nothing; they see the points that the first method saw."""

COUNTED = ("parameters", "iterations")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", type=Path, help="prepared data, with voxels and renderings")
    parser.add_argument("--input", choices=list(METHODS), nargs="+", default=list(METHODS))
    parser.add_argument("--minutes", type=float, default=60.0, help="of processor time a method")
    parser.add_argument("--samples", type=int, default=20_000, help="points on each surface")
    parser.add_argument("--methods", nargs="+", help="default: all")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of all methods")
    parser.add_argument("--out", type=Path, default=Path("out/compare"))
    parser.add_argument("--sheet", type=int, default=0, metavar="N", help="draw so many items")


def run(arguments: argparse.Namespace) -> None:
    known = {method for kind in METHODS.values() for method in kind} | set(CLASSICAL)
    if unknown := sorted(set(arguments.methods or ()) - known):
        raise SystemExit(f"--methods: {unknown}; choose of {', '.join(sorted(known))}")
    rows: list[dict[str, Any]] = []
    items: list[dict[str, Any]] = []
    for kind in arguments.input:
        seen: dict[str, Scored] = {}
        for method in [*METHODS[kind], *(CLASSICAL if kind == "points" else ())]:
            scored = _scored(kind, method, arguments, seen)
            if scored is None:
                continue
            seen[method] = scored
            named = {"input": kind, "method": method}
            items += [named | row for row in scored.rows]
            rows.append(named | scored.trained | means(scored.rows))
            _write(arguments.out, rows, items)
        if arguments.sheet and seen:
            draw_sheet(
                arguments.out / f"compare_{kind}.png", arguments.store, seen, arguments.sheet
            )
    print_table([_shown(row) for row in rows], "Equal processor time")


def _scored(
    kind: str, method: str, arguments: argparse.Namespace, seen: dict[str, Scored]
) -> Scored | None:
    """Return what a method made, from before if it is there; None if it is not asked for."""
    wanted = not arguments.methods or method in arguments.methods
    own = METHODS[kind].get(method)
    folder = arguments.out / kind / (own[0] if own else CLASSICAL[method])
    settings = {
        "minutes": arguments.minutes if own else None,
        "samples": arguments.samples,
        "set": [*(own or ())[1:], *arguments.set],
        "store": str(arguments.store.resolve()),
    }
    kept = folder / "compare.json"
    known = finished(kept, settings)
    if known is not None:
        return Scored(folder / known["made"], known["rows"], known["trained"])
    if not wanted:
        return None
    try:
        scored = (
            score_learned(own, folder, arguments)
            if own
            else score_classical(CLASSICAL[method], folder, seen, arguments)
        )
    except MissingDependency as error:
        print(f"{kind}, {method}: left out: {error}")
        return None
    made = scored.made.relative_to(folder).as_posix()
    keep(kept, settings, {"made": made, "rows": scored.rows, "trained": scored.trained})
    return scored


def means(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how many items are closed and failed; mean and interval of each score.

    There is no IoU where a mesh is open. A failed item counts as the worst of each score.
    """
    found: dict[str, Any] = {
        "items": len(rows),
        "closed": sum(row["closed"] for row in rows),
        "failed": sum(row["status"] != OK for row in rows),
    }
    for key in SHOWN:
        values = [row[key] for row in rows]
        mean = mean_of(values if None not in values else [])
        found |= {key: mean.value, f"{key}_low": mean.low, f"{key}_high": mean.high}
    return found


def _write(out: Path, rows: list[dict[str, Any]], items: list[dict[str, Any]]) -> None:
    write_csv(out / "compare.csv", rows[0], rows)
    write_csv(out / "compare_items.csv", items[0], items)
    with replacing(out / "compare.md") as temporary:
        temporary.write_text(_markdown(rows), encoding="utf-8")


def _markdown(rows: list[dict[str, Any]]) -> str:
    shown = [_shown(row) for row in rows]
    columns = list(shown[0])
    rule = ["---" if key in ("input", "method") else "---:" for key in columns]
    lines = [columns, rule, *([row[key] for key in columns] for row in shown)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _shown(row: dict[str, Any]) -> dict[str, str]:
    """Return a row of the table for readers: intervals beside their means."""
    shown = {"input": row["input"], "method": row["method"]}
    shown |= {key: "" if row[key] is None else f"{row[key]:,}" for key in COUNTED}
    shown |= {"closed": f"{row['closed']} of {row['items']}", "failed": str(row["failed"])}
    for key in SHOWN:
        low, high = row[f"{key}_low"], row[f"{key}_high"]
        known = row[key] is not None
        shown[key] = f"{row[key]:.3f} ({low:.3f} to {high:.3f})" if known else "n/a"
    return shown
