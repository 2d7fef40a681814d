"""The field of a scan in the frame of its points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.inference.scan_field import EncodedScan


class ScanFrameField:
    """Logits of occupancy in the frame of a scan, so that it can be handed to `onet.extract_mesh`.

    Of a scan with parts far apart it is the largest of the logits of the parts.

    Attributes:
        bounds: (2, 3) float64, lowest and highest corner of the box round all points.
        cell: side of the network's finest cells, in the unit of the points; of several parts the
            longest.
        level: the logit on the surface, 0.
    """

    level = 0.0

    def __init__(self, parts: Sequence[EncodedScan]) -> None:
        self.parts = parts
        corners = np.concatenate([part.frame.to_source(part.bounds) for part in parts])
        self.bounds: NDArray[np.float64] = np.stack([corners.min(0), corners.max(0)])
        self.cell = max(part.frame.scale for part in parts)

    def __call__(
        self,
        points: ArrayLike,  # (N, 3)
    ) -> NDArray[np.float64]:  # (N,)
        """Return the logits of occupancy; see `logits`."""
        return self.logits(points)

    def logits(
        self,
        points: ArrayLike,  # (N, 3)
    ) -> NDArray[np.float64]:  # (N,)
        """Return the logits of occupancy at points in the frame of the scan."""
        places = np.asarray(points, dtype=np.float64)
        found = [part.field(part.frame.to_unit(places)) for part in self.parts]
        logits: NDArray[np.float64] = np.max(
            [values.double().cpu().numpy() for values in found], axis=0
        )
        return logits

    def occupancy(
        self,
        points: ArrayLike,  # (N, 3)
    ) -> NDArray[np.float64]:  # (N,)
        """Return the probability that points are inside."""
        logits = self.logits(points)
        return np.exp(-np.logaddexp(0, -logits))
