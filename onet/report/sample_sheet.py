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
"""Of a class that is alone; several have two rows each."""
_SMALLEST, _GAP, _LINE = 64, 2, 18
_INK = (34, 38, 46)


def sample_sheet(pictures: Sequence[Sequence[NDArray[np.uint8]]], names: Sequence[str], path: Path
                 ) -> Path:  # fmt: skip
    """Draw the pictures of several classes, each under its name; small ones with larger pixels.

    Args:
        pictures: of each class, (S, S, 3) all.
        names: of the classes; an empty one takes no room.
        path: the PNG file.
    """
    size = len(pictures[0][0])
    factor = max(1, -(-_SMALLEST // size))
    cell = size * factor + _GAP
    rows = [-(-len(these) // COLUMNS) for these in pictures]
    heights = [
        (_LINE if name else 0) + count * cell for name, count in zip(names, rows, strict=True)
    ]
    sheet = Image.new("RGB", (COLUMNS * cell + _GAP, sum(heights) + _GAP), "white")
    draw, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(12), _GAP
    for name, these, height in zip(names, pictures, heights, strict=True):
        under = top + (_LINE if name else 0)
        if name:
            draw.text((_GAP, top + 2), printable(name), _INK, font)
        for number, picture in enumerate(these):
            row, column = divmod(number, COLUMNS)
            larger = picture.repeat(factor, 0).repeat(factor, 1)
            sheet.paste(Image.fromarray(larger), (_GAP + column * cell, under + row * cell))
        top += height
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")
    return path


def sheet_of_samples(out: Path, rows: Sequence[Row]) -> Path:
    """Draw the first samples of each class in a folder that `generate_pictures` filled."""
    names = [*dict.fromkeys(str(row["category"]) for row in rows)]
    most = COLUMNS * (MOST_ROWS if len(names) == 1 else 2)
    pictures = [
        [
            np.asarray(Image.open(out / row["picture"]))
            for row in [row for row in rows if row["category"] == name][:most]
        ]
        for name in names
    ]
    return sample_sheet(pictures, names, out / folder.SAMPLE_SHEET)
