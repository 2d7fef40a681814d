"""Another orientation."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from onet.data.transforms._registry import TRANSFORMS
from onet.data.transforms._transform import Turn
from onet.errors import ConfigError


@TRANSFORMS.register("rotation")
class RandomRotation(Turn):
    """Turn the object around the centre of the unit frame; its query points turn with it.

    The size stays, so corners of the object may leave the unit cube.

    Args:
        axis: that it is turned around; null for any orientation, all alike.
        degrees: largest angle around the axis, either way; angles up to it are alike.
    """

    def __init__(self, axis: Literal["x", "y", "z"] | None = "y", degrees: float = 180.0) -> None:
        if not 0 <= degrees <= 180:
            raise ConfigError(
                f"data.input.transforms: rotation.degrees: {degrees}; give an angle from 0 to 180"
            )
        if axis is None and degrees < 180:
            raise ConfigError(
                "data.input.transforms: rotation.degrees: needs an axis; "
                "give x, y or z, or leave it out"
            )
        self.axis, self.degrees = axis, degrees

    def rotation(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return a rotation (3, 3)."""
        if self.axis is None:
            drawn = Rotation.from_quat(rng.standard_normal(4))
        else:
            angle = rng.uniform(-self.degrees, self.degrees)
            drawn = Rotation.from_euler(self.axis, angle, degrees=True)
        matrix: NDArray[np.float64] = drawn.as_matrix()
        return matrix
