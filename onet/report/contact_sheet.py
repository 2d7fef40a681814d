"""One picture of many results: each row an item, with what was observed, made, and true."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeGuard

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from onet.data.store import Item, Store
from onet.files import replacing
from onet.geometry.mesh_io import load_mesh
from onet.geometry.normalization import used_vertices
from onet.geometry.rendering import Color, render_mesh, render_points
from onet.inference import generation_folder as folder
from onet.locks import hold, writer
from onet.names import printable
from onet.records import Row, read_csv
from onet.report.item_parts import Geometry, observed_of, readable, truth_of

Picture = NDArray[np.uint8]  # (size, size, 3)

_INPUT_COLOR = (0.85, 0.33, 0.10)
_MESH_COLOR = (0.70, 0.76, 0.86)
_TRUTH_COLOR = (0.76, 0.82, 0.72)
_INK, _FAINT = (34, 38, 46), (130, 136, 146)


@writer
def contact_sheet(
    generation_dir: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    count: int = 10,
    size: int = 256,
    out: str | os.PathLike[str] | None = None,
) -> Path:
    """Draw input, reconstruction and truth of some items of a generation folder, with their IoU.

    Points, grids and meshes of a row show the same box from the same side. The truth is left out
    where meshes were not made from a store. Items are taken from the categories in turn, failed
    ones too.

    Args:
        generation_dir: a folder that `generate` wrote, or its run folder.
        data: root of the store with the truth; default the one that was generated from.
        count: at most so many items.
        size: pixels along an edge of one picture.
        out: the PNG file; default `contact_sheet.png` in the generation folder.

    Raises:
        DataError: no generation folder, or damaged tables in it. Of meshes and inputs that cannot
            be read the picture says so.
    """
    root = folder.locate(Path(generation_dir))
    settings = folder.read_settings(root)
    if out is None:
        hold(root)
    rows = folder.take_in_turn(folder.read_outcomes(root), count, lambda row: str(row["category"]))
    store = Store(data or settings["data"]) if "split" in settings else None
    scores = _read_scores(root)
    titles = ["input", "reconstruction", *(["truth"] if store else [])]
    pictures = []
    labels = []
    for row in rows:
        category, model = row["category"], row["model"]
        item = Item(category, model, store.root / category / model) if store else None
        pictures.append(_pictures(root, row, item, size))
        labels.append(_label(row, scores.get((category, model))))
    path = Path(out) if out else root / folder.CONTACT_SHEET
    with replacing(path) as temporary:
        draw_grid(pictures, labels, titles, size).save(temporary)
    return path


def draw_grid(
    pictures: Sequence[Sequence[Picture]],  # rows of columns
    labels: Sequence[Sequence[str]],  # lines of text for each row
    titles: Sequence[str],  # of the columns
    size: int,
) -> Image.Image:
    """Pictures in rows and columns on white, with text to their left and above."""
    font_size = max(11, size // 16)
    font, line = ImageFont.load_default(font_size), round(1.5 * font_size)
    left, top, gap = max(110, size * 3 // 4), 2 * line, max(4, size // 32)
    width = left + len(titles) * (size + gap)
    sheet = Image.new("RGB", (width, top + len(pictures) * (size + gap)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        middle = left + column * (size + gap) + size / 2
        draw.text((middle, top / 2), title, _FAINT, font, anchor="mm")
    for index, (row, text) in enumerate(zip(pictures, labels, strict=True)):
        y = top + index * (size + gap)
        if index:
            draw.line((gap, y - gap / 2, width - gap, y - gap / 2), (232, 234, 238))
        for column, picture in enumerate(row):
            sheet.paste(Image.fromarray(picture), (left + column * (size + gap), y))
        for number, words in enumerate(text):
            fitting = _shorten(printable(words), lambda w: font.getlength(w) <= left - 2 * gap)
            where = (gap, y + size / 2 + (number - len(text) / 2) * line)
            draw.text(where, fitting, _FAINT if number == 0 else _INK, font)
    return sheet


def _pictures(root: Path, row: Row, item: Item | None, size: int) -> list[Picture]:
    made = row["status"] == folder.OK
    observed = readable(lambda: observed_of(root / folder.INPUTS / row["category"], row["model"]))
    mesh = readable(lambda: load_mesh(root / row["mesh"])) if made else None
    truth = readable(lambda: truth_of(item)) if item and item.path.is_dir() else None
    framing = next((shape for shape in (truth, mesh, observed) if _is_shape(shape)), None)
    bounds = None if framing is None else _bounds(framing)

    def draw(shape: Geometry | Image.Image | str | None, words: str, color: Color) -> Picture:
        if shape is None or isinstance(shape, str):
            return blank(size, shape or words)
        if isinstance(shape, Image.Image):
            return np.asarray(shape.convert("RGB").resize((size, size)))
        if isinstance(shape, trimesh.Trimesh):
            return render_mesh(shape, size, color=color, bounds=bounds)
        return render_points(shape, size, color=color, bounds=bounds)

    pictures = [draw(observed, "no input", _INPUT_COLOR), draw(mesh, "no mesh", _MESH_COLOR)]
    return [*pictures, draw(truth, "no truth", _TRUTH_COLOR)] if item else pictures


def _is_shape(drawn: object) -> TypeGuard[Geometry]:
    return isinstance(drawn, trimesh.Trimesh | np.ndarray)


def _bounds(shape: Geometry) -> NDArray[np.floating]:
    """Corners (2, 3) of the bounding box."""
    points = used_vertices(shape) if isinstance(shape, trimesh.Trimesh) else shape
    return np.stack([points.min(axis=0), points.max(axis=0)])


def blank(size: int, words: str) -> Picture:
    """Return a white picture with words in its middle."""
    image = Image.new("RGB", (size, size), "white")
    font = ImageFont.load_default(max(11, size // 16))
    ImageDraw.Draw(image).text((size / 2, size / 2), words, _FAINT, font, anchor="mm")
    return np.asarray(image)


def _label(row: Row, score: float | None) -> list[str]:
    words = [row["category"], row["model"]]
    if row["status"] != folder.OK:
        return [*words, "failed"]
    return [*words, f"IoU {score:.3f}" if score is not None else f"{row['faces']:,} faces"]


def _read_scores(root: Path) -> dict[folder.Key, float]:
    """IoU of each item, where the folder was evaluated."""
    path = root / folder.EVAL_ITEMS
    if not path.is_file():
        return {}
    rows = read_csv(path, ("category", "model"), (folder.IOU,))
    return {(row["category"], row["model"]): float(row[folder.IOU]) for _, row in rows}


def _shorten(words: str, fits: Callable[[str], bool]) -> str:
    """`words`, or as much of its beginning and end as fits around an ellipsis."""
    if fits(words):
        return words
    for length in range(len(words) - 1, 0, -1):
        head = (length + 1) // 2
        short = f"{words[:head]}…{words[len(words) - (length - head) :]}"
        if fits(short):
            return short
    return "…"
