"""How costs grow: the same run of a benchmark at several sizes, and the slope of the logarithms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GROWN = ("scaling", "mesh", "decode", "encode", "inside", "pairs")
"""Benchmarks that `sweeps` runs."""

GROWTH_COLUMNS = (
    *("benchmark", "what", "over", "from", "to", "seconds"),
    *("exponent", "of the last step"),
)

Result = dict[str, Any]
Child = Callable[[str, list[str]], Result]  # benchmark, arguments after its name -> what it says


@dataclass
class Sweep:
    """Runs of one benchmark that differ in a size."""

    benchmark: str
    what: str
    over: str  # the size
    runs: list[tuple[float, list[str]]]  # size, arguments; 0 where the run itself tells `over`
    seconds: str  # key of what a run says


def sweeps(quick: bool, folder: Path, network: str) -> Iterator[Sweep]:
    """What is measured at several sizes.

    Args:
        quick: smaller sizes.
        folder: which `benchmarks inside --make` fills for `chairs`.
        network: a file of `benchmarks.mesh.save_demo`.
    """
    cells = (64, 128, 256) if quick else (128, 256, 512, 1024)
    for mode in ("exact", "fast"):
        runs = [(float(n), ["--single", mode, "chair", str(n)]) for n in cells]
        yield Sweep("scaling", f"extraction but the field, {mode}", "cells", runs, "seconds")
    cells = (32, 64, 128) if quick else (64, 128, 256, 512)
    runs = [(float(n), ["--single", "exact", network, str(n), ""]) for n in cells]
    yield Sweep("mesh", "mesh of the demo network", "cells", runs, "total")
    points = (5_000, 20_000, 80_000)
    runs = [(float(n), ["--single", "logits", "folded", "1", str(n), "cpu"]) for n in points]
    yield Sweep("decode", "folded decoder", "points", runs, "seconds")
    clouds = (3_000, 10_000, 30_000) if quick else (3_000, 30_000, 300_000, 1_000_000)
    for name in ("planes", "scan"):
        runs = [(float(n), ["--single", name, str(n)]) for n in clouds]
        yield Sweep("encode", f"encoder of {name}", "points", runs, "warm")
    for name in ("onet parity", "onet winding"):
        runs = [(0.0, ["--single", name, str(n), str(folder)]) for n in chairs(quick)]
        yield Sweep("inside", f"100,000 points, {name}", "faces", runs, "milliseconds")
    meshes = (3, 4, 5) if quick else (3, 4, 5, 6, 7)
    runs = [(0.0, ["--single", "3", str(n)]) for n in meshes]
    yield Sweep("pairs", "scoring 3 pairs of meshes", "faces", runs, "seconds")
    counts = (2, 5, 15) if quick else (10, 30, 100, 300)
    runs = [(float(n), ["--single", str(n), "3"]) for n in counts]
    yield Sweep("pairs", "scoring pairs of 1,280 faces", "pairs", runs, "seconds")


def chairs(quick: bool) -> tuple[int, ...]:
    """Return the cells of the meshes that points are tested against."""
    return (32, 64, 128) if quick else (64, 128, 264)


def grown(sweep: Sweep, child: Child) -> dict[str, str]:
    """Run a sweep, each size once, and return its line of the table."""
    found = [(size, child(sweep.benchmark, arguments)) for size, arguments in sweep.runs]
    sizes = [size or float(result[sweep.over]) for size, result in found]
    unit = 1e-3 if sweep.seconds == "milliseconds" else 1.0
    seconds = [unit * result[sweep.seconds] for _, result in found]
    values = (
        sweep.benchmark,
        sweep.what,
        sweep.over,
        f"{sizes[0]:,.0f}",
        f"{sizes[-1]:,.0f}",
        f"{seconds[0]:.4f} to {seconds[-1]:.4f}",
        f"{exponent(sizes, seconds):.2f}",
        f"{exponent(sizes[-2:], seconds[-2:]):.2f}",
    )
    return dict(zip(GROWTH_COLUMNS, values, strict=True))


def exponent(sizes: list[float], seconds: list[float]) -> float:
    """Return the slope of the line through the logarithms, by least squares."""
    import numpy as np

    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
