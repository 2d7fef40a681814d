"""The decoders of Texture Fields: a point and one code of geometry and appearance give a colour.

Source: Oechsle et al., Texture Fields: Learning Texture Representations in Function Space, ICCV
2019; names and shapes of the weights are those of the published code.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.code import Code, CodeKind
from onet.nn.color._registry import COLOR_DECODERS
from onet.nn.color.fourier import MOST_OCTAVES, encode_points, encoded_size
from onet.nn.layers import PointwiseConv, embed_points, rectifier


def require_octaves(octaves: int) -> int:
    """Return the number of octaves.

    Raises:
        ConfigError: fewer than 0, or so many that single precision cannot hold them.
    """
    if not 0 <= octaves <= MOST_OCTAVES:
        raise ConfigError(f"model.decoder.octaves: {octaves}; give 0 to {MOST_OCTAVES}")
    return octaves


class _PointwiseBlock(nn.Module):
    """Residual block (B, T, F) -> (B, T, F); all but its bias is zero at initialisation."""

    def __init__(self, features: int, leaky: bool) -> None:
        super().__init__()
        self.conv_0 = PointwiseConv(features, features)
        self.conv_1 = PointwiseConv(features, features)
        self.activation = rectifier(leaky)
        nn.init.zeros_(self.conv_1.weight)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.conv_1(self.activation(self.conv_0(self.activation(x))))
        return x + residual


@COLOR_DECODERS.register("each_layer_c")
class EachLayerDecoder(nn.Module):
    """Residual blocks, before each of which a linear map of the code is added.

    Args:
        code_dim: size of the code, of geometry and appearance together.
        features: of local codes, which it does not take.
        hidden_size: features of the blocks.
        leaky: the last activation is leaky.
        resnet_leaky: those of the blocks are.
        octaves: sines and cosines of the coordinates (`onet.nn.color.fourier`); 0, as published,
            for none.

    Raises:
        ConfigError: octaves that cannot be.
    """

    takes: ClassVar[frozenset[CodeKind]] = frozenset({"global"})
    blocks = 5

    def __init__(
        self,
        code_dim: int,
        features: int = 0,
        hidden_size: int = 128,
        leaky: bool = True,
        resnet_leaky: bool = True,
        octaves: int = 0,
    ) -> None:
        super().__init__()
        self.octaves = require_octaves(octaves)
        self.activation = rectifier(leaky)
        self.conv_p = PointwiseConv(encoded_size(octaves), hidden_size)
        for number in range(self.blocks):
            self.add_module(f"block{number}", _PointwiseBlock(hidden_size, resnet_leaky))
        for number in range(self.blocks):
            self.add_module(f"fc_cz_{number}", nn.Linear(code_dim, hidden_size))
        self.conv_out = PointwiseConv(hidden_size, 3)
        nn.init.zeros_(self.conv_out.weight)

    def forward(
        self,
        points: Tensor,  # (B, T, 3) float32 in the unit frame
        code: Tensor,  # (B, code_dim)
        local: Code | None = None,
    ) -> Tensor:  # (B, T, 3) in [0, 1]
        net = embed_points(self.conv_p, encode_points(points, self.octaves))
        for number in range(self.blocks):
            net = net + self.get_submodule(f"fc_cz_{number}")(code).unsqueeze(1)
            net = self.get_submodule(f"block{number}")(net)
        return torch.sigmoid(self.conv_out(self.activation(net)))


@COLOR_DECODERS.register("each_layer_c_larger")
class LargerEachLayerDecoder(EachLayerDecoder):
    """The same with seven blocks."""

    blocks = 7
