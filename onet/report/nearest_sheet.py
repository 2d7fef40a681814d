"""One picture of generated shapes, each beside the training shape that is nearest to it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from onet.data.store import Item, Store
from onet.data.store_folder import POINTCLOUD
from onet.errors import DataError
from onet.evaluation.diversity import NEAREST_COLUMNS
from onet.files import replacing
from onet.geometry.mesh_io import load_mesh
from onet.geometry.normalization import UnitFrame
from onet.geometry.rendering import render_mesh, render_points
from onet.inference import generation_folder as folder
from onet.locks import hold, writer
from onet.records import check_names, read_csv, read_json
from onet.report.contact_sheet import Picture, draw_grid
from onet.report.item_parts import TRUTH_POINTS
from onet.report.latent_sheet import common_bounds

_PROTOCOL_KINDS = {"data": str, "generated": str, "normalize": bool}

COLOR = (0.76, 0.82, 0.72)


@writer
def nearest_sheet(results: str | os.PathLike[str], count: int = 12, size: int = 192) -> Path:
    """Draw the generated shapes that are nearest to a training shape, nearest first, and that.

    If any is a copy, it is among them. Both of a pair are drawn at one scale.

    Args:
        results: folder that `evaluate_diversity` wrote to.
        count: at most so many pairs.
        size: pixels along an edge of one shape.

    Returns:
        The PNG file, `nearest.png` in the folder.

    Raises:
        DataError: no such folder, or shapes that are no longer where they were.
    """
    root = Path(results)
    if not (root / folder.NEAREST).is_file():
        raise DataError(f"{root / folder.NEAREST}: no such file; make it with `onet diversity`")
    hold(root)
    protocol = read_json(root / folder.DIVERSITY_PROTOCOL, _PROTOCOL_KINDS)
    store = Store(protocol["data"])
    rows = []
    for where, row in read_csv(root / folder.NEAREST, NEAREST_COLUMNS, NEAREST_COLUMNS[-1:]):
        check_names(row, where)
        rows.append(row)
    rows = sorted(rows, key=lambda row: float(row[NEAREST_COLUMNS[-1]]))[:count]
    pictures: list[list[Picture]] = []
    labels: list[list[str]] = []
    for row in rows:
        mesh = load_mesh(Path(protocol["generated"]) / row["mesh"])
        if protocol["normalize"]:
            mesh = UnitFrame.of_mesh(mesh, row["mesh"]).mesh_to_unit(mesh)
        category, model = row["category"], row["model"]
        item = Item(category, model, store.root / category / model)
        if item.mesh_path.is_file():
            training = load_mesh(item.mesh_path)
            bounds = common_bounds([mesh.bounds, training.bounds])
            right = render_mesh(training, size, color=COLOR, bounds=bounds)
        else:
            points = item.points(POINTCLOUD)[:TRUTH_POINTS].astype(np.float32)
            bounds = common_bounds(
                [mesh.bounds, np.stack([points.min(axis=0), points.max(axis=0)])]
            )
            right = render_points(points, size, color=COLOR, bounds=bounds)
        pictures.append([render_mesh(mesh, size, bounds=bounds), right])
        distance = 1e3 * float(row[NEAREST_COLUMNS[-1]])
        labels.append([row["sample"], row["model"], f"distance {distance:.2f}"])
    path = root / folder.NEAREST_SHEET
    titles = ["generated", "nearest training shape"]
    with replacing(path) as temporary:
        draw_grid(pictures, labels, titles, size).save(temporary)
    return path
