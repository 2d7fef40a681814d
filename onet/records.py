"""JSON objects and tables in files: written atomically, and read from anybody."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any

from onet.errors import DataError
from onet.files import replacing
from onet.names import checked_path, printable

Row = dict[str, Any]

MAKE_IT_AGAIN = "delete it and make it again"
_SHOWN = 60  # characters of what a file holds, in a message


def read_json(path: Path, kinds: Mapping[str, type | UnionType] | None = None) -> dict[str, Any]:
    """Return a JSON object from a file.

    Args:
        path: of the file.
        kinds: see `check_kinds`.

    Raises:
        DataError: it is something else, or has entries of other kinds.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON ({error}); {MAKE_IT_AGAIN}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: is not a JSON object; {MAKE_IT_AGAIN}")
    check_kinds(content, kinds or {}, str(path))
    return content


def check_kinds(
    content: Mapping[str, Any], kinds: Mapping[str, type | UnionType], where: str
) -> None:
    """See that entries of a JSON object are of certain kinds; one that is not there is None.

    Raises:
        DataError: one is not.
    """
    for key, kind in kinds.items():
        value = content.get(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            shown = printable(repr(value))[:_SHOWN]
            raise DataError(f"{where}: {key!r} is {shown}; {MAKE_IT_AGAIN}")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON object atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_csv(
    path: Path, columns: Iterable[str] = (), numbers: Iterable[str] = ()
) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a table, each with the file and line that it is from.

    Args:
        path: of the table.
        columns: that it has to have.
        numbers: columns of numbers.

    Raises:
        DataError: no table in UTF-8, without one of the columns, or with something else for a
            number.
    """
    numbers = [*numbers]
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, restval="")
        try:
            for column in (*columns, *numbers):
                if column not in (reader.fieldnames or []):
                    raise DataError(f"{path}: has no column {column!r}; make it again")
            for row in reader:
                for column in numbers:
                    float(row[column])
                yield f"{path}: line {reader.line_num}", row
        except (csv.Error, ValueError) as error:
            raise DataError(f"{path}: is damaged ({error}); make it again") from None


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Row]) -> None:
    """Write a table atomically; keys of rows that are no column are left out.

    What is not UTF-8, such as parts of a path that a reason quotes, becomes escapes.
    """
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(columns), extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    with replacing(path) as temporary:
        temporary.write_bytes(table.getvalue().encode("utf-8", "backslashreplace"))


def check_names(row: Row, where: str) -> None:
    """See that the names in a row of a table stay in their folders.

    Raises:
        DataError: one of `category`, `model` and `mesh` does not.
    """
    for key in ("category", "model", "mesh"):
        if row.get(key):
            checked_path(row[key], f"{where}: column {key!r}")
