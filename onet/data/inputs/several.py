"""Several observations of one prepared item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from onet.data.inputs._protocol import Arrays, Input
from onet.data.inputs.image import ImageInput
from onet.data.inputs.pointcloud import PointCloudInput
from onet.data.store import Item
from onet.errors import ConfigError, DataError

T = TypeVar("T")


def sample_several(input: Input, item: Item, rng: np.random.Generator, count: int) -> list[Arrays]:
    """`count` observations of an item, the first that of validation and test.

    Pictures are evenly spaced among the item's, from the configured one on. Point clouds are drawn
    independently, each with its own noise.

    Raises:
        DataError: the item has fewer pictures.
        ConfigError: an input of which an item has one only.
    """
    if not isinstance(input, ImageInput):
        check_several_of_item(input)
        return [input.sample(item, rng, training=False) for _ in range(count)]
    files = item.pictures(input.folder)
    if count > len(files):
        raise DataError(
            f"{files[0].parent}: has {len(files)} pictures, {count} views are asked for; ask for "
            "fewer, or render more with `onet prepare --render`"
        )
    first = input.choose(item, rng)
    numbers = evenly(range(first, first + len(files)), count)
    return [input.view_of(item, number % len(files)) for number in numbers]


def check_several_of_item(input: Input) -> None:
    """Refuse an input of which a prepared item has one observation only.

    Raises:
        ConfigError: it is one.
    """
    if not isinstance(input, PointCloudInput | ImageInput):
        raise ConfigError(
            "views: prepared items have one observation of the kind that the model takes; leave "
            "out views, or give files of your own as input"
        )


def evenly(things: Sequence[T], count: int) -> list[T]:
    """`count` of them, the first one among them, as evenly spaced as can be."""
    return [things[k * len(things) // count] for k in range(count)]
