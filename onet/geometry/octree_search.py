"""The evaluation of what an octree asks for, counted and timed."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.geometry.extraction_backend import CpuBackend, CudaBackend
from onet.geometry.field_values import Field
from onet.geometry.lattice import Lattice

_CHECKED = 1000  # points at which a field is asked whether it rounds


class OctreeSearch:
    """Evaluates what an octree asks for, and keeps count.

    Attributes:
        rounds: evaluations of each round, in which the octree asked for points.
        evaluations: of all rounds, and others.
        seconds: of the clock in each stage.
    """

    def __init__(
        self,
        field: Field,
        lattice: Lattice,
        level: float,
        batch_size: int,
        backend: CpuBackend | CudaBackend,
    ) -> None:
        self.field = field
        self.backend = backend
        self.lattice = lattice
        self.level = level
        self.batch_size = batch_size
        self.rounds: list[int] = []
        self.evaluations = 0
        self.seconds = {"field": 0.0, "octree": 0.0, "marching_cubes": 0.0}

    def begin(self, tree: Any) -> None:
        """Called once, before the points of the base grid are answered."""

    def place(self, tree: Any, vertices: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the vertices of marching cubes (V, 3) where they belong: there they are."""
        return vertices

    def finish(self, tree: Any) -> None:
        """Answers until nothing is pending."""
        lattice = self.lattice
        origin, single = lattice.origin.tolist(), lattice.dtype is np.float32
        while tree.pending:
            values = self.backend.empty(tree.pending)
            indices = None if single else tree.pending_points()
            for start in range(0, len(values), self.batch_size):
                count = min(self.batch_size, len(values) - start)
                with self.timed("octree"):
                    if indices is None:
                        points = tree.pending_positions(origin, lattice.cell, start, count)
                    else:
                        part = indices[start : start + count]
                        points = self.backend.positions(part, lattice.origin, lattice.cell)
                values[start : start + count] = self.evaluate(points)
            with self.timed("octree"):
                tree.update(values)
            self.rounds.append(len(values))

    def evaluate(self, points: Any) -> Any:
        with self.timed("field"):
            values = self.backend.evaluate(self.field, points, self.level)
        self.evaluations += len(points)
        return values

    def check(
        self,
        tree: Any,
        points: NDArray[np.float64],  # (S, 3)
        refine: bool,
    ) -> dict[str, int]:
        """How often field and surface disagree about points of the box, and what refining mends."""
        at = self.lattice.positions_of(points)
        inside_box = ((at >= 0) & (at <= np.array(tree.resolution))).all(axis=1)
        points, at = points[inside_box], at[inside_box]
        truth = self.backend.empty(len(points))
        for start in range(0, len(points), self.batch_size):
            part = slice(start, start + self.batch_size)
            truth[part] = self.evaluate(self.backend.array(points[part].astype(self.lattice.dtype)))
        inside = self.backend.numpy(truth) > 0
        wrong = (self.backend.numpy(tree.interpolate(self.backend.array(at))) > 0) != inside
        before = int(wrong.sum())
        if refine:
            tree.refine(self.lattice.cells_of(points[wrong]))
            self.finish(tree)
            wrong = (self.backend.numpy(tree.interpolate(self.backend.array(at))) > 0) != inside
        return {"count": len(at), "wrong_side": int(wrong.sum()), "wrong_side_before": before}

    def is_rounded(self, vertices: NDArray[np.float64]) -> bool:
        """Return whether the field is the same at surface points and their float32 neighbours.

        Of a field with two values only, an occupancy for instance, it cannot be told.
        """
        count = min(_CHECKED, self.batch_size)
        points = vertices[:: max(1, len(vertices) // count)][:count]
        rounded = points.astype(np.float32).astype(np.float64)
        different = (points != rounded).any(axis=1)
        if not different.any():
            return False
        here, there = (
            self.backend.numpy(self.evaluate(self.backend.array(at[different])))
            for at in (points, rounded)
        )
        return bool((here == there).all()) and len(np.unique(here)) > 2

    def statistics(self, tree: Any) -> dict[str, Any]:
        """Return what the metadata of a mesh say of the search."""
        return {
            "resolution": list(tree.resolution),
            "level": self.level,
            "lattice": {"origin": self.lattice.origin.tolist(), "cell": self.lattice.cell},
            "evaluations": self.evaluations,
            "evaluations_per_level": tree.evaluations_per_level(),
            "evaluations_per_round": self.rounds,
            "rounds": len(self.rounds),
            "box_contacts": int(tree.box_contacts),
        }

    def warn(self, vertices: NDArray[np.float64], faces: NDArray[np.integer]) -> None:
        """Warn the caller of `extract_mesh` of a field that rounds points, and of no surface."""
        if self.lattice.dtype is np.float64 and self.is_rounded(vertices):
            warnings.warn(
                "the field rounds points to single precision, which moves them by up to "
                f"{self.lattice.rounding:.2g} cells here: let it compute in float64, or move it "
                "nearer to the origin",
                stacklevel=3,
            )
        if len(faces) == 0:
            warnings.warn(
                f"no surface: the field is nowhere above the level {self.level:g}, asked "
                f"at {self.evaluations} points{_overlooked(self.lattice)}; the mesh is empty",
                stacklevel=3,
            )

    def timed(self, stage: str) -> _Timed:
        return _Timed(self.seconds, stage)


class _Timed:
    """Adds the time spent inside to a stage."""

    def __init__(self, seconds: dict[str, float], stage: str) -> None:
        self.seconds, self.stage = seconds, stage

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self.seconds[self.stage] += time.perf_counter() - self.start


def _overlooked(lattice: Lattice) -> str:
    """What the base grid cannot see, for a message."""
    axes = " and ".join(name for name, cells in zip("xyz", lattice.base, strict=True) if cells == 1)
    if not axes:
        return ""
    return (
        f", none of them between the sides of the box along {axes}, where the base grid has one "
        "cell; raise base_resolution or give seeds"
    )
