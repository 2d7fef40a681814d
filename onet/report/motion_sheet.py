"""Moving meshes in pictures: a row a sequence, a column a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import trimesh

from onet.files import replacing
from onet.geometry.rendering import render_mesh, render_points
from onet.geometry.sequences.moving_mesh import MovingMesh
from onet.inference import generation_folder as folder
from onet.inference.read_motion import read_motion
from onet.records import Row
from onet.report.contact_sheet import draw_grid

COLUMNS = 6
MOTION_SHEET = folder.CONTACT_SHEET


def motion_sheet(
    meshes: Sequence[MovingMesh], names: Sequence[str], path: Path, size: int = 192
) -> Path:
    """Draw moving meshes at `COLUMNS` times, each in the box of all its times."""
    pictures, titles = [], [f"{k / (COLUMNS - 1):.1f}" for k in range(COLUMNS)]
    for mesh in meshes:
        everything = np.concatenate(mesh.vertices)
        bounds = np.array([everything.min(axis=0), everything.max(axis=0)])
        row = []
        for number in np.linspace(0, len(mesh) - 1, COLUMNS).round().astype(int):
            vertices, faces = mesh.vertices[number], mesh.faces[number]
            if len(faces):
                shape = trimesh.Trimesh(vertices, faces, process=False)
                row.append(render_mesh(shape, size, bounds=bounds))
            else:
                row.append(render_points(vertices, size, bounds=bounds))
        pictures.append(row)
    sheet = draw_grid(pictures, [[name] for name in names], titles, size)
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")
    return path


def sheet_of_folder(out: Path, rows: Sequence[Row], count: int = 8) -> Path | None:
    """Draw the first sequences of a generation folder; None where there are none."""
    made = [row for row in rows if row["status"] == folder.OK][:count]
    if not made:
        return None
    meshes = [read_motion(out, row["mesh"]) for row in made]
    return motion_sheet(meshes, [row["model"] for row in made], out / MOTION_SHEET)
