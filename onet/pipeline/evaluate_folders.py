"""`onet eval FOLDER... --truth FOLDER` as a function: from meshes to tables and a page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from onet.errors import ConfigError
from onet.evaluation.folders import LENGTHS, FoldersReport, evaluate_pairs, unit_of
from onet.evaluation.intervals import Mean
from onet.evaluation.pair_scores import SOLID, Align, Measure, OpenMeshes
from onet.evaluation.pairs import find_pairs, method_folders
from onet.evaluation.protocols import protocol_of
from onet.geometry.lengths import METRES
from onet.locks import hold, writer
from onet.metrics.penalties import F_SCORE_THRESHOLDS
from onet.progress import Progress, reports_progress
from onet.records import Row, write_csv, write_json
from onet.report.comparison_page import write_page
from onet.storage import check_writable

ITEMS, MEANS, PAIRED = "items.csv", "means.csv", "paired.csv"
SETTINGS, PAGE = "evaluation.json", "report.html"


@reports_progress
@writer
def evaluate_folders(
    folders: Sequence[str | os.PathLike[str]],
    truth: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = "evaluation",
    *,
    pairs: str | os.PathLike[str] | None = None,
    protocol: str | None = None,
    samples: int | None = None,
    thresholds: Sequence[float] = F_SCORE_THRESHOLDS,
    align: Align = "none",
    units: str | None = None,
    open_meshes: OpenMeshes = "none",
    solids: bool = True,
    shown: int = 3,
    seed: int = 0,
    workers: int | None = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> FoldersReport:
    """Score meshes of one or more methods against true meshes, whoever made them.

    Writes into `out`: items.csv, means.csv, paired.csv, evaluation.json with all of it, and
    report.html, one page that needs nothing else. A method without a mesh of an item, or with one
    that cannot be used, gets the worst of each score there. Items whose true mesh cannot be used
    are left out, and told.

    Args:
        folders: of meshes, one a method; `NAME=FOLDER` gives it a name.
        truth: folder of the true meshes.
        out: folder of the results; None writes nothing.
        pairs: CSV that says which meshes belong together; None goes by names. See
            `onet.evaluation.pairs`.
        protocol: a published one, see `onet.evaluation.protocols`; None takes that of this package.
        samples: points on each surface; default 100,000.
        thresholds: of the F-scores, in longest edges of the truth.
        align: "none" takes frames as they are; "rigid" or "similarity" moves each mesh onto its
            truth first.
        units: of the coordinates of all files, `mm` for instance; adds scores in them.
        open_meshes: IoU of meshes that have no inside: "none" leaves them out of its mean, "zero"
            counts 0, "winding" and "parity" say what is inside.
        solids: tell what meshes are like as solids, which takes about a third of the time.
        shown: so many of the worst and of the best items are on the page in 3D.
        seed: of everything random; equal arguments give equal scores.
        workers: processes; None for as many as there are cores and memory for.
        scheduler: address of a dask scheduler in their place, see `onet.parallel.run_tasks`.
        progress: see `onet.progress`.

    Returns:
        The tables, see `FoldersReport`.

    Raises:
        ConfigError: an unknown protocol or option, or one that a protocol fixes.
        DataError: folders or a table that cannot be used, or no true mesh that can.
        MissingDependency: `align` needs small-gicp.
        FolderInUse, StorageError: the results cannot be written.
    """
    measure = _measure(protocol, samples, thresholds, align, open_meshes, solids=solids, seed=seed)
    if units is not None and units not in METRES:
        raise ConfigError(f"units: {units!r}; choose one of {', '.join(METRES)}")
    if shown < 0:
        raise ConfigError(f"shown: {shown}; give 0 or more")
    methods, true = method_folders(folders), Path(truth)
    found = find_pairs(methods, true, None if pairs is None else Path(pairs))
    place = None if out is None else Path(out)
    if place is not None:
        check_writable(place)
        hold(place)
    report = evaluate_pairs(
        found, methods, true, measure, units=units, workers=workers, scheduler=scheduler
    )
    if place is not None:
        _write(report, place, units)
        write_page(report, found, place / PAGE, shown)
    return report


def _measure(
    protocol: str | None,
    samples: int | None,
    thresholds: Sequence[float],
    align: Align,
    open_meshes: OpenMeshes,
    **rest: Any,
) -> Measure:
    """Return how pairs are scored.

    Raises:
        ConfigError: what cannot be chosen.
        MissingDependency: no library for `align`.
    """
    chosen, count = protocol_of(protocol, samples)
    for name, value, values in (
        ("align", align, get_args(Align)),
        ("open_meshes", open_meshes, get_args(OpenMeshes)),
    ):
        if value not in values:
            raise ConfigError(f"{name}: {value!r}; choose one of {', '.join(values)}")
    levels = tuple(float(threshold) for threshold in thresholds)
    if not levels or not all(0 < level < 10 for level in levels):
        raise ConfigError(f"thresholds: {levels}; give numbers above 0, in longest edges")
    if protocol is not None and levels != F_SCORE_THRESHOLDS:
        raise ConfigError(f"thresholds: the protocol {protocol} has its own; leave them out")
    if protocol is not None and open_meshes != "none":
        raise ConfigError(f"open_meshes: the protocol {protocol} takes ray parity; leave it out")
    if align != "none":
        from onet.geometry.alignment import check_library

        check_library()
    return Measure(
        chosen,
        count,
        thresholds=levels,
        align=align,
        open_meshes=open_meshes,
        **rest,
    )


def _write(report: FoldersReport, out: Path, units: str | None) -> None:
    """Write the tables, whose columns are named with their units."""
    keys = report.measure.keys
    titles = {key: f"{key} [{unit_of(key)}]" for key in keys}
    titles |= {"thinnest_wall": "thinnest_wall [longest edge]"}
    if units:
        titles |= {f"{key} in {units}": f"{key} [{units}]" for key in LENGTHS}
        titles["scale"] = f"longest edge [{units}]"
    else:
        titles["scale"] = "longest edge [units of the file]"
    lengths = [titles[key] for key in titles if key.endswith(f" in {units}")]
    columns = [
        *("item", "category", "method", "status"),
        *(titles[key] for key in keys), "iou_resolution", *lengths, titles["scale"],
        *(titles.get(key, key) for key in SOLID),
        *("align_scale", "align_degrees", "reason", "notes", "file"),
    ]  # fmt: skip
    rows = [_renamed(row, titles) | {"notes": "; ".join(row["notes"])} for row in report.items]
    write_csv(out / ITEMS, columns, rows)
    flat = [_renamed(_flat(row), titles) for row in report.means]
    write_csv(out / MEANS, dict.fromkeys(key for row in flat for key in row), flat)
    columns = [
        *("first", "second", "over", "score", "unit", "items", "difference", "low", "high"),
        *("higher", "lower", "equal", "better", "noise_floor"),
    ]
    paired = [row | {"unit": unit_of(row["score"])} for row in report.paired]
    write_csv(out / PAIRED, columns, paired)
    write_json(out / SETTINGS, as_json(report))


def as_json(report: FoldersReport) -> dict[str, Any]:
    """Return all of a report, for JSON."""
    return {
        **report.settings,
        "notes": report.notes,
        "left_out": report.unusable,
        "noise_floor": report.noise_floor,
        "means": [
            {key: asdict(value) if isinstance(value, Mean) else value for key, value in row.items()}
            for row in report.means
        ],
        "paired": report.paired,
        "per_item": report.items,
    }


def _renamed(row: Row, titles: dict[str, str]) -> Row:
    renamed: Row = {}
    for key, value in row.items():
        name, blank, rest = key.partition("|")
        renamed[titles.get(name, name) + (f" {rest}" if blank else "")] = value
    return renamed


def _flat(row: Row) -> Row:
    """Return a row of means with columns for values, intervals and numbers of items."""
    flat: Row = {}
    for key, value in row.items():
        if isinstance(value, Mean):
            flat |= {key: value.value, f"{key}|low": value.low, f"{key}|high": value.high}
            flat[f"{key}|items"] = value.items
        else:
            flat[key] = value
    return flat
