"""Methods beside each other as one page of HTML that needs nothing else: tables, meshes in 3D."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from onet.errors import OnetError
from onet.evaluation.folders import FoldersReport, higher_is_better, named
from onet.evaluation.pair_scores import OK
from onet.evaluation.pairs import Item, Pairs
from onet.files import replacing
from onet.geometry.distance import closest_point
from onet.geometry.mesh_io import load_mesh
from onet.geometry.normalization import UnitFrame
from onet.records import Row
from onet.report.html import STYLE
from onet.report.mesh_viewer import MeshViews, for_display
from onet.report.tables import format_cell

logger = logging.getLogger(__name__)

FARTHEST = 0.05
"""Distance to the truth, in longest edges, that has the last colour."""

_ROWS = 4000  # of the table of items; more are in the CSV file

_STYLE = """
main { max-width: 1400px }
.views { display: grid; gap: 10px; grid-auto-flow: column; grid-auto-columns: minmax(180px, 1fr);
  overflow-x: auto; padding: 10px }
.views figure { margin: 0; text-align: center; font-size: 13px }
.views canvas { width: 100%; aspect-ratio: 1; cursor: grab; touch-action: none }
.none { display: grid; place-items: center; aspect-ratio: 1; margin: 0; padding: 12px;
  border: 1px dashed var(--line); border-radius: 8px; color: var(--bad); overflow-wrap: anywhere }
