"""Vertices moved to where the field crosses the threshold, each on its lattice edge.

Marching cubes puts a vertex where a straight line between the values at the ends of its edge would
cross the threshold. The field itself crosses between the same ends: a bracketed root finder gets
there in a few evaluations and cannot leave the edge, so the mesh stays closed and manifold.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onet.geometry.field_values import Field, evaluate_in_batches
from onet.geometry.mesh_lattice import MARGIN, MeshLattice

if TYPE_CHECKING:
    import trimesh

# Bisection alone gets below any useful tolerance in this number of rounds.
MAX_ROUNDS = 50


def refine_roots(
    field: Field,
    mesh: trimesh.Trimesh,
    *,
    tolerance: float = 5e-5,
    batch_size: int = 65536,
) -> trimesh.Trimesh:
    """The mesh with every vertex at the root of the field on its lattice edge.

    All vertices at once, by Chandrupatla's method (Advances in Engineering Software 28, 1997): it
    begins at the vertex, interpolates by an inverse parabola where that is safe and bisects where
    it is not. Vertices of the flat ends at the box are no roots of the field and stay.

    Args:
        field: the one that `mesh` was extracted from.
        mesh: as `extract_mesh` returned it, before anything else moved its vertices. The threshold
            is that of its extraction.
        tolerance: of the place on the edge, in cells.
        batch_size: most points handed to one call of `field`.

    Returns:
        New mesh with the same faces, closed, manifold and oriented as before, since no vertex comes
        nearer than 1e-4 of a cell to the end of its edge. Its metadata are those of `mesh` and
        `refinement`: `method`, `evaluations` (also `per_vertex`), `rounds`, `residual_before` and
        `residual_after` (largest |field - threshold| over the vertices), `fixed` (vertices on flat
        ends), `seconds`.

    Raises:
        ValueError: the mesh is not one that `extract_mesh` made, or tolerance is not positive.
        FieldError: see `extract_mesh`.
    """
    import trimesh

    clock = time.perf_counter()
    if not tolerance > 0:
        raise ValueError(f"tolerance is {tolerance}; it must be positive")
    lattice = MeshLattice.of(mesh)
    threshold = mesh.metadata["extraction"]["threshold"]
    vertices = np.array(mesh.vertices, dtype=np.float64)
    start, axis, place = lattice.edges(vertices)
    moved = np.flatnonzero(~lattice.beyond(vertices).any(axis=1))
    lower, along = start[moved], axis[moved]
    ends, asked = _values_at_ends(field, lattice, lower, place[moved], threshold, batch_size)

    def function(t: NDArray[np.float64], which: NDArray[np.int64]) -> NDArray[np.float64]:
        points = vertices[moved[which]]
        axes = along[which]
        rows = np.arange(len(points))
        points[rows, axes] = lattice.origin[axes] + lattice.cell * (lower[which, axes] + t)
        return evaluate_in_batches(field, points, threshold, batch_size)

    roots = _find_roots(function, place[moved], ends, tolerance)
    t = np.clip(roots.place, MARGIN, 1 - MARGIN)
    rows = np.arange(len(moved))
    vertices[moved, along] = lattice.origin[along] + lattice.cell * (lower[rows, along] + t)

    result = trimesh.Trimesh(vertices, mesh.faces, process=False)
    result.metadata.update(mesh.metadata)
    evaluations = asked + roots.evaluations
    result.metadata["refinement"] = {
        "method": "root",
        "evaluations": evaluations,
        "per_vertex": evaluations / max(1, len(moved)),
        "rounds": roots.rounds,
        "residual_before": float(np.abs(roots.first).max(initial=0.0)),
        "residual_after": float(np.abs(roots.residual).max(initial=0.0)),
        "fixed": len(vertices) - len(moved),
        "seconds": round(time.perf_counter() - clock, 6),
    }
    return result


def _values_at_ends(
    field: Field,
    lattice: MeshLattice,
    lower: NDArray[np.int64],  # (N, 3)
    place: NDArray[np.float64],  # (N,) of the linear crossing on the edge
    threshold: float,
    batch_size: int,
) -> tuple[NDArray[np.float64], int]:
    """Values (2, N) at the lower and upper ends of edges, and the evaluations: one a lower end.

    The value at the upper end follows from where the line between the two crossed the threshold. Of
    a vertex that was moved since, or kept off the end of its edge, only its sign is right; more is
    not needed.
    """
    size = lattice.resolution + 1
    keys, inverse = np.unique(np.ravel_multi_index(lower.T, size), return_inverse=True)
    points = lattice.points(np.stack(np.unravel_index(keys, size), axis=1))
    values = evaluate_in_batches(field, points, threshold, batch_size)[inverse]
    return np.stack([values, values * (place - 1) / place]), len(keys)


class _Roots(NamedTuple):
    place: NDArray[np.float64]  # (N,) the end of the last bracket with the value nearer to 0
    residual: NDArray[np.float64]  # (N,) that value
    first: NDArray[np.float64]  # (N,) value at the first guess
    evaluations: int
    rounds: int


def _find_roots(
    function: Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]],
    guess: NDArray[np.float64],  # (N,) in (0, 1)
    ends: NDArray[np.float64],  # (2, N) values at 0 and 1, of different sign
    tolerance: float,
) -> _Roots:
    """Roots of N functions in [0, 1]; `function(t, which)` gives the values of some of them at t.

    In the notation of Chandrupatla: a is the latest point, b the other end of the bracket and c the
    point before. It ends where the bracket is at most twice the tolerance, or where a safe
    interpolation is within the tolerance of the bracket's better end.
    """
    which: NDArray[np.int64] = np.arange(len(guess))
    a, fa = guess, function(guess, which)
    first, root, residual = fa, guess.copy(), fa.copy()
    evaluations, rounds = len(guess), 1
    low = (fa > 0) == (ends[0] > 0)
    b, fb = np.where(low, 1.0, 0.0), np.where(low, ends[1], ends[0])
    c, fc = 1 - b, np.where(low, ends[0], ends[1])
    while len(which):
        with np.errstate(divide="ignore", invalid="ignore"):
            xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
            safe = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi)
            parabola = fa / (fb - fa) * fc / (fb - fc)
            parabola += (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        x = a + np.where(safe, parabola, 0.5) * (b - a)
        nearer = np.abs(fa) <= np.abs(fb)
        root[which], residual[which] = np.where(nearer, a, b), np.where(nearer, fa, fb)
        ready = (np.abs(b - a) <= 2 * tolerance) | (rounds == MAX_ROUNDS)
        ready |= safe & (np.abs(x - root[which]) <= tolerance)
        rest = ~ready
        which = which[rest]
        if len(which):
            x, a, fa, b, fb = x[rest], a[rest], fa[rest], b[rest], fb[rest]
            fx = function(x, which)
            evaluations, rounds = evaluations + len(which), rounds + 1
            same = (fx > 0) == (fa > 0)
            c, fc = np.where(same, a, b), np.where(same, fa, fb)
            b, fb = np.where(same, b, a), np.where(same, fb, fa)
            a, fa = x, fx
    return _Roots(root, residual, first, evaluations, rounds)
