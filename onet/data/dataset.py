"""Training items drawn from a store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from onet.data.store import POINTCLOUD, POINTS, Item, Store
from onet.errors import DataError


class Input(Protocol):
    """What a dataset needs of an input: one observation of an item."""

    def sample(self, item: Item, rng: np.random.Generator) -> NDArray[np.float32]: ...


class ShapeDataset(Dataset[dict[str, Any]]):
    """Query points with occupancies, and an observation, of each shape of a split.

    Everything random about an item is drawn from a generator seeded with (seed, epoch, index), so
    results depend neither on the number of workers nor on the order of access.

    Args:
        store: the prepared shapes.
        split: name of the split, `train` for instance.
        input: what the model is given to look at; one of `onet.data.inputs.INPUTS`.
        points_subsample: query points drawn from an item, with replacement; None means all, in the
            order of the file.
        seed: of the draws.
        categories: names of the categories to use; None means all.
        cache: keep the arrays read in memory, in half precision (about 1.2 MB an item).

    Raises:
        DataError: the split has no items, or the store is incomplete.
    """

    def __init__(
        self,
        store: Store,
        split: str,
        input: Input,
        points_subsample: int | None,
        seed: int = 0,
        categories: Iterable[str] | None = None,
        cache: bool = True,
    ) -> None:
        self.items = store.items(split, categories)
        if not self.items:
            raise DataError(
                f"{store.root}: the split {split!r} has no items; add model names to its "
                f"{split}.lst files or choose another split"
            )
        for item in self.items:
            item.cached = cache
        self.input = input
        self.points_subsample = points_subsample
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw new points and observations from now on. Call before workers are started."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Item `index`.

        Returns:
            points (T, 3) float32 in the unit frame; occupancies (T,) float32 in {0, 1}; inputs, the
            observation, (N, 3) float32 for point clouds; index, an int.
        """
        item = self.items[index]
        rng = np.random.default_rng([self.seed, self.epoch, index])
        points = item.points()
        chosen = None
        if self.points_subsample is not None:
            chosen = rng.integers(len(points), size=self.points_subsample)
            points = points.take(chosen, axis=0)
        return {
            "points": torch.from_numpy(points.astype(np.float32)),
            "occupancies": torch.from_numpy(item.occupancies(chosen).astype(np.float32)),
            "inputs": torch.from_numpy(self.input.sample(item, rng)),
            "index": index,
        }

    def fingerprint(self) -> str:
        """SHA-256 over the names of the items and the sizes of their files."""
        digest = hashlib.sha256()
        for item in self.items:
            sizes = [
                path.stat().st_size if path.is_file() else -1
                for path in (item.path / POINTS, item.path / POINTCLOUD)
            ]
            digest.update(f"{item.name} {sizes}\n".encode())
        return digest.hexdigest()
