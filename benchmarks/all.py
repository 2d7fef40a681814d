"""One table of all that is measured by speed: a row each, against what, and the share of the bound.

Each row is a pair of runs of another benchmark, in processes of their own that take turns: ours and
what it is compared with, on one thread unless said, medians. "better" is the other's seconds over
ours. "bound" is the share of our seconds that the products alone would take at the rate that this
machine reaches on products of that size, where products are what it does; of decoders on local
features that and "gathers, s", the seconds in which this machine reads as many rows of their maps
(see `decode`). `--quick` takes small sizes and two runs; else sizes are those of the documents,
and five runs. Contenders that are not installed are said to be so. What fails is said to have
"failed", with its reason on the standard error stream; the table goes on, and ends with status 1.
A second table says how costs grow: runs at several sizes, the slope of the logarithms of seconds
over sizes, and the same between the last two; `--out` writes it to `NAME.growth.csv`.
What needs stores or trained runs (`loading`, `reconstruct`, `items`) has commands of its own.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks._exponents import GROWN, GROWTH_COLUMNS, chairs, grown, sweeps

Result = dict[str, Any]

COLUMNS = (
    *("benchmark", "what", "seconds", "against", "its seconds", "better"),
    *("machine, GFLOP/s", "gathers, s", "bound"),
)
FAILED = "failed"
RUNS = {True: 2, False: 5}  # quick or not


class ChildFailed(Exception):
    """A process that a row or a group of rows needs, with what it was and why it failed."""


@dataclass
class Row:
    """Two runs of a benchmark: the arguments after its name, ours and the other's."""

    benchmark: str
    what: str
    ours: list[str]
    against: str
    theirs: list[str] | None
    seconds: str  # key of what a run says
    needs: str | None = None  # module of the other


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="small sizes, two runs")
    parser.add_argument("--only", nargs="+", help="rows of these benchmarks")
    parser.add_argument("--out", type=Path, help="write the table as CSV")


