"""The scores of every method's mesh of one item, against its true mesh."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import trimesh
from numpy.typing import NDArray

from onet.errors import DataError, OnetError
from onet.evaluation.pairs import Item
from onet.evaluation.protocols import OWN, Protocol
from onet.geometry.alignment import align
from onet.geometry.closed import open_edges
from onet.geometry.inside import contains
from onet.geometry.mesh_io import load_mesh
from onet.geometry.normalization import UnitFrame
from onet.geometry.precision import single_precision_step
from onet.geometry.sampling import sample_box, surface_area
from onet.geometry.solid.check import check_mesh as check_solid
from onet.metrics.penalties import F_SCORE_THRESHOLDS, SCORES, SURFACE_PENALTY, f_score_key
from onet.metrics.point_iou import point_iou
from onet.metrics.scores import check_mesh, evaluate, noise_floor
from onet.records import Row

OK, MISSING, FAILED = "ok", "missing", "failed"

Align = Literal["none", "rigid", "similarity"]
OpenMeshes = Literal["none", "zero", "winding", "parity"]

SOLID = ("closed", "manifold", "oriented", "crossings", "thinnest_wall")
"""What is told of a mesh as a solid; the wall in longest edges of the truth."""

ROUNDED = "has coordinates rounded by single precision to steps of"
"""Words of a note of a mesh that was written too far from the origin."""

_COARSE = 1e-3  # of the longest edge: so coarse are steps told of
_FAR = 10.0
"""Times larger or smaller than the truth: units that differ, probably."""
_MOST_FACES = 3_000_000
"""Of larger meshes crossing faces and walls are not looked for."""


@dataclass(frozen=True)
class Measure:
    """How a pair is scored.

    Attributes:
        protocol: which scores are shown, and what a protocol fixes.
        samples: points on each surface.
        seed: of all random points; all items and methods have the same.
        thresholds: of the F-scores, in longest edges of the truth.
        align: whether a mesh is moved onto the truth first: rigid, or by similarity.
        open_meshes: what the IoU is where a mesh is open: none, zero, or that of what the winding
            number, or ray parity, says is inside.
        solids: tell what meshes are like as solids.
    """

    protocol: Protocol = OWN
    samples: int = 100_000
    seed: int = 0
    thresholds: tuple[float, ...] = F_SCORE_THRESHOLDS
    align: Align = "none"
    open_meshes: OpenMeshes = "none"
    solids: bool = True

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of all scores, in the order of columns."""
        f_scores = [f_score_key(threshold) for threshold in self.thresholds]
        rest = [key for key in SCORES if not key.startswith("f_score")]
        return (*rest, *f_scores, *SURFACE_PENALTY)


@dataclass
class ItemScores:
    """What was measured of an item.

    Attributes:
        item: which.
        rows: one a method: `method`, `status` (OK, MISSING or FAILED), scores, `reason`.
        floor: noise floor of its truth, by the names of scores.
        scale: longest edge of the truth in units of its file; None if it cannot be used.
        notes: of the true mesh.
        problem: why the true mesh cannot be used; there are no rows then.
    """

    item: Item
    rows: list[Row] = field(default_factory=list)
    floor: Row = field(default_factory=dict)
    scale: float | None = None
    notes: list[str] = field(default_factory=list)
    problem: str = ""


@dataclass(frozen=True, eq=False)
class _Truth:
    """A true mesh, in its own frame, and its labelled points where the protocol has such."""

    mesh: trimesh.Trimesh
    frame: UnitFrame
    points: NDArray[np.float64] | None  # (N, 3)
    occupancies: NDArray[np.bool_] | None  # (N,)


def score_item(item: Item, measure: Measure) -> ItemScores:
    """Score the meshes that methods have of one item."""
    found = ItemScores(item)
    try:
        truth = _true_mesh(item.truth, measure)
    except (OnetError, ValueError, MemoryError) as error:
        found.problem = _told(error)
        return found
    found.scale = truth.frame.scale
    found.floor = noise_floor(
        truth.mesh, samples=measure.samples, seed=measure.seed, thresholds=measure.thresholds
    )
    if told := _coarse(truth.mesh):
        found.notes.append(f"the true mesh {told}")
    if count := open_edges(truth.mesh):
        found.notes.append(f"the true mesh is open: {count} edges")
    for method, path in item.meshes.items():
        found.rows.append({"method": method, **_row(path, truth, measure)})
    return found


def _true_mesh(path: Path, measure: Measure) -> _Truth:
    mesh = _usable(path)
    frame = UnitFrame.of_mesh(mesh, str(path))
    padding = measure.protocol.padding
    if padding is None:
        return _Truth(mesh, frame, None, None)
    rng = np.random.default_rng(measure.seed)
    points = frame.to_source(sample_box(measure.samples, padding, rng))
    return _Truth(mesh, frame, points, contains(mesh, points))


