"""What a network for scans is asked: features of scans, then the occupancy of query points."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class ScanModel(nn.Module, ABC):
    """Points, with normals and directions to the sensor where known -> occupancy of space.

    Scans of a batch are one long list of points with the number of the scan beside each. All
    lengths are in cells, whose side follows the spacing of the points (`onet.nn.cell_size`).

    Attributes:
        options: arguments of the class, and its type: what a file of weights says of its network.
        pad: cells that points keep from 0.
        z_dim: there is no latent code.
    """

    options: dict[str, Any]
    pad: int
    z_dim = 0

    @abstractmethod
    def encode(
        self,
        points: Tensor,  # (N, 3) float32 in cells, at least `pad` everywhere
        scans: Tensor,  # (N,) int64
        normals: Tensor,  # (N, 3) outward, unit length, or zeros
        sensors: Tensor,  # (N, 3) unit vectors from the point to its sensor, or zeros
    ) -> Any:
        """Return the code of some scans."""

    @abstractmethod
    def decode(
        self,
        queries: Tensor,  # (Q, 3) float32 in cells
        scans: Tensor,  # (Q,) int64
        code: Any,
    ) -> Tensor:  # (Q,)
        """Return logits of occupancy."""
