"""What the scripts of the gallery have in common: rows of pictures, saved small."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

from onet.geometry.rendering import render_mesh, render_points
from onet.report.contact_sheet import draw_grid

Picture = NDArray[np.uint8]

SIZE = 280  # pixels
ZOOM = 0.92  # of the box that fills a picture; a whole box leaves wide margins around most things
TRUTH = (0.76, 0.82, 0.72)
MOST = 200_000  # bytes of a picture in the repository


def folder(description: str | None) -> Path:
    """Return the folder that the command line names."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    default = Path(__file__).parents[1] / "docs/pictures"
    parser.add_argument("--out", type=Path, default=default, help="folder of the picture")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    return out


def save(
    path: Path, titles: Sequence[str], rows: Sequence[Sequence[Picture]], labels: Sequence[str] = ()
) -> None:
    """Draw rows of pictures below titles, beside labels where there are any."""
    names = [[label] for label in labels] or [[""] for _ in rows]
    sheet = draw_grid([list(row) for row in rows], names, list(titles), SIZE)
    if not labels:  # nor the room for them
        sheet = sheet.crop((sheet.width - len(titles) * (SIZE + SIZE // 32), 0, *sheet.size))
    keep(sheet, path)


def keep(sheet: Image.Image, path: Path) -> None:
    """Write a picture in 96 colours, and refuse one that is too large for the repository."""
    sheet.quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    if size > MOST:
        raise SystemExit(f"{path}: {size} bytes, more than {MOST}; draw less or smaller")
    print(f"{path}: {size // 1000} kB")


def shape(mesh: trimesh.Trimesh, box: NDArray[np.float64], **options: object) -> Picture:
    """Return the picture of a mesh, in a box that several pictures share."""
    return render_mesh(mesh, size=SIZE, bounds=_zoomed(box), **options)  # type: ignore[arg-type]


def cloud(points: NDArray[np.float64], box: NDArray[np.float64]) -> Picture:
    """Return the picture of points, in a box that several pictures share."""
    return render_points(points, size=SIZE, bounds=_zoomed(box))


def _zoomed(box: NDArray[np.float64]) -> NDArray[np.float64]:
    middle = box.mean(axis=0)
    return middle + ZOOM * (box - middle)


def cut(mesh: trimesh.Trimesh, x: float) -> trimesh.Trimesh:
    """Return the faces whose centres lie behind a plane across the x axis, to look inside."""
    part = mesh.copy()
    part.update_faces(part.triangles_center[:, 0] < x)
    return part
