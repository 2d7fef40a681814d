"""Training items drawn from prepared sequences: windows of frames."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from onet.config import SequenceConfig
from onet.data.sequence_folder import PCL_SEQ, POINTS_SEQ, SEQUENCE_RECORD, Sequence
from onet.data.store import Store
from onet.errors import DataError


class SequenceDataset(Dataset[dict[str, Any]]):
    """Windows of the sequences of a split: what is observed, and what is true.

    Frames of a window are in the unit frame of its first one, their times go from 0 to 1. All that
    is random about an item is drawn from a generator seeded with (seed, epoch, index).

    Args:
        store: the prepared sequences.
        split: name of the split.
        input: what the model observes: of sequences, or nothing.
        settings: windows and numbers of points.
        seed: of the draws.
        categories: names of the categories to use; None means all.
        cache: keep the arrays read in memory.
        training: draw as for training. Else an item has query points of all frames.
        points: query points of a frame of an item that is not for training; None for all.

    Raises:
        DataError: no items, or sequences shorter than a window; it names one.
    """

    def __init__(
        self,
        store: Store,
        split: str,
        input: Any,
        settings: SequenceConfig,
        seed: int = 0,
        categories: Iterable[str] | None = None,
        cache: bool = True,
        training: bool = True,
        points: int | None = None,
    ) -> None:
        self.input, self.settings, self.seed, self.training = input, settings, seed, training
        self.points, self.epoch = points, 0
        items = store.items(split, categories)
        for item in items:
            item.cached = cache
        self.sequences = [Sequence.of(item) for item in items]
        self.windows = [(s, start) for s in self.sequences for start in self._starts(s)]
        if not self.windows:
            raise DataError(
                f"{store.root}: the split {split!r} has no sequences; add names to its {split}.lst "
                "files or choose another split"
            )

    def _starts(self, sequence: Sequence) -> list[int]:
        length = self.settings.length or len(sequence)
        if len(sequence) < length:
            raise DataError(
                f"{sequence.item.path}: has {len(sequence)} frames, and data.sequence.length is "
                f"{length}; lower it, or prepare with --frames {length}"
            )
        return list(range(0, len(sequence) - length + 1, self.settings.offset))

    def set_epoch(self, epoch: int) -> None:
        """Draw anew from now on. Call before workers are started."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.windows)

    def numbers(self, index: int) -> tuple[Sequence, list[int], NDArray[np.float32]]:
        """Return a sequence, the numbers of the frames of a window, and their times in [0, 1]."""
        sequence, start = self.windows[index]
        length = self.settings.length or len(sequence)
        numbers = list(range(start, start + length))
        times = sequence.times[numbers]
        times = (times - times[0]) / (times[-1] - times[0])
        return sequence, numbers, times.astype(np.float32)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return item `index`, as `onet.models.flow.OccupancyFlow` wants it, without the batch."""
        sequence, numbers, times = self.numbers(index)
        rng = np.random.default_rng([self.seed, self.epoch, index])
        frame = sequence.frame(numbers[0], PCL_SEQ)
        arrays: dict[str, Any] = {"trajectory_times": times}
        if self.settings.trajectories and sequence.corresponding:
            count = sequence.surface_count(numbers[0])
            chosen = rng.integers(count, size=self.settings.trajectories)
            arrays["trajectories"] = np.stack(
                [sequence.surface(number, chosen, frame) for number in numbers]
            )
        if self.settings.points:
            arrays |= self._labelled(sequence, numbers, times, frame, rng)
        result: dict[str, Any] = {k: torch.from_numpy(np.asarray(v)) for k, v in arrays.items()}
        return result | {
            "inputs": self._observed(sequence, numbers, times, frame, rng),
            "index": index,
        }

    def _labelled(
        self,
        sequence: Sequence,
        numbers: list[int],
        times: NDArray[np.float32],
        frame: Any,
        rng: np.random.Generator,
    ) -> dict[str, Any]:
        if not self.training:
            pairs = [sequence.labelled(number, self.points, rng, frame) for number in numbers]
            return {
                "frame_points": np.stack([points for points, _ in pairs]),
                "frame_occupancies": np.stack([inside for _, inside in pairs]),
            }
        later = int(rng.integers(len(numbers)))
        points, occupancies = sequence.labelled(numbers[0], self.settings.points, rng, frame)
        there, inside = sequence.labelled(numbers[later], self.settings.points, rng, frame)
        return {
            "points": points, "occupancies": occupancies,
            "later_points": there, "later_occupancies": inside, "later_time": times[later],
        }  # fmt: skip

    def _observed(
        self,
        sequence: Sequence,
        numbers: list[int],
        times: NDArray[np.float32],
        frame: Any,
        rng: np.random.Generator,
    ) -> Any:
        if self.input.kind != "sequence":
            return torch.zeros(0)
        if self.input.ends:
            numbers, times = [numbers[0], numbers[-1]], times[[0, -1]]
        frames = self.input.of_sequence(sequence, numbers, frame, rng, training=self.training)
        return {"frames": torch.from_numpy(frames), "times": torch.from_numpy(times)}

    def fingerprint(self) -> str:
        """SHA-256 over the names of the sequences and the sizes of their files."""
        digest = hashlib.sha256()
        for sequence in self.sequences:
            path = sequence.item.path
            files = [path / SEQUENCE_RECORD]
            files += [
                path / kind / name for kind in (POINTS_SEQ, PCL_SEQ) for name in sequence.frames
            ]
            sizes = [file.stat().st_size if file.is_file() else -1 for file in files]
            digest.update(f"{sequence.item.name} {sizes}\n".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()
