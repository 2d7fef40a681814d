"""Training items drawn from a store."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from onet.data.inputs import Arrays, Input
from onet.data.inputs.tensors import to_tensors
from onet.data.rows import rows_at
from onet.data.store import Item, Store
from onet.data.store_folder import CAMERAS, POINTCLOUD, POINTS, RENDERINGS, VOXELS
from onet.data.targets import NOTHING, Targets
from onet.errors import ConfigError, DataError

logger = logging.getLogger(__name__)


class ShapeDataset(Dataset[dict[str, Any]]):
    """Query points with occupancies, and an observation, of each shape of a split.

    Everything random about an item is drawn from a generator seeded with (seed, epoch, index), so
    results depend neither on the number of workers nor on the order of access. Where the input
    turns the object, its query points are turned as well.

    Args:
        store: the prepared shapes.
        split: name of the split, `train` for instance.
        input: what the model is given to look at; one of `onet.data.inputs.INPUTS`.
        points_subsample: query points drawn from an item, with replacement: a number of them all,
            or one of those outside and one of those inside (where an item has none of a kind, the
            other makes up for it). None means all, in the order of the file.
        seed: of the draws.
        categories: names of the categories to use; None means all.
        cache: keep the arrays read in memory, in half precision (about 1.2 MB an item); those of a
            packed store are mapped instead, and what is computed of an item is kept.
        points_file: file of an item with the query points.
        training: draw observations as for training, not as for validation and test.
        importance: give each point its weight, so that near-surface points stand for uniform ones.
            Needs `cache`, and one number of `points_subsample`.
        distances: give each point its distance to the surface. Needs `cache`.
        turned: objects may be turned, as the input says; False keeps them where they are stored,
            for what compares them with more than their query points.
        targets: what the model is trained with beside query points.

    Raises:
        DataError: the split has no items, or the store is incomplete.
        ConfigError: importance with settings that do not go with it.
    """

    def __init__(
        self,
        store: Store,
        split: str,
        input: Input,
        points_subsample: int | tuple[int, int] | None,
        seed: int = 0,
        categories: Iterable[str] | None = None,
        cache: bool = True,
        points_file: str = POINTS,
        training: bool = True,
        importance: bool = False,
        distances: bool = False,
        turned: bool = True,
        targets: Targets = NOTHING,
    ) -> None:
        if distances and not cache:
            raise ConfigError("data.distances: distances are kept in memory; set data.cache=true")
        if importance and not cache:
            raise ConfigError("data.importance: weights are kept in memory; set data.cache=true")
        if importance and isinstance(points_subsample, tuple):
            raise ConfigError(
                "data.importance: points drawn by their kind do not stand for uniform ones; give "
                "data.points_subsample as one number"
            )
        self.items = store.listed(split, categories)
        if not self.items:
            raise DataError(
                f"{store.root}: the split {split!r} has no items; add model names to its "
                f"{split}.lst files or choose another split"
            )
        for category in store.categories:
            named = categories is None or {category, store.labels[category]} & {*categories}
            if named and category not in self.items.categories:
                logger.warning(
                    "%s: the split %r has no items of category %s",
                    store.root,
                    split,
                    store.labels[category],
                )
        self.items.cached = cache
        self.input = input
        self.points_subsample = points_subsample
        self.points_file = points_file
        self.training = training
        self.importance = importance
        self.distances = distances
        self.turned = turned
        self.targets = targets
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
            observation (see `onet.data.inputs`); index, an int; with `importance` weights (T,)
            float32, of mean 1 over many draws; with `distances` distances (T,) float32 to the
            surface, in the unit frame; and the targets, see `Targets.sample`.
        """
        item = self.items[index]
        rng = np.random.default_rng([self.seed, self.epoch, index])
        points = item.points(self.points_file)
        chosen = self._choose(item, len(points), rng)
        points = points.astype(np.float32) if chosen is None else rows_at(points, chosen)
        occupancies = item.occupancies(chosen, self.points_file).astype(np.float32)
        observation: Arrays
        rotation = None
        if self.turned:
            observation, rotation = self.input.sample_moved(item, rng, training=self.training)
            if rotation is not None:
                if not self.targets.moves:
                    raise ConfigError(
                        "data.input.transforms: the model is trained with voxels, which do not "
                        "turn with the object; leave out what turns it"
                    )
                points = (points @ rotation.T).astype(np.float32)
        else:
            observation = self.input.sample(item, rng, training=self.training)
        result = {
            "points": torch.from_numpy(points),
            "occupancies": torch.from_numpy(occupancies),
            "inputs": to_tensors(observation),
            "index": index,
        }
        if self.targets != NOTHING:
            own = np.random.default_rng([self.seed, self.epoch, index, 1])
            result |= self.targets.sample(item, own, rotation)
        if self.importance:
            weights = item.weights(self.points_file)
            chosen_weights = weights if chosen is None else weights.take(chosen)
            result["weights"] = torch.from_numpy(chosen_weights.astype(np.float32))
        if self.distances:
            distances = item.distances(self.points_file)
            chosen_distances = distances if chosen is None else distances.take(chosen)
            result["distances"] = torch.from_numpy(chosen_distances.astype(np.float32))
        return result

    def _choose(self, item: Item, count: int, rng: np.random.Generator) -> NDArray[np.int64] | None:
        """Places of the query points to use in the item's file."""
        if self.points_subsample is None:
            return None
        if isinstance(self.points_subsample, int):
            return rng.integers(count, size=self.points_subsample)
        occupied = item.occupancies(file=self.points_file)
        kinds = [np.flatnonzero(~occupied), np.flatnonzero(occupied)]
        wanted = list(self.points_subsample)
        for kind, other in ((0, 1), (1, 0)):
            if len(kinds[kind]) == 0:
                logger.debug("%s: has no points %s", item.name, ("outside", "inside")[kind])
                wanted[kind], wanted[other] = 0, sum(wanted)
        return np.concatenate(
            [
                places[rng.integers(len(places), size=n)]
                for places, n in zip(kinds, wanted, strict=True)
                if n
            ]
        )

    def fingerprint(self) -> str:
        """SHA-256 over the names of the items and the sizes of their files."""
        digest = hashlib.sha256()
        for item in self.items:
            sizes = [item.size(name) for name in (POINTS, POINTCLOUD)]
            more = (self.points_file, VOXELS, f"{RENDERINGS}/{CAMERAS}")
            found = [item.size(name) for name in more if name != POINTS]
            sizes += [size for size in found if size >= 0]
            digest.update(f"{item.name} {sizes}\n".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()
