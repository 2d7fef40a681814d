"""Runs a reconstruction and scores its mesh against the truth of an item."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from benchmarks._memory import PeakMemory
from benchmarks._scan_cells import Scan
from benchmarks._scan_orientation import has_border
from benchmarks._scan_peers import Given, Method
from benchmarks._scan_truth import Truth
from onet.geometry.inside import contains
from onet.geometry.mesh_memory import take_mesh
from onet.geometry.normalization import without_loose_vertices
from onet.geometry.sampling import surface_area
from onet.geometry.topology import topology
from onet.geometry.winding import winding_number
from onet.metrics.penalties import PENALTIES
from onet.metrics.scores import check_mesh, intersection_over_union
from onet.metrics.surface_scores import SurfaceSamples, sampled_scores

F_SCORE = "f_score_1pct"
KEPT = ("chamfer_l1", F_SCORE, "normal_consistency")
MOST_BEYOND = 4  # points outside the box of the truth for each one in it, at most

Scores = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a reconstruction gave.

    Attributes:
        mesh: in the unit frame of the object; None where it failed.
        seconds: of the processor, all threads.
        peak_mib: growth of the resident memory at its peak; None where it cannot be measured.
        error: why there is no mesh.
    """

    mesh: trimesh.Trimesh | None
    seconds: float
    peak_mib: float | None
    error: str = ""


def run_method(method: Method, scan: Scan, sensors: bool = False) -> Outcome:
    """Reconstruct a scan; whatever the method raises is kept as its failure."""
    mesh, error = None, ""
    with PeakMemory() as memory:
        start = time.process_time()
        try:
            mesh = take_mesh(method.run(Given(scan, sensors)))
            check_mesh(mesh, method.name)
            if not surface_area(mesh) > 0:
                mesh, error = None, "no surface"
        except Exception as failure:  # of any library: a failed item, which the table counts
            mesh, error = None, f"{type(failure).__name__}: {failure}".splitlines()[0]
        seconds = time.process_time() - start
    if mesh is not None:
        mesh = trimesh.Trimesh(mesh.vertices @ scan.rotation, mesh.faces, process=False)
        mesh = without_loose_vertices(mesh)
    return Outcome(mesh, seconds, memory.mib, error)


def score(outcome: Outcome, truth: Truth, parity: bool, seed: int = 0) -> Scores:
    """Return all scores of a mesh; the penalties of the package where there is none."""
    told: Scores = {
        "seconds": round(outcome.seconds, 4),
        "peak_mib": None if outcome.peak_mib is None else round(outcome.peak_mib, 1),
    }
    mesh = outcome.mesh
    if mesh is None:
        worst = {"iou": PENALTIES["iou"], "iou_near": PENALTIES["iou"]}
        worst |= {key: PENALTIES[key] for key in KEPT}
        return {
            **worst,
            "turned": False,
            "closed": False,
            "manifold": False,
            "failed": True,
            "faces": 0,
            **told,
            "error": outcome.error,
        }
    rng = truth.item.generator(seed, "scores")
    shape = topology(mesh)
    sampled = sampled_scores(
        SurfaceSamples.of(mesh, len(truth.surface.points), rng), truth.surface, (0.01,)
    )
    return {
        **volume_scores(mesh, truth, parity, rng),
        **{key: sampled[key] for key in KEPT},
        "closed": not has_border(mesh),
        "manifold": shape.watertight and shape.manifold,
        "failed": False,
        "faces": len(mesh.faces),
        **told,
        "error": "",
    }


def volume_scores(
    mesh: trimesh.Trimesh, truth: Truth, parity: bool, rng: np.random.Generator
) -> Scores:
    """Return the IoU in the joint box of mesh and truth, and the one near the true surface.

    The points in the box of the truth are fixed. Beyond it others of the same density are drawn,
    all of which are outside of the truth; where that is too many, each stands for several. Of a
    mesh that is inside out the scores are those of the mesh turned: `turned` says so.
    """
    (uniform, inside), (near, near_inside) = truth.uniform, truth.near
    beyond, weight = _beyond(truth.box, len(uniform), mesh.bounds, rng)
    points = np.concatenate([uniform, near, beyond])
    scores = []
    for found in sides(mesh, points, parity):
        in_box, at_surface, outside = np.split(found, [len(uniform), len(uniform) + len(near)])
        both = np.count_nonzero(in_box & inside)
        either = np.count_nonzero(in_box | inside) + weight * np.count_nonzero(outside)
        iou = float(both / either) if either else 1.0
        scores.append((iou, intersection_over_union(at_surface, near_inside)))
    turned = max(scores) > scores[0]
    return {"iou": max(scores)[0], "iou_near": max(scores)[1], "turned": turned}


def sides(
    mesh: trimesh.Trimesh, points: NDArray[np.floating], parity: bool
) -> list[NDArray[np.bool_]]:
    """Return whether each point is inside: of the mesh as it is, and of one with its faces turned.

    Inside is a winding number above one half, or ray parity, which knows no sides.
    """
    if parity:
        return [contains(mesh, points)]
    winding = winding_number(mesh, points)
    return [winding > 0.5, winding < -0.5]


def _beyond(
    box: NDArray[np.float64],  # (2, 3), with `within` points
    within: int,
    bounds: NDArray[np.float64],  # (2, 3) of the mesh
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], float]:
    """Return points of the joint box that are not in `box`, and for how many each stands."""
    low, high = np.minimum(box[0], bounds[0]), np.maximum(box[1], bounds[1])
    volume, joint = np.prod(box[1] - box[0]), np.prod(high - low)
    wanted = within * joint / volume
    count = int(min(wanted, MOST_BEYOND * within))
    points = rng.uniform(low, high, (count, 3))
    return points[~((points >= box[0]) & (points <= box[1])).all(axis=1)], wanted / max(count, 1)