def _usable(path: Path) -> trimesh.Trimesh:
    """Return a mesh that has a distance to others.

    Raises:
        DataError: it cannot be read, or has no area.
    """
    mesh = load_mesh(path)
    check_mesh(mesh, str(path))
    if not surface_area(mesh) > 0:
        raise DataError(f"{path}: its faces have no area; export it again")
    return mesh


def _row(path: Path | None, truth: _Truth, measure: Measure) -> Row:
    """Return status, scores and reason of one mesh."""
    if path is None:
        return failed_row(measure, MISSING, "there is no file")
    if not path.exists():
        return failed_row(measure, MISSING, f"{path}: no such file")
    try:
        return _scored(_usable(path), truth, measure) | {"file": str(path)}
    except (OnetError, ValueError, MemoryError, ArithmeticError) as error:
        return failed_row(measure, FAILED, _told(error)) | {"file": str(path)}


def failed_row(measure: Measure, status: str, reason: str) -> Row:
    """Return the row of an item without a usable mesh: the worst of each score."""
    penalties = {key: measure.protocol.penalty(key) for key in measure.keys}
    return {"status": status, **penalties, "reason": reason, "notes": []}


def _scored(mesh: trimesh.Trimesh, truth: _Truth, measure: Measure) -> Row:
    row: Row = {"status": OK, "reason": "", "notes": []}
    if told := _coarse(mesh):
        row["notes"].append(told)
    ratio = UnitFrame.of_mesh(mesh).scale / truth.frame.scale
    if measure.align != "none":
        moved = align(mesh, truth.mesh, measure.align, measure.seed)
        mesh = moved.apply(mesh)
        row |= {
            "align_scale": moved.scale,
            "align_degrees": moved.degrees,
            "align_matrix": moved.matrix.tolist(),
        }
    elif not 1 / _FAR < ratio < _FAR:
        row["notes"].append(
            f"is {ratio:.3g} times as large as the truth: are its units others? (align: similarity)"
        )
    elif _apart(mesh, truth.mesh):
        row["notes"].append("its box does not touch the truth's: is its frame another? (align)")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        metrics = evaluate(
            mesh,
            truth.mesh,
            samples=measure.samples,
            seed=measure.seed,
            points=truth.points,
            occupancies=truth.occupancies,
            thresholds=measure.thresholds,
        ).as_dict()
    row |= {key: metrics[key] for key in (*measure.keys, "iou_resolution")}
    row["notes"] += [str(warning.message) for warning in caught]
    if row["iou"] is None:
        _add_open_iou(row, mesh, truth.mesh, measure)
    return row | _as_solid(mesh, truth.frame.scale, measure)


def _coarse(mesh: trimesh.Trimesh) -> str | None:
    """Return what is to be told of a mesh that single precision has rounded; None if nothing."""
    step, longest = single_precision_step(mesh.vertices), UnitFrame.of_mesh(mesh).scale
    if step < _COARSE * longest:
        return None
    return f"{ROUNDED} {step:.2g}, its longest edge is {longest:.3g}"


def _apart(mesh: trimesh.Trimesh, truth: trimesh.Trimesh) -> bool:
    (low, high), (true_low, true_high) = np.asarray(mesh.bounds), np.asarray(truth.bounds)
    return bool((low > true_high).any() or (high < true_low).any())


def _add_open_iou(
    row: Row, mesh: trimesh.Trimesh, truth: trimesh.Trimesh, measure: Measure
) -> None:
    """Add the IoU where one of the meshes has no inside, by the rule for open meshes."""
    if measure.open_meshes == "none":
        return
    if measure.open_meshes == "zero":
        row |= {"iou": 0.0, "iou_resolution": 0.0}
        return
    frame = UnitFrame.of_mesh(truth)
    rng = np.random.default_rng(measure.seed)
    found = point_iou(
        frame.mesh_to_unit(mesh),
        frame.mesh_to_unit(truth),
        measure.samples,
        rng,
        measure.open_meshes,
    )
    row |= {"iou": found.iou, "iou_resolution": found.resolution}
    for name, turned in zip(("it", "the true mesh"), found.turned, strict=True):
        if turned:
            row["notes"].append(f"{name} is inside out, and was turned for the IoU")


def _as_solid(mesh: trimesh.Trimesh, scale: float, measure: Measure) -> Row:
    if not measure.solids or len(mesh.faces) > _MOST_FACES:
        return {}
    told = asdict(check_solid(mesh, threads=1))
    wall = told["thinnest_wall"]
    return {key: told[key] for key in SOLID} | {
        "thinnest_wall": None if wall is None else wall / scale,
    }


def _told(error: Exception) -> str:
    return (
        " ".join(str(error).split())
        if isinstance(error, OnetError)
        else (f"{type(error).__name__}: {' '.join(str(error).split())}")
    )
