"""How a table of points is written as text: encoding, separators, decimal marks, heading."""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import dataclass
from pathlib import Path

from onet.errors import DataError
from onet.geometry.clouds.columns import Columns, find_columns, looks_like_names

SAMPLE_LINES = 1000
SAMPLE_CHARACTERS = 1 << 20
MOST_COLUMNS = 1000
MARKS = ("#", "//", "%", "!", ";", "*")
"""What comment lines begin with; the semicolon only where it does not separate columns."""

_NUMERIC = re.compile(r"[+-]?[\d.,]*\d[\d.,]*(?:[eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?(?:\d+,\d*|,\d+)(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+")
_BRACKETS = re.compile(r"\s+(?=[\(\[\{<][^\)\]\}>]*[\)\]\}>])")
_ANY_SEPARATOR = re.compile(r"[\s,;|]+")
_SEPARATORS = (None, ",", ";", "\t", "|")
_BLANKS = " \t\r\n\f\v\ufeff"


@dataclass(frozen=True)
class Layout:
    """How the lines of a table are read.

    Attributes:
        encoding: name of a codec.
        first: number of the first line with data, counted from 1.
        separator: between columns; None for white space.
        comma: numbers have decimal commas.
        all_commas: every coordinate has one, so that one without is a number in thousands.
        width: columns of a line.
        names: the heading, one name a column, or none.
        columns: where x, y, z and so on are; None if no heading says so.
        count: points that a line before the first announces.
    """

    encoding: str
    first: int
    separator: str | None
    comma: bool
    all_commas: bool
    width: int
    names: tuple[str, ...]
    columns: Columns | None
    count: int | None


def read_layout(path: Path) -> Layout | None:
    """Return the layout of a file by its first lines; None if they have no numbers.

    Raises:
        DataError: it is not text, or can be read in several ways.
    """
    encoding = _encoding(path)
    lines = _first_lines(path, encoding)
    first, heading, count = _find_data(lines)
    if any(line.lower().startswith("ncols") for _, line in heading):
        raise DataError(f"{path}: is a raster (ncols, nrows), no table of points; convert it")
    below = [line.partition("#")[0].rstrip() for line in lines[first:]]
    rows = [line for line in below if _numbers(line) >= 2 and line[0] not in "/%!*"]
    if not rows:
        return None
    separator = _separator(rows)
    cells = [split(row, separator) for row in rows]
    width = len(cells[0])
    if width > MOST_COLUMNS:
        raise DataError(
            f"{path}: line {first + 1} has {width} columns; write each point on a line of its own"
        )
    where = f"{path}: line {first + 1}"
    names, columns = _headed(path, heading, separator, cells)
    _refuse_counted_names(path, first, cells, names)
    comma, all_commas = _decimal_mark(where, separator, cells, columns)
    if not columns and separator == "," and width > 3 and not any("." in row for row in rows):
        raise DataError(
            f"{where}: {width} columns of whole numbers between commas can be decimal commas; "
            "write decimal points, or name the columns in a first line (x,y,z,...)"
        )
    return Layout(encoding, first + 1, separator, comma, all_commas, width, names, columns, count)


def split(line: str, separator: str | None) -> list[str]:
    """Return the cells of a line without blanks and quotes around them.

    Raises:
        ValueError: quotes that are not closed.
    """
    text = line.strip(_BLANKS if separator != "\t" else " \r\n\ufeff")
    if '"' in text and separator is not None:
        try:
            cells = next(csv.reader([text], delimiter=separator, skipinitialspace=True), [])
        except csv.Error as error:
            raise ValueError(str(error)) from None
    else:
        cells = text.split(separator)
    return [cell.strip(_BLANKS + "\"'") for cell in cells]


def uncommented(line: str) -> str | None:
    """What a comment line says, None of any other; lines that begin with `;` are taken for such."""
    text = line.strip(_BLANKS)
    return text.lstrip("#/%!;*").strip() if text.startswith(MARKS) else None


