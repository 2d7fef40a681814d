"""The field of a scan in the frame of its points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.inference.scan_field import EncodedScan


class ScanFrameField:
    """Logits of occupancy in the frame of a scan; its surface is where they are 0.

    Of a scan with parts far apart it is the largest of the logits of the parts.
    """

    def __init__(self, parts: Sequence[EncodedScan]) -> None:
        self.parts = parts

    def __call__(
        self,
        points: ArrayLike,  # (N, 3)
    ) -> NDArray[np.float64]:  # (N,)
        """Return the logits at points in the frame of the scan."""
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
        logits = self(points)
        return np.exp(-np.logaddexp(0, -logits))
