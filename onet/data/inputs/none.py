"""Nothing: the model generates."""

from __future__ import annotations

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


@INPUTS.register("none")
class NoInput(Input):
    """No observation, for unconditional models; an empty array stands for it."""

    kind: ClassVar[InputKind] = "none"
    conditions: ClassVar[bool] = False
    multiview: ClassVar[bool] = False
    suffixes: ClassVar[tuple[str, ...]] = ()
    defines_frame: ClassVar[bool] = False

    @property
    def shape(self) -> tuple[int, ...]:
        """(0,)."""
        return (0,)

    def sample(
        self, item: Item, rng: np.random.Generator, *, training: bool = True
    ) -> NDArray[np.float32]:
        """(0,) float32."""
        return np.zeros(0, dtype=np.float32)

    def read(self, path: str | Path) -> None:
        """Refuses any file: the model could not make use of it."""
        raise DataError(f"{path}: the model is unconditional and observes nothing; give no input")

    def take(self, observation: Any) -> None:
        """Accepts None only."""
        if observation is not None:
            raise DataError("the model is unconditional and observes nothing; give None")

    def frame(self, raw: None, name: str) -> UnitFrame:
        """Return the unit frame."""
        return UNIT

    def observe(
        self, raw: None, rng: np.random.Generator, frame: UnitFrame = UNIT
    ) -> NDArray[np.float32]:
        """(0,) float32."""
        return np.zeros(0, dtype=np.float32)

    def write(self, observation: NDArray[Any], path: Path, frame: UnitFrame) -> None:
        """Writes nothing."""
