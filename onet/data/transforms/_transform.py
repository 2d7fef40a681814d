"""What a transform of a point cloud is."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]  # (N, 3)
Cloud = tuple[Points, Points | None]
"""Points (N, 3) in the unit frame, and their unit normals (N, 3) if they are known."""


class Transform(ABC):
    """A change of the surface points of an object, before the model is given some of them.

    Its constructor's arguments are its options in a configuration.

    Attributes:
        needs_normals: it is called with normals.
    """

    needs_normals: bool = False

    @abstractmethod
    def __call__(self, points: Points, normals: Points | None, rng: np.random.Generator) -> Cloud:
        """Return other points (M, 3), at least one, and their normals if there were any.

        The arguments are not changed. Everything random comes from `rng`.
        """


class Turn(Transform):
    """A transform that turns the whole object, so that what is known of it has to turn as well."""

    @abstractmethod
    def rotation(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return a rotation (3, 3) around the origin."""

    def __call__(self, points: Points, normals: Points | None, rng: np.random.Generator) -> Cloud:
        """Turn points and normals."""
        rotation = self.rotation(rng)
        return turned(points, rotation), None if normals is None else turned(normals, rotation)


def turned(vectors: Points, rotation: NDArray[np.float64]) -> Points:
    """Return vectors (N, 3), each `rotation @ vector`, float32."""
    return (vectors @ rotation.T).astype(np.float32)


def direction(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a unit vector (3,) that is uniform over the sphere."""
    vector = rng.standard_normal(3)
    return vector / np.linalg.norm(vector)


def kept(points: Points, normals: Points | None, which: NDArray[np.bool_]) -> Cloud:
    """Return the points, with their normals, that a mask (N,) chooses."""
    return points[which], None if normals is None else normals[which]
