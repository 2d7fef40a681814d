"""What the rest of the package uses of an input."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from onet.data.store import Item
from onet.errors import ConfigError, DataError
from onet.geometry.normalization import UnitFrame

if TYPE_CHECKING:
    from onet.nn.code import InputKind

Arrays = NDArray[Any] | dict[str, NDArray[Any]]
"""An observation as a model expects it: an array, or several by name."""

UNIT: UnitFrame = UnitFrame(np.zeros(3), 1.0)
"""The frame of observations that say nothing about where and how large an object is."""


@dataclass(frozen=True)
class Collected:
    """One observation of a published collection of files.

    Attributes:
        category, model: what it is called.
        origin: what to call it in messages.
        read: reads it, as `Input.read` reads a file.
    """

    category: str
    model: str
    origin: str
    read: Callable[[], Any]


class Input(Protocol):
    """One kind of observation. An input inherits from this class and says what it can do.

    Attributes:
        kind: what it is; the encoder has to observe the same (`onet.models.matching`).
        conditions: what a model makes depends on it, so that without a latent code there is one
            shape for an observation. False where there is nothing to depend on.
        multiview: several observations of one object make one, by the mean of their codes.
        masks: `read` takes a mask too, which says what is the object.
        suffixes: of the files that `read` takes; none where there are no such files.
        defines_frame: an observation says where in the user's coordinates the object is.
    """

    kind: ClassVar[InputKind]
    conditions: ClassVar[bool] = True
    multiview: ClassVar[bool] = True
    masks: ClassVar[bool] = False
    suffixes: ClassVar[tuple[str, ...]]
    defines_frame: ClassVar[bool]

    def __init_subclass__(cls, **options: Any) -> None:
        """Take the former name of `multiview`."""
        super().__init_subclass__(**options)
        if "several" in cls.__dict__:
            warnings.warn(
                f"{cls.__name__}: several is called multiview now", DeprecationWarning, stacklevel=2
            )
            cls.multiview = cls.__dict__["several"]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an observation, of the main array where it has several."""
        ...

    @property
    def parts(self) -> frozenset[str]:
        """Names of the arrays that an observation has beside the main one."""
        return frozenset()

    @property
    def views_in_training(self) -> int:
        """How many observations of an item `sample` gives at once in training, on a first axis."""
        return 1

    def sample(self, item: Item, rng: np.random.Generator, *, training: bool = True) -> Arrays:
        """Return an observation of a prepared item; without `training` that of validation and test.

        Raises:
            DataError: the item lacks it, or it is damaged.
        """
        ...

    def sample_moved(
        self, item: Item, rng: np.random.Generator, *, training: bool = True
    ) -> tuple[Arrays, NDArray[np.float64] | None]:
        """Return an observation for which the object may have been turned, and how.

        For those who turn everything else that they know of the item in the same way. Others call
        `sample`, which leaves the object where it is.

        Returns:
            The observation, and a rotation (3, 3) around the origin of the unit frame, which takes
            places x of the object to `rotation @ x`; None where it was not turned.
        """
        return self.sample(item, rng, training=training), None

    def sample_views(self, item: Item, rng: np.random.Generator, count: int) -> list[Arrays]:
        """Return `count` observations of an item, the first that of validation and test.

        Raises:
            ConfigError: an item has one observation of this kind only.
            DataError: the item has fewer.
        """
        self.check_views_of_item()
        return [self.sample(item, rng, training=False) for _ in range(count)]

    def check_views_of_item(self) -> None:
        """Refuse an input of which a prepared item has one observation only.

        Raises:
            ConfigError: it is one.
        """
        raise ConfigError(
            "views: prepared items have one observation of the kind that the model takes; leave "
            "out views, or give files of your own as input"
        )

    def collection(self, folder: Path) -> list[Collected] | None:
        """Return the observations of a published collection; None where the folder is none.

        Raises:
            DataError: the collection is damaged.
        """
        return None

    def read(self, path: str | Path) -> Any:
        """Return a user's observation from a file, in the user's own frame.

        Raises:
            DataError: missing, damaged, or not of this kind.
        """
        ...

    def take(self, observation: Any) -> Any:
        """Return the same from an object in memory: an array, for instance."""
        ...

    def frame(self, raw: Any, name: str) -> UnitFrame:
        """Return the unit frame of what was read; `UNIT` where it does not define one."""
        ...

    def common_frame(self, raws: Sequence[Any], name: str) -> UnitFrame:
        """Return the unit frame of what was read of several observations of one object.

        Raises:
            DataError: they do not agree.
        """
        first, *others = [self.frame(raw, name) for raw in raws]
        for other in others:
            if other.scale != first.scale or not np.array_equal(other.loc, first.loc):
                raise DataError(
                    f"{name}: observations of one object have to fill the same cube; found "
                    f"{first} and {other}"
                )
        return first

    def observe(self, raw: Any, rng: np.random.Generator, frame: UnitFrame = UNIT) -> Arrays:
        """What was read, as the model expects it; `frame` takes it to the unit frame."""
        ...

    def write(self, observation: Any, path: Path, frame: UnitFrame) -> Path | None:
        """Write an observation for people to look at, `path` plus a suffix; returns the file.

        What has a place is written in the source frame. Nothing is written where there is nothing.
        """
        ...
