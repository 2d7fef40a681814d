"""What the rest of the package uses of an input."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from onet.data.store import Item
from onet.geometry.normalization import UnitFrame

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
