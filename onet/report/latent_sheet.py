"""One picture of a walk through the space of codes."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from onet.errors import DataError
from onet.files import replacing
from onet.geometry.mesh_io import load_mesh
from onet.geometry.rendering import render_mesh
from onet.inference import generation_folder as folder
from onet.inference import latent
from onet.report.contact_sheet import Picture, blank, draw_grid

UNIT_CUBE = ((-0.5, -0.5, -0.5), (0.5, 0.5, 0.5))


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
    if not (root / latent.SETTINGS).is_file():
        raise DataError(f"{root / latent.SETTINGS}: no such file; name a folder of meshes of codes")
    settings = folder.read_json(root / latent.SETTINGS)
    labels, titles = settings["labels"], settings["titles"]
    grid: list[list[Picture]] = [[blank(size, "no surface")] * len(titles) for _ in labels]
    with (root / latent.TABLE).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["mesh"]:
                mesh = load_mesh(root / row["mesh"])
                picture = render_mesh(mesh, size, bounds=UNIT_CUBE)
                grid[int(row["row"])][int(row["column"])] = picture
    path = root / folder.CONTACT_SHEET
    with replacing(path) as temporary:
        draw_grid(grid, labels, titles, size).save(temporary)
    return path
