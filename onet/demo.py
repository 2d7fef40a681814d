"""The demonstration: embedded scans, embedded networks, meshes, scores.

Everything it needs comes with the package, so it runs from any folder and without a network.
"""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onet.files import replacing
from onet.geometry.mesh_io import load_mesh, save_mesh
from onet.geometry.point_cloud_io import load_points
from onet.geometry.rendering import render_mesh, render_points
from onet.geometry.topology import topology
from onet.inference.reconstructor import Reconstructor, load
from onet.inference.scan_reconstructor import ScanReconstructor
from onet.locks import hold, writer
from onet.metrics.scores import evaluate
from onet.records import write_csv
from onet.report.contact_sheet import Picture, draw_grid
from onet.resources import assets_dir

logger = logging.getLogger(__name__)

PICTURE = 224  # pixels
SAMPLES = 20_000  # of each surface, for the scores
OTHER_RESOLUTION = 64  # of the network that is there for comparison
TRUTH_COLOR = (0.76, 0.82, 0.72)


@dataclass(frozen=True)
class DemoReport:
    """Scores of the demonstration: one row per scan, then their mean."""

    out: Path
    rows: list[dict[str, Any]]
    seconds: float

    @property
    def title(self) -> str:
        """What the table shows, in which units."""
        return (
            "Embedded scans, shapes the network has not seen. Distances in units of the truth's "
            f"longest edge, {SAMPLES:,} samples a mesh"
        )

    def summary(self) -> str:
        """Where the results are."""
        solid = sum(bool(row["closed"]) for row in self.rows[:-1])
        return (
            f"{solid} of {len(self.rows) - 1} meshes are closed, manifold and outward; "
            f"{self.seconds:.1f} s. See {self.out / 'contact_sheet.png'}, {self.out / 'meshes'} "
            f"and {self.out / 'scores.csv'}"
        )


@writer
def run_demo(out: Path, seed: int = 0, device: str = "auto") -> DemoReport:
    """Reconstruct the embedded scans with the network for scans and compare with the truth.

    Beside it stands a network of the published kind, with one code for an object, trained on
    furniture alone. Writes `meshes/NAME.glb` in the frame of the scans, copies of these,
    `scans/NAME.ply`, and of the true meshes, `truth/NAME.ply`, `contact_sheet.png` and
    `scores.csv` into `out`. Scores are those of `onet.evaluate`.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    hold(out)
    start = time.perf_counter()
    assets = assets_dir()
    networks = _Networks(
        ScanReconstructor.load(assets / "scan.safetensors", device),
        load(assets / "demo.safetensors", device),
    )
    results = [
        _reconstruct(networks, scan, assets, out, seed) for scan in _one_of_each_kind(assets)
    ]
    rows = _with_mean([result.row for result in results])
    write_csv(out / "scores.csv", rows[0], rows)
    with replacing(out / "contact_sheet.png") as temporary:
        titles = ["scan", "onet scan", "one code an object", "truth"]
        pictures = [result.pictures for result in results]
        draw_grid(pictures, [result.labels for result in results], titles, PICTURE).save(temporary)
    return DemoReport(out, rows, time.perf_counter() - start)


@dataclass(frozen=True, eq=False)
class _Networks:
    """The network for scans, and one of the published kind."""

    scan: ScanReconstructor
    published: Reconstructor


@dataclass(frozen=True, eq=False)
class _Result:
    """Of one scan: the row of its scores, and its row of the contact sheet."""

    row: dict[str, Any]
    pictures: list[Picture]
    labels: list[str]


def _reconstruct(networks: _Networks, scan: Path, assets: Path, out: Path, seed: int) -> _Result:
    """Reconstruct a scan, write its mesh and measure what was written."""
    name = scan.relative_to(assets / "scans").with_suffix("")
    mesh = networks.scan.reconstruct(scan)
    other = networks.published.reconstruct(scan, seed=seed, resolution=OTHER_RESOLUTION)
    true_file = (assets / "truth" / name).with_suffix(".ply")
    truth = load_mesh(true_file)
    written = load_mesh(save_mesh(mesh, (out / "meshes" / name).with_suffix(".glb")))
    _copy(scan, out / "scans" / name.with_suffix(".ply"))
    _copy(true_file, out / "truth" / name.with_suffix(".ply"))
    scores = evaluate(written, truth, samples=SAMPLES, seed=seed)
    row = {
        "scan": name.as_posix(),
        "iou": scores.iou,
        "chamfer_l1": scores.chamfer_l1,
        "normal_consistency": scores.normal_consistency,
        "iou_one_code": evaluate(other, truth, samples=SAMPLES, seed=seed).iou,
        "faces": len(mesh.faces),
        "closed": topology(written).solid,
        "seconds": mesh.metadata["reconstruction"]["seconds"],
    }
    pictures = [
        render_points(load_points(scan), size=PICTURE, bounds=truth.bounds),
        render_mesh(mesh, size=PICTURE, bounds=truth.bounds),
        render_mesh(other, size=PICTURE, bounds=truth.bounds),
        render_mesh(truth, color=TRUTH_COLOR, size=PICTURE, bounds=truth.bounds),
    ]
    logger.info("%s: IoU %.3f", name.as_posix(), scores.iou)
    return _Result(row, pictures, [*name.parts, f"IoU {scores.iou:.3f}"])


def _one_of_each_kind(assets: Path) -> list[Path]:
    """Return the first scan of each category, which the name begins with; all would take longer."""
    scans = sorted((assets / "scans").rglob("*.ply"), reverse=True)
    return sorted({scan.stem.split("_")[0]: scan for scan in scans}.values())


def _copy(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    with replacing(to) as temporary:
        shutil.copyfile(file, temporary)


def _with_mean(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows and, last, their mean."""
    mean: dict[str, Any] = {"scan": "mean", "closed": ""}
    for key in ("iou", "chamfer_l1", "normal_consistency", "iou_one_code", "faces", "seconds"):
        mean[key] = sum(row[key] for row in rows) / len(rows)
    mean["faces"] = round(mean["faces"])
    return [*rows, mean]
