"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

MISSING = "–"
FILE_WIDTH = 160  # characters, where the output is not a terminal


def format_cell(value: Any) -> str:
    """Return a cell as text: numbers with four decimals, yes and no, a dash for nothing."""
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}"
    return str(value)


def build_table(rows: Sequence[dict[str, Any]], title: str) -> Group:
    """Return the title above a table with the keys of the first row as columns, for a rich console.

    Args:
        rows: dictionaries with the same keys.
        title: says what is shown, in which units and measured how.
    """
    table = Table(box=SIMPLE_HEAD)
    for key, value in (rows[0] if rows else {}).items():
        is_number = isinstance(value, int | float)
        table.add_column(Text(key.replace("_", " ")), justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*(Text(format_cell(row[key])) for key in rows[0]))
    return Group(Text(title), table)


def print_table(rows: Sequence[dict[str, Any]], title: str) -> None:
    """Write title and table to standard output."""
    console = Console()
    if not console.is_terminal:
        console.width = FILE_WIDTH
    console.print(build_table(rows, title))
