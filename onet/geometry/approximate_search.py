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
# Part of a round's points near the level from which on the cheap field would be asked in vain: half
# of the finest points are ends of crossed edges besides.
_IN_VAIN = 0.5


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
        self._unsure = (0, 0, 0)  # a round, points that were unsure in it, all points
        self._placed = False
        self._sure: list[NDArray[np.int64]] = []  # keys of points that the cheap field answered

    def begin(self, tree: Any) -> None:
        """Measure how far the fields are apart near the surface, on the base grid."""
        self.size = tuple(cells + 1 for cells in tree.resolution)
        lattice = self.lattice
        points = (lattice.origin + lattice.cell * tree.pending_points()).astype(lattice.dtype)
        points = points[:: max(1, len(points) // _SAMPLED)]
        with self.timed("field"):
            values = self._exact(points)
            apart = np.abs(values - evaluate_field(self.cheap, points, self.level))
        near = np.argsort(np.abs(values), kind="stable")[: max(64, len(points) // _NEAR)]
        self.margin = _SAFETY * float(apart[near].max())

    def evaluate(self, points: Any) -> Any:
        self.evaluations += len(points)
        with self.timed("field"):
            if self._in_vain():
                return self._exact(points)
            values = evaluate_field(self.cheap, points, self.level)
            unsure = np.abs(values) <= self.margin
            if unsure.any():
                values[unsure] = self._exact(points[unsure])
        current, found, asked = self._unsure
        if current != len(self.rounds):
            found = asked = 0
        self._unsure = len(self.rounds), found + int(unsure.sum()), asked + len(points)
        self._sure.append(self._keys(self.lattice.positions_of(points[~unsure])))
        return values

    def _in_vain(self) -> bool:
        """Return whether most points of this round are too near to the level to ask about them.

        The points of a level are half as far from the surface as those of the level before, so
        twice as many are unsure. Once the surface is found, only the field itself is asked.
        """
        current, found, asked = self._unsure
        share = found / max(1, asked)
        share *= 1 if current == len(self.rounds) else 2
        return self._placed or share > _IN_VAIN

    def _keys(self, indices: NDArray[Any]) -> NDArray[np.int64]:
        """One number for each lattice point (N, 3)."""
        whole = np.rint(indices).astype(np.int64)
        keys: NDArray[np.int64] = np.ravel_multi_index(tuple(whole.T), self.size)
        return keys

    def place(self, tree: Any, vertices: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the vertices (V, 3) where the field itself crosses the level on their edges.

        Both are float64 in the frame of the box, those given as marching cubes left them.

        Raises:
            SignsDifferError: the field has the other sign at an end, so the cells are not its own.
        """
        lattice = MeshLattice(self.lattice.origin, self.lattice.cell, np.asarray(tree.resolution))
        self._placed = True
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
        keys, inverse = np.unique(self._keys(ends), return_inverse=True)
        indices = np.stack(np.unravel_index(keys, self.size), axis=1)
        known = tree.values_at(indices.astype(np.int32)).astype(np.float64)
        rough = (
            np.isin(keys, np.concatenate(self._sure)) if self._sure else np.zeros(len(keys), bool)
        )
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
