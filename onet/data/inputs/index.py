"""The number of a training shape, for models that learn a code for each."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onet.data.inputs._protocol import UNIT, Input
from onet.data.inputs._registry import INPUTS
from onet.data.store import Item
from onet.errors import DataError
from onet.geometry.normalization import UnitFrame

if TYPE_CHECKING:
    from onet.nn.code import InputKind


@INPUTS.register("index")
class IndexInput(Input):
    """The place of an item in the list of the split and categories that it was taken from.

    The same number means the same shape only with the same split and categories, so all three
    splits of such a configuration are the training split, as published.
    """

    kind: ClassVar[InputKind] = "index"
    multiview: ClassVar[bool] = False
    suffixes: ClassVar[tuple[str, ...]] = ()
    defines_frame: ClassVar[bool] = False

    @property
    def shape(self) -> tuple[int, ...]:
        """(): a number."""
        return ()

    def sample(
        self, item: Item, rng: np.random.Generator, *, training: bool = True
    ) -> NDArray[np.int64]:
        """() int64."""
        return np.array(item.index, dtype=np.int64)

    def read(self, path: str | Path) -> int:
        """Refuses any file: a learned code has no file."""
        raise DataError(
            f"{path}: the model has learned one code for each training shape; give the number of a "
            "shape, not a file"
        )

    def take(self, observation: Any) -> int:
        """Return a whole number from 0 on."""
        try:
            number = operator.index(observation)
        except TypeError:
            number = -1
        if number < 0:
            raise DataError(f"expected the number of a training shape, found {observation!r}")
        return number

    def frame(self, raw: int, name: str) -> UnitFrame:
        """Return the unit frame."""
        return UNIT

    def observe(
        self, raw: int, rng: np.random.Generator, frame: UnitFrame = UNIT
    ) -> NDArray[np.int64]:
        """() int64."""
        return np.array(raw, dtype=np.int64)

    def write(self, observation: NDArray[Any], path: Path, frame: UnitFrame) -> None:
        """Writes nothing."""
