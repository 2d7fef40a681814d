"""Point clouds from text: tables of any separator and heading, PTS, PTX."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.clouds.cloud import PointCloud, check_points, make_cloud
from onet.geometry.clouds.columns import Columns, find_columns
from onet.geometry.clouds.text_layout import (
    Layout,
    cut_heading,
    is_number,
    read_layout,
    split,
    uncommented,
)

logger = logging.getLogger(__name__)

TABLE_SUFFIXES = (".xyz", ".txt", ".csv", ".asc", ".tsv", ".pts", ".xyzn", ".xyzrgb")
KEPT = 10
"""Columns without names that are looked at."""

_MEANT = {".xyzn": True, ".xyzrgb": False}
"""Whether what follows the position in files with this suffix is the normal, else the colour."""

_SPECIAL = frozenset("#/%!;*'\"\ufeff")


class _Table(NamedTuple):
    values: NDArray[np.float64]  # (N, C), the columns that are used, in their order
    used: tuple[int, ...]


def read_table(path: Path) -> PointCloud:
    """Return a `PointCloud` from a table with one point a line.

    A heading says which columns are x, y, z, the normal and the colour. Without one the first three
    are x, y, z, and of others those are normals that have length 1, and those colours that are
    whole numbers in 0..255.

    Raises:
        DataError: no text, no points, lines of several lengths, what is no number, or a table that
            can be read in several ways.
    """
    layout = read_layout(path)
    if layout is None:
        raise DataError(f"{path}: contains no points; give x, y, z for each on a line of its own")
    table = _read_rows(path, layout)
    found = layout.columns or _unnamed(path, table.values, layout.width)
    at = {number: column for column, number in enumerate(table.used)}

    def pick(numbers: tuple[int, int, int] | None) -> NDArray[np.float64] | None:
        if numbers is None:
            return None
        places = [at[number] for number in numbers]
        if places == [*range(table.values.shape[1])]:
            return table.values
        return table.values[:, places]

    if layout.width < 3:
        return make_cloud(check_points(table.values, str(path)), name=str(path))
    return make_cloud(pick(found.points), pick(found.normals), pick(found.colors), str(path))


def _read_rows(path: Path, layout: Layout) -> _Table:
    if layout.columns is None:
        used: tuple[int, ...] = tuple(range(min(layout.width, KEPT)))
    else:
        c = layout.columns
        used = tuple(dict.fromkeys((*c.points, *(c.normals or ()), *(c.colors or ()))))
    numbers = array("d")  # eight bytes a number: clouds have millions of lines
    rows = _Rows(path, layout, used)
    with path.open(encoding=layout.encoding, errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if number >= layout.first and (row := rows.read(number, line)) is not None:
                numbers.extend(row)
    rows.finish(len(numbers) // len(used))
    return _Table(np.frombuffer(numbers, dtype=np.float64).reshape(-1, len(used)), used)


class _Rows:
    """Reads line after line: the used numbers of each, or None where a line has none."""

    def __init__(self, path: Path, layout: Layout, used: tuple[int, ...]) -> None:
        self.path = path
        self.layout = layout
        self.used = used
        self.pick = itemgetter(*used) if len(used) > 1 else lambda cells: (cells[used[0]],)
        self.announced = layout.count

    def read(self, number: int, line: str) -> Sequence[float] | None:
        layout = self.layout
        if layout.all_commas:
            return self.read_carefully(number, line)
        text = line.strip()
        if not text:
            return None
        if text[0] not in _SPECIAL and "_" not in text:
            cells = (text.replace(",", ".") if layout.comma else line).split(layout.separator)
            if len(cells) == layout.width:
                try:
                    return [*map(float, self.pick(cells))]
                except ValueError:
                    pass  # said below, or quotes
        return self.read_carefully(number, line)

    def read_carefully(self, number: int, line: str) -> Sequence[float] | None:
        layout, where = self.layout, f"{self.path}: line {number}"
        said = uncommented(line)
        if said is not None and not (line.lstrip()[0] == ";" and layout.separator == ";"):
            self._refuse_other_heading(where, said)
            return None
        if not line.strip(" \t\r\n,;|"):
            return None
        try:
            cells = split(line.partition("#")[0], layout.separator)
        except ValueError as error:
            raise DataError(f"{where}: {error}; close the quotes") from None
        if layout.count is not None and len(cells) == 1 and cells[0].isdecimal():
            self.announced = (self.announced or 0) + int(cells[0][:18])
            return None
        if layout.names and [c.lower() for c in cells] == [n.lower() for n in layout.names]:
            return None  # as in files that were joined
        while len(cells) > layout.width and not cells[-1]:
            cells.pop()
        if len(cells) != layout.width:
            raise DataError(
                f"{where} has {len(cells)} columns, the first one {layout.width}; give each point "
                "x, y, z on a line of its own, and all lines the same columns"
            )
        return [self._number(where, i, cells[i]) for i in self.used]

    def _number(self, where: str, column: int, cell: str) -> float:
        layout = self.layout
        text = cell.replace("\N{MINUS SIGN}", "-")
        if layout.comma:
            text = text.replace(",", ".")
        name = f"column {column + 1}" + (f" ({layout.names[column]!r})" if layout.names else "")
        if is_number(text) and "_" not in text and "," not in text:
            position = (0, 1, 2) if layout.columns is None else layout.columns.points
            if layout.all_commas and column in position and "," not in cell:
                raise DataError(
                    f"{where}: {cell!r} in {name} has no comma as all above have, which may "
                    "separate thousands then; write decimal points"
                )
            return float(text)
        if layout.columns is None and column > 2:
            return np.nan  # not used unless it is a number
        what = f"{cell!r} in {name} is no number" if cell else f"{name} is empty"
        raise DataError(f"{where}: {what}; correct or remove the line")

    def _refuse_other_heading(self, where: str, said: str) -> None:
        names = self.layout.names
        if not names or not said:
            return
        cells = cut_heading(said, self.layout.separator)
        if len(cells) != len(names):
            return
        other = find_columns(cells, where)
        if other is not None and other != self.layout.columns:
            raise DataError(f"{where}: another heading in the middle; make two files of it")

    def finish(self, count: int) -> None:
        """Refuse another number of points than the count lines announce."""
        if self.announced is not None and count != self.announced:
            raise DataError(
                f"{self.path}: announces {self.announced} points and has {count}; it is cut short "
                "or damaged, export it again"
            )


def _unnamed(path: Path, values: NDArray[np.float64], width: int) -> Columns:
    """Return the columns of a table without heading, by their values.

    Raises:
        DataError: the first column counts or keeps time, or the points are not the first columns.
    """
    points = (0, 1, 2)
    if width < 4 or not len(values):
        return Columns(points)
    _refuse_counting(path, values)
    normals = colors = None
    starts = [s for s in (3, 4, 6, 7) if s + 3 <= values.shape[1]]
    if path.suffix.lower() in _MEANT and width >= 6:
        triple = (3, 4, 5)
        return Columns(points, *((triple, None) if _MEANT[path.suffix.lower()] else (None, triple)))
    normals = next((s for s in starts if _are_normals(values[:, s : s + 3])), None)
    free = [s for s in starts if normals is None or abs(s - normals) >= 3]
    if path.suffix.lower() == ".pts":
        free.sort(key=lambda start: start != 4)  # behind the intensity
    colors = next((s for s in free if _are_colors(values[:, s : s + 3])), None)
    if normals is None and width >= 6 and _are_normals(values[:, :3]):
        raise DataError(
            f"{path}: the first three columns are normals, as all have length 1; name the columns "
            "in a first line (nx ny nz x y z)"
        )
    if colors is None and width >= 6 and _are_colors(values[:, :3]) and (values[:, 3:6] % 1).any():
        raise DataError(
            f"{path}: the first three columns may be colours, as all are whole numbers in 0..255; "
            "name the columns in a first line (r g b x y z)"
        )
    told = [f"{s + 1} to {s + 3} as the {what}" for s, what in ((normals, "normal"),
            (colors, "colour")) if s is not None]  # fmt: skip
    logger.log(
        logging.WARNING if width > KEPT else logging.INFO,
        "%s: has no heading; of %d columns the first 3 are used as x, y, z%s",
        path, width, "".join(f", {part}" for part in told),
    )  # fmt: skip
    triples = [None if s is None else (s, s + 1, s + 2) for s in (normals, colors)]
    return Columns(points, triples[0], triples[1])


def _refuse_counting(path: Path, values: NDArray[np.float64]) -> None:
    """Refuse, or warn of, a first column that is no coordinate."""
    first = values[:, 0]
    if len(first) < 3 or not np.isfinite(values[:, :5]).all():
        return
    steps = np.diff(first)
    if steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-6, atol=0):
        raise DataError(
            f"{path}: the first of {values.shape[1]} columns counts {first[0]:g}, {first[1]:g}, "
            f"{first[2]:g}, ... as row numbers or times do; name the columns in a first line, "
            "for instance 'index x y z'"
        )
    parted = (values[:, :5] % 1 != 0).mean(axis=0) > 0.5  # columns of numbers with decimals
    whole = (values[:, :2] % 1 == 0).all(axis=0)
    places = 2 if values.shape[1] > 4 and whole.all() else 1
    if whole[:places].all() and parted[places : places + 3].all():
        which = "two hold" if places > 1 else "holds"
        raise DataError(
            f"{path}: of {values.shape[1]} columns the first {which} "
            "whole numbers and the next three do not, as after row numbers or labels; name the "
            "columns in a first line, for instance 'label x y z'"
        )
    if len(first) >= 5 and (steps > 0).all():
        logger.warning(
            "%s: the first column, used as x, only ever grows; if it is a time or a number, name "
            "the columns in a first line", path,
        )  # fmt: skip


def _are_normals(values: NDArray[np.float64]) -> bool:
    lengths = np.linalg.norm(values, axis=1)
    return bool(np.isfinite(lengths).all() and (np.abs(lengths - 1) < 0.02).mean() > 0.99)


def _are_colors(values: NDArray[np.float64]) -> bool:
    if not np.isfinite(values).all():
        return False
    whole = (values % 1 == 0).all() and values.min() >= 0
    return bool(whole and 1 < values.max() <= 255)


def read_ptx(path: Path) -> PointCloud:
    """Return a `PointCloud` from PTX: all its scans, moved by the transform of each.

    Rows of zeros, which stand for rays that hit nothing, are left out. The sensor of a scan with
    rows and columns is at the origin of the scan; a list of points has none.

    Raises:
        DataError: a header or line that is none of PTX, or fewer points than it announces.
    """
    points: list[NDArray[np.float64]] = []
    colors: list[NDArray[np.float64]] = []
    sensors: list[NDArray[np.float64]] = []
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        lines = ((n, cells) for n, line in enumerate(stream, 1) if (cells := line.split()))
        while (head := _scan_header(path, lines)) is not None:
            columns, rows, matrix = head
            table = _ptx_rows(path, lines, columns * rows)
            hit = table[:, :3].any(axis=1)
            points.append(table[hit, :3] @ matrix[:3, :3] + matrix[3, :3])
            place = matrix[3, :3] if min(columns, rows) > 1 else np.full(3, np.nan)
            sensors.append(np.broadcast_to(place, points[-1].shape))
            if table.shape[1] >= 7:
                colors.append(table[hit, 4:7])
    if not points:
        raise DataError(f"{path}: contains no points; export it again")
    painted = np.concatenate(colors) if len(colors) == len(points) else None
    places = np.concatenate(sensors)
    return make_cloud(np.concatenate(points), None, painted, str(path), places)


def _scan_header(
    path: Path, lines: Iterator[tuple[int, list[str]]]
) -> tuple[int, int, NDArray[np.float64]] | None:
    """Columns, rows and the transform (4, 4) of row vectors of the next scan; None at the end."""
    head = [cells for _, cells in zip(range(10), lines, strict=False)]
    if not head:
        return None
    try:
        number = head[0][0]
        sizes = [int(cells[0]) for _, cells in head[:2]]
        matrix = np.array([[float(cell) for cell in cells] for _, cells in head[6:]])
        good = [len(cells) for _, cells in head] == [1, 1, 3, 3, 3, 3, 4, 4, 4, 4]
    except (ValueError, IndexError):
        good = False
        number = head[0][0]
    if not good or min(sizes) < 1 or not np.isfinite(matrix).all():
        raise DataError(
            f"{path}: line {number} begins no scan of PTX (columns, rows, position, axes and "
            "transform, ten lines); export it again"
        )
    return sizes[0], sizes[1], matrix


def _ptx_rows(
    path: Path, lines: Iterator[tuple[int, list[str]]], count: int
) -> NDArray[np.float64]:
    numbers, width, read = array("d"), 0, 0
    for number, cells in lines:
        width = width or len(cells)
        try:
            row = [*map(float, cells)]
        except ValueError:
            row = []
        if width not in (3, 4, 6, 7) or len(row) != width:
            raise DataError(f"{path}: line {number} is no point of PTX; export it again")
        numbers.extend(row)
        read += 1
        if read == count:
            break
    if read < count:
        raise DataError(f"{path}: announces {count} points and has {read}; it is cut short")
    return np.frombuffer(numbers, dtype=np.float64).reshape(-1, width)
