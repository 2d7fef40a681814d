"""Samples of a generator of pictures on one sheet: rows of pictures, each class with its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from onet.files import replacing
from onet.inference import generation_folder as folder
from onet.names import printable
from onet.records import Row

COLUMNS = 8
MOST_ROWS = 8
"""Of a class that is alone; several have two rows each, and more than `MOST_CLASSES` one."""
MOST_CLASSES = 8
MOST_SHOWN = 32
"""Classes on a sheet; of the others only the number is told."""
_SMALLEST, _LARGEST, _GAP, _LINE = 64, 256, 2, 18
_INK = (34, 38, 46)


def sample_sheet(
    pictures: Sequence[Sequence[NDArray[np.uint8]]],
    names: Sequence[str],
    path: Path,
    left_out: int = 0,
) -> Path:
    """Draw the pictures of several classes, each under its name; small ones with larger pixels.

    Args:
        pictures: of each class, (S, S, 3) all; beyond 256 pixels they are made smaller.
        names: of the classes; an empty one takes no room.
        path: the PNG file.
        left_out: number of classes that are not there, for a line at the end.
    """
    size = len(pictures[0][0])
    edge = min(size * max(1, -(-_SMALLEST // size)), _LARGEST)
    cell = edge + _GAP
    rows = [-(-len(these) // COLUMNS) for these in pictures]
    heights = [
        (_LINE if name else 0) + count * cell for name, count in zip(names, rows, strict=True)
    ]
    end = _LINE if left_out else 0
    sheet = Image.new("RGB", (COLUMNS * cell + _GAP, sum(heights) + _GAP + end), "white")
    draw, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(12), _GAP
    for name, these, height in zip(names, pictures, heights, strict=True):
        under = top + (_LINE if name else 0)
        if name:
            draw.text((_GAP, top + 2), printable(name), _INK, font)
        for number, picture in enumerate(these):
            row, column = divmod(number, COLUMNS)
            shown = _brought_to(picture, edge)
            sheet.paste(shown, (_GAP + column * cell, under + row * cell))
        top += height
    if left_out:
        draw.text((_GAP, top + 2), f"and {left_out:,} more classes", _INK, font)
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")
    return path


def _brought_to(picture: NDArray[np.uint8], edge: int) -> Image.Image:
    sharp = edge >= len(picture)  # a whole number of times as large
    way = Image.Resampling.NEAREST if sharp else Image.Resampling.LANCZOS
    return Image.fromarray(picture).resize((edge, edge), way)


def sheet_of_samples(out: Path, rows: Sequence[Row]) -> Path:
    """Draw the first samples of each class in a folder that `generate_pictures` filled."""
    of_class: dict[str, list[str]] = {}
    for row in rows:
        of_class.setdefault(str(row["category"]), []).append(str(row["picture"]))
    few = 2 if len(of_class) <= MOST_CLASSES else 1
    most = COLUMNS * (MOST_ROWS if len(of_class) == 1 else few)
    names = [*of_class][:MOST_SHOWN]
    pictures = [[_read(out / file) for file in of_class[name][:most]] for name in names]
    left_out = len(of_class) - len(names)
    return sample_sheet(pictures, names, out / folder.SAMPLE_SHEET, left_out)


def _read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture)
