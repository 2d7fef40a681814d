"""A generation folder as one page of HTML that needs nothing else: no network, no other file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onet.data.store import Store
from onet.data.truth import PUBLISHED, describe
from onet.errors import DataError
from onet.inference import generation_folder as folder
from onet.locks import hold, writer
from onet.metrics.penalties import SCORES
from onet.names import printable
from onet.records import Row, read_csv, read_json
from onet.report import page
from onet.report.contact_sheet import contact_sheet
from onet.report.extremes import extremes
from onet.report.generation_views import views_of_items
from onet.report.histogram import histogram
from onet.report.mesh_viewer import MeshViews

CHECKS = {
    "watertight": "every edge shared by exactly two faces",
    "manifold": "one fan of faces around every vertex",
    "oriented": "neighbouring faces agree on the outside",
    "outward": "positive volume",
}

_PROTOCOL_KINDS = {"samples": int, "seed": int, "failed_rule": str | None}
_OLD_RULE = "Failed items count with the published penalties."  # of folders that do not tell it
_HIGHEST = 1.0  # of fractions and cosines


@writer
def write_report(
    generation_dir: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    count: int = 10,
    shown: int = 3,
    title: str | None = None,
) -> Path:
    """Write report.html, and the contact sheet in it, into a generation folder.

    Shows counts of closed meshes, the scores and their histograms if the folder was evaluated, the
    worst and the best items in 3D (else some items), pictures of `count` items, a table of all
    items, the reasons of failures and the settings.

    Args:
        generation_dir: a folder that `generate` wrote, or its run folder.
        data: root of the store with the truth; default the one that was generated from.
        count: items in the contact sheet.
        shown: so many of the worst and of the best items are shown in 3D.
        title: heading; default the name of the folder.

    Returns:
        The path of report.html.

    Raises:
        DataError: no generation folder, or damaged files in it.
    """
    root = folder.locate(Path(generation_dir))
    settings = folder.read_settings(root)
    hold(root)
    rows = folder.read_outcomes(root)
    picture = contact_sheet(root, data=data, count=count)
    heading = title or root.resolve().name
    store = Store(data or settings["data"]) if "split" in settings else None
    scores = _item_scores(root)
    views = MeshViews()
    sections = [
        page.title(heading, _subtitle(settings)),
        _tiles(rows),
        _scores(root),
        _histograms(rows, scores),
        _in_3d(root, store, rows, scores, shown, views),
        _items(rows, scores),
        _pictures(picture, min(count, len(rows)), len(rows)),
        page.listing(
            "Failures",
            [f"{_name(row)}: {row['reason']}" for row in rows if row["status"] != folder.OK],
        ),
        _settings(settings),
    ]
    return page.write_html(root / folder.REPORT, heading, sections, views)


def _subtitle(settings: dict[str, Any]) -> str:
    if "split" in settings:
        return f"Reconstructions of the split “{settings['split']}” of {settings['data']}"
    given = settings["input"]
    if isinstance(given, list):
        more = f", … ({len(given)} files)" if len(given) > 3 else ""
        given = ", ".join(str(one) for one in given[:3]) + more
    return f"Made from: {given}"


def _tiles(rows: Sequence[Row]) -> str:
    """Counts: meshes, and how many of them pass each check of topology."""
    made = [row for row in rows if row["status"] == folder.OK]
    cut = sum(bool(row["box_contacts"]) for row in made)
    tiles = [(f"{len(made)} of {len(rows)}", "items have a mesh", len(made) == len(rows))]
    for check, meaning in CHECKS.items():
        passed = sum(row[check] is True for row in made)
        tiles.append((f"{passed} of {len(made)}", f"{check}: {meaning}", passed == len(made)))
    if cut:
        tiles.append((str(cut), "surfaces leave the box and were cut off there", False))
    return page.tiles(tiles)


def _scores(root: Path) -> str:
    """Return the table of means, of each category and over all."""
    path = root / folder.EVAL
    if not path.is_file():
        return ""
    protocol = read_json(root / folder.PROTOCOL, _PROTOCOL_KINDS)
    rows = [row for _, row in read_csv(path, ["category"])]
    if not rows:
        raise DataError(f"{path}: has no rows; make it again")
    left_out = {_titled(key) for key, score in SCORES.items() if not score.shown}
    keys = [key for key in rows[0] if key not in left_out]
    table = [
        {_plain(key): row[key] if key == "category" else _value(row[key]) for key in keys}
        for row in rows
    ]
    words = (
        f"Means, by the published protocol: {protocol['samples']:,} samples of each predicted "
        f"surface (seed {protocol['seed']}) against the stored surface points, IoU on the stored "
        f"query points. Truth: {describe(protocol.get('labels') or {PUBLISHED: 1})}. "
        "Distances are unsquared and in units of the longest edge; tables of the literature show "
        "ten times the number. The row “mean” is the unweighted mean over categories. "
        f"{protocol.get('failed_rule') or _OLD_RULE} Other scores are in {folder.EVAL}."
    )
    means = [k for k, row in enumerate(rows) if row["category"].startswith("mean")]
    return page.table("Scores", table, words, units=_units(keys), emphasized=means)


def _titled(key: str) -> str:
    return f"{key} [{SCORES[key].unit}]"


def _plain(column: str) -> str:
    """Return the name of a column without its unit."""
    return column.partition(" [")[0]


def _units(columns: Sequence[str]) -> dict[str, str]:
    return {_plain(key): key.rstrip("]").partition(" [")[2] for key in columns}


def _value(text: str) -> Any:
    """Return what a cell of a CSV file stands for: a number, or text."""
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and "." not in text else number


def _item_scores(root: Path) -> dict[folder.Key, dict[str, float]]:
    """Return the scores of each item, where the folder was evaluated."""
    path = root / folder.EVAL_ITEMS
    if not path.is_file():
        return {}
    rows = [row for _, row in read_csv(path, ("category", "model"), (folder.IOU,))]
    shown = {key: _titled(key) for key, score in SCORES.items() if score.shown}
    return {
        (row["category"], row["model"]): {
            key: _number(row.get(column, ""), path) for key, column in shown.items()
        }
        for row in rows
    }


def _number(text: str, path: Path) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{path}: {text!r} is no number; make it again") from None


def _histograms(rows: Sequence[Row], scores: dict[folder.Key, dict[str, float]]) -> str:
    """Return how the scores of the items that have a mesh are spread."""
    if not scores:
        return ""
    made = {(row["category"], row["model"]) for row in rows if row["status"] == folder.OK}
    charts = []
    for key in next(iter(scores.values())):
        values = [score[key] for name, score in scores.items() if name in made]
        limit = None if SCORES[key].unit.startswith("longest edge") else _HIGHEST
        charts.append(histogram(key.replace("_", " "), values, len(scores) - len(values), limit))
    return f'<h2>How the scores are spread</h2><div class="charts">{"".join(charts)}</div>'


def _in_3d(
    root: Path,
    store: Store | None,
    rows: Sequence[Row],
    scores: dict[folder.Key, dict[str, float]],
    shown: int,
    views: MeshViews,
) -> str:
    """Return the worst and the best items by IoU, or some where the folder is not evaluated."""
    table = {(row["category"], row["model"]): row for row in rows}
    measured = {key: score["iou"] for key, score in scores.items() if key in table}
    if measured:
        worst, best = extremes(measured, shown)
        words = {
            key: f"IoU {score['iou']:.3f}, Chamfer-L1 {score['chamfer_l1']:.4f}"
            for key, score in scores.items()
        }
        chosen = [("Worst items, by IoU", worst, words), ("Best items, by IoU", best, words)]
    else:
        some = folder.take_in_turn(list(table), shown, lambda key: key[0])
        chosen = [("Some items", some, {})]
    return views_of_items(root, store, table, chosen, views)


def _pictures(picture: Path, shown: int, total: int) -> str:
    return (
        f"<h2>Pictures</h2><p>{shown} of {total} items, from the categories in turn; each row from "
        f"one side and at one scale.</p>{page.picture(picture, 'input, reconstruction and truth')}"
    )


def _items(rows: Sequence[Row], scores: dict[folder.Key, dict[str, float]]) -> str:
    """Return the sortable table of all items."""
    shown = []
    for row in rows:
        score = scores.get((row["category"], row["model"]), {})
        known = next(iter(scores.values()), {})
        shown.append(
            {
                "item": printable(_name(row)),
                "status": row["status"],
                **{key: score.get(key) for key in known},
                "faces": row["faces"],
                "parts": row["components"],
                "closed": all(row[check] is True for check in CHECKS) if row["mesh"] else None,
                "cut off": bool(row["box_contacts"]) if row["mesh"] else None,
                "seconds": row["seconds"],
            }
        )
    words = "Closed: passes the four checks above. Cut off: leaves the box of the extraction."
    units = {key: SCORES[key].unit for key in next(iter(scores.values()), {})}
    return page.sortable_table("Items", shown, words, units=units)


def _name(row: Row) -> str:
    return f"{row['category']}/{row['model']}".lstrip("/")


def _settings(settings: dict[str, Any]) -> str:
    flat = {key: value for key, value in settings.items() if key != "config"}
    checkpoint = flat.pop("checkpoint")
    named = {"checkpoint": checkpoint["path"], "sha256": checkpoint["sha256"], **flat}
    shown = (
        (key, ", ".join(map(str, v)) if isinstance(v, list) else v) for key, v in named.items()
    )
    return page.pairs("Settings", shown)
