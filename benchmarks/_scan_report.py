"""Tables of a benchmark of scans, on the screen and in files."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._scan_results import Results, Row, best_variants, category_table, table
from onet.files import replacing
from onet.report.tables import print_table

ROTATIONS, SCALES = "rotations", "scales"  # names of checks in the results


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write rows with the same keys; nothing where there are none."""
    if not rows:
        return
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def report(
    results: Results, groups: Sequence[str], cells: Sequence[str], out: Path, about: dict[str, Any]
) -> None:
    """Print and write what was measured of these groups and cells: `scores.csv`, `scores.json`,
    `categories.csv`, and the checks where there are any."""
    rows = [row for row in results.rows.values() if "iou" in row]
    lines = table(rows, groups, cells)
    for group in groups:
        for cell in cells:
            these = [line for line in lines if (line["group"], line["cell"]) == (group, cell)]
            if these:
                count = max(line["items"] for line in these)
                title = f"{group}, {cell} (points / noise / ...), {count} items"
                print_table([_shown(line) for line in these], title)
    _tell_failures([row for row in rows if row["failed"] and row["cell"] in cells])
    categories: list[Row] = []
    for cell in cells:
        of_cell = category_table(rows, "objects", cell)
        if of_cell and cell == cells[0]:
            print_table(of_cell, f"Mean IoU of each category, objects, {cell}")
        categories += [{"cell": cell, **line} for line in of_cell]
    checks = {"rotations": _rotations(results), "scales": _scales(results)}
    for name, found in checks.items():
        if found:
            print_table(found, f"Check: {name}")
    write_csv(out / "scores.csv", lines)
    write_csv(out / "categories.csv", _same_keys(categories))
    with replacing(out / "scores.json") as temporary:
        told = {"about": about, "scores": lines, "categories": categories, "checks": checks}
        temporary.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _tell_failures(failed: Sequence[Row]) -> None:
    """Print of each method how often it failed, with one of the reasons."""
    by_method: dict[str, list[Row]] = defaultdict(list)
    for row in failed:
        by_method[" ".join(filter(None, [row["method"], row["variant"]]))].append(row)
    for method, these in by_method.items():
        first = these[0]
        print(
            f"{method} failed {len(these)} times, for instance on {first['item']}, "
            f"{first['cell']}: {first['error']}"
        )


def best_of(results: Results, cell: str, method: str) -> list[Row]:
    """Return the rows of a method in a cell, of its best variant in each group."""
    rows = [row for row in results.rows.values() if row["cell"] == cell and "iou" in row]
    found = []
    for group in sorted({row["group"] for row in rows}):
        chosen = best_variants(row for row in rows if row["group"] == group)
        found += chosen.get(method, [])
    return found


def _shown(line: Row) -> Row:
    """Return a line of the screen's table."""

    def span(key: str, sign: str = "") -> str:
        ends = (f"{key}_low", f"{key}_high")
        if line[key] is None:
            return ""
        mean, low, high = (format(line[name], f"{sign}.3f") for name in (key, *ends))
        return f"{mean} [{low}, {high}]"

    def number(key: str, form: str) -> str:
        return "" if line[key] is None else format(line[key], form)

    return {
        "method": " ".join(filter(None, [line["method"], line["variant"]])),
        "IoU [95 %]": span("iou"),
        "minus Poisson": span("minus_poisson", "+"),
        "near": number("iou_near", ".3f"),
        "CD-L1": number("chamfer_l1", ".4f"),
        "F 1 %": number("f_score_1pct", ".3f"),
        "normals": number("normal_consistency", ".3f"),
        "turned": number("turned", ".2f"),
        "closed": number("closed", ".2f"),
        "failed": number("failed", ".2f"),
        "cpu s": number("seconds", ".2f"),
        "MiB": number("peak_mib", ".0f"),
    }


def _same_keys(rows: list[Row]) -> list[Row]:
    keys = dict.fromkeys(key for row in rows for key in row)
    return [{key: row.get(key) for key in keys} for row in rows]


def _rotations(results: Results) -> list[Row]:
    """Return by method the spread of IoU over orientations: its mean and the largest."""
    lines = []
    found = [row for row in results.rows.values() if row["group"] == ROTATIONS]
    for method in dict.fromkeys((row["method"], row["variant"]) for row in found):
        spreads = [
            max(row["turns"]) - min(row["turns"])
            for row in found
            if (row["method"], row["variant"]) == method
        ]
        lines.append(
            {
                "method": " ".join(filter(None, method)),
                "items": len(spreads),
                "mean_spread_of_iou": sum(spreads) / len(spreads),
                "largest_spread": max(spreads),
            }
        )
    return lines


def _scales(results: Results) -> list[Row]:
    """Return by method, factor and offset the largest change of IoU and of a vertex."""
    lines = []
    found = [row for row in results.rows.values() if row["group"] == SCALES]
    for method in dict.fromkeys((row["method"], row["variant"]) for row in found):
        mine = [row["scales"] for row in found if (row["method"], row["variant"]) == method]
        for versions in zip(*mine, strict=True):
            moved = [v["vertices"] for v in versions if v["vertices"] is not None]
            lines.append(
                {
                    "method": " ".join(filter(None, method)),
                    "factor": f"{versions[0]['factor']:g}",
                    "offset": f"{versions[0]['offset']:g}",
                    "items": len(versions),
                    "largest_change_of_iou": max(abs(v["iou_change"]) for v in versions),
                    "same_faces": len(moved),
                    "largest_move_of_a_vertex": f"{max(moved):.1e}" if moved else "",
                }
            )
    return lines
