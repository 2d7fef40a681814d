"""What a model is given to look at: observations drawn from a prepared item, or from a user's data.

An input is a class registered in `INPUTS`; its constructor's arguments are its configuration. What
the rest of the package uses of it is the protocol `Input`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from onet.data.store import Item
from onet.geometry.normalization import UnitFrame
from onet.registry import Registry

INPUTS: Registry = Registry("input")

Arrays = NDArray[Any] | dict[str, NDArray[Any]]
"""An observation as a model expects it: an array, or several by name."""

UNIT: UnitFrame = UnitFrame(np.zeros(3), 1.0)
"""The frame of observations that say nothing about where and how large an object is."""


class Input(Protocol):
    """One kind of observation.

    Attributes:
        suffixes: of the files that `read` takes.
        defines_frame: an observation says where in the user's coordinates the object is.
    """

    suffixes: ClassVar[tuple[str, ...]]
    defines_frame: ClassVar[bool]

    def sample(self, item: Item, rng: np.random.Generator, *, training: bool = True) -> Arrays:
        """An observation of a prepared item; without `training` that of validation and test.

        Raises:
            DataError: the item lacks it, or it is damaged.
        """
        ...

    def read(self, path: str | Path) -> Any:
        """A user's observation from a file, in the user's own frame.

        Raises:
            DataError: missing, damaged, or not of this kind.
        """
        ...

    def take(self, observation: Any) -> Any:
        """The same from an object in memory: an array, for instance."""
        ...

    def frame(self, raw: Any, name: str) -> UnitFrame:
        """The unit frame of what was read; `UNIT` where it does not define one."""
        ...

    def observe(self, raw: Any, rng: np.random.Generator, frame: UnitFrame = UNIT) -> Arrays:
        """What was read, as the model expects it; `frame` takes it to the unit frame."""
        ...

    def write(self, observation: Any, path: Path, frame: UnitFrame) -> Path | None:
        """Write an observation for people to look at, `path` plus a suffix; returns the file.

        What has a place is written in the source frame. Nothing is written where there is nothing.
        """
        ...


from onet.data.inputs.image import ImageInput  # noqa: E402
from onet.data.inputs.index import IndexInput  # noqa: E402
from onet.data.inputs.none import NoInput  # noqa: E402
from onet.data.inputs.pointcloud import PointCloudInput  # noqa: E402
from onet.data.inputs.voxels import VoxelInput  # noqa: E402

__all__ = [
    "INPUTS",
    "UNIT",
    "Arrays",
    "ImageInput",
    "IndexInput",
    "Input",
    "NoInput",
    "PointCloudInput",
    "VoxelInput",
]
