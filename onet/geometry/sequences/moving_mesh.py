"""A mesh, or several, over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError


@dataclass(frozen=True, eq=False)
class MovingMesh:
    """Frames of a moving surface.

    Attributes:
        vertices: (V, 3) float64 of each frame, in the source frame.
        faces: (F, 3) int64 of each frame.
        times: (T,) float64 seconds, or numbers of frames where the file tells no time.
        source: for messages.
    """

    vertices: list[NDArray[np.float64]]
    faces: list[NDArray[np.int64]]
    times: NDArray[np.float64]
    source: str

    def __len__(self) -> int:
        return len(self.vertices)

    @property
    def corresponding(self) -> bool:
        """Whether all frames have the same faces, so that vertices correspond."""
        first, count = self.faces[0], len(self.vertices[0])
        return all(
            len(v) == count and (f is first or np.array_equal(f, first))
            for v, f in zip(self.vertices, self.faces, strict=True)
        )

    def at(self, times: NDArray[np.float64]) -> MovingMesh:
        """Return the frames at other times, vertices in between on straight lines.

        Raises:
            DataError: the faces change over time, or a time is not within the sequence.
        """
        if not self.corresponding:
            raise DataError(
                f"{self.source}: the faces change over time, so there is nothing between two "
                "frames; keep the frames as they are (leave out frames and fps)"
            )
        if len(times) and (times.min() < self.times[0] or times.max() > self.times[-1]):
            raise DataError(
                f"{self.source}: asked for times {times.min():g} to {times.max():g}, it goes from "
                f"{self.times[0]:g} to {self.times[-1]:g}"
            )
        after = np.clip(np.searchsorted(self.times, times), 1, len(self) - 1)
        weights = (times - self.times[after - 1]) / (self.times[after] - self.times[after - 1])
        places = [
            (1 - w) * self.vertices[k - 1] + w * self.vertices[k]
            for k, w in zip(after, weights, strict=True)
        ]
        return MovingMesh(places, [self.faces[0]] * len(times), times, self.source)

    def resampled(self, frames: int | None = None, fps: float | None = None) -> MovingMesh:
        """Return `frames` frames evenly over the sequence, or `fps` a second.

        Raises:
            DataError: see `at`, or fewer than two frames.
        """
        if frames is None and fps is None:
            return self
        if frames is None:
            assert fps is not None
            frames = round((self.times[-1] - self.times[0]) * fps) + 1
        if frames < 2:
            raise DataError(f"{self.source}: {frames} frames; a motion has at least 2")
        return self.at(np.linspace(self.times[0], self.times[-1], frames))


def checked(mesh: MovingMesh) -> MovingMesh:
    """Return the same if it is a motion.

    Raises:
        DataError: fewer than two frames, a frame without faces or with a vertex that is not finite,
            times that do not increase; it names the frame.
    """
    if len(mesh) < 2:
        raise DataError(
            f"{mesh.source}: {len(mesh)} frame; a motion has at least 2 (of a single mesh make a "
            "shape: prepare without --sequences)"
        )
    check_times(mesh.times, mesh.source)
    for number, (vertices, faces) in enumerate(zip(mesh.vertices, mesh.faces, strict=True)):
        where = f"{mesh.source}: frame {number}"
        if not len(faces):
            raise DataError(f"{where}: has no faces; give meshes")
        bad = np.flatnonzero(~np.isfinite(vertices).all(axis=1))
        if len(bad):
            raise DataError(
                f"{where}: vertices: {len(bad)} are NaN or infinite, the first is number {bad[0]}; "
                "take the frame out, or export it again"
            )
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise DataError(
                f"{where}: faces: name vertex {int(faces.max())} of {len(vertices)}; export again"
            )
    return mesh


def check_times(times: NDArray[np.float64], source: str) -> None:
    """Refuse times that do not increase.

    Raises:
        DataError: it names the frame.
    """
    if not np.isfinite(times).all():
        raise DataError(f"{source}: times: not all are finite; give seconds")
    wrong = np.flatnonzero(np.diff(times) <= 0)
    if len(wrong):
        k = int(wrong[0])
        what = "is repeated" if times[k + 1] == times[k] else "comes before the one ahead of it"
        raise DataError(
            f"{source}: times: that of frame {k + 1}, {times[k + 1]:g}, {what}; sort the frames by "
            "time and keep one of each"
        )
