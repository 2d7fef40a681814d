"""The network of Deep Marching Cubes: points to cells, and a U-Net from cells to corners.

Sizes and names of weights as published with Mescheder et al., Occupancy Networks, CVPR 2019.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.nn.code import ObservationKind


class CellPooling(nn.Module):
    """Two layers for each point, and the largest features among the points of a cell.

    Args:
        c_dim: width between the layers. Published: 256.
        cells: along an edge.
        extent: half the edge of the cube that is cut into cells, around the origin.
        out_dim: features of a cell; those without points are 0.
    """

    observes: ClassVar[ObservationKind] = "points"

    def __init__(self, c_dim: int, cells: int, extent: float, out_dim: int = 16) -> None:
        super().__init__()
        self.cells, self.extent, self.out_dim = cells, extent, out_dim
        self.conv1 = nn.Sequential(nn.Conv1d(3, c_dim, 1), nn.ReLU())
        self.conv2 = nn.Conv1d(c_dim, out_dim, 1)

    def forward(
        self,
        inputs: Tensor,  # (B, N, 3) in the unit frame
    ) -> Tensor:  # (B, out_dim, R + 1, R + 1, R + 1) for R cells, with 0 beyond the last
        places = (inputs + self.extent) * (self.cells / (2 * self.extent))
        features = self.conv2(self.conv1(places.transpose(1, 2)))
        cell = places.detach().floor().long().clamp(0, self.cells - 1)
        flat = (cell[..., 0] * self.cells + cell[..., 1]) * self.cells + cell[..., 2]
        index = flat[:, None].expand(-1, self.out_dim, -1)
        pooled = features.new_zeros(len(inputs), self.out_dim, self.cells**3)
        pooled = pooled.scatter_reduce(2, index, features, "amax", include_self=False)
        return F.pad(pooled.view(len(inputs), self.out_dim, *(self.cells,) * 3), (0, 1) * 3)


class _Down(nn.Module):
    """The narrowing half of the U-Net, with the places of maxima."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        for key, a, b in (
            *(("conv1_1", inputs, 16), ("conv1_2", 16, 16), ("conv2_1", 16, 32)),
            *(("conv2_2", 32, 32), ("conv3_1", 32, 64), ("conv3_2", 64, 64), ("conv4", 64, 128)),
        ):
            self.add_module(key, nn.Conv3d(a, b, 3, padding=3 if key == "conv1_1" else 1))
            self.add_module(f"{key}_bn", nn.BatchNorm3d(b))

    def forward(self, x: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        kept = []
        for level in (1, 2, 3):
            x = _layer(self, f"conv{level}_2", _layer(self, f"conv{level}_1", x))
            pooled, places = F.max_pool3d(x, 2, return_indices=True)
            kept.append((x, places))
            x = pooled
        return _layer(self, "conv4", x), kept


def _layer(module: nn.Module, key: str, x: Tensor) -> Tensor:
    norm, layer = module.get_submodule(f"{key}_bn"), module.get_submodule(key)
    return F.relu(norm(layer(x)))


class _Up(nn.Module):
    """The widening half, with two ends: occupancies and offsets."""

    def __init__(self) -> None:
        super().__init__()
        self.deconv4 = nn.Conv3d(128, 64, 3, padding=1)
        widths = {"deconv3_1": (128, 128), "deconv3_2": (128, 32)}
        for end, count in (("off", 3), ("occ", 1)):
            widths |= {f"deconv2_{end}_1": (64, 64), f"deconv2_{end}_2": (64, 16)}
            widths |= {f"deconv1_{end}_1": (32, 32), f"deconv1_{end}_2": (32, count)}
        for key, (a, b) in widths.items():
            last = key in ("deconv1_off_2", "deconv1_occ_2")
            self.add_module(key, nn.ConvTranspose3d(a, b, 3, padding=3 if last else 1))
            if not last:
                self.add_module(f"{key}_bn", nn.BatchNorm3d(b))
        self.deconv4_bn = nn.BatchNorm3d(64)

    def forward(self, x: Tensor, kept: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        x = _unpooled(_layer(self, "deconv4", x), kept[2])
        x = _layer(self, "deconv3_2", _layer(self, "deconv3_1", x))
        x = _unpooled(x, kept[1])
        ends = []
        for end in ("occ", "off"):
            net = _layer(self, f"deconv2_{end}_2", _layer(self, f"deconv2_{end}_1", x))
            net = _layer(self, f"deconv1_{end}_1", _unpooled(net, kept[0]))
            ends.append(self.get_submodule(f"deconv1_{end}_2")(net))
        return ends[0], ends[1]


def _unpooled(x: Tensor, kept: tuple[Tensor, Tensor]) -> Tensor:
    features, places = kept
    wide = F.max_unpool3d(x, places, (2, 2, 2), output_size=list(features.shape[2:]))
    return torch.cat([features, wide], 1)


class CubeNetwork(nn.Module):
    """A U-Net from features of cells to logits of corners and offsets of vertices.

    Args:
        inputs: features of a cell.
    """

    def __init__(self, inputs: int = 16) -> None:
        super().__init__()
        self.decoder = _Up()
        self.encoder = _Down(inputs)

    def forward(
        self,
        c: Tensor,  # (B, inputs, R + 1, R + 1, R + 1)
    ) -> tuple[Tensor, Tensor]:
        """Logits (B, R + 1, R + 1, R + 1) of the corners, and offsets (B, 3, ...) within 1/2."""
        x, kept = self.encoder(c)
        made: Any = self.decoder(x, kept)
        return made[0][:, 0], made[1].sigmoid() - 0.5
