"""Reconstructions of scans by a network, beside Poisson, ball pivoting and alpha shapes.

Items are meshes: `--objects` is a folder with a `manifest.csv` (category, file, source, licence,
quality), of which those are drawn that the packaged networks were not trained on (licence other
than CC0-1.0, quality A or B); `--scans` is a folder of meshes. Each is brought to its unit frame
(longest edge 1) and scanned: points drawn uniformly over the surface that is seen from outside, or
by one sensor, with Gaussian noise, outliers and a rotation as the cell says, whose name is
POINTS/NOISE[/one-sided][/outliers][/rotated].

All methods get the same points of a scan, and nothing else unless `--give` says so; "true normals"
is what Poisson would make with more than is known. Inside the truth is where its generalised
winding number is above 1/2; IoU is at 100,000 uniform points of the box of truth and mesh, "near"
at 50,000 points around the surface. Inside the meshes is told by the winding number too, of alpha
shapes by ray parity; a mesh that is inside out is turned first ("turned"). Chamfer-L1 is the mean
of both mean distances, in units of the longest edge; a failed item counts with the worst of each
score. "closed": no edge where the surface ends; in the files "manifold" too: every edge has two
faces, every vertex one fan. Depth, the neighbours k of an estimated normal, and alpha are the best
of several by the mean IoU of the cell. Intervals are 95 % bootstrap intervals over items, and of
differences to Poisson over pairs. Seconds are those of the processor, one method at a time on one
thread; memory is the growth of the resident size at its peak.

What is measured goes to OUT/results.jsonl, item by item, and is not measured again. Truths are kept
in the cache. A network is known by its name and contents, a function by its label.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._scan_cells import Cell, Scan, cells_of, make_scan
from benchmarks._scan_checks import rotation_rows, scale_rows
from benchmarks._scan_contender import GIVEN, function, network
from benchmarks._scan_items import ScanItem, held_out_objects, scans
from benchmarks._scan_oriented import ORIENTED, oriented
from benchmarks._scan_peers import (
    ALPHA,
    BALL,
    MESHLAB,
    POISSON,
    POISSON_TRUE,
    Method,
    missing,
    peers,
)
from benchmarks._scan_pictures import draw_outcome, draw_sheet, draw_truth, file_name
from benchmarks._scan_report import ROTATIONS, SCALES, best_of, report
from benchmarks._scan_results import Results
from benchmarks._scan_scores import run_method, score
from benchmarks._scan_truth import NEAR, TARGET, UNIFORM, Truth
from onet.errors import ConfigError, DataError, OnetError

PEERS = {
    "poisson": POISSON,
    "poisson-true": POISSON_TRUE,
    "ball": BALL,
    "alpha": ALPHA,
    "meshlab": MESHLAB,
}
MODEL, BY_MODEL = "model", "poisson-by-model"
TOO_THIN = "its faces enclose too little for an IoU"
PACKAGED = ("scan", "demo")  # the first that there is, is the default
VERSION = 1  # of the way of measuring: rows of another one are not used


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", nargs="+", help="networks: files, runs or names; default the packaged one"
    )
    parser.add_argument("--function", metavar="MODULE:NAME", help="a function instead")
    parser.add_argument("--label", help="name of the reconstruction in the tables")
    parser.add_argument("--give", nargs="+", choices=GIVEN, default=[], help="besides the points")
    parser.add_argument("--objects", type=Path, help="folder of meshes with a manifest.csv")
    parser.add_argument("--scans", type=Path, help="folder of meshes")
    parser.add_argument("--per-category", type=int, default=6)
    parser.add_argument("--categories", nargs="+", default=["12"], help="their number, or names")
    parser.add_argument("--scan-limit", type=int, help="so many of the scans; default all")
    parser.add_argument(
        "--cells", nargs="+", default=["table"], help="names, or quick, table, all; default table"
    )
    parser.add_argument("--quick", action="store_true", help="one cell, 12 objects and 8 scans")
    parser.add_argument(
        "--methods", nargs="+", choices=[MODEL, *PEERS, BY_MODEL], default=[MODEL, *PEERS],
        metavar="METHOD",
        help=f"of {', '.join([MODEL, *PEERS])}, and {BY_MODEL}: Poisson whose normals are turned "
        "outward by the network; default all but this",
    )  # fmt: skip
    parser.add_argument("--inner", action="store_true", help="scan faces that nobody sees too")
    parser.add_argument("--rotations", type=int, default=0, help="orientations of the same scan")
    parser.add_argument("--scales", action="store_true", help="the same scan scaled and moved")
    parser.add_argument("--check-items", type=int, default=4, help="items of these two checks")
    parser.add_argument("--pictures", type=int, default=20, help="items on the sheet")
    parser.add_argument("--report", action="store_true", help="sum up only, measure nothing")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="folder of truths; default OUT/cache")
    parser.add_argument("-o", "--out", type=Path, required=True)


def run(arguments: argparse.Namespace) -> None:
    if os.environ.get("OMP_NUM_THREADS") != "1":  # libraries read it once, when they are loaded
        os.environ["OMP_NUM_THREADS"] = "1"
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]])
    try:
        with _quiet():
            _run(arguments)
    except OnetError as error:
        raise SystemExit(str(error)) from None


def _run(arguments: argparse.Namespace) -> None:
    if arguments.quick:
        arguments.cells, arguments.per_category = ["quick"], 1
        arguments.scan_limit = arguments.scan_limit or 8
    cells = cells_of(arguments.cells)
    items = _items(arguments)
    methods, left_out = _methods(arguments)
    settings = {"version": VERSION, "seed": arguments.seed, "inner": arguments.inner}
    results = Results(arguments.out / "results.jsonl", settings)
    bench = Bench(arguments, results, arguments.cache or arguments.out / "cache")
    for reason in left_out:
        print(f"left out: {reason}")
    if not arguments.report:
        for cell in cells:
            bench.measure(cell, items, methods, drawn=cell == cells[0])
        bench.check(cells[0], items, methods)
    thin = [truth for truth in map(bench.truth, items) if truth.labelled and not truth.solid]
    about = {
        "settings": settings,
        "items": [item.key for item in items],
        "left_out": left_out + [f"{truth.item.key}: {TOO_THIN}" for truth in thin],
        "threads": 1,
        "points": {"uniform": UNIFORM, "near": NEAR, "surface": TARGET},
    }
    shown = results.of({item.key for item in items}, {(m.name, m.variant) for m in methods})
    groups = list(dict.fromkeys(item.group for item in items))
    report(shown, groups, [cell.name for cell in cells], arguments.out, about)
    _draw(arguments, shown, cells[0], methods)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what libraries say of single items: failures are in the table."""
    logging.getLogger("onet").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _items(arguments: argparse.Namespace) -> list[ScanItem]:
    found: list[ScanItem] = []
    if arguments.objects:
        named = arguments.categories
        categories = int(named[0]) if len(named) == 1 and named[0].isdigit() else named
        found += held_out_objects(
            arguments.objects, arguments.per_category, categories, arguments.seed
        )
    if arguments.scans:
        found += scans(arguments.scans, arguments.scan_limit, arguments.seed)
    if not found:
        raise DataError("no items: give --objects FOLDER, --scans FOLDER, or both")
    return found


