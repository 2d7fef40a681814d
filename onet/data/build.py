"""From a configuration to the datasets it describes."""

from __future__ import annotations

from typing import Any

from onet.config import Config
from onet.data.dataset import ShapeDataset
from onet.data.inputs import INPUTS
from onet.data.sequence_dataset import SequenceDataset
from onet.data.store import Store
from onet.data.store_folder import POINTS


def build_input(config: Config) -> Any:
    """Return the observation that `data.input` describes.

    Raises:
        ConfigError: unknown type or option.
    """
    return INPUTS.build(config.data.input, "data.input")


def build_datasets(config: Config) -> dict[str, ShapeDataset] | dict[str, SequenceDataset]:
    """Return the datasets `train` and `val`, of shapes or of sequences.

    Raises:
        ConfigError: unknown input or option of it.
        DataError: the data is missing or incomplete, or a split is empty.
    """
    data, training = config.data, config.training
    store = Store(data.path)
    observation = build_input(config)
    if data.sequence is not None:
        return {
            "train": build_sequences(config, data.train_split),
            "val": build_sequences(config, data.val_split, training=False),
        }

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
        )

    return {
        "train": build(data.train_split, data.points_subsample, data.points_file, True),
        "val": build(data.val_split, training.validation_points, POINTS, False),
    }


def build_sequences(
    config: Config, split: str, *, training: bool = True, store: Store | None = None
) -> SequenceDataset:
    """Return the windows of the sequences of a split.

    Raises:
        ConfigError, DataError: see `build_datasets`.
    """
    data = config.data
    assert data.sequence is not None
    return SequenceDataset(
        store or Store(data.path),
        split,
        build_input(config),
        data.sequence,
        seed=config.training.seed,
        categories=data.categories,
        cache=data.cache,
        training=training,
        points=config.training.validation_points,
    )
