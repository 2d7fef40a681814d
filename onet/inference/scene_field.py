"""One continuous field over a scene of any extent, from overlapping windows.

The scene is measured in windows: a window is a cube of edge 1, seen by the network as the unit
cube. Centres form a lattice of spacing 1 - overlap. Along each axis the weight of a window is 1 in
its middle and falls to 0 in the part that it shares with its neighbour, by the cubic 3 t^2 - 2 t^3:
the weights of neighbours add up to 1, and so do the products over the axes. The field is the
weighted sum of the logits of at most eight windows. It has no seams by construction: where a window
begins or ends its weight and the derivative of its weight are 0.
"""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import ConfigError
from onet.geometry.field_values import Field
from onet.progress import listener

logger = logging.getLogger(__name__)

EMPTY = -10.0  # a network's logit of windows without points: they are outside
FEWEST = 8  # points that make a window worth looking at
MARGIN = 0.05  # what a window sees beyond its cube, on every side
_BIN = 0.5  # edge of the bins in which the points are found, in windows
_BITS = 20  # for a coordinate of a bin or window; one more for its sign
_PATIENCE = 10.0  # seconds between messages

Window = tuple[int, int, int]


class SceneField:
    """Callable: points (N, 3) measured in windows -> logits (N,) float32.

    A window is encoded when a point first needs it, and the last used ones are kept. The result
    does not depend on how many: what is drawn for a window belongs to (seed, window).

    Args:
        points: (N, 3) float32 cloud, measured in windows.
        encode: from points (M, 3) float32 in the frame of a window, [-0.55, 0.55]^3, to the field
            of that frame (which takes and returns NumPy arrays) and the bytes it holds.
        overlap: part of a window that it shares with the next, in (0, 0.5].
        most: points of a window that are used; of more a random choice.
        memory: bytes that encoded windows may hold.
        seed: of that choice.
        empty: logit of windows without points.

    Attributes:
        encoded: how often a window was encoded, again and again included.
        windows: points found in each window that was asked for.

    Raises:
        ConfigError: an overlap out of range; when called, memory that holds no window.
    """

    def __init__(
        self,
        points: NDArray[np.float32],
        encode: Callable[[NDArray[np.float32]], tuple[Field, int]],
        *,
        overlap: float = 0.25,
        most: int = 3000,
        memory: int = 2**30,
        seed: int = 0,
        empty: float = EMPTY,
    ) -> None:
        if not 0 < overlap <= 0.5:
            raise ConfigError(f"overlap: {overlap}; give a part of the window, up to 0.5")
        self.overlap, self.spacing = overlap, 1 - overlap
        self._cloud = _Bins(points)
        self._encode, self._most, self._memory, self._seed = encode, most, memory, seed
        self._empty = empty
        self._kept: OrderedDict[Window, tuple[Field, int]] = OrderedDict()
        self._held = 0
        self.encoded, self.windows = 0, dict[Window, int]()
        self._evaluated, self._said = 0, time.monotonic()

    def __call__(
        self,
        points: NDArray[np.float32],  # (N, 3) measured in windows
    ) -> NDArray[np.float32]:  # (N,)
        queries = np.asarray(points, dtype=np.float64)
        windows, weights = self._shares(queries)
        # One number for each pair of point and window, summed in the order of the corners: windows
        # may be looked at in any order.
        parts = np.where(weights > 0, self._empty * weights, 0.0)
        keys, members = _grouped(packed(windows).ravel(), np.flatnonzero(weights.ravel() > 0))
        wanted = [
            (window, rows)
            for window, rows in zip(map(_unpacked, keys), members, strict=True)
            if self._count(window) >= FEWEST
        ]
        wanted.sort(key=lambda pair: pair[0] not in self._kept)  # before they have to make room
        for window, rows in wanted:
            own = queries[rows // 8] - np.array(window) * self.spacing
            logits = self._window(window)(own.astype(np.float32))
            parts.ravel()[rows] = weights.ravel()[rows] * np.asarray(logits, dtype=np.float64)
        self._evaluated += len(queries)
        self._report()
        return parts.sum(axis=1).astype(np.float32)

    def _shares(self, points: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the eight windows (N, 8, 3) around each point and their weights (N, 8)."""
        low = np.floor(points / self.spacing)
        ahead = points - low * self.spacing  # from the centre of the lower window
        share = np.clip((0.5 - ahead) / self.overlap, 0, 1)
        share = share**2 * (3 - 2 * share)
        corner = np.indices((2, 2, 2)).reshape(3, 8).T  # (8, 3)
        weights = np.where(corner, 1 - share[:, None], share[:, None]).prod(axis=2)
        return low.astype(np.int64)[:, None] + corner, weights

    def _window(self, window: Window) -> Field:
        if window in self._kept:
            self._kept.move_to_end(window)
            return self._kept[window][0]
        seen = self._points(window)
        if len(seen) > self._most:
            key = [self._seed, *(i % 2**32 for i in window)]
            chosen = np.random.default_rng(key).choice(len(seen), self._most, replace=False)
            seen = seen[np.sort(chosen)]
        heard = listener()
        if heard is not None and not self.encoded:
            heard(0, None, "encoding windows")
        field, size = self._encode(seen)
        if size > self._memory:
            raise ConfigError(
                f"memory: {self._memory / 2**20:.3g} MiB hold no window, which takes "
                f"{size / 2**20:.3g}; give at least {math.ceil(size / 2**20)} MiB"
            )
        while self._held + size > self._memory:
            self._held -= self._kept.popitem(last=False)[1][1]
        self._kept[window] = field, size
        self._held += size
        self.encoded += 1
        if heard is not None:
            heard(self.encoded, None, "encoding windows")
        return field

    def _points(self, window: Window) -> NDArray[np.float32]:
        """What the window sees, in its frame."""
        centre = np.array(window) * self.spacing
        half = 0.5 + MARGIN
        return (self._cloud.inside(centre - half, centre + half) - centre).astype(np.float32)

    def _count(self, window: Window) -> int:
        if window not in self.windows:
            self.windows[window] = len(self._points(window))
        return self.windows[window]

    def _report(self) -> None:
        if time.monotonic() - self._said > _PATIENCE:
            self._said = time.monotonic()
            logger.info(
                "scene: %d windows encoded, field asked at %s points",
                self.encoded,
                f"{self._evaluated:,}",
            )


class _Bins:
    """Points in the order of cubes that contain them."""

    def __init__(self, points: NDArray[np.float32]) -> None:
        keys = packed(np.floor(points / _BIN))
        order = np.argsort(keys, kind="stable")
        self._points, self._keys = points[order], keys[order]

    def inside(
        self,
        low: NDArray[np.float64],  # (3,)
        high: NDArray[np.float64],  # (3,)
    ) -> NDArray[np.float32]:
        """Return the points (M, 3) of a box, in an order that depends on the cloud alone."""
        points = np.concatenate([self._points[part] for part in self._columns(low, high)])
        return points[((points >= low) & (points <= high)).all(axis=1)]

    def _columns(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> Iterator[slice]:
        """Bins that differ in z alone lie next to one another."""
        first, last = (np.floor(corner / _BIN).astype(np.int64) for corner in (low, high))
        for x in range(first[0], last[0] + 1):
            for y in range(first[1], last[1] + 1):
                ends = packed(np.array([(x, y, first[2]), (x, y, last[2] + 1)]))
                yield slice(*np.searchsorted(self._keys, ends))


def packed(
    places: NDArray[Any],  # (..., 3) whole numbers of any type
) -> NDArray[np.int64]:  # (...)
    """As one number that sorts by x, then y, then z.

    Raises:
        ConfigError: numbers too large, as they are when a window is tiny.
    """
    if places.size and not np.abs(places).max() < 2**_BITS:
        raise ConfigError(
            f"window: the scene is more than {2**_BITS // 2:,} windows wide; give a larger window"
        )
    x, y, z = np.moveaxis(places.astype(np.int64) + 2**_BITS, -1, 0)
    return (x << 2 * (_BITS + 1)) | (y << (_BITS + 1)) | z


def _unpacked(key: int) -> Window:
    mask = 2 ** (_BITS + 1) - 1
    x, y, z = (int(key) >> shift & mask for shift in (2 * (_BITS + 1), _BITS + 1, 0))
    return x - 2**_BITS, y - 2**_BITS, z - 2**_BITS


def _grouped(
    keys: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """Return the different keys of these rows, and the rows of each."""
    order = rows[np.argsort(keys[rows], kind="stable")]
    different, starts = np.unique(keys[order], return_index=True)
    return different, np.split(order, starts[1:]) if len(order) else []
