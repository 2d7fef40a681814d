"""From a configuration to the datasets it describes."""

from __future__ import annotations

from typing import Any

from onet.config import Config
from onet.data.dataset import ShapeDataset
from onet.data.inputs import INPUTS
from onet.data.store import Store
from onet.data.store_folder import POINTS
from onet.data.targets import NOTHING, Targets


def build_input(config: Config) -> Any:
    """Return the observation that `data.input` describes.

    Raises:
        ConfigError: unknown type or option.
    """
    return INPUTS.build(config.data.input, "data.input")


def build_datasets(config: Config, targets: Targets = NOTHING) -> dict[str, ShapeDataset]:
    """Return the datasets `train` and `val`.

    Args:
        config: a whole configuration.
        targets: what its model is trained with beside query points.

    Raises:
        ConfigError: unknown input or option of it.
        DataError: the data is missing or incomplete, or a split is empty.
    """
    data, training = config.data, config.training
    store = Store(data.path)
    observation = build_input(config)

    def build(
        split: str, points: int | tuple[int, int] | None, file: str, draws: bool
    ) -> ShapeDataset:
        return ShapeDataset(
            store,
            split,
            observation,
            points,
            seed=training.seed,
            categories=data.categories,
            cache=data.cache,
            points_file=file,
            training=draws,
            importance=data.importance and draws,
            distances=data.distances and draws,
            targets=targets,
        )

    return {
        "train": build(data.train_split, data.points_subsample, data.points_file, True),
        "val": build(data.val_split, training.validation_points, POINTS, False),
    }
