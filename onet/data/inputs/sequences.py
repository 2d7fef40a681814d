"""Moving shapes as sequences of clouds or pictures."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onet.data.images import read_image
from onet.data.inputs._protocol import UNIT, Input
from onet.data.inputs._registry import INPUTS
from onet.data.sequence_folder import PICTURES, Sequence
from onet.errors import ConfigError, DataError
from onet.geometry.normalization import UnitFrame
from onet.geometry.sequences.reading import frame_files, natural_key
from onet.names import checked_path

if TYPE_CHECKING:
    from onet.data.store import Item
    from onet.nn.code import InputKind, ObservationKind

logger = logging.getLogger(__name__)

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


class SequenceInput(Input):
    """What is observed of a motion.

    Attributes:
        frame_kind: what a frame is.
        corresponding: the n-th points of all frames are one point of the body.
        ends: the first and the last frame alone are observed.
    """

    kind: ClassVar[InputKind] = "sequence"
    multiview: ClassVar[bool] = False
    defines_frame: ClassVar[bool] = True
    suffixes: ClassVar[tuple[str, ...]] = ()
    frame_kind: ClassVar[ObservationKind]
    corresponding: bool = False
    ends: bool = False

    def sample(self, item: Item, rng: np.random.Generator, *, training: bool = True) -> Any:
        """Refuses: an item of a shape is no sequence."""
        raise ConfigError(
            "data.input.type: gives sequences, and data.sequence is null; set data.sequence.length"
        )

    def of_sequence(
        self, sequence: Sequence, numbers: list[int], frame: UnitFrame, rng: np.random.Generator,
        *, training: bool = True,
    ) -> NDArray[np.float32]:  # fmt: skip
        """Return the observed frames (L, ...) of a prepared sequence.

        Args:
            sequence: it.
            numbers: of the frames, in order.
            frame: unit frame of the first one.
            rng: of what is drawn.
            training: draw as for training, not as for validation and test.

        Raises:
            DataError: the sequence lacks it.
        """
        raise NotImplementedError

    def write(self, observation: Any, path: Path, frame: UnitFrame) -> None:
        """Writes nothing; what was observed is in the animation beside the result."""


@INPUTS.register("point_sequence")
class PointSequenceInput(SequenceInput):
    """Clouds of points over time, with Gaussian noise.

    Args:
        count: points of a frame.
        noise: standard deviation of the noise, in units of the longest edge of the first frame.
        corresponding: the points of all frames are the same points of the body. Else each frame has
            its own, as depth sensors give them.
        ends: the first and the last frame alone.
    """

    frame_kind: ClassVar[ObservationKind] = "points"

    def __init__(
        self,
        count: int = 300,
        noise: float = 0.001,
        corresponding: bool = True,
        ends: bool = False,
    ) -> None:
        if count < 1:
            raise ConfigError(f"data.input.count: {count} points; give at least 1")
        if not noise >= 0:
            raise ConfigError(f"data.input.noise: {noise}; give a standard deviation of 0 or more")
        self.count, self.noise = count, noise
        self.corresponding, self.ends = corresponding, ends

    @property
    def shape(self) -> tuple[int, ...]:
        """(count, 3) of a frame."""
        return (self.count, 3)

    def of_sequence(
        self, sequence: Sequence, numbers: list[int], frame: UnitFrame, rng: np.random.Generator,
        *, training: bool = True,
    ) -> NDArray[np.float32]:  # fmt: skip
        """Clouds (L, count, 3) float32."""
        if self.corresponding and not sequence.corresponding:
            raise DataError(
                f"{sequence.item.path}: its points do not correspond over time (the faces of its "
                "meshes change); set data.input.corresponding=false, with an encoder that allows it"
            )
        chosen = rng.integers(sequence.surface_count(numbers[0]), size=self.count)
        clouds = []
        for number in numbers:
            if not self.corresponding:
                chosen = rng.integers(sequence.surface_count(number), size=self.count)
            clouds.append(sequence.surface(number, chosen, frame))
        noise = rng.standard_normal((len(numbers), self.count, 3), dtype=np.float32)
        return np.stack(clouds) + np.float32(self.noise) * noise

    def observe(
        self, raw: list[NDArray[np.floating]], rng: np.random.Generator, frame: UnitFrame = UNIT
    ) -> NDArray[np.float32]:
        """Return a user's clouds as the model expects them: (L, count, 3) float32, unit frame.

        Of more points than `count` some are drawn, of fewer some repeated; the same of all frames
        where points correspond.

        Raises:
            DataError: points should correspond, and frames have different numbers of them.
        """
        counts = {len(cloud) for cloud in raw}
        if self.corresponding and len(counts) > 1:
            raise DataError(
                f"frames: have {min(counts)} to {max(counts)} points, and the model takes points "
                "that correspond over time; give as many in each frame, in the same order, or use "
                "a model for clouds that do not correspond (encoder pointnet_frames)"
            )
        clouds, chosen = [], np.zeros(0, np.int64)
        for number, cloud in enumerate(raw):
            if number == 0 or not self.corresponding:
                more = len(cloud) < self.count
                chosen = rng.choice(len(cloud), self.count, replace=more)
            clouds.append(frame.to_unit(np.asarray(cloud)[chosen]).astype(np.float32))
        return np.stack(clouds)


@INPUTS.register("image_sequence")
class ImageSequenceInput(SequenceInput):
    """Pictures over time, of one camera: files of `img/VIEW` of a sequence.

    Args:
        size: pixels along the edges.
        view: number of the view for validation and test; training draws one. Views are the folders
            below `folder`, in natural order.
        folder: of the pictures, in the folder of a sequence.
    """

    frame_kind: ClassVar[ObservationKind] = "image"
    defines_frame: ClassVar[bool] = False

    def __init__(self, size: int = 224, view: int = 0, folder: str = PICTURES) -> None:
        if size < 1 or view < 0:
            raise ConfigError(f"data.input: size {size}, view {view}; give at least 1 and 0")
        self.size, self.view = size, view
        self.folder = checked_path(folder, "data.input.folder")

    @property
    def shape(self) -> tuple[int, ...]:
        """(3, size, size) of a frame."""
        return (3, self.size, self.size)

    def of_sequence(
        self, sequence: Sequence, numbers: list[int], frame: UnitFrame, rng: np.random.Generator,
        *, training: bool = True,
    ) -> NDArray[np.float32]:  # fmt: skip
        """Pictures (L, 3, size, size) float32 in [0, 1]."""
        root = sequence.item.path / self.folder
        views = sorted((p for p in root.glob("*") if p.is_dir()), key=lambda p: natural_key(p.name))
        if not views or (not training and self.view >= len(views)):
            raise DataError(
                f"{root}: has {len(views)} views (folders of pictures); render the sequence there, "
                "or set data.input.view"
            )
        view = views[rng.integers(len(views))] if training else views[self.view]
        files = frame_files(view, PICTURE_SUFFIXES)
        if len(files) != len(sequence):
            raise DataError(
                f"{view}: {len(files)} pictures of {len(sequence)} frames; render them again"
            )
        return np.stack([self._picture(files[number]) for number in numbers])

    def observe(
        self, raw: list[Path], rng: np.random.Generator, frame: UnitFrame = UNIT
    ) -> NDArray[np.float32]:
        """Return pictures, files, as the model expects them: (L, 3, size, size) float32."""
        return np.stack([self._picture(file) for file in raw])

    def _picture(self, file: Path) -> NDArray[np.float32]:
        return read_image(file, size=self.size)
