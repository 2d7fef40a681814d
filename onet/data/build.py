"""From a configuration to the datasets it describes."""

from __future__ import annotations

from typing import Any

from onet.config import Config
from onet.data.dataset import ShapeDataset
from onet.data.inputs import INPUTS
from onet.data.picture_folder import PICTURES, PictureDataset
from onet.data.sequence_dataset import SequenceDataset
from onet.data.store import Store
from onet.data.store_folder import POINTS
from onet.data.targets import NOTHING, Targets
from onet.data.views import VIEWS, ViewDataset
from onet.errors import ConfigError


def build_input(config: Config) -> Any:
    """Return the observation that `data.input` describes.

    Raises:
        ConfigError: unknown type or option.
    """
    return INPUTS.build(config.data.input, "data.input")


def build_views(
    config: Config, store: Store, observation: Any, split: str, *, training: bool = False
) -> ViewDataset:
    """Return the pictures with depth of a split, as `data.views` describes them.

    Raises:
        ConfigError: unknown option.
        DataError: the split has no items.
    """
    data = config.data
    settings = VIEWS.build({"type": "depth", **(data.views or {})}, "data.views")
    return ViewDataset(
        store, split, observation, settings, config.training.seed, data.categories, training
    )


def build_pictures(config: Config, split: str, *, training: bool = False) -> PictureDataset:
    """Return the pictures of a split, as `data.pictures` describes them.

    Raises:
        ConfigError: unknown option, or classes without their folders.
        DataError: no pictures.
    """
    data = config.data
    settings = PICTURES.build({"type": "folder", **(data.pictures or {})}, "data.pictures")
    classes = config.model.get("classes", 0)
    if classes and len(data.categories or ()) != classes:
        raise ConfigError(
            f"data.categories: names {len(data.categories or ())} folders, and model.classes is "
            f"{classes}; name the folder of each class, such as 'data.categories=[chair, table]' "
            "model.classes=2, or set model.classes=0"
        )
    return PictureDataset(
        data.path, split, settings, config.training.seed, data.categories, training, data.cache
    )


def build_datasets(config: Config, targets: Targets = NOTHING) -> dict[str, Any]:
    """Return the datasets `train` and `val`, of query points, sequences or pictures.

    Args:
        config: a whole configuration.
        targets: what its model is trained with beside query points.

    Raises:
        ConfigError: unknown input or option of it.
        DataError: the data is missing or incomplete, or a split is empty.
    """
    data, training = config.data, config.training
    if data.pictures is not None:
        return {
            "train": build_pictures(config, data.train_split, training=True),
            "val": build_pictures(config, data.val_split),
        }
    store = Store(data.path)
    observation = build_input(config)
    if data.views is not None:
        return {
            name: build_views(config, store, observation, split, training=name == "train")
            for name, split in (("train", data.train_split), ("val", data.val_split))
        }
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
            targets=targets,
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
