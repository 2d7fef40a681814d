"""Items of the test split, and what every method made of them, in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from benchmarks._compare_methods import Scored
from onet.data.images import open_image
from onet.data.store import Item
from onet.errors import DataError
from onet.files import replacing
from onet.geometry.mesh_io import load_mesh
from onet.geometry.normalization import used_vertices
from onet.geometry.point_cloud_io import load_points
from onet.geometry.rendering import Color, render_mesh, render_points
from onet.inference import generation_folder as generation
from onet.records import Row
from onet.report.contact_sheet import Picture, blank, draw_grid

SIZE = 128
COLOURS = 64
_MADE: Color = (0.70, 0.76, 0.86)
_OPEN: Color = (0.88, 0.76, 0.66)
_TRUE: Color = (0.76, 0.82, 0.72)


def draw_sheet(path: Path, store: Path, methods: Mapping[str, Scored], count: int) -> None:
    """Draw input, meshes and truth of items: the first method's worst, best, and between.

    Args:
        path: of the PNG file.
        store: with the truth, as watertight meshes.
        methods: by name; the first orders the items. Open meshes are brown.
        count: of items.
    """
    first = next(iter(methods.values()))
    pictures, labels = [], []
    for row in spread(first.rows, count):
        pictures.append(_line(store, methods, row))
        labels.append([row["category"], row["model"].split("__")[-1]])
    titles = ["input", *methods, "truth"]
    sheet = draw_grid(pictures, labels, titles, SIZE)
    with replacing(path) as temporary:
        sheet.quantize(COLOURS).save(temporary, optimize=True)


def spread(rows: Sequence[Row], count: int) -> list[Row]:
    """Return rows evenly spaced by their Chamfer distance, worst and best among them."""
    ordered = sorted(rows, key=lambda row: (-row["chamfer_l1"], row["model"]))
    count = min(count, len(ordered))
    steps = max(count - 1, 1)
    return [ordered[round(k * (len(ordered) - 1) / steps)] for k in range(count)]


def _line(store: Path, methods: Mapping[str, Scored], row: Row) -> list[Picture]:
    category, model = row["category"], row["model"]
    item = Item(category, model, store / category / model)
    truth = item.frame().mesh_to_source(load_mesh(item.mesh_path))
    bounds = truth.bounds
    place = next(iter(methods.values())).made / generation.INPUTS / category
    if (place / f"{model}.png").is_file():
        seen = open_image(place / f"{model}.png").convert("RGB")
        line: list[Picture] = [_array(seen.resize((SIZE, SIZE)))]
    else:
        line = [render_points(load_points(place / f"{model}.ply"), SIZE, bounds=bounds)]
    for scored in methods.values():
        own = next(r for r in scored.rows if (r["category"], r["model"]) == (category, model))
        path = scored.made / generation.read_results(scored.made)[category, model]["mesh"]
        try:
            mesh = load_mesh(path)
        except DataError:
            line.append(blank(SIZE, "no mesh"))
            continue
        if not len(used_vertices(mesh)):
            line.append(blank(SIZE, "no mesh"))
            continue
        color = _MADE if own["closed"] else _OPEN
        line.append(render_mesh(mesh, SIZE, bounds=bounds, color=color))
    return [*line, render_mesh(truth, SIZE, bounds=bounds, color=_TRUE)]


def _array(image: Image.Image) -> Picture:
    import numpy as np

    return np.asarray(image)
