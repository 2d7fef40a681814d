"""Items of a generation folder in 3D: what was observed, made and true, beside one another."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

from onet.data.store import Item, Store
from onet.errors import DataError
from onet.geometry.distance import closest_point
from onet.geometry.mesh_io import load_mesh
from onet.geometry.nearest import NearestNeighbors
from onet.geometry.normalization import UnitFrame
from onet.inference import generation_folder as folder
from onet.names import printable
from onet.records import Row
from onet.report.item_parts import Geometry, observed_of, readable, truth_of
from onet.report.mesh_viewer import HOW, MeshViews, figure, unavailable
from onet.report.shape import Shape, for_display, frame_of

FARTHEST = 0.05
"""Distance to the truth, in longest edges, that has the last colour."""

AWAY = "distance to the truth"
_TRUTH_COLOR = np.array([110, 150, 80], np.uint8)  # of points


def views_of_items(
    root: Path,
    store: Store | None,
    rows: dict[folder.Key, Row],
    chosen: Sequence[tuple[str, Sequence[folder.Key], dict[folder.Key, str]]],
    views: MeshViews,
) -> str:
    """Return sections with items in 3D.

    Args:
        root: the generation folder.
        store: with the truth, or None.
        rows: of the table of results.
        chosen: for each section its heading, its items, and words about each.
        views: collects the meshes.
    """
    parts = []
    for heading, keys, words in chosen:
        if keys:
            shown = "".join(
                _item(root, store, rows[key], words.get(key, ""), views) for key in keys
            )
            parts.append(f'<h3>{escape(heading)}</h3><div class="card">{shown}</div>')
    if not parts:
        return ""
    legend = HOW
    ramp = ""
    if store:
        ramp = (
            ' Colour: distance to the true surface, 0 <span class="ramp"></span> '
            f"{100 * FARTHEST:g} % of the longest edge and more."
        )
    return f"<h2>In 3D</h2><p>{escape(legend)}{ramp}</p>{''.join(parts)}"


def _item(root: Path, store: Store | None, row: Row, words: str, views: MeshViews) -> str:
    item = None
    if store is not None:
        item = Item(row["category"], row["model"], store.root / row["category"] / row["model"])
    observed = readable(lambda: observed_of(root / folder.INPUTS / row["category"], row["model"]))
    mesh = _mesh(root, row)
    truth = readable(lambda: truth_of(item)) if item is not None and item.path.is_dir() else None
    frame = _frame(item, [truth, mesh, observed])
    group = views.group()
    name = f"{row['category']}/{row['model']}".lstrip("/")
    shown = [("input", observed), ("reconstruction", mesh)]
    figures = [
        figure(_shown(part, frame, group, f"{name}: {what}", views, item), what)
        for what, part in [*shown, *([("truth", truth)] if store else [])]
        if part is not None
    ]
    heading = escape(printable(f"{name}  {words}".rstrip()))
    return f'<h3>{heading}</h3><div class="views">{"".join(figures)}</div>'


def _mesh(root: Path, row: Row) -> trimesh.Trimesh | str:
    """Return the mesh of an item, or why there is none."""
    if row["status"] != folder.OK:
        return f"failed: {row['reason']}"
    return readable(lambda: load_mesh(root / row["mesh"]))


def _frame(item: Item | None, parts: Sequence[Geometry | Image.Image | str | None]) -> UnitFrame:
    """Return the unit frame of an item: that of its store, else of what there is of it."""
    if item is not None:
        frame = readable(item.frame)
        if isinstance(frame, UnitFrame):
            return frame
    for part in parts:
        if isinstance(part, trimesh.Trimesh | np.ndarray):
            return frame_of(_shape(part).bounds)
    return UnitFrame(np.zeros(3), 1.0)


def _shape(part: Geometry) -> Shape:
    return Shape.of_mesh(part) if isinstance(part, trimesh.Trimesh) else Shape.of_points(part)


def _shown(
    part: Geometry | Image.Image | str,
    frame: UnitFrame,
    group: int,
    label: str,
    views: MeshViews,
    item: Item | None,
) -> str:
    """Return the view of a part; a reconstruction is coloured by its distance to the truth."""
    if isinstance(part, str):
        return unavailable(part)
    if isinstance(part, Image.Image):
        return image(part, label)
    shape = for_display(_shape(part))
    if label.endswith("truth") and not len(shape.faces):
        shape = replace(shape, colors=np.tile(_TRUTH_COLOR, (len(shape.vertices), 1)))
    if item is not None and label.endswith("reconstruction"):
        away = readable(lambda: _distances(shape, frame, item))
        if not isinstance(away, str):
            shape.shades[AWAY] = away
    return views.view(shape, group, label, frame, {AWAY: FARTHEST})


def _distances(shape: Shape, frame: UnitFrame, item: Item) -> np.ndarray:
    """Return the distance (V,) of each vertex to the true surface, in longest edges.

    Raises:
        DataError: the truth is missing or damaged.
    """
    vertices = frame.to_unit(shape.vertices)
    if item.mesh_path.is_file():
        away: np.ndarray = closest_point(load_mesh(item.mesh_path), vertices)[1]
        return away
    points = item.load_pointcloud()[0]
    if not len(points):
        raise DataError(f"{item.path}: has no points of the surface; prepare it again")
    near: np.ndarray = NearestNeighbors(points.astype(np.float64)).query(vertices)[0]
    return near


def image(picture: Image.Image, label: str, size: int = 360) -> str:
    """Return a picture as part of the page, at most `size` pixels along an edge."""
    small = picture.convert("RGB")
    small.thumbnail((size, size))
    content = io.BytesIO()
    small.save(content, format="PNG")
    encoded = base64.b64encode(content.getvalue()).decode()
    return f'<img alt="{escape(label)}" src="data:image/png;base64,{encoded}">'
