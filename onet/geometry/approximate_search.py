"""The search of an octree with a cheap field for signs and the field itself near the surface.

What decides the cells of an exact extraction are signs, and where a vertex lies the values at the
two ends of its edge. So a field that is nearly the same and cheaper, such as a decoder in bfloat16,
answers first; the field itself is asked where the sign could be another one, and at those ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.geometry.field_values import Field, evaluate_field, evaluate_in_batches
from onet.geometry.mesh_lattice import MARGIN, MeshLattice
from onet.geometry.octree_search import OctreeSearch

_SAMPLED = 2048  # points of the base grid at which the fields are compared
_NEAR = 8  # of these, the part that is nearest to the level
_SAFETY = 2.0  # times the largest difference found


class SignsDifferError(Exception):
    """The fields lie on different sides of the level, farther apart than was measured."""


class ApproximateSearch(OctreeSearch):
    """Evaluates what an octree asks for by a cheap field where that is sure of the sign.

    Args:
        cheap: nearly the same as `field`.
        others: those of `OctreeSearch`, on the CPU.

    Attributes:
        margin: where the cheap field is nearer than this to the level, the field itself is asked:
            twice the largest difference between the two at those points of the base grid that are
            nearest to the level.
        exact: how many evaluations of the field itself there were.
    """

    def __init__(self, cheap: Field, *others: Any) -> None:
        super().__init__(*others)
        self.cheap = cheap
        self.margin = 0.0
        self.exact = 0

    def begin(self, tree: Any) -> None:
        """Measure how far the fields are apart near the surface, on the base grid."""
        lattice = self.lattice
        points = (lattice.origin + lattice.cell * tree.pending_points()).astype(lattice.dtype)
        points = points[:: max(1, len(points) // _SAMPLED)]
        with self.timed("field"):
            values = self._exact(points)
            apart = np.abs(values - evaluate_field(self.cheap, points, self.level))
        near = np.argsort(np.abs(values), kind="stable")[: max(64, len(points) // _NEAR)]
        self.margin = _SAFETY * float(apart[near].max())

    def evaluate(self, points: Any) -> Any:
        with self.timed("field"):
            values = evaluate_field(self.cheap, points, self.level)
            unsure = np.abs(values) <= self.margin
            if unsure.any():
                values[unsure] = self._exact(points[unsure])
        self.evaluations += len(points)
        return values

    def place(self, tree: Any, vertices: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the vertices between the values of the field itself.

        Raises:
            SignsDifferError: the field has the other sign at an end, so the cells are not its own.
        """
        lattice = MeshLattice(self.lattice.origin, self.lattice.cell, np.asarray(tree.resolution))
        start, axis, _ = lattice.edges(vertices)
        inner = np.flatnonzero(~lattice.beyond(vertices).any(axis=1))
        start, axis = start[inner], axis[inner]
        rows = np.arange(len(inner))
        end = start.copy()
        end[rows, axis] += 1
        first, second = self._values_at(tree, lattice, np.concatenate([start, end])).reshape(2, -1)
        position = np.clip(first / (first - second), MARGIN, 1 - MARGIN)
        placed = vertices.copy()
        placed[inner, axis] = lattice.origin[axis] + lattice.cell * (start[rows, axis] + position)
        return placed

    def _values_at(
        self, tree: Any, lattice: MeshLattice, ends: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Values (E,) of the field itself at lattice points (E, 3) that the tree knows."""
        size = lattice.resolution + 1
        keys, inverse = np.unique(np.ravel_multi_index(ends.T, size), return_inverse=True)
        indices = np.stack(np.unravel_index(keys, size), axis=1)
        known = tree.values_at(indices.astype(np.int32)).astype(np.float64)
        rough = np.abs(known) > self.margin  # nearer ones are the field's own
        with self.timed("field"):
            points = lattice.points(indices[rough])
            values = self._exact(points).astype(np.float64)
        if differ := int(((values > 0) != (known[rough] > 0)).sum()):
            raise SignsDifferError(
                f"at {differ} points the cheap field lies on the other side of the level, by more "
                f"than {self.margin:.3g}"
            )
        known[rough] = values
        return known[inverse]

    def _exact(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        self.exact += len(points)
        values = evaluate_in_batches(
            self.field, points, self.level, self.batch_size, self.lattice.dtype
        )
        return values.astype(np.float32)