def _methods(arguments: argparse.Namespace) -> tuple[list[Method], list[str]]:
    """Return the methods that can run here, and in words those that cannot."""
    import torch

    torch.set_num_threads(1)
    found, left_out = [], []
    if MODEL in arguments.methods:
        found += _contenders(arguments)
    wanted = [PEERS[name] for name in arguments.methods if name in PEERS]
    others = [method for method in peers() if method.name in wanted]
    if BY_MODEL in arguments.methods:
        others += _oriented(arguments)
    for method in others:
        if reason := missing(method):
            left_out.append(f"{method.name}: {reason}")
        else:
            found.append(method)
    return found, list(dict.fromkeys(left_out))


def _classic(method: Method) -> bool:
    """Whether its meshes are not a network's own."""
    return method.name in PEERS.values() or method.name.startswith(ORIENTED)


def _oriented(arguments: argparse.Namespace) -> list[Method]:
    models = arguments.model or [_packaged()]
    return [method for model in models for method in oriented(model, arguments.label)]


def _packaged() -> str:
    from onet.resources import assets_dir

    found = (assets_dir() / f"{name}.safetensors" for name in PACKAGED)
    return str(next(path for path in found if path.is_file()))


def _contenders(arguments: argparse.Namespace) -> list[Method]:
    give, label = arguments.give, arguments.label
    if arguments.function:
        return [function(arguments.function, give, label)]
    models = arguments.model or [_packaged()]
    if label and len(models) > 1:
        raise ConfigError("--label: names one reconstruction; give one --model with it")
    return [network(model, give, label) for model in models]