h3 { font-size: 14px; margin: 14px 12px 0 }
.ramp { display: inline-block; width: 120px; height: 10px; border-radius: 5px;
  background: linear-gradient(90deg, #8cadda, #f7d973, #cc261f) }
.items { max-height: 480px; overflow: auto } .items th { cursor: pointer; position: sticky; top: 0;
  background: var(--card) }
"""

_SORT = """
document.querySelectorAll(".items th").forEach((head, column) =>
  head.addEventListener("click", () => {
    const table = head.closest("table"), rows = [...table.rows].slice(1);
    const sign = (head.dataset.up = head.dataset.up === "1" ? "-1" : "1");
    const key = row => {
      const text = row.cells[column].textContent, number = parseFloat(text);
      return isNaN(number) ? [1, text] : [0, number];
    };
    rows.sort((a, b) => {
      const [[x, p], [y, q]] = [key(a), key(b)];
      return sign * (x - y || (p < q ? -1 : p > q ? 1 : 0));
    });
    rows.forEach(row => table.tBodies[0].append(row));
  }));
"""


def write_page(report: FoldersReport, pairs: Pairs, path: Path, count: int = 3) -> None:
    """Write the page of a comparison.

    Args:
        report: what was measured.
        pairs: where the meshes are.
        path: of the page.
        count: so many of the worst and of the best items are shown in 3D.
    """
    heading = escape(" and ".join(report.methods))
    views = MeshViews()
    pictures = _pictures(report, pairs, count, views)
    sections = [
        f"<h1>{heading}</h1><p>{escape(report.title)}</p>",
        _table("Scores", report.table()),
        _table("Solids", report.solids(), "Thinnest wall in longest edges of the truth."),
        _table("Categories", report.by_category()),
        _table("Paired comparison", report.differences(), _PAIRED),
        _list("Notes", report.notes),
        _list("Items left out", [f"{name}: {why}" for name, why in report.unusable.items()]),
        _failures(report.items),
        pictures,
        _items(report),
    ]
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{heading}</title><style>{STYLE}{_STYLE}</style></head>"
        f"<body><main>{''.join(sections)}</main>{views.script()}<script>{_SORT}</script>"
        "</body></html>\n"
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="xmlcharrefreplace")


_PAIRED = (
    "Mean difference on the same items, with its 95 % interval; undecided where that includes zero."
)


def worst_and_best(report: FoldersReport, count: int) -> tuple[list[str], list[str]]:
    """Return the names of the worst and of the best items, by the mean over the methods.

    By IoU where every mesh has one, else by Chamfer-L1. Items come once: the best are among those
    that are not shown as the worst.
    """
    key = "iou" if all(row["iou"] is not None for row in report.items) else "chamfer_l1"
    sums: dict[str, float] = {}
    for row in report.items:
        value = row[key] if higher_is_better(key) else -row[key]
        sums[row["item"]] = sums.get(row["item"], 0.0) + value
    order = sorted(sums, key=lambda name: (sums[name], name))
    worst = order[:count]
    return worst, [name for name in reversed(order) if name not in worst][:count]


def _pictures(report: FoldersReport, pairs: Pairs, count: int, views: MeshViews) -> str:
    """Return the sections with the worst and the best items, each with its truth beside it."""
    by_name = {item.name: item for item in pairs.items}
    rows = {(row["item"], row["method"]): row for row in report.items}
    parts = []
    for title, names in zip(
        ("Worst items", "Best items"), worst_and_best(report, count), strict=True
    ):
        if not names:
            continue
        shown = "".join(_item(report, by_name[name], rows, views) for name in names)
        parts.append(f'<h2>{title}</h2><div class="card">{shown}</div>')
    if not parts:
        return ""
    legend = (
        "<p>Turn with the mouse, zoom with its wheel. Colour: distance to the true surface, 0 "
        f'<span class="ramp"></span> {100 * FARTHEST:g} % of the longest edge and more. Large '
        "meshes are drawn coarser.</p>"
    )
    return f"<h2>In 3D</h2>{legend}{''.join(parts)}"


def _item(
    report: FoldersReport, item: Item, rows: dict[tuple[str, str], Row], views: MeshViews
) -> str:
    group = len(views.meshes)
    try:
        truth = load_mesh(item.truth)
        frame = UnitFrame.of_mesh(truth)
        drawn = for_display(frame.mesh_to_unit(truth))
    except (OnetError, OSError) as error:  # it was there when it was scored
        logger.warning("%s is left out of the page: %s", item.name, error)
        return f"<h3>{escape(item.name)}</h3><p>{escape(str(error))}</p>"
    figures = [_figure(views.view(drawn, group, f"{item.name}: truth"), "truth")]
    for method in report.methods:
        row = rows[item.name, method]
        words = f"{method}: {_scores(report, row)}"
        figures.append(_figure(_mesh(item, row, frame, group, views), words))
    return f'<h3>{escape(item.name)}</h3><div class="views">{"".join(figures)}</div>'


def _mesh(item: Item, row: Row, frame: UnitFrame, group: int, views: MeshViews) -> str:
    """Return the view of a method's mesh, coloured by its distance to the truth, or why not."""
    path = item.meshes[row["method"]]
    if row["status"] != OK or path is None:
        return f'<p class="none">{escape(row["status"])}: {escape(row["reason"])}</p>'
    try:
        mesh = load_mesh(path)
    except (OnetError, OSError) as error:
        logger.warning("%s is left out of the page: %s", path, error)
        return f'<p class="none">{escape(str(error))}</p>'
    if "align_matrix" in row:
        mesh.apply_transform(np.array(row["align_matrix"]))
    drawn = for_display(frame.mesh_to_unit(mesh))
    truth = frame.mesh_to_unit(load_mesh(item.truth))
    away = closest_point(truth, drawn.vertices)[1]
    return views.view(drawn, group, f"{item.name}: {row['method']}", away / FARTHEST)


def _figure(shown: str, words: str) -> str:
    return f"<figure>{shown}<figcaption>{escape(words)}</figcaption></figure>"


def _scores(report: FoldersReport, row: Row) -> str:
    values = [
        f"{named(key, by)} {format_cell(None if row[key] is None else row[key] * by)}"
        for key, by in list(report.shown.items())[:2]
    ]
    return ", ".join(values)


def _failures(rows: Sequence[Row]) -> str:
    return _list(
        "Missing and failed meshes",
        [
            f"{row['method']}, {row['item']}: {row['status']}: {row['reason']}"
            for row in rows
            if row["status"] != OK
        ],
    )


def _items(report: FoldersReport) -> str:
    shown = [
        {
            **{key: row[key] for key in ("item", "category", "method", "status")},
            **{
                named(key, by): None if row[key] is None else float(row[key]) * by
                for key, by in report.shown.items()
            },
            "iou_resolution": row.get("iou_resolution"),
            "closed": row.get("closed"),
            "crossings": row.get("crossings"),
            "thinnest_wall": row.get("thinnest_wall"),
            "notes": "; ".join(row["notes"]),
        }
        for row in report.items[:_ROWS]
    ]
    words = "A click on a heading sorts."
    if len(report.items) > _ROWS:
        words += f" The first {_ROWS:,} of {len(report.items):,} rows; all are in items.csv."
    return _table("Items", shown, words, "card items")


def _table(title: str, rows: Sequence[Row], words: str = "", kind: str = "card") -> str:
    if not rows:
        return ""
    heads = "".join(f"<th>{escape(key.replace('_', ' '))}</th>" for key in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(format_cell(row[key]))}</td>" for key in rows[0]) + "</tr>"
        for row in rows
    )
    return (
        f"<h2>{escape(title)}</h2>"
        + (f"<p>{escape(words)}</p>" if words else "")
        + f'<div class="{kind}"><table><tbody><tr>{heads}</tr>{body}</tbody></table></div>'
    )


def _list(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    rows = "".join(f'<tr><td class="value">{escape(line)}</td></tr>' for line in lines)
    return f'<h2>{escape(title)}</h2><div class="card"><table>{rows}</table></div>'
