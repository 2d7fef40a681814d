"""A study: tables and pictures about one question, and the folder that it is written to."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onet.files import replacing
from onet.locks import hold, writer
from onet.report.page import STYLE
from onet.report.tables import format_cell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, Any]  # column -> text, number, bool or None

PAGE = "report.html"
RESULTS = "results.json"
DOTS = 110  # an inch


@dataclass(frozen=True)
class TablePart:
    """Rows with the same keys under a caption; written to `name`.csv."""

    name: str
    caption: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class FigurePart:
    """A picture under a caption; written to `name`.png."""

    name: str
    caption: str
    figure: Figure


@dataclass(frozen=True)
class Study:
    """Title, a paragraph that says what is shown, its parts, and the settings they came from."""

    title: str
    text: str
    settings: dict[str, Any]
    parts: list[TablePart | FigurePart] = field(default_factory=list)

    @property
    def tables(self) -> list[TablePart]:
        return [part for part in self.parts if isinstance(part, TablePart)]

    @writer
    def write(self, folder: Path) -> Path:
        """Write tables as CSV, pictures as PNG, all numbers with the settings as JSON, and a page.

        Returns:
            The path of the page, which needs no other file.
        """
        hold(folder)
        sections = [f"<h1>{escape(self.title)}</h1><p>{escape(self.text)}</p>"]
        for part in self.parts:
            sections.append(f"<h2>{escape(part.caption)}</h2>")
            if isinstance(part, TablePart):
                with replacing(folder / f"{part.name}.csv") as path:
                    _write_csv(path, part.rows)
                sections.append(_html_table(part.rows))
            else:
                png = _png(part.figure)
                with replacing(folder / f"{part.name}.png") as path:
                    path.write_bytes(png)
                encoded = base64.b64encode(png).decode()
                sections.append(
                    f'<div class="card"><img alt="{escape(part.caption)}" '
                    f'src="data:image/png;base64,{encoded}"></div>'
                )
        sections.append("<h2>Settings</h2>" + _html_table([self.settings]))
        numbers = {part.name: list(part.rows) for part in self.tables}
        with replacing(folder / RESULTS) as path:
            text = json.dumps({"settings": self.settings, **numbers}, indent=1, default=str)
            path.write_text(text + "\n", encoding="utf-8")
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{STYLE}</style></head>"
            f"<body><main>{''.join(sections)}</main></body></html>\n"
        )
        with replacing(folder / PAGE) as path:
            path.write_text(page, encoding="utf-8")
        return folder / PAGE


def shown_eigenvalues(values: Any, digits: int = 4) -> str:
    """Eigenvalues as text: a conjugate pair once, with +-."""
    words = []
    for value in values:
        real, imaginary = round(float(value.real), digits) + 0.0, round(float(value.imag), digits)
        if imaginary > 0:
            words.append(f"{real:.{digits}f} ± {imaginary:.{digits}f}i")
        elif imaginary == 0:
            words.append(f"{real:.{digits}f}")
    return ", ".join(
        f"{word} (x{words.count(word)})" if words.count(word) > 1 else word
        for word in dict.fromkeys(words)
    )


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS, metadata={"Software": None})
    return buffer.getvalue()


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _html_table(rows: Sequence[Row]) -> str:
    heads = "".join(f"<th>{escape(key.replace('_', ' '))}</th>" for key in rows[0])
    body = "".join(f"<tr>{''.join(_html_cell(v) for v in row.values())}</tr>" for row in rows)
    return f'<div class="card"><table><tr>{heads}</tr>{body}</table></div>'


def _html_cell(value: Any) -> str:
    kind = ' class="number"' if isinstance(value, int | float) else ""
    return f"<td{kind}>{escape(shown(value))}</td>"


def shown(value: Any) -> str:
    """Return a cell as text; numbers too small for four decimals in powers of ten."""
    if isinstance(value, float) and (0 < abs(value) < 1e-3 or abs(value) >= 1e5):
        return f"{value:.2e}"
    return format_cell(value)