def run(arguments: argparse.Namespace) -> None:
    from onet.report.tables import print_table

    runs, begin = RUNS[arguments.quick], time.perf_counter()
    names = dict.fromkeys([*GROUPS, *GROWN])
    if unknown := set(arguments.only or ()) - names.keys():
        sys.exit(f"no rows of {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    shown: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in GROUPS:
            if not arguments.only or name in arguments.only:
                shown += _lines(name, arguments.quick, Path(folder), runs)
        growth = [*_growth(arguments, Path(folder))]
    title = f"{_processor()}, {os.cpu_count()} cores, {runs} runs; load {os.getloadavg()[0]:.1f}"
    print_table(shown, f"{title}; {time.perf_counter() - begin:.0f} s")
    if growth:
        print_table(growth, "How costs grow, one run of each size")
    if arguments.out:
        _write(arguments.out, COLUMNS, shown)
        _write(arguments.out.with_suffix(".growth.csv"), GROWTH_COLUMNS, growth)
    if failed := sum(FAILED in line.values() for line in (*shown, *growth)):
        sys.exit(f"{failed} of {len(shown) + len(growth)} rows failed, see above")


def _write(path: Path, columns: tuple[str, ...], lines: list[dict[str, str]]) -> None:
    with open(path, "w", newline="") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(lines)


def _growth(arguments: argparse.Namespace, folder: Path) -> Iterator[dict[str, str]]:
    """Lines of the table of growth."""
    network, quick = str(folder / "grown.safetensors"), arguments.quick
    for sweep in sweeps(quick, folder / "grown", network):
        if arguments.only and sweep.benchmark not in arguments.only:
            continue
        print(f"growth of {sweep.benchmark}: {sweep.what}", file=sys.stderr, flush=True)
        try:
            if sweep.benchmark == "mesh":
                _python(f"from benchmarks.mesh import save_demo; save_demo({network!r})")
            if sweep.benchmark == "inside" and not (folder / "grown").exists():
                (folder / "grown").mkdir()
                cells = [str(number) for number in chairs(quick)]
                sizes = ["--resolutions", *cells, "--points", "100000"]
                _child("inside", ["--make", str(folder / "grown"), *sizes])
            yield grown(sweep, _child)
        except ChildFailed as error:
            print(f"{sweep.benchmark}: {sweep.what}: {error}", file=sys.stderr, flush=True)
            named = {"benchmark": sweep.benchmark, "what": sweep.what, "seconds": FAILED}
            yield dict.fromkeys(GROWTH_COLUMNS, "") | named


def _lines(group: str, quick: bool, folder: Path, runs: int) -> Iterator[dict[str, str]]:
    """Lines of a group of rows; where what they need could not be made, one that says so."""
    try:
        for row in GROUPS[group](quick, folder):
            print(f"{row.benchmark}: {row.what}", file=sys.stderr, flush=True)
            yield _line(row, runs)
    except ChildFailed as error:
        print(f"{group}: {error}", file=sys.stderr, flush=True)
        yield {**dict.fromkeys(COLUMNS, ""), "benchmark": group, "seconds": FAILED}


def _extract(quick: bool, folder: Path) -> Iterator[Row]:
    cells = "256" if quick else "512"
    for shape in ("sphere", "chair"):
        for mode in ("onet", "onet fast"):
            for other, module in (("warp", "warp"), ("libigl", "igl"), ("scikit-image", "skimage")):
                slow = quick and (shape, other) == ("chair", "scikit-image")
                if not slow and (mode == "onet" or other == "warp"):
                    ours, theirs = ([name, shape, cells, "", "cpu"] for name in (mode, other))
                    what = f"{shape}, {cells} cells, {mode}"
                    key = "total_seconds"
                    yield Row("extract", what, _single(*ours), other, _single(*theirs), key, module)


def _scaling(quick: bool, folder: Path) -> Iterator[Row]:
    cells = "256" if quick else "512"
    for shape in ("chair", "plane"):
        ours, theirs = (_single(mode, shape, cells) for mode in ("fast", "exact"))
        yield Row("scaling", f"{shape}, {cells} cells, fast", ours, "exact", theirs, "seconds")


def _mesh(quick: bool, folder: Path) -> Iterator[Row]:
    path = str(folder / "demo.safetensors")
    _python(f"from benchmarks.mesh import save_demo; save_demo({path!r})")
    cells = "64" if quick else "256"
    for name in ("exact", "exact mixed", "fast", "exact bf16"):
        ours, theirs = (_single(each, path, cells, "") for each in (name, "published"))
        what = f"demo network, {cells} cells, {name}"
        yield Row("mesh", what, ours, "published pipeline", theirs, "total", "mcubes")


def _decode(quick: bool, folder: Path) -> Iterator[Row]:
    points = "20000" if quick else "100000"
    for name in ("folded", "folded bfloat16"):
        for what, other in (("logits", "published"), ("gradients", "autograd")):
            ours, theirs = (_single(what, each, "1", points, "cpu") for each in (name, other))
            yield Row(
                "decode", f"{what} of {points} points, {name}", ours, other, theirs, "seconds"
            )
    for name in ("planes", "grid", "pixel", "planes bfloat16"):
        ours = _single("logits", name, "1", points, "cpu")
        yield Row("decode", f"logits of {points} points, {name}", ours, "", None, "seconds")


def _step(quick: bool, folder: Path) -> Iterator[Row]:
    def run(clock: str, precision: str, **changes: object) -> list[str]:
        case = {"config": "pointcloud_planes_small", "precision": precision, "how": "compiled"}
        case_on = {"threads": 1, "processes": 1, **changes}
        size = ["--items", "8" if quick else "16"]
        return ["--clock", clock, *size, *_single(json.dumps(case | case_on))]

    for precision in ("float32", "bfloat16"):
        ours, theirs = (run("cpu", precision, how=how) for how in ("compiled", "torch"))
        yield Row("step", f"a step, {precision}", ours, "torch's operations", theirs, "seconds")
        for on in () if quick and precision == "float32" else ("threads", "processes"):
            ours, theirs = (run("wall", precision, **{on: count}) for count in (2, 1))
            what = f"a step, {precision}, two {on}, wall clock"
            yield Row("step", what, ours, "one thread", theirs, "seconds")


def _inside(quick: bool, folder: Path) -> Iterator[Row]:
    from benchmarks.inside import CONTENDERS

    cells = "64" if quick else "128"
    chairs = folder / "chairs"
    chairs.mkdir()
    _child("inside", ["--make", str(chairs), "--resolutions", cells, "--points", "100000"])
    for other, (module, own) in CONTENDERS.items():
        if own != other:
            ours, theirs = (_single(name, cells, str(chairs)) for name in (own, other))
            what = f"100,000 points, {own}"
            yield Row("inside", what, ours, other, theirs, "milliseconds", module)


def _metrics(quick: bool, folder: Path) -> Iterator[Row]:
    from benchmarks.metrics import PACKAGES, SLOW, TASKS

    data = str(folder / "data.npz")
    _child("metrics", _single("prepare", "64" if quick else "128", data))
    for task, contenders in TASKS.items():
        others = [name for name in contenders if name in PACKAGES and (task, name) not in SLOW]
        for other in others[: 1 if quick else None]:
            ours, theirs = (_single(task, name, data) for name in ("onet", other))
            yield Row("metrics", task, ours, other, theirs, "seconds", PACKAGES[other])


GROUPS: dict[str, Callable[[bool, Path], Iterator[Row]]] = {
    "extract": _extract,
    "scaling": _scaling,
    "mesh": _mesh,
    "decode": _decode,
    "step": _step,
    "inside": _inside,
    "metrics": _metrics,
}
"""By the benchmark: from whether it is quick, and a folder for files, to its rows."""


def _single(*values: str) -> list[str]:
    return ["--single", *values]


def _line(row: Row, runs: int) -> dict[str, str]:
    here = row.theirs is not None and (row.needs is None or find_spec(row.needs) is not None)
    ours, theirs = _take_turns(row, runs, here)
    unit = 1e-3 if row.seconds == "milliseconds" else 1.0
    mine, other = (
        unit * statistics.median(result[row.seconds] for result in results) if results else None
        for results in (ours, theirs)
    )
    first, share = (ours or [{}])[0], _share(ours or [], row.seconds)
    values = (
        row.benchmark,
        row.what,
        FAILED if mine is None else f"{mine:.4f}",
        row.against if here or row.theirs is None else f"{row.against} (not installed)",
        "" if not here else FAILED if other is None else f"{other:.4f}",
        "" if mine is None or other is None else f"{other / mine:.2f}x",
        f"{first['rate']:.0f}" if "rate" in first else "",
        f"{first['gathers']:.4f}" if first.get("gathers") else "",
        "" if share is None else f"{share:.0%}",
    )
    return dict(zip(COLUMNS, values, strict=True))


def _take_turns(row: Row, runs: int, both: bool) -> list[list[Result] | None]:
    """Results of the runs of both sides, None of a side that failed, and said why."""
    found: list[list[Result] | None] = [[], []]
    for _ in range(runs):
        for side, arguments in enumerate((row.ours, row.theirs if both else None)):
            results = found[side]
            if arguments is None or results is None:
                continue
            try:
                results.append(_child(row.benchmark, arguments))
            except ChildFailed as error:
                print(f"{row.benchmark}: {row.what}: {error}", file=sys.stderr, flush=True)
                found[side] = None
    return found


def _share(results: list[Result], seconds: str) -> float | None:
    """Part of the seconds that products take at the machine's rate, where they are counted."""
    shares = []
    for result in results:
        if "bound" in result:
            shares.append(result["bound"] / result[seconds])
        elif "gflop" in result:
            shares.append(result["gflop"] / result["rate"] / result[seconds])
    return statistics.median(shares) if shares else None


def _child(benchmark: str, arguments: list[str]) -> Result:
    command = [sys.executable, "-m", "benchmarks", benchmark, *arguments]
    text = _run(command)
    if "--single" not in arguments:
        return {}
    try:
        found: Result = json.loads(text.splitlines()[-1])
    except (IndexError, ValueError):
        raise ChildFailed(f"{' '.join(command)} printed no result, but:\n{text[-2000:]}") from None
    return found


def _python(code: str) -> None:
    _run([sys.executable, "-c", code])


def _run(command: list[str]) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise ChildFailed(
            f"{' '.join(command)} failed with status {done.returncode}:\n{done.stderr[-2000:]}"
        )
    return done.stdout


def _processor() -> str:
    """Name of the processor, as Linux or Python tell it."""
    told = Path("/proc/cpuinfo")
    if told.exists():
        for line in told.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