@dataclass(frozen=True)
class Bench:
    """Measures what is not in the results yet."""

    arguments: argparse.Namespace
    results: Results
    cache: Path

    def measure(
        self, cell: Cell, items: Sequence[ScanItem], methods: Sequence[Method], drawn: bool
    ) -> None:
        """Measure a cell; `drawn`: keep pictures of what is made."""
        for number, item in enumerate(items, start=1):
            keys = {(item.key, cell.name, m.name, m.variant): m for m in methods}
            todo = [method for key, method in keys.items() if key not in self.results]
            if not todo:
                continue
            truth = self.truth(item)
            if not truth.solid:
                print(f"{item.key}: left out, {TOO_THIN}", file=sys.stderr)
                continue
            scan = self._scan(cell, truth)
            if drawn:
                draw_truth(self._pictures, cell.name, truth, scan)
            for method in todo:
                self._measure_one(cell, truth, scan, method, drawn)
            print(f"{cell.name}: {number} of {len(items)}, {item.key}", file=sys.stderr)

    def check(self, cell: Cell, items: Sequence[ScanItem], methods: Sequence[Method]) -> None:
        """Turn, scale and move scans, as the arguments say; of Poisson the best depth."""
        for item in items[:: max(1, len(items) // self.arguments.check_items)][
            : self.arguments.check_items
        ]:
            truth = self.truth(item)
            for method in self._checked(cell, item, methods):
                if self.arguments.rotations:
                    name = f"{cell.name} x {self.arguments.rotations}"
                    self._check_one(ROTATIONS, name, truth, cell, method)
                if self.arguments.scales:
                    self._check_one(SCALES, cell.name + " scaled", truth, cell, method)

    def _checked(self, cell: Cell, item: ScanItem, methods: Sequence[Method]) -> list[Method]:
        peer_names = (POISSON, POISSON_TRUE)
        best = {
            (row["method"], row["variant"])
            for name in peer_names
            for row in best_of(self.results, cell.name, name)
            if row["group"] == item.group
        }
        ours = [m for m in methods if not _classic(m)]
        return ours + [m for m in methods if (m.name, m.variant) in best]

    def _check_one(self, check: str, name: str, truth: Truth, cell: Cell, method: Method) -> None:
        key = (truth.item.key, f"{check} {name}", method.name, method.variant)
        if key in self.results or not truth.solid:
            return
        scan = self._scan(cell, truth)
        told: dict[str, Any]
        if check == ROTATIONS:
            turns = rotation_rows(method, scan, truth, self.arguments.rotations)
            told = {"turns": [row["iou"] for row in turns]}
        else:
            told = {"scales": scale_rows(method, scan, truth)}
        names = dict(zip(("item", "cell", "method", "variant"), key, strict=True))
        self.results.add({**names, "group": check, "category": truth.item.category, **told})
        print(f"{check}: {truth.item.key}, {method.name}", file=sys.stderr)

    def _measure_one(
        self, cell: Cell, truth: Truth, scan: Scan, method: Method, drawn: bool
    ) -> None:
        item = truth.item
        outcome = run_method(method, scan, sensors="sensors" in self.arguments.give)
        row = {
            "item": item.key,
            "group": item.group,
            "category": item.category,
            "source": item.source,
            "cell": cell.name,
            "method": method.name,
            "variant": method.variant,
            **score(outcome, truth, method.parity),
        }
        if drawn:
            peer = _classic(method)
            draw_outcome(self._pictures, cell.name, truth, file_name(row), outcome, peer)
        self.results.add(row)

    @property
    def _pictures(self) -> Path:
        return Path(self.arguments.out) / "pictures"

    def truth(self, item: ScanItem) -> Truth:
        return Truth(item, self.cache, self.arguments.seed, self.arguments.inner)

    def _scan(self, cell: Cell, truth: Truth) -> Scan:
        points, normals, sensor = truth.seen(cell.points, cell.one_sided)
        rng = truth.item.generator(self.arguments.seed, cell.name)
        return make_scan(cell, points, normals, sensor, rng)


def _draw(
    arguments: argparse.Namespace, results: Results, cell: Cell, methods: Sequence[Method]
) -> None:
    folder = arguments.out / "pictures"
    for method in methods:
        if _classic(method):
            continue
        rows = [row for row in results.rows.values() if row["cell"] == cell.name]
        mine = [r for r in rows if (r["method"], r["variant"]) == (method.name, method.variant)]
        if not mine:
            continue
        path: Path = arguments.out / f"sheet {file_name(mine[0])}.png"
        other = best_of(results, cell.name, POISSON)
        if draw_sheet(path, folder, mine, other, arguments.pictures, arguments.seed):
            print(f"pictures: {path}")
