"""U-Nets on planes and grids of features."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.errors import ConfigError


def check_resolution(key: str, resolution: int, depth: int) -> None:
    """Refuse a resolution that cannot be halved at every level but the last.

    Raises:
        ConfigError: naming `key` and sizes that fit; or a depth below 1.
    """
    if depth < 1:
        raise ConfigError(f"model.encoder.unet_depth: {depth} levels; give at least 1")
    unit = max(2, 2 ** (depth - 1))
    if resolution < 2 or resolution % unit:
        below = max(resolution // unit, 1) * unit
        fits = f"{below} or {below + unit}" if below < resolution else str(below)
        raise ConfigError(
            f"{key}: {resolution} cells an edge cannot be halved {depth - 1} times, as a U-Net of "
            f"unet_depth {depth} does; give {fits}, or another multiple of {unit}"
        )


class UNet(nn.Module):
    """(B, F, R, R) -> (B, F, R, R), or with three dimensions (B, F, R, R, R).

    Each level has two 3-convolutions; going down the maps are halved and their features doubled,
    going up they are put beside those of the same level. In two dimensions there is no
    normalisation and going up is a transposed convolution; in three each convolution has a group
    normalisation before it and going up repeats values. Both as in the published code of
    Convolutional Occupancy Networks.

    Args:
        dimensions: 2 or 3.
        features: of input and output.
        width: features of the first level.
        depth: number of levels; R must be divisible by 2^(depth - 1).
        published: to the letter. In two dimensions the maps of the same level come last; in three
            convolutions have no bias, fewer than 8 features are one group, and a first level that
            narrows does so in its second convolution.
    """

    def __init__(
        self, dimensions: int, features: int, width: int, depth: int, published: bool = False
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth)]
        self.last_beside = published and dimensions == 2
        self.pool = F.max_pool2d if dimensions == 2 else F.max_pool3d
        self.down = nn.ModuleList(
            _Level(
                dimensions, before, _between(dimensions, before, after, published), after, published
            )
            for before, after in zip([features, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList()
        self.enlarge = nn.ModuleList()
        for after, before in zip(widths[-2::-1], widths[:0:-1], strict=True):
            if dimensions == 2:
                self.enlarge.append(nn.ConvTranspose2d(before, after, 2, stride=2))
                self.up.append(_Level(dimensions, 2 * after, after, after, published))
            else:
                self.enlarge.append(nn.Upsample(scale_factor=2))
                self.up.append(_Level(dimensions, before + after, after, after, published))
        self.last = (nn.Conv2d if dimensions == 2 else nn.Conv3d)(width, features, 1)
        if dimensions == 2:  # without normalisation the signal has to keep its size by itself
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                    nn.init.xavier_normal_(module.weight)
                    nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(
        self,
        x: Tensor,  # (B, F, R, R) or (B, F, R, R, R)
    ) -> Tensor:
        levels: list[Tensor] = []
        for number, level in enumerate(self.down):
            x = level(self.pool(x, 2) if number else x)
            levels.append(x)
        for enlarge, level, beside in zip(self.enlarge, self.up, levels[-2::-1], strict=True):
            pair = [beside, enlarge(x)]
            x = level(torch.cat(pair[::-1] if self.last_beside else pair, dim=1))
        result: Tensor = self.last(x)
        return result


class _Level(nn.Module):
    """Two convolutions, each followed by a ReLU."""

    def __init__(
        self, dimensions: int, before: int, between: int, after: int, published: bool
    ) -> None:
        super().__init__()
        conv = nn.Conv2d if dimensions == 2 else nn.Conv3d
        norm = dimensions == 3
        bias = not (norm and published)
        self.conv_0 = conv(before, between, 3, padding=1, bias=bias)
        self.conv_1 = conv(between, after, 3, padding=1, bias=bias)
        self.norm_0 = _norm(before, published) if norm else nn.Identity()
        self.norm_1 = _norm(between, published) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv_0(self.norm_0(x)), inplace=True)
        return F.relu(self.conv_1(self.norm_1(x)), inplace=True)


def _between(dimensions: int, before: int, after: int, published: bool) -> int:
    """Features between the two convolutions of a level on the way down."""
    widens = dimensions == 3 and (before < after or published)
    return max(before, after // 2) if widens else after


def _norm(features: int, published: bool) -> nn.GroupNorm:
    groups = math.gcd(8, features)
    if published:
        groups = 1 if features < 8 else 8
    return nn.GroupNorm(groups, features)
