"""Isosurface extraction from any callable field.

Multiresolution isosurface extraction (MISE; Mescheder et al., Occupancy Networks, 2019, section
3.3) with marching cubes on the finest cells. The field is evaluated near the surface only, and no
grid of the final resolution is ever stored.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.errors import FieldError

if TYPE_CHECKING:
    import trimesh

Field = Callable[[NDArray[np.float32]], Any]  # (N, 3) points -> (N,) values

UNIT_BOX = ((-0.55, -0.55, -0.55), (0.55, 0.55, 0.55))
# Cells of the base grid along the longest side, at least: a coarser one overlooks thin parts.
MIN_BASE = 32

# Range of values that single precision holds with room for their differences.
_TINY, _HUGE = 1e-30, 1e30

logger = logging.getLogger(__name__)


def extract_mesh(
    field: Field,
    bounds: ArrayLike = UNIT_BOX,  # (2, 3): minimum and maximum corner
    resolution: int = 128,
    threshold: float = 0.0,
    *,
    seeds: ArrayLike | None = None,  # (S, 3) points near the surface
    batch_size: int = 65536,
) -> trimesh.Trimesh:
    """Closed mesh of the set where `field(points) > threshold`, inside `bounds`.

    The field is evaluated on a base grid; cells whose corners disagree are halved until the longest
    side has `resolution` cells. Parts thinner than a base cell can be overlooked: points in `seeds`
    make the search begin there as well. Where the set leaves the box it is cut off flat at the box
    and closed. The mesh is closed, manifold and oriented outward, for every field.

    Args:
        field: callable that takes points (N, 3) float32, in the frame of `bounds`, and returns N
            real values as a NumPy array or torch tensor of shape (N,) or (N, 1). Larger values are
            inside.
        bounds: corners of an axis-aligned box, any frame and unit.
        resolution: cells along the longest side of the box, at least: rounded up to a multiple of
            the power of two that leaves a base grid of 32 to 63 cells. Cells are cubes; a shorter
            side is covered by whole base cells, centred on it, so it may be exceeded slightly.
        threshold: value of the field on the surface. For occupancy logits and a probability t this
            is log(t / (1 - t)).
        seeds: points in the frame of `bounds` around which the finest cells are always evaluated.
        batch_size: most points handed to one call of `field`.

    Returns:
        Mesh in the frame of `bounds`: vertices float64, faces counter-clockwise from outside.
        Empty, with a warning, where there is no surface. `mesh.metadata["extraction"]` holds
        `resolution` (cells per axis), `evaluations`, `evaluations_per_round`, `rounds`,
        `box_contacts` (evaluated points on the box that are inside; above 0 the surface was cut),
        `seconds` per stage, `octree_bytes`.

    Raises:
        ValueError: bounds, resolution, batch_size or seeds that cannot be used.
        FieldError: the field returned NaN, complex or non-numeric values or the wrong shape.
    """
    import trimesh

    from onet import _C

    low, cell, base, levels = _lattice(bounds, resolution)
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
    if not np.isfinite(threshold):
        raise ValueError(f"threshold is {threshold}; it must be a finite number")
    tree = _C.Octree(base, levels)
    if seeds is not None:
        tree.refine(_cells_of(seeds, low, cell))

    rounds: list[int] = []
    seconds = {"field": 0.0, "octree": 0.0, "marching_cubes": 0.0}
    clock = time.perf_counter()
    while tree.pending:
        lattice = tree.pending_points()
        values = np.empty(len(lattice), dtype=np.float32)
        seconds["octree"] += -clock + (clock := time.perf_counter())
        for start in range(0, len(lattice), batch_size):
            part = slice(start, start + batch_size)
            points = (low + cell * lattice[part]).astype(np.float32)
            values[part] = _evaluate(field, points, threshold)
        seconds["field"] += -clock + (clock := time.perf_counter())
        tree.update(values)
        rounds.append(len(lattice))
        seconds["octree"] += -clock + (clock := time.perf_counter())
    vertices, faces = _C.marching_cubes(tree)
    seconds["marching_cubes"] = time.perf_counter() - clock

    if len(faces) == 0:
        warnings.warn(
            f"no surface: the field is nowhere above the threshold {threshold:g}, asked at "
            f"{tree.evaluated} points; the mesh is empty",
            stacklevel=2,
        )
    mesh = trimesh.Trimesh(low + cell * vertices, faces.astype(np.int64), process=False)
    mesh.metadata["extraction"] = {
        "resolution": list(tree.resolution),
        "threshold": float(threshold),
        "evaluations": int(tree.evaluated),
        "evaluations_per_round": rounds,
        "rounds": len(rounds),
        "box_contacts": int(tree.box_contacts),
        "seconds": {stage: round(s, 6) for stage, s in seconds.items()},
        "octree_bytes": int(tree.bytes),
    }
    if tree.box_contacts:
        logger.warning(
            "the surface leaves the box and was closed there (%d points of the box are inside)",
            tree.box_contacts,
        )
    return mesh


def _lattice(
    bounds: ArrayLike, resolution: int
) -> tuple[NDArray[np.float64], float, tuple[int, int, int], int]:
    """Origin, finest cell size, base cells per axis and number of halvings."""
    box = np.asarray(bounds, dtype=np.float64)
    if box.shape != (2, 3) or not np.isfinite(box).all() or not (box[1] > box[0]).all():
        raise ValueError(
            f"bounds must be two finite corners, minimum first, of shape (2, 3); got {box.tolist()}"
        )
    if resolution != int(resolution) or resolution < 1:
        raise ValueError(f"resolution is {resolution}; it must be a whole number, at least 1")
    levels = max(0, int(resolution // MIN_BASE).bit_length() - 1)
    extent = box[1] - box[0]
    cell = float(extent.max()) / (-(-int(resolution) // 2**levels) * 2**levels)
    # The tolerance keeps a side that is a whole number of base cells from getting one more.
    base = np.ceil(extent / (cell * 2**levels) - 1e-9).astype(int)
    low = box.mean(axis=0) - base * cell * 2**levels / 2
    return low, cell, (int(base[0]), int(base[1]), int(base[2])), levels


def _cells_of(seeds: ArrayLike, low: NDArray[np.float64], cell: float) -> NDArray[np.int32]:
    points = np.asarray(seeds, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ValueError(f"seeds must be finite points of shape (S, 3); got shape {points.shape}")
    cells = np.clip(np.floor((points - low) / cell), -1, 2**20)  # beyond the box: ignored later
    return np.ascontiguousarray(np.unique(cells.astype(np.int32), axis=0))


def _evaluate(field: Field, points: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """Values relative to the threshold, checked, in single precision with the sign kept."""
    raw = field(points)
    if hasattr(raw, "detach"):  # a torch tensor, recognised without importing torch
        raw = raw.detach().cpu()
        raw = raw.double().numpy() if raw.is_floating_point() else raw.numpy()
    values = np.asarray(raw)
    if values.shape not in ((len(points),), (len(points), 1)):
        raise FieldError(
            f"the field returned shape {values.shape} for {len(points)} points; "
            f"it must return ({len(points)},), one value a point"
        )
    if values.dtype.kind not in "biuf":
        raise FieldError(f"the field returned {values.dtype} values; it must return real numbers")
    relative = values.reshape(-1).astype(np.float64) - threshold
    bad = np.isnan(relative)
    if bad.any():
        raise FieldError(
            f"the field returned NaN at {bad.sum()} of {len(points)} points, "
            f"first at {points[bad][0].tolist()}"
        )
    size = np.clip(np.abs(relative), _TINY, _HUGE)
    return np.where(relative > 0, size, -size).astype(np.float32)
