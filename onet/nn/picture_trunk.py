"""Residual blocks on pictures, halved between them to 4 x 4 pixels.

Source: Mescheder et al., Which Training Methods for GANs do actually Converge?, ICML 2018; names
and shapes of the weights are those of the published Texture Fields.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.layers import rectifier

LAST = 4
"""Pixels along an edge after the last block."""


def widths_of(size: int, width: int, widest: int) -> list[int]:
    """Return the features at each size of a picture, halved from `size` to 4 pixels.

    Raises:
        ConfigError: a size that is not 4 times a power of two, or no features.
    """
    halvings = (size // LAST).bit_length() - 1
    if size < LAST or LAST << halvings != size:
        raise ConfigError(
            f"model: a network of pictures of {size} pixels; give a size of 4, 8, 16, 32, ..."
        )
    if width < 1 or widest < width:
        raise ConfigError(f"model: {width} to {widest} features; give 1 to more than that")
    return [min(width << number, widest) for number in range(halvings + 1)]


class PictureBlock(nn.Module):
    """Residual block of two convolutions.

    Args:
        in_features, out_features: before and after it.
        leaky: leaky activations.
        weight: of what the convolutions add; None adds all of it, from a second convolution that
            starts at zero.
    """

    def __init__(
        self, in_features: int, out_features: int, leaky: bool = True, weight: float | None = None
    ) -> None:
        super().__init__()
        hidden = min(in_features, out_features)
        self.activation, self.weight = rectifier(leaky), weight
        self.conv_0 = nn.Conv2d(in_features, hidden, 3, padding=1)
        self.conv_1 = nn.Conv2d(hidden, out_features, 3, padding=1)
        self.shortcut = (
            nn.Identity()
            if in_features == out_features
            else nn.Conv2d(in_features, out_features, 1, bias=False)
        )
        if weight is None:
            nn.init.zeros_(self.conv_1.weight)

    def forward(
        self,
        x: Tensor,  # (B, F, H, W)
    ) -> Tensor:
        residual: Tensor = self.conv_1(self.activation(self.conv_0(self.activation(x))))
        straight: Tensor = self.shortcut(x)
        return straight + residual if self.weight is None else straight + self.weight * residual


class PictureTrunk(nn.Sequential):
    """A block, then for every halving a mean over 3 x 3 pixels and a block of twice the features.

    Args:
        size: pixels along an edge of a picture; 4 times a power of two.
        width: features of the first block.
        widest: features of a block at most.
        leaky: leaky activations.

    Raises:
        ConfigError: another size, or no features.
    """

    def __init__(self, size: int, width: int, widest: int = 1024, leaky: bool = True) -> None:
        widths = widths_of(size, width, widest)
        blocks: list[nn.Module] = [PictureBlock(width, width, leaky)]
        for before, after in pairwise(widths):
            blocks += [nn.AvgPool2d(3, stride=2, padding=1), PictureBlock(before, after, leaky)]
        super().__init__(*blocks)
        self.outputs = widths[-1] * LAST**2
