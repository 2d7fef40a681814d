"""The layout of prepared sequences on disk: that of the published Occupancy Flow download.

    ROOT/CATEGORY/{train,val,test}.lst            one sequence name per line
    ROOT/CATEGORY/SEQUENCE/points_seq/%08d.npz    points (N, 3) float16, occupancies (packed bits)
    ROOT/CATEGORY/SEQUENCE/pcl_seq/%08d.npz       points (M, 3) float16, and normals
    ROOT/CATEGORY/SEQUENCE/img/VIEW/*.jpg         pictures, of the published download
    ROOT/CATEGORY/SEQUENCE/sequence.json          how it was made; its times

Points of a frame are in the unit frame of that frame, which `loc` (3,) and `scale` take to the
source frame. Training sees all of them in the unit frame of the first one. The published download
is read unchanged: `normals` and `sequence.json` are optional, and without the latter the points of
`pcl_seq` correspond and frames follow one another evenly.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.data.store import Item
from onet.errors import DataError
from onet.files import replacing
from onet.geometry.labels import as_occupancies
from onet.geometry.normalization import UnitFrame
from onet.geometry.sequences.moving_mesh import check_times
from onet.geometry.sequences.reading import natural_key

POINTS_SEQ = "points_seq"
PCL_SEQ = "pcl_seq"
PICTURES = "img"
SEQUENCE_RECORD = "sequence.json"


def frame_name(number: int) -> str:
    """Return the file name of a frame."""
    return f"{number:08d}.npz"


def write_sequence_record(item: Path, content: dict[str, Any]) -> None:
    """Write `sequence.json` to the folder of a sequence, atomically."""
    with replacing(item / SEQUENCE_RECORD) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")


def read_sequence_record(item: Path) -> dict[str, Any]:
    """Return `sequence.json`, empty where there is none.

    Raises:
        DataError: it is no JSON object.
    """
    path = item / SEQUENCE_RECORD
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read ({error}); prepare the sequence again") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: is no JSON object; prepare the sequence again")
    return content


@dataclass(eq=False)
class Sequence:
    """A prepared sequence.

    Attributes:
        item: its folder and the arrays read.
        frames: names of its frames, without folder, in natural order.
        times: (T,) of the frames, as prepared.
        corresponding: whether points of `pcl_seq` correspond.
    """

    item: Item
    frames: list[str]
    times: NDArray[np.float64]
    corresponding: bool

    @classmethod
    def of(cls, item: Item) -> Sequence:
        """Return the sequence in the folder of an item.

        Raises:
            DataError: no frames, or a damaged record.
        """
        folder = item.path / PCL_SEQ
        if not folder.is_dir():
            folder = item.path / POINTS_SEQ
        names = sorted((p.name for p in folder.glob("*.npz")), key=natural_key)
        if len(names) < 2:
            raise DataError(
                f"{folder}: {len(names)} frames (files .npz), a motion has at least 2; prepare the "
                "sequence again with `onet prepare --sequences`"
            )
        record = read_sequence_record(item.path)
        times = np.asarray(record.get("times", np.arange(len(names))), np.float64)
        if times.shape != (len(names),):
            raise DataError(
                f"{item.path / SEQUENCE_RECORD}: times: {times.shape[0] if times.ndim else 0} for "
                f"{len(names)} frames; prepare the sequence again"
            )
        check_times(times, str(item.path / SEQUENCE_RECORD))
        return cls(item, names, times, bool(record.get("corresponding", True)))

    def __len__(self) -> int:
        return len(self.frames)

    def frame(self, number: int, kind: str = PCL_SEQ) -> UnitFrame:
        """Return the unit frame of a frame."""
        file = f"{kind}/{self.frames[number]}"
        loc = np.asarray(self.item.array(file, "loc"), np.float64).reshape(-1)
        scale = np.asarray(self.item.array(file, "scale"), np.float64).reshape(-1)
        if loc.shape != (3,) or scale.shape != (1,) or not (scale > 0).all():
            raise DataError(f"{self.item.path / file}: loc, scale: {loc}, {scale}; prepare again")
        return UnitFrame(loc, float(scale[0]))

    def _in(self, frame: UnitFrame, number: int, kind: str, points: NDArray[Any]) -> NDArray[Any]:
        """Points (N, 3) float32 of a frame of the sequence in the unit frame of another one."""
        own = self.frame(number, kind)
        factor = own.scale / frame.scale
        shift = (own.loc - frame.loc) / frame.scale
        return (points.astype(np.float32) * np.float32(factor) + shift).astype(np.float32)

    def surface(
        self, number: int, chosen: NDArray[np.int64] | None, frame: UnitFrame
    ) -> NDArray[np.float32]:
        """Surface points (N, 3) of a frame, in a unit frame."""
        points = self.item.array(f"{PCL_SEQ}/{self.frames[number]}", "points")
        if chosen is not None:
            points = points[chosen]
        return self._in(frame, number, PCL_SEQ, points)

    def surface_count(self, number: int = 0) -> int:
        """How many surface points a frame has."""
        return len(self.item.array(f"{PCL_SEQ}/{self.frames[number]}", "points"))

    def labelled(
        self, number: int, count: int | None, rng: np.random.Generator, frame: UnitFrame
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Query points (count, 3) of a frame in a unit frame, and occupancies (count,), 0 or 1."""
        file = f"{POINTS_SEQ}/{self.frames[number]}"
        points = self.item.array(file, "points")
        bits = self.item.array(file, "occupancies")
        if bits.dtype == np.uint8 and len(bits) < len(points):
            bits = np.unpackbits(bits)[: len(points)]
        inside = as_occupancies(bits, source=f"{self.item.path / file}: 'occupancies'")
        if count is not None:
            chosen = rng.integers(len(points), size=count)
            points, inside = points[chosen], inside[chosen]
        return self._in(frame, number, POINTS_SEQ, points), inside.astype(np.float32)
