"""Results of a benchmark of scans: kept one by one, and summed up."""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._scan_peers import POISSON, peers

SCORES = ("iou", "iou_near", "chamfer_l1", "f_score_1pct", "normal_consistency")
SHARES = ("turned", "closed", "manifold", "failed")
COSTS = ("seconds", "peak_mib")
RESAMPLES = 10_000

Row = dict[str, Any]
Key = tuple[str, str, str, str]  # item, cell, method, variant


def key_of(row: Row) -> Key:
    return row["item"], row["cell"], row["method"], row["variant"]


@dataclass
class Results:
    """The rows of a file, one a line, of runs with the same settings.

    A line that a killed process left unfinished is told and counts as none.
    """

    path: Path
    settings: dict[str, Any]
    rows: dict[Key, Row] = field(default_factory=dict)
    read: InitVar[bool] = True

    def __post_init__(self, read: bool) -> None:
        if not read or not self.path.is_file():
            return
        for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                print(f"{self.path}:{number}: cut off, measured again", file=sys.stderr)
                continue
            if row["settings"] == self.settings:
                self.rows[key_of(row)] = row

    def add(self, row: Row) -> None:
        """Keep a row, in the file as well."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**row, "settings": self.settings})
        whole = not self.path.is_file() or self.path.read_bytes()[-1:] in (b"", b"\n")
        line = text + "\n" if whole else "\n" + text + "\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
        self.rows[key_of(row)] = row

    def of(self, items: set[str], methods: set[tuple[str, str]]) -> Results:
        """Return what there is of some items and of some methods, each with its variant."""
        some = {
            key: row
            for key, row in self.rows.items()
            if row["item"] in items and (row["method"], row["variant"]) in methods
        }
        return Results(self.path, self.settings, some, read=False)

    def __contains__(self, key: Key) -> bool:
        return key in self.rows


def best_variants(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return by method the rows of its variant with the best mean IoU; all of one cell and group.

    Only variants with as many items as the fullest one take part.
    """
    by_variant: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_variant[row["method"]][row["variant"]].append(row)
    chosen = {}
    for method, variants in by_variant.items():
        most = max(map(len, variants.values()))
        full = [these for these in variants.values() if len(these) == most]
        chosen[method] = max(full, key=lambda these: float(np.mean([row["iou"] for row in these])))
    return {method: chosen[method] for method in sorted(chosen, key=_place)}


def _place(method: str) -> tuple[int, str]:
    """Return what sorts methods: networks first, then the peers in their order."""
    names = [peer.name for peer in peers()]
    return (1 + names.index(method) if method in names else 0, method)


def interval(values: Sequence[float] | NDArray[np.floating], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a mean, over its values (percentiles)."""
    given = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    means = [
        given[rng.integers(len(given), size=(RESAMPLES // 10, len(given)))].mean(axis=1)
        for _ in range(10)
    ]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)


def paired_difference(
    rows: Sequence[Row], reference: Sequence[Row]
) -> tuple[float, float, float] | None:
    """Return the mean difference of IoU on the items of both, and its interval; None without."""
    other = {row["item"]: row["iou"] for row in reference}
    differences = [row["iou"] - other[row["item"]] for row in rows if row["item"] in other]
    if not differences:
        return None
    return float(np.mean(differences)), *interval(differences)


def summarise(rows: Sequence[Row], reference: Sequence[Row]) -> Row:
    """Return means, intervals and the difference to a reference, of one method in one cell."""
    summary: Row = {"variant": rows[0]["variant"], "items": len(rows)}
    for key in SCORES:
        values = [row[key] for row in rows]
        summary[key] = float(np.mean(values))
        if key == "iou":
            summary["iou_low"], summary["iou_high"] = interval(values)
    difference = paired_difference(rows, reference) or (None, None, None)
    names = ("minus_poisson", "minus_poisson_low", "minus_poisson_high")
    summary |= dict(zip(names, difference, strict=True))
    for key in (*SHARES, *COSTS):
        known = [float(row[key]) for row in rows if row[key] is not None]
        summary[key] = float(np.mean(known)) if known else None
    return summary


def table(rows: Iterable[Row], groups: Sequence[str], cells: Sequence[str]) -> list[Row]:
    """Return a summary for each group, cell and method, in this order."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row["group"], row["cell"]].append(row)
    lines = []
    for group in groups:
        for cell in cells:
            chosen = best_variants(found[group, cell])
            reference = chosen.get(POISSON, [])
            for method, these in chosen.items():
                line = {"group": group, "cell": cell, "method": method}
                lines.append(line | summarise(these, reference))
    return lines


def category_table(rows: Iterable[Row], group: str, cell: str) -> list[Row]:
    """Return a line for each category with the mean IoU of each method's best variant."""
    chosen = best_variants(row for row in rows if (row["group"], row["cell"]) == (group, cell))
    categories = sorted({row["category"] for these in chosen.values() for row in these})
    lines = []
    for category in categories:
        line: Row = {"category": category}
        for method, these in chosen.items():
            values = [row["iou"] for row in these if row["category"] == category]
            line[method] = float(np.mean(values)) if values else None
        lines.append(line)
    return lines
