"""Pages of HTML that need nothing else: no network, no other file. What all of them have."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from onet.files import replacing
from onet.records import Row
from onet.report import mesh_viewer
from onet.report.mesh_viewer import MeshViews
from onet.report.tables import MISSING, format_cell

_INTERVAL = re.compile(r"\[-?[\d.]+, -?[\d.]+\]")

ROWS = 4000
"""Of a table on a page; more are in the CSV file beside it."""

STYLE = """
:root { color-scheme: light dark; --ink: #1f2430; --soft: #667085; --line: #e4e7ec;
  --page: #f7f8fa; --card: #fff; --accent: #2f6fde; --good: #1a7f4b; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #2b3240;
  --page: #12151b; --card: #1a1f28; --accent: #7aa7ff; --good: #4cc38a; --bad: #ff8a80; } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
main { max-width: 1200px; margin: 0 auto; padding: 40px 20px 80px }
h1 { font-size: 26px; margin: 0 0 4px; letter-spacing: -.01em; overflow-wrap: anywhere }
h2 { font-size: 17px; margin: 36px 0 10px }
h3 { font-size: 14px; margin: 18px 0 6px; overflow-wrap: anywhere }
.card h3 { margin: 14px 12px 0 }
p { margin: 0 0 10px; color: var(--soft); overflow-wrap: anywhere }
.tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));
  margin: 24px 0 }
.tile, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px }
.tile { padding: 14px 16px }
.tile b { display: block; font-size: 24px; font-weight: 600; font-variant-numeric: tabular-nums }
.tile span { color: var(--soft); font-size: 13px }
.good b { color: var(--good) } .bad b { color: var(--bad) }
.card { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: 6px 9px; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top; font-size: 14px }
tr:last-child td { border-bottom: 0 }
th { font-size: 12.5px; font-weight: 600; vertical-align: bottom }
th small { display: block; font-weight: 400; color: var(--soft) }
td { overflow-wrap: break-word } td:first-child { min-width: 8em; max-width: 22em }
.number { text-align: right }
.total td { font-weight: 600; background: color-mix(in srgb, var(--accent) 8%, transparent) }
td.key { color: var(--soft); width: 12em; min-width: 7em } td.value { overflow-wrap: anywhere }
.items { max-height: 520px; overflow: auto }
.items td { font-size: 13px; padding: 5px 6px } .items th { font-size: 12px }
.items td:first-child, .items td:last-child { overflow-wrap: anywhere; min-width: 8em }
.items td.number:last-child { min-width: 0 }
.items th { position: sticky; top: 0; z-index: 1; background: var(--card); padding: 0 }
.items th button { all: unset; box-sizing: border-box; cursor: pointer; width: 100%;
  padding: 5px 6px; text-align: inherit }
