"""Vertices moved to where the field crosses the level, each on its lattice edge.

Marching cubes puts a vertex where a straight line between the values at the ends of its edge would
cross the level. The field itself crosses between the same ends: a bracketed root finder gets
there in a few evaluations and cannot leave the edge, so the mesh stays closed and manifold.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onet.geometry.field_values import Field, evaluate_in_batches
from onet.geometry.mesh_lattice import MARGIN, MeshLattice

if TYPE_CHECKING:
    import trimesh

# A jump is more than this part of the difference between two points around it, WIDE cells away on
# each side.
JUMP, WIDE = 0.5, 0.125
# Values so near to the level are the level itself; see `evaluate_field`.
ZERO = 1e-29
# Bisection alone gets below any useful tolerance in this number of rounds.
MAX_ROUNDS = 50


def refine_roots(
    field: Field,
    mesh: trimesh.Trimesh,
    *,
    tolerance: float = 5e-5,
    batch_size: int = 65536,
) -> trimesh.Trimesh:
    """Return the mesh with every vertex at the root of the field on its lattice edge.

    All vertices at once, by Chandrupatla's method (Advances in Engineering Software 28, 1997): it
    begins at the vertex, interpolates by an inverse parabola where that is safe and bisects where
    it is not. Vertices of the flat ends at the box are no roots of the field and stay.

    Args:
        field: the one that `mesh` was extracted from.
        mesh: as `extract_mesh` returned it, before anything else moved its vertices. The level
            is that of its extraction.
        tolerance: of the position on the edge, in cells.
        batch_size: most points handed to one call of `field`.

    Returns:
        New mesh with the same faces, closed, manifold and oriented as before, since no vertex comes
        nearer than 1e-4 of a cell to the end of its edge. Its metadata are those of `mesh` and
        `refinement`: `method`, `evaluations` (also `per_vertex`), `rounds`, `residual_before` and
        `residual_after` (largest `|field - level|` over the vertices), `jumps` (vertices at which
        the field jumps over the level, within the tolerance; `residual_after` counts the
        larger side of a jump), `fixed` (vertices on flat ends), `seconds`. Jumps get a warning.

    Raises:
        ValueError: the mesh is not one that `extract_mesh` made, or tolerance is not positive.
        FieldError: see `extract_mesh`.
    """
    import trimesh

    clock = time.perf_counter()
    if not tolerance > 0:
        raise ValueError(f"tolerance is {tolerance}; it must be positive")
    lattice = MeshLattice.of(mesh)
    level = _level_of(mesh)
    vertices = np.array(mesh.vertices, dtype=np.float64)
    start, axis, position = lattice.edges(vertices)
    moved = np.flatnonzero(~lattice.beyond(vertices).any(axis=1))
    lower, along = start[moved], axis[moved]
    ends, asked = _values_at_ends(field, lattice, lower, position[moved], level, batch_size)

    def function(t: NDArray[np.float64], which: NDArray[np.int64]) -> NDArray[np.float64]:
        points = vertices[moved[which]]
        axes = along[which]
        at = np.clip(lower[which, axes] + t, 0, lattice.resolution[axes])  # not out of the box
        points[np.arange(len(points)), axes] = lattice.origin[axes] + lattice.cell * at
        return evaluate_in_batches(field, points, level, batch_size, lattice.dtype)

    roots = _find_roots(function, position[moved], ends, tolerance)
    roots = _past_flat_parts(function, position[moved], ends, tolerance, roots)
    roots, jumping = _at_jumps(function, ends, roots)
    _warn_of_jumps(roots, jumping)
    t = np.clip(roots.position, MARGIN, 1 - MARGIN)
    rows = np.arange(len(moved))
    vertices[moved, along] = lattice.origin[along] + lattice.cell * (lower[rows, along] + t)

    result = trimesh.Trimesh(vertices, mesh.faces, process=False)
    result.metadata.update(mesh.metadata)
    result.metadata["refinement"] = {
        "method": "root",
        **_statistics(roots, asked),
        "jumps": int(jumping.sum()),
        "fixed": len(vertices) - len(moved),
        "seconds": round(time.perf_counter() - clock, 6),
    }
    return result


_Function = Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]]


def _level_of(mesh: trimesh.Trimesh) -> float:
    """Return the value of the field on the surface; older meshes call it threshold."""
    extraction = mesh.metadata["extraction"]
    level: float = extraction["level" if "level" in extraction else "threshold"]
    return level


def _warn_of_jumps(roots: _Roots, jumping: NDArray[np.bool_]) -> None:
    """Warn the caller of `refine_roots` of vertices at which the field jumps."""
    if not jumping.any():
        return
    warnings.warn(
        f"the field jumps over the level at {int(jumping.sum())} of {len(jumping)} vertices, "
        f"from {np.abs(roots.residual[jumping]).max():.3g} away from it: they lie at the jump, but "
        "the field's values say nothing else about the surface, such as its normals",
        stacklevel=3,
    )


def _statistics(roots: _Roots, asked: int) -> dict[str, Any]:
    """Return what the metadata of a mesh say of the search, `asked` evaluations before it."""
    evaluations = asked + roots.evaluations
    return {
        "evaluations": evaluations,
        "per_vertex": evaluations / max(1, len(roots.position)),
        "rounds": roots.rounds,
        "residual_before": float(np.abs(roots.first).max(initial=0.0)),
        "residual_after": float(np.abs(roots.residual).max(initial=0.0)),
    }


def _values_at_ends(
    field: Field,
    lattice: MeshLattice,
    lower: NDArray[np.int64],  # (N, 3)
    position: NDArray[np.float64],  # (N,) of the linear crossing on the edge
    level: float,
    batch_size: int,
) -> tuple[NDArray[np.float64], int]:
    """Values (2, N) at the lower and upper ends of edges, and the evaluations: one a lower end.

    The value at the upper end follows from where the line between the two crossed the level. Of
    a vertex that was moved since, or kept off the end of its edge, only its sign is right; more is
    not needed.
    """
    size = lattice.resolution + 1
    keys, inverse = np.unique(np.ravel_multi_index(lower.T, size), return_inverse=True)
    points = lattice.points(np.stack(np.unravel_index(keys, size), axis=1))
    values = evaluate_in_batches(field, points, level, batch_size, lattice.dtype)[inverse]
    return np.stack([values, values * (position - 1) / position]), len(keys)


class _Roots(NamedTuple):
    position: NDArray[np.float64]  # (N,) the end of the last bracket with the value nearer to 0
    residual: NDArray[np.float64]  # (N,) that value
    other: NDArray[np.float64]  # (N,) value at the other end, if it is within the tolerance, else 0
    first: NDArray[np.float64]  # (N,) value at the first guess
    evaluations: int
    rounds: int


def _find_roots(
    function: _Function,
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
    other = np.zeros(len(guess))
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
        narrow = np.abs(b - a) <= 2 * tolerance
        other[which] = np.where(narrow, np.where(nearer, fb, fa), 0.0)
        ready = narrow | (rounds == MAX_ROUNDS)
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
    return _Roots(root, residual, other, first, evaluations, rounds)


def _past_flat_parts(
    function: _Function,
    guess: NDArray[np.float64],  # (N,) where the search began
    ends: NDArray[np.float64],  # (2, N) values at 0 and 1, of different sign
    tolerance: float,
    roots: _Roots,
) -> _Roots:
    """Return the roots; mended are those that a field flat next to the level only seems to have.

    Outside of an occupancy, a density or a rectified field the value may be the level itself,
    which looks like a root though the surface is where the inside begins. And of a vertex that
    marching cubes had to keep off the end of its edge, the value at the upper end is a guess. Such
    vertices are looked at again: where the sign is still the same a little further towards the
    other side, the change of sign is found by bisection.
    """
    clipped = (guess < 2 * MARGIN) | (guess > 1 - 2 * MARGIN)
    which = np.flatnonzero(clipped | (np.abs(roots.residual) <= ZERO))
    sign = roots.residual[which] > 0
    end = np.where((ends[0, which] > 0) == sign, 1.0, 0.0)  # of the other sign
    near = roots.position[which] + np.clip(
        end - roots.position[which], -2 * tolerance, 2 * tolerance
    )
    evaluations, rounds = roots.evaluations, roots.rounds

    def ask(t: NDArray[np.float64]) -> NDArray[np.float64]:
        nonlocal evaluations, rounds
        evaluations, rounds = evaluations + len(which), rounds + (len(which) > 0)
        return function(t, which)

    f_near = ask(near)
    wrong = ((f_near > 0) == sign) & (near != end)
    which, sign, near, far, f_near = (
        which[wrong],
        sign[wrong],
        near[wrong],
        end[wrong],
        f_near[wrong],
    )
    f_far = ask(far)
    while np.abs(far - near).max(initial=0.0) > 2 * tolerance:
        middle = (near + far) / 2
        value = ask(middle)
        same = (value > 0) == sign
        near, f_near = np.where(same, middle, near), np.where(same, value, f_near)
        far, f_far = np.where(same, far, middle), np.where(same, f_far, value)
    position, residual, other = roots.position.copy(), roots.residual.copy(), roots.other.copy()
    larger = np.abs(f_near) > np.abs(f_far)
    position[which], residual[which] = (near + far) / 2, np.where(larger, f_near, f_far)
    other[which] = np.where(larger, f_far, f_near)
    return _Roots(position, residual, other, roots.first, evaluations, rounds)


def _at_jumps(
    function: _Function, ends: NDArray[np.float64], roots: _Roots
) -> tuple[_Roots, NDArray[np.bool_]]:
    """Which roots are jumps of the field (N,); the residual of these is the larger of both sides.

    A jump is as large within the tolerance as it is WIDE around; of a continuous field next to
    nothing is left there. Only edges are looked at of which that can be true.
    """
    jumps = np.zeros(len(roots.position), dtype=np.bool_)
    gap = np.abs(roots.other - roots.residual)
    sides = np.abs(ends[0] - ends[1])
    which = np.flatnonzero((roots.other != 0) & (gap > JUMP * sides))
    if not len(which):
        return roots, jumps
    around = [function(roots.position[which] + step, which) for step in (-WIDE, WIDE)]
    jumps[which] = gap[which] > JUMP * np.abs(around[1] - around[0])
    larger = np.where(np.abs(roots.other) > np.abs(roots.residual), roots.other, roots.residual)
    residual = np.where(jumps, larger, roots.residual)
    asked = roots.evaluations + 2 * len(which)
    return roots._replace(residual=residual, evaluations=asked, rounds=roots.rounds + 1), jumps
