"""A generation folder as one page of HTML that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from onet.data.truth import PUBLISHED, describe
from onet.errors import DataError
from onet.files import replacing
from onet.inference import generation_folder as folder
from onet.locks import hold, writer
from onet.records import Row, read_csv, read_json
from onet.report.contact_sheet import contact_sheet

CHECKS = {
    "watertight": "every edge shared by exactly two faces",
    "manifold": "one fan of faces around every vertex",
    "oriented": "neighbouring faces agree on the outside",
    "outward": "positive volume",
}

_PROTOCOL_KINDS = {"samples": int, "seed": int, "failed_rule": str | None}
_OLD_RULE = "Failed items count with the published penalties."  # of folders that do not tell it

STYLE = """
:root { color-scheme: light dark; --ink: #1f2430; --soft: #667085; --line: #e4e7ec;
  --page: #f7f8fa; --card: #fff; --accent: #2f6fde; --good: #1a7f4b; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #2b3240;
  --page: #12151b; --card: #1a1f28; --accent: #7aa7ff; --good: #4cc38a; --bad: #ff8a80; } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
main { max-width: 1100px; margin: 0 auto; padding: 40px 20px 80px }
h1 { font-size: 26px; margin: 0 0 4px; letter-spacing: -.01em }
h2 { font-size: 17px; margin: 36px 0 10px }
p { margin: 0 0 10px; color: var(--soft) }
.tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));
  margin: 24px 0 }
.tile, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px }
.tile { padding: 14px 16px }
.tile b { display: block; font-size: 24px; font-weight: 600; font-variant-numeric: tabular-nums }
.tile span { color: var(--soft); font-size: 13px }
.good b { color: var(--good) } .bad b { color: var(--bad) }
.card { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: 7px 12px; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top }
tr:last-child td { border-bottom: 0 }
th { font-size: 13px; font-weight: 600; white-space: nowrap }
th small { display: block; font-weight: 400; color: var(--soft) }
.number { text-align: right }
.total td { font-weight: 600; background: color-mix(in srgb, var(--accent) 8%, transparent) }
td.key { color: var(--soft); width: 12em } td.value { overflow-wrap: anywhere }
img { display: block; max-width: 100%; margin: 0 auto; background: #fff; border-radius: 10px }
"""


@writer
def write_report(
    generation_dir: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    count: int = 10,
    title: str | None = None,
) -> Path:
    """Write report.html, and the contact sheet in it, into a generation folder.

    Shows settings, counts of closed meshes, the scores if the folder was evaluated, pictures of
    `count` items, and the reasons of failures.

    Args:
        generation_dir: a folder that `generate` wrote, or its run folder.
        data: root of the store with the truth; default the one that was generated from.
        count: items in the contact sheet.
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
    heading = escape(title or root.resolve().name)
    sections = [
        f"<h1>{heading}</h1><p>{escape(_subtitle(settings))}</p>",
        _tiles(rows),
        _scores(root),
        _pictures(picture, min(count, len(rows)), len(rows)),
        _failures([row for row in rows if row["status"] != folder.OK]),
        _settings(settings),
    ]
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{heading}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(sections)}</main></body></html>\n"
    )
    path = root / folder.REPORT
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="xmlcharrefreplace")
    return path


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
    cells = (
        f'<div class="tile {"good" if good else "bad"}"><b>{number}</b><span>{words}</span></div>'
        for number, words, good in tiles
    )
    return f'<div class="tiles">{"".join(cells)}</div>'


def _scores(root: Path) -> str:
    path = root / folder.EVAL
    if not path.is_file():
        return ""
    protocol = read_json(root / folder.PROTOCOL, _PROTOCOL_KINDS)
    rows = [row for _, row in read_csv(path, ["category"])]
    if not rows:
        raise DataError(f"{path}: has no rows; make it again")
    heads = []
    for key in rows[0]:
        name, _, unit = key.rstrip("]").partition(" [")
        unit = f"<small>{escape(unit)}</small>" if unit else ""
        heads.append(f"<th>{escape(name.replace('_', ' '))}{unit}</th>")
    body = "".join(
        f'<tr class="{"total" if row["category"].startswith("mean") else ""}">'
        + f"<td>{escape(row['category'])}</td>"
        + "".join(_cell(value) for key, value in row.items() if key != "category")
        + "</tr>"
        for row in rows
    )
    return (
        "<h2>Scores</h2>"
        f"<p>Published protocol: {protocol['samples']:,} samples of each predicted surface (seed "
        f"{protocol['seed']}) against the stored surface points, IoU on the stored query points. "
        f"Truth: {escape(describe(protocol.get('labels') or {PUBLISHED: 1}))}. "
        "Distances are unsquared and in units of the longest edge; tables of the literature show "
        "ten times the number. The row “mean” is the unweighted mean over categories. "
        f"{escape(protocol.get('failed_rule') or _OLD_RULE)}</p>"
        f'<div class="card"><table><tr>{"".join(heads)}</tr>{body}</table></div>'
    )


def _cell(text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return f"<td>{escape(text)}</td>"
    return f'<td class="number">{text if number.is_integer() else f"{number:.4f}"}</td>'


def _pictures(picture: Path, shown: int, total: int) -> str:
    encoded = base64.b64encode(picture.read_bytes()).decode()
    return (
        f"<h2>Pictures</h2><p>{shown} of {total} items, from the categories in turn; each row from "
        'one side and at one scale.</p><div class="card">'
        f'<img alt="input, reconstruction and truth" src="data:image/png;base64,{encoded}"></div>'
    )


def _failures(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    return f"<h2>Failures</h2>{_pairs((_name(row), row['reason']) for row in rows)}"


def _name(row: Row) -> str:
    return f"{row['category']}/{row['model']}".lstrip("/")


def _settings(settings: dict[str, Any]) -> str:
    flat = {key: value for key, value in settings.items() if key != "config"}
    checkpoint = flat.pop("checkpoint")
    pairs = {"checkpoint": checkpoint["path"], "sha256": checkpoint["sha256"], **flat}
    shown = (
        (key, ", ".join(map(str, v)) if isinstance(v, list) else v) for key, v in pairs.items()
    )
    return f"<h2>Settings</h2>{_pairs(shown)}"


def _pairs(pairs: Iterable[tuple[str, Any]]) -> str:
    rows = (
        f'<tr><td class="key">{escape(key)}</td><td class="value">{escape(str(value))}</td></tr>'
        for key, value in pairs
        if value is not None
    )
    return f'<div class="card"><table>{"".join(rows)}</table></div>'
