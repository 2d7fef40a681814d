"""Networks of configurations on scans: features on planes or a grid as wide as the object.

The alternative to features that are as fine as the points lie: a scan is brought to the unit frame,
whose planes or grid have the same number of cells whatever was scanned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from onet.models._registry import MODELS, SCAN_NETWORKS
from onet.models.scan_model import ScanModel
from onet.nn.code import Code


@dataclass(frozen=True, eq=False)
class DenseCode:
    """What the network knows of one scan.

    Attributes:
        middle, edge: of the box of its points, in cells: the way to the unit frame.
        code: what the model's decoder takes.
    """

    middle: Tensor
    edge: Tensor
    code: Code


@SCAN_NETWORKS.register("dense")
class DenseScanNetwork(ScanModel):
    """A model that reconstructs point clouds, each scan in the unit frame.

    Normals and directions to the sensor are not used.

    Args:
        model: section `model` of a configuration such as `pointcloud_planes`.

    Attributes:
        options: this argument and the type: what a file of weights says of its network.
    """

    pad = 1

    def __init__(self, model: dict[str, Any]) -> None:
        super().__init__()
        self.options = {"type": "dense", "model": model}
        self.model = MODELS.build(model, "model")

    def encode(
        self,
        points: Tensor,  # (N, 3) float32, any frame
        scans: Tensor,  # (N,) int64
        normals: Tensor,
        sensors: Tensor,
    ) -> list[DenseCode]:
        """Return the codes of some scans."""
        codes = []
        for number in range(int(scans.max()) + 1):
            mine = points[scans == number]
            low, high = mine.min(0).values, mine.max(0).values
            middle, edge = (low + high) / 2, (high - low).max()
            codes.append(DenseCode(middle, edge, self.model.encode((mine - middle)[None] / edge)))
        return codes

    def decode(
        self,
        queries: Tensor,  # (Q, 3) in the frame of the points
        scans: Tensor,  # (Q,) int64
        code: list[DenseCode],
    ) -> Tensor:  # (Q,)
        """Return logits of occupancy."""
        logits = torch.empty(len(queries), device=queries.device)
        for number, of in enumerate(code):
            mine = scans == number
            places = (queries[mine] - of.middle) / of.edge
            logits = logits.masked_scatter(mine, self.model.decode(places[None], of.code).float())
        return logits