def is_number(text: str) -> bool:
    """Return whether this is a number, with a decimal point or a decimal comma."""
    try:
        float(text.replace(",", ".", 1))
    except ValueError:
        return False
    return True


def _encoding(path: Path) -> str:
    with path.open("rb") as stream:
        head = stream.read(4096)
    for mark, name in (
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe\0\0", "utf-32"),
        (b"\0\0\xfe\xff", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if head.startswith(mark):
            return name
    if b"\0" not in head:
        try:
            codecs.getincrementaldecoder("utf-8")().decode(head)
        except UnicodeDecodeError:
            return "cp1252"  # of Windows, which Latin-1 is a part of
        return "utf-8"
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) > 0.4 * len(head) and min(even, odd) == 0:
        return "utf-16-be" if even else "utf-16-le"
    raise DataError(f"{path}: is not text, it holds zero bytes; check what kind of file it is")


def _first_lines(path: Path, encoding: str) -> list[str]:
    lines: list[str] = []
    left = SAMPLE_CHARACTERS
    with path.open(encoding=encoding, errors="replace") as stream:
        while len(lines) < SAMPLE_LINES and left > 0 and (line := stream.readline(left)):
            left -= len(line)
            lines.append(line.strip(" \r\n\ufeff"))
    if left <= 0 and len(lines) > 1:
        lines.pop()  # cut in the middle
    return lines


def _find_data(lines: list[str]) -> tuple[int, list[tuple[bool, str]], int | None]:
    """Number of the first line of data, the lines of text before it, and a count among them."""
    heading: list[tuple[bool, str]] = []
    count, named = None, False
    for number, line in enumerate(lines):
        if not line.strip(" \t,;|"):
            continue
        said = uncommented(line)
        if said is not None and not (line[0] == ";" and _numbers(line) >= 3):
            heading.append((True, line))
            named = named or any(looks_like_names(cut_heading(said, s)) for s in _SEPARATORS)
            continue
        tokens = [token for token in _ANY_SEPARATOR.split(line.strip()) if token]
        if len(tokens) == 1 and tokens[0].isdecimal() and count is None:
            count = int(tokens[0][:18])
            continue
        numbers = _numbers(line)
        if (numbers >= 2 and 2 * numbers >= len(tokens)) or (named and numbers):
            return number, heading, count
        heading.append((False, line))
        named = named or any(looks_like_names(cut_heading(line, s)) for s in _SEPARATORS)
    return len(lines), heading, count


def _numbers(line: str) -> int:
    tokens = _ANY_SEPARATOR.split(line.replace('"', " "))
    return sum(1 for token in tokens if token and is_number(token))


def _separator(rows: list[str]) -> str | None:
    for separator in ";|":
        if all(separator in row.rstrip(f"{separator} \t") for row in rows):
            return separator
    if all("\t" in row.strip() for row in rows) and not any(
        " " in cell.strip() for row in rows for cell in row.split("\t")
    ):
        return "\t"
    if not any("," in row.rstrip(", ") for row in rows):
        return "," if all(row.endswith(",") and " " not in row for row in rows) else None
    spaced = [row.split() for row in rows]
    if all(len(cells) > 1 and all(map(is_number, cells)) for cells in spaced) and not any(
        cell.endswith(",") for cells in spaced for cell in cells
    ):
        return None
    return ","


def cut_heading(text: str, separator: str | None) -> list[str]:
    """Return the names in a heading; units in brackets stay with their names."""
    if separator is None:
        text = _BRACKETS.sub("", text.strip())
    try:
        return split(text, separator)
    except ValueError:
        return []


def _headed(
    path: Path, heading: list[tuple[bool, str]], separator: str | None, cells: list[list[str]]
) -> tuple[tuple[str, ...], Columns | None]:
    """Names of the columns and which are x, y, z, by the last line of text that says so."""
    width = len(cells[0])
    order = (separator, *(other for other in _SEPARATORS if other != separator))
    for comment, line in reversed(heading):
        said = uncommented(line) if comment else line
        texts = {line, said or ""} if line.startswith(";") and separator == ";" else {said or ""}
        cuts = [cut_heading(text, mark) for text in sorted(texts) for mark in order]
        fitting = [names for names in cuts if len(names) == width and looks_like_names(names)]
        if not fitting:
            fitting = [_widened(names, cells) for names in cuts if looks_like_names(names)]
        if not fitting:
            continue
        names = fitting[0]
        if len(names) != width:
            raise DataError(
                f"{path}: the heading names {len(names)} columns and the first line of numbers has "
                f"{width}; give each column its name, and write decimal points if these are "
                "decimal commas"
            )
        return tuple(names), find_columns(names, str(path))
    _refuse_other_names(path, heading, separator, width)
    return (), None


def _widened(names: list[str], cells: list[list[str]]) -> list[str]:
    """Names with one for a column of row numbers in front or of nothing behind, if one is there."""
    if len(names) + 1 != len(cells[0]) or any(len(row) != len(cells[0]) for row in cells):
        return names
    if not any(row[-1] for row in cells):
        return [*names, ""]
    first = [row[0] for row in cells]
    if all(cell.isdecimal() for cell in first):
        numbers = [int(cell[:18]) for cell in first]
        if numbers[0] in (0, 1) and numbers == [*range(numbers[0], numbers[0] + len(first))]:
            return ["", *names]
    return names


def _refuse_other_names(
    path: Path, heading: list[tuple[bool, str]], separator: str | None, width: int
) -> None:
    """Refuse a heading right above the numbers that names every column, but not x, y, z."""
    if not heading or heading[-1][0]:
        return
    names = cut_heading(heading[-1][1], separator)
    axes = {name.lower() for name in names} & {"x", "y", "z"}
    if len(names) == width and (axes or separator is not None or width > 3):
        shown = ", ".join(repr(name) for name in names[:12])
        raise DataError(
            f"{path}: the heading names the columns {shown} and not all of x, y, z; call those of "
            "the points so"
        )


def _refuse_counted_names(
    path: Path, first: int, cells: list[list[str]], names: tuple[str, ...]
) -> None:
    """Refuse a line 0,1,2,... above numbers with decimals, as tables without names begin."""
    counted = [cell for cell in cells[0] if cell]
    if names or len(cells) < 2 or counted != [str(number) for number in range(len(counted))]:
        return
    if any("." in cell for row in cells[1:] for cell in row) and len(counted) > 2:
        raise DataError(
            f"{path}: line {first + 1} counts columns ({', '.join(counted[:4])}...) or is a point, "
            "which cannot be told; name the columns x, y, z, or write 0.0 for the point"
        )


def _decimal_mark(
    where: str, separator: str | None, cells: list[list[str]], columns: Columns | None
) -> tuple[bool, bool]:
    """Return whether numbers have decimal commas, and whether all of them do."""
    numeric = [cell for row in cells for cell in row if _NUMERIC.fullmatch(cell)]
    commas = [cell for cell in numeric if "," in cell]
    if not commas:
        return False, False
    if any("." in cell for cell in numeric) or not all(map(_COMMA.fullmatch, commas)):
        raise DataError(
            f"{where}: has commas within numbers that are not all decimal commas "
            f"({commas[0]!r}); write decimal points and no separators of thousands"
        )
    if not all(map(_THOUSANDS.fullmatch, commas)):
        return True, False
    used = range(min(3, len(cells[0]))) if columns is None else columns.points
    all_commas = all("," in row[i] for row in cells for i in used if i < len(row))
    if separator == ";" and all_commas:
        return True, True
    raise DataError(
        f"{where}: commas as in {commas[0]!r} can be decimal commas or separate thousands; write "
        "decimal points"
    )
