"""A code of its own for every training shape."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from onet.errors import ConfigError, DataError
from onet.nn.code import ObservationKind
from onet.nn.encoders._registry import ENCODERS


@ENCODERS.register("idx")
class IndexEncoder(nn.Embedding):
    """Codes that are learned together with the decoder, one for each training shape.

    Args:
        c_dim: size of a code.
        count: number of training shapes; null takes it from the data when training starts.

    Raises:
        ConfigError: no shapes, or their number is not known.
    """

    observes: ClassVar[ObservationKind] = "index"

    def __init__(self, c_dim: int, count: int | None = None) -> None:
        if count is None or count < 1:
            raise ConfigError(
                f"model.encoder.count: {count}; give the number of training shapes, at least 1 "
                "(training fills it in where it is null)"
            )
        super().__init__(count, c_dim)

    def forward(
        self,
        inputs: Tensor,  # (B,) int64 numbers of training shapes
    ) -> Tensor:  # (B, c_dim)
        known = (inputs >= 0) & (inputs < self.num_embeddings)
        if not known.all():
            raise DataError(
                f"inputs: shape {int(inputs[~known][0])} has no code, there are "
                f"{self.num_embeddings}; only shapes of the training split have one, set "
                "data.val_split and data.test_split to it"
            )
        return super().forward(inputs)
