"""Isosurface extraction from any callable field.

Multiresolution isosurface extraction (MISE; Mescheder et al., Occupancy Networks, 2019, section
3.3) with marching cubes on the finest cells. The field is evaluated near the surface only, and no
grid of the final resolution is ever stored.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.geometry.approximate_search import ApproximateSearch, SignsDifferError
from onet.geometry.extraction_backend import CpuBackend, CudaBackend
from onet.geometry.field_values import Field
from onet.geometry.lattice import Lattice
from onet.geometry.octree_search import OctreeSearch

if TYPE_CHECKING:
    import trimesh

UNIT_BOX = ((-0.55, -0.55, -0.55), (0.55, 0.55, 0.55))

_FEW = 8  # cells across the shortest side

logger = logging.getLogger(__name__)


def extract_mesh(
    field: Field,
    bounds: ArrayLike = UNIT_BOX,  # (2, 3): minimum and maximum corner
    resolution: int = 128,
    level: float | None = None,
    *,
    probability: float | None = None,
    mode: Literal["exact", "fast"] = "exact",
    margin: float = 0.0,
    base_resolution: int | None = None,
    seeds: ArrayLike | None = None,  # (S, 3) points near the surface
    probes: int = 0,
    probe_seed: int = 0,
    refine_at_seeds: bool = True,
    batch_size: int = 65536,
    threads: int = 0,
    device: str | None = None,
    approximate: Field | None = None,
    threshold: float | None = None,
) -> trimesh.Trimesh:
    """Return the closed mesh of the set where `field(points) > level`, inside `bounds`.

    The field is evaluated on a base grid; cells whose corners disagree are halved until the longest
    side has `resolution` cells. Parts thinner than a base cell can be overlooked: points in `seeds`
    make the search begin there as well, and `probes` look for such parts at random. Where the set
    leaves the box it is cut off flat at the box and closed. The mesh is closed, manifold and
    oriented outward, for every field.

    `mode="exact"` evaluates all corners of all cells near the surface (MISE): the mesh is that of
    marching cubes on the dense grid, as far as the base grid hints at the surface. `mode="fast"`
    predicts the values of new corners from the cell they split, and evaluates only the ends of
    edges whose signs differ, until no such edge is left: every vertex is interpolated from true
    values, at about half the evaluations, but detail that no prediction hints at is missed.

    Args:
        field: callable that takes points (N, 3) float32, in the frame of `bounds`, and returns N
            real values as a NumPy array or torch tensor of shape (N,) or (N, 1). Larger values are
            inside. The points are float64 where the box is so far from the origin, or so fine, that
            single precision would move them by more than 1/1024 of a cell; a warning tells if the
            field then rounds them itself.
        bounds: corners of an axis-aligned box, any frame and unit.
        resolution: cells along the longest side of the box, at least: rounded up to a multiple of
            the power of two that leaves the base grid. Cells are cubes; a shorter side is covered
            by whole base cells, centred on it, so it may be exceeded slightly. The shortest side of
            a box more than 8 times as long gets some cells too, by a higher resolution if need be:
            see `onet.geometry.lattice.Lattice.over`.
        level: value of the field on the surface; default 0.
        probability: instead of `level`, for a field of occupancy logits: the probability p on the
            surface, that is the level log(p / (1 - p)).
        mode: see above.
        margin: of `mode="fast"`: points whose predicted value is nearer to the level than this
            are evaluated too.
        base_resolution: cells of the base grid along the longest side; default 32 to 63, or more
            for a long box.
        seeds: points in the frame of `bounds` around which the finest cells are always evaluated.
        probes: number of random points of the box at which the field is compared with the surface
            found; where they disagree the search begins anew.
        probe_seed: of the choice of these points.
        refine_at_seeds: whether seeds and probes have these effects; otherwise the field is
            evaluated there as well, and disagreements are only counted.
        batch_size: most points handed to one call of `field`.
        threads: of everything but the field; 0 for all cores, or OMP_NUM_THREADS if that is set.
        device: a CUDA device such as `cuda` or `cuda:1`: everything happens there, and the field is
            called with torch tensors on it and must return tensors on it. Default: the CPU.
        approximate: for `mode="exact"` on the CPU, a cheaper field that is nearly the same, such
            as a decoder in half precision. It is asked first, and `field` where the two could
            differ in sign and at the ends of edges that the surface crosses: the mesh is that of
            `field` alone. How far they are apart near the surface is measured on the base grid;
            where the surface shows that this was too little, the search is done again with
            `field` alone.
        threshold: former name of `level`; gives a DeprecationWarning.

    Returns:
        Mesh in the frame of `bounds`: vertices float64, faces counter-clockwise from outside.
        Empty, with a warning, where there is no surface. `mesh.metadata["extraction"]` holds
        `mode`, `resolution` (cells per axis), `level`, `lattice` (`origin` and `cell`: every
        vertex lies on an edge of that lattice), `evaluations`, `evaluations_per_level` (base grid
        first), `evaluations_per_round`, `rounds`, `box_contacts` (evaluated points on the box that
        are inside; above 0 the surface was cut), `components`, `seconds` per stage, `peak_bytes`
        (of octree and mesh). With `approximate` also `approximate`: `margin` (values of it nearer
        to the level are asked of `field`), `exact_evaluations` (of `field`; `evaluations` counts
        points) and `again`, whether the search was done again. With probes, or seeds that are not
        refined at, also `seeds`: `count` (in the box), `wrong_side` (how many lie on the other
        side of the surface found than the field says) and `wrong_side_before` the search began
        anew there; their evaluations are in `evaluations`.

    Raises:
        ValueError: an argument that cannot be used; the message names it. Among them a box so far
            from the origin that double precision cannot tell the points of a cell apart.
        FieldError: the field returned NaN, complex or non-numeric values or the wrong shape.
        MissingDependency: `device` without the CUDA module or without such a device.
    """
    import trimesh

    lattice = Lattice.over(bounds, resolution, base_resolution)
    value = _level(_renamed(level, threshold), probability)
    _check_options(mode, margin, batch_size)
    given = _seeds(seeds, probes, probe_seed, bounds)

    backend = CpuBackend(threads) if device is None else CudaBackend(device)
    _check_approximate(approximate, mode, device)
    options = field, lattice, value, batch_size, backend

    def look(search: OctreeSearch) -> _Found:
        tree = backend.octree(lattice.base, lattice.levels, mode == "fast", float(margin))
        return _look(search, tree, given, probes > 0, refine_at_seeds)

    search = OctreeSearch(*options)
    if approximate is None:
        found = look(search)
    else:
        search, found = _look_by_both(ApproximateSearch(approximate, *options), search, look)
    tree, vertices, faces = found.tree, found.vertices, found.faces
    search.warn(vertices, faces)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    mesh.metadata["extraction"] = {
        "mode": mode,
        **search.statistics(tree),
        "components": found.components,
        "seconds": {stage: round(s, 6) for stage, s in search.seconds.items()},
        "peak_bytes": max(tree.peak_bytes, tree.bytes + vertices.nbytes + faces.nbytes),
    }
    mesh.metadata["extraction"].update(found.told)
    _warn_of_box(tree)
    return mesh


class _Found(NamedTuple):
    tree: Any
    vertices: NDArray[np.float64]  # (V, 3)
    faces: NDArray[np.integer]  # (F, 3)
    components: int
    told: dict[str, Any]  # what else the metadata of the mesh say


def _look(
    search: OctreeSearch,
    tree: Any,
    given: NDArray[np.float64],  # (S, 3) seeds or probes
    probing: bool,
    refine_at_seeds: bool,
) -> _Found:
    """Let the tree find the surface, and take it."""
    from onet import _C

    if not probing and refine_at_seeds:
        tree.refine(search.lattice.cells_of(given))
    search.begin(tree)
    search.finish(tree)
    told: dict[str, Any] = {}
    if probing or (len(given) and not refine_at_seeds):
        told["seeds"] = search.check(tree, given, refine_at_seeds)
    with search.timed("marching_cubes"):
        lattice = search.lattice
        vertices, faces = search.backend.marching_cubes(tree, lattice.origin.tolist(), lattice.cell)
        _, components = _C.face_components(faces, len(vertices))
    return _Found(tree, search.place(tree, vertices), faces, components, told)


def _look_by_both(
    search: ApproximateSearch, alone: OctreeSearch, look: Callable[[OctreeSearch], _Found]
) -> tuple[OctreeSearch, _Found]:
    """Look with the cheap field, or where that is too far off without; return which was right."""
    right: OctreeSearch = search
    try:
        found, exact = look(search), 0
    except SignsDifferError as error:
        logger.info("%s: searching again without it", error)
        alone.seconds = search.seconds  # go on counting
        right, found = alone, look(alone)
        exact = alone.evaluations
    found.told["approximate"] = {
        "margin": search.margin,
        "exact_evaluations": search.exact + exact,
        "again": right is alone,
    }
    return right, found


def _check_options(mode: str, margin: float, batch_size: int) -> None:
    if mode not in ("exact", "fast"):
        raise ValueError(f"mode is {mode!r}; choose 'exact' or 'fast'")
    if not margin >= 0:
        raise ValueError(f"margin is {margin}; it must be at least 0")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1")


def _check_approximate(approximate: Field | None, mode: str, device: str | None) -> None:
    if approximate is None:
        return
    if mode != "exact":
        raise ValueError(f"approximate is for mode 'exact'; mode is {mode!r}")
    if device is not None:
        raise ValueError(f"approximate is for the CPU; device is {device!r}")


def _warn_of_box(tree: Any) -> None:
    """Log that few cells cover the shortest side of the box, and that the surface leaves it."""
    short, long = min(tree.resolution), max(tree.resolution)
    if short < _FEW and long > _FEW * short:
        logger.warning(
            "the box is %d times as long as it is wide, and %d cells cover its shortest side: give "
            "a higher resolution, or extract it piece by piece", long // short, short,
        )  # fmt: skip
    if tree.box_contacts:
        logger.warning(
            "the surface leaves the box and was closed there (%d points of the box are inside)",
            tree.box_contacts,
        )


def _renamed(level: float | None, threshold: float | None) -> float | None:
    """Return the level, which was called threshold; warn the caller of `extract_mesh`."""
    if threshold is None:
        return level
    if level is not None:
        raise ValueError("threshold is the former name of level; give level alone")
    warnings.warn("extract_mesh: threshold is called level now", DeprecationWarning, stacklevel=3)
    return threshold


def _level(level: float | None, probability: float | None) -> float:
    """Return the value of the field on the surface."""
    if probability is not None:
        if level is not None:
            raise ValueError("level and probability say the same thing; give one of them")
        if not 0 < probability < 1:
            raise ValueError(f"probability is {probability}; it must be between 0 and 1")
        return math.log(probability / (1 - probability))
    value = 0.0 if level is None else float(level)
    if not math.isfinite(value):
        raise ValueError(f"level is {level}; it must be a finite number")
    return value


def _seeds(
    seeds: ArrayLike | None, probes: int, probe_seed: int, bounds: ArrayLike
) -> NDArray[np.float64]:
    """Points (S, 3) at which the surface found is to be checked."""
    if seeds is not None and probes:
        raise ValueError("seeds and probes cannot be used together; add random points to the seeds")
    if probes < 0 or probes != int(probes):
        raise ValueError(f"probes is {probes}; it must be a whole number, at least 0")
    if probes:
        low, high = np.asarray(bounds, dtype=np.float64)
        return np.random.default_rng(probe_seed).uniform(low, high, (int(probes), 3))
    if seeds is None:
        return np.empty((0, 3))
    points = np.asarray(seeds, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ValueError(f"seeds must be finite points of shape (S, 3); got shape {points.shape}")
    return points
