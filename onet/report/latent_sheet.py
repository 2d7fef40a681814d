"""One picture of a walk through the space of codes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.files import replacing
from onet.geometry.mesh_io import load_mesh
from onet.geometry.rendering import render_mesh
from onet.inference import generation_folder as folder
from onet.inference import latent
from onet.locks import hold, writer
from onet.records import check_names, read_csv, read_json
from onet.report.contact_sheet import Picture, blank, draw_grid


@writer
def latent_sheet(walk: str | os.PathLike[str], size: int = 192) -> Path:
    """Draw all meshes of a folder of `interpolate` or `sample_grid` at their places, at one scale.

    Args:
        walk: the folder.
        size: pixels along an edge of one mesh.

    Returns:
        The PNG file, `contact_sheet.png` in the folder.

    Raises:
        DataError: no such folder, or damaged files in it.
    """
    root = Path(walk)
    for name in (latent.SETTINGS, latent.TABLE):
        if not (root / name).is_file():
            raise DataError(
                f"{root / name}: no such file; name a finished folder of meshes of codes"
            )
    settings = read_json(root / latent.SETTINGS, {"labels": list, "titles": list})
    hold(root)
    labels, titles = settings["labels"], settings["titles"]
    grid: list[list[Picture]] = [[blank(size, "no surface")] * len(titles) for _ in labels]
    made = []
    for where, row in read_csv(root / latent.TABLE, ("mesh",), ("row", "column")):
        check_names(row, where)
        if not (0 <= int(row["row"]) < len(labels) and 0 <= int(row["column"]) < len(titles)):
            raise DataError(f"{where}: is no place of the grid; make it again")
        if row["mesh"]:
            made.append(row)
    meshes = [load_mesh(root / row["mesh"]) for row in made]
    bounds = common_bounds(mesh.bounds for mesh in meshes)
    for row, mesh in zip(made, meshes, strict=True):
        grid[int(row["row"])][int(row["column"])] = render_mesh(mesh, size, bounds=bounds)
    path = root / folder.CONTACT_SHEET
    with replacing(path) as temporary:
        draw_grid(grid, labels, titles, size).save(temporary)
    return path


def common_bounds(boxes: Iterable[NDArray[np.floating]]) -> NDArray[np.floating] | None:
    """Corners (2, 3) of the box around boxes (2, 3); None where there are none."""
    corners = list(boxes)
    if not corners:
        return None
    return np.stack([np.min(corners, axis=(0, 1)), np.max(corners, axis=(0, 1))])
