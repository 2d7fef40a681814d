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
from onet.geometry.distance import closest_point
from onet.geometry.mesh_io import load_mesh
from onet.geometry.normalization import UnitFrame
from onet.records import Row
from onet.report import page
from onet.report.extremes import extremes
from onet.report.generation_views import AWAY, FARTHEST
from onet.report.histogram import histogram
from onet.report.mesh_viewer import HOW, MeshViews, figure, unavailable
from onet.report.shape import Shape, for_display
from onet.report.tables import format_cell

logger = logging.getLogger(__name__)


def write_page(report: FoldersReport, pairs: Pairs, path: Path, count: int = 3) -> None:
    """Write the page of a comparison.

    Args:
        report: what was measured.
        pairs: where the meshes are.
        path: of the page.
        count: so many of the worst and of the best items are shown in 3D.
    """
    views = MeshViews()
    pictures = _pictures(report, pairs, count, views)
    heading = " and ".join(report.methods)
    sections = [
        page.title(heading, report.title),
        page.table("Scores", report.table()),
        page.table("Solids", report.solids(), "Thinnest wall in longest edges of the truth."),
        page.table("Categories", report.by_category()),
        page.table("Paired comparison", report.differences(), _PAIRED),
        _histograms(report),
        page.listing("Notes", report.notes),
        page.listing("Items left out", [f"{name}: {why}" for name, why in report.unusable.items()]),
        _failures(report.items),
        pictures,
        _items(report),
    ]
    page.write_html(path, heading, sections, views)


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
    return extremes(sums, count)


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
        f"<p>{HOW} Colour: distance to the true surface, 0 "
        f'<span class="ramp"></span> {100 * FARTHEST:g} % of the longest edge and more.</p>'
    )
    return f"<h2>In 3D</h2>{legend}{''.join(parts)}"


def _item(
    report: FoldersReport, item: Item, rows: dict[tuple[str, str], Row], views: MeshViews
) -> str:
    group = views.group()
    try:
        truth = load_mesh(item.truth)
        frame = UnitFrame.of_mesh(truth)
        shape = Shape.of_mesh(truth)
    except (OnetError, OSError) as error:  # it was there when it was scored
        logger.warning("%s is left out of the page: %s", item.name, error)
        return f"<h3>{escape(item.name)}</h3><p>{escape(str(error))}</p>"
    figures = [figure(views.view(shape, group, f"{item.name}: truth", frame), "truth")]
    for method in report.methods:
        row = rows[item.name, method]
        words = f"{method}: {_scores(report, row)}"
        figures.append(figure(_mesh(item, row, frame, group, views), words))
    return f'<h3>{escape(item.name)}</h3><div class="views">{"".join(figures)}</div>'


def _mesh(item: Item, row: Row, frame: UnitFrame, group: int, views: MeshViews) -> str:
    """Return the view of a method's mesh, coloured by its distance to the truth, or why not."""
    path = item.meshes[row["method"]]
    if row["status"] != OK or path is None:
        return unavailable(f"{row['status']}: {row['reason']}")
    try:
        mesh = load_mesh(path)
    except (OnetError, OSError) as error:
        logger.warning("%s is left out of the page: %s", path, error)
        return unavailable(str(error))
    if "align_matrix" in row:
        mesh.apply_transform(np.array(row["align_matrix"]))
    shape = for_display(Shape.of_mesh(mesh))
    truth = frame.mesh_to_unit(load_mesh(item.truth))
    shape.shades[AWAY] = closest_point(truth, frame.to_unit(shape.vertices))[1]
    label = f"{item.name}: {row['method']}"
    return views.view(shape, group, label, frame, {AWAY: FARTHEST})


def _scores(report: FoldersReport, row: Row) -> str:
    values = [
        f"{named(key, by)} {format_cell(None if row[key] is None else row[key] * by)}"
        for key, by in list(report.shown.items())[:2]
    ]
    return ", ".join(values)


def _failures(rows: Sequence[Row]) -> str:
    return page.listing(
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
        for row in report.items
    ]
    return page.sortable_table("Items", shown)


def _histograms(report: FoldersReport) -> str:
    """Return how the two scores in front are spread, of each method."""
    charts = []
    for key, by in list(report.shown.items())[:2]:
        for method in report.methods:
            rows = [row for row in report.items if row["method"] == method]
            values = [row[key] * by for row in rows if row["status"] == OK and row[key] is not None]
            limit = by if higher_is_better(key) else None
            name = f"{named(key, by)}, {method}"
            charts.append(histogram(name, values, len(rows) - len(values), limit))
    return f'<h2>How the scores are spread</h2><div class="charts">{"".join(charts)}</div>'
