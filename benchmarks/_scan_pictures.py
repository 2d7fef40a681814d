"""Pictures of reconstructions, kept as they are made, and a sheet of some of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks._scan_cells import Scan
from benchmarks._scan_peers import POISSON
from benchmarks._scan_results import Row
from benchmarks._scan_scores import Outcome
from benchmarks._scan_truth import Truth
from onet.files import replacing
from onet.geometry.rendering import render_mesh, render_points
from onet.report.contact_sheet import blank, draw_grid

SIZE = 224
WORST = 5
TRUTH, SCAN = "truth", "scan"
_GREEN, _BLUE, _GREY = (0.76, 0.82, 0.72), (0.70, 0.76, 0.86), (0.78, 0.78, 0.78)


def picture_path(folder: Path, cell: str, item: str, name: str) -> Path:
    return folder / cell.replace("/", "_") / item / f"{name}.png"


def draw_truth(folder: Path, cell: str, truth: Truth, scan: Scan) -> None:
    """Draw the true mesh and the scan of an item, in the frame of the object."""
    bounds = truth.mesh.bounds
    points = scan.points @ scan.rotation
    _save(folder, cell, truth, TRUTH, render_mesh(truth.mesh, SIZE, bounds=bounds, color=_GREEN))
    _save(folder, cell, truth, SCAN, render_points(points[:10_000], SIZE, bounds=bounds))


def draw_outcome(
    folder: Path, cell: str, truth: Truth, name: str, outcome: Outcome, grey: bool
) -> None:
    """Draw what a method made, seen as the truth is."""
    if outcome.mesh is None:
        _save(folder, cell, truth, name, blank(SIZE, "no mesh"))
        return
    color = _GREY if grey else _BLUE
    picture = render_mesh(outcome.mesh, SIZE, bounds=truth.mesh.bounds, color=color)
    _save(folder, cell, truth, name, picture)


def draw_sheet(
    path: Path,
    folder: Path,
    rows: Sequence[Row],  # of the reconstruction in question, in one cell
    reference: Sequence[Row],  # of Poisson
    count: int,
    seed: int,
) -> bool:
    """Draw truth, scan and both meshes of the worst five items and of others drawn by the seed.

    Returns whether there was anything to draw.
    """
    other = {row["item"]: row for row in reference}
    pictures, labels = [], []
    for row in chosen(rows, count, seed):
        beside = other.get(row["item"])
        names = [TRUTH, SCAN, file_name(row), *([file_name(beside)] if beside else [])]
        line = [_load(picture_path(folder, row["cell"], row["item"], name)) for name in names]
        line += [blank(SIZE, "not run")] * (4 - len(line))
        pictures.append(line)
        words = [row["category"], Path(row["item"]).stem, f"IoU {row['iou']:.3f}"]
        labels.append([*words, f"{POISSON} {beside['iou']:.3f}" if beside else ""])
    if not pictures:
        return False
    titles = [TRUTH, SCAN, rows[0]["method"], POISSON]
    with replacing(path) as temporary:
        draw_grid(pictures, labels, titles, SIZE).save(temporary)
    return True


def chosen(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """Return the five rows with the least IoU, then others by the seed, worst first."""
    by_score = sorted(rows, key=lambda row: (row["iou"], row["item"]))
    worst, rest = by_score[:WORST], by_score[WORST:]
    drawn = np.random.default_rng(seed).permutation(len(rest))[: max(0, count - len(worst))]
    return worst[:count] + [rest[index] for index in sorted(drawn)]


def file_name(row: Row) -> str:
    return f"{row['method']} {row['variant']}".strip()


def _save(folder: Path, cell: str, truth: Truth, name: str, picture: NDArray[np.uint8]) -> None:
    path = picture_path(folder, cell, truth.item.key, name)
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary)


def _load(path: Path) -> NDArray[np.uint8]:
    if not path.is_file():
        return blank(SIZE, "not drawn")
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
