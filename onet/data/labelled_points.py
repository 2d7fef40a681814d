"""The labelled points of one shape, as a dataset with a single item."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from onet.data.inputs import Input
from onet.data.store import Item
from onet.errors import ConfigError


class LabelledPoints(Dataset[dict[str, Any]]):
    """Query points drawn from a pool; the draw is a function of (seed, epoch).

    Args:
        points: (N, 3) float32 in the unit frame.
        occupancies: (N,) bool.
        input: of an observation that needs no file: nothing, or the number of the shape, 0.
        subsample: points of an item, drawn with replacement; None means the whole pool.
        seed: of the draws.

    Raises:
        ConfigError: an input that has to be observed.
    """

    def __init__(
        self,
        points: NDArray[np.float32],
        occupancies: NDArray[np.bool_],
        input: Input,
        subsample: int | tuple[int, int] | None = None,
        seed: int = 0,
    ) -> None:
        if input.kind not in ("none", "index"):
            raise ConfigError(
                "data.input.type: the network of a single shape observes nothing; set none or index"
            )
        self.points, self.occupancies = points, occupancies.astype(np.float32)
        self.input, self.subsample, self.seed, self.epoch = input, subsample, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Draw other points from now on."""
        self.epoch = epoch

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> dict[str, Any]:
        """As an item of `ShapeDataset`."""
        rng = np.random.default_rng([self.seed, self.epoch])
        chosen: Any = slice(None)
        if self.subsample is not None:
            chosen = rng.integers(len(self.points), size=self.subsample)
        return {
            "points": torch.from_numpy(self.points[chosen]),
            "occupancies": torch.from_numpy(self.occupancies[chosen]),
            "inputs": torch.from_numpy(self.input.sample(Item("", "", Path()), rng)),
            "index": 0,
        }

    def fingerprint(self) -> str:
        """SHA-256 over points and occupancies."""
        digest = hashlib.sha256(self.points.tobytes())
        digest.update(self.occupancies.tobytes())
        return digest.hexdigest()