.items th button:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px }
.items th[aria-sort=ascending] button::after { content: " ↑" }
.items th[aria-sort=descending] button::after { content: " ↓" }
.charts { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(260px, 1fr)) }
.chart { padding: 10px 14px; font-size: 13px } .chart svg { display: block; width: 100% }
.chart rect { fill: var(--accent) } .chart .failed { fill: var(--bad) }
.chart text { fill: var(--soft); font-size: 11px } .chart line { stroke: var(--soft) }
img { display: block; max-width: 100%; margin: 0 auto; background: #fff; border-radius: 10px }
button, select { font: inherit }
"""

SORT = """
document.querySelectorAll(".items th").forEach(head => {
  const table = head.closest("table"), column = head.cellIndex;
  head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending", sign = up ? 1 : -1;
    table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = row => {  // what is not known comes last, whichever way
      const cell = row.cells[column], text = cell.textContent;
      return text === "–" ? [2, 0] : "value" in cell.dataset ? [0, +cell.dataset.value] : [1, text];
    };
    const rows = [...table.rows].slice(1).map(row => [key(row), row]);
    rows.sort(([[x, p]], [[y, q]]) => x - y || sign * (p < q ? -1 : p > q ? 1 : 0));
    rows.forEach(([, row]) => table.tBodies[0].append(row));
  });
});
"""


def write_html(
    path: Path, heading: str, sections: Sequence[str], views: MeshViews | None = None
) -> Path:
    """Write a page.

    Args:
        path: of the file.
        heading: its title, as text.
        sections: HTML of what is below, top to bottom.
        views: of the meshes in the sections.
    """
    drawn = views.script() if views else ""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(heading)}</title><style>{STYLE}{mesh_viewer.STYLE}</style></head>"
        f"<body><main>{''.join(sections)}</main>{drawn}<script>{SORT}</script></body></html>\n"
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="xmlcharrefreplace")
    return path


def title(heading: str, words: str) -> str:
    """Return the heading of a page with a line below."""
    return f"<h1>{escape(heading)}</h1><p>{escape(words)}</p>"


def table(
    heading: str,
    rows: Sequence[Row],
    words: str = "",
    *,
    units: dict[str, str] | None = None,
    emphasized: Iterable[int] = (),
) -> str:
    """Return a table with the keys of the first row as columns; nothing without rows.

    Args:
        heading: above it.
        rows: with the same keys.
        words: a paragraph above it.
        units: of columns, by their keys.
        emphasized: numbers of the rows that count most.
    """
    if not rows:
        return ""
    heads = "".join(f"<th{_aligned(rows, key)}>{_head(key, units)}</th>" for key in rows[0])
    body = _body(rows, frozenset(emphasized))
    return f'{_above(heading, words)}<div class="card"><table><tbody><tr>{heads}</tr>{body}'\
        "</tbody></table></div>"  # fmt: skip


def sortable_table(
    heading: str, rows: Sequence[Row], words: str = "", *, units: dict[str, str] | None = None
) -> str:
    """Return a table of which a click on a heading sorts the rows; see `table`."""
    if not rows:
        return ""
    heads = "".join(
        f"<th{_aligned(rows, key)}><button>{_head(key, units)}</button></th>" for key in rows[0]
    )
    words += " A click on a heading sorts."
    if len(rows) > ROWS:
        words += f" The first {ROWS:,} of {len(rows):,} rows; all are in the CSV file."
    return (
        f'{_above(heading, words.strip())}<div class="card items"><table><tbody><tr>{heads}</tr>'
        f"{_body(rows[:ROWS])}</tbody></table></div>"
    )


def _above(heading: str, words: str) -> str:
    return f"<h2>{escape(heading)}</h2>" + (f"<p>{escape(words)}</p>" if words else "")


def _head(key: str, units: dict[str, str] | None) -> str:
    unit = (units or {}).get(key, "")
    return escape(key.replace("_", " ")) + (f"<small>{escape(unit)}</small>" if unit else "")


def _aligned(rows: Sequence[Row], key: str) -> str:
    numbers = any(_is_number(row[key]) for row in rows)
    return ' class="number"' if numbers else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _body(rows: Sequence[Row], emphasized: frozenset[int] = frozenset()) -> str:
    numbers = {key for key in rows[0] if _aligned(rows, key)}
    return "".join(
        f"<tr{' class=' + chr(34) + 'total' + chr(34) if number in emphasized else ''}>"
        + "".join(_cell(row[key], key in numbers) for key in rows[0])
        + "</tr>"
        for number, row in enumerate(rows)
    )


def _cell(value: Any, number: bool) -> str:
    text = escape(format_cell(value))
    if _is_number(value) and text != MISSING:
        return f'<td class="number" data-value="{float(value)!r}">{text}</td>'
    if _INTERVAL.search(text):
        text = text.replace(", ", ",\u00a0")  # brackets are not broken
    return f'<td class="number">{text}</td>' if number else f"<td>{text}</td>"


def listing(heading: str, lines: Sequence[str]) -> str:
    """Return lines below a heading; nothing where there are none."""
    if not lines:
        return ""
    rows = "".join(f'<tr><td class="value">{escape(line)}</td></tr>' for line in lines)
    return f'<h2>{escape(heading)}</h2><div class="card"><table>{rows}</table></div>'


def pairs(heading: str, named: Iterable[tuple[str, Any]]) -> str:
    """Return values with their names; those that are None are left out."""
    rows = "".join(
        f'<tr><td class="key">{escape(key)}</td><td class="value">{escape(str(value))}</td></tr>'
        for key, value in named
        if value is not None
    )
    return (
        f'<h2>{escape(heading)}</h2><div class="card"><table>{rows}</table></div>' if rows else ""
    )


def tiles(counts: Iterable[tuple[str, str, bool]]) -> str:
    """Return numbers with what they count, and whether that is good."""
    cells = (
        f'<div class="tile {"good" if good else "bad"}"><b>{escape(number)}</b>'
        f"<span>{escape(words)}</span></div>"
        for number, words, good in counts
    )
    return f'<div class="tiles">{"".join(cells)}</div>'


def picture(path: Path, words: str) -> str:
    """Return a PNG file as part of the page."""
    encoded = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<div class="card"><img alt="{escape(words)}" src="data:image/png;base64,{encoded}"></div>'
    )
