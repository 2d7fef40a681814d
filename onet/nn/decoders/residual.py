"""What residual decoders have in common: for fixed codes they fold into something much faster."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from onet.nn.code import Code
from onet.nn.decoders.folded import FoldedDecoder, ResidualLayers
from onet.nn.layers import LEAKY_SLOPE, rectifier


class ResidualDecoder(nn.Module):
    """Base of the decoders that are residual blocks between two layers.

    `leaky` concerns the last activation only, as published: the blocks have plain ReLUs.
    """

    def __init__(self, leaky: bool) -> None:
        super().__init__()
        self.activation = rectifier(leaky)
        self.slope = LEAKY_SLOPE if leaky else 0.0

    def layers(
        self,
        c: Any,  # the code of one observation, (C,) or maps of local features
        z: Tensor | None,  # (Z,)
    ) -> ResidualLayers:
        """This decoder's layers for one pair of codes.

        Raises:
            ValueError: the decoder needs a latent code and none is given.
        """
        raise NotImplementedError

    @torch.no_grad()
    def fold(
        self,
        c: Code,  # of one observation
        z: Tensor | None = None,  # (Z,)
        dtype: torch.dtype = torch.float32,
    ) -> FoldedDecoder:
        """This decoder in eval mode for fixed codes, several times faster to evaluate.

        `torch.bfloat16` is faster still where the processor has instructions for it, and less
        exact; see `FoldedDecoder`.

        Raises:
            ValueError: another dtype, or no latent code for a decoder that needs one.
        """
        return FoldedDecoder(self.layers(c, z), slope=self.slope, dtype=dtype)


def added_code(layer: nn.Linear | None, code: Tensor | None) -> list[Tensor]:
    """What a code adds to features, as a list that is empty where the decoder has no such code.

    Raises:
        ValueError: the decoder has one and none is given.
    """
    if layer is None:
        return []
    if code is None:
        raise ValueError(f"z: the decoder needs a latent code of {layer.in_features} numbers")
    return [layer(code)]
