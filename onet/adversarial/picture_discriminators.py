"""Discriminators of pictures with their depth, by name.

A discriminator is a class `__init__(self, **options)` with `forward(pictures, depth) -> (B,)`
logits, above 0 for real, decorated with `@PICTURE_DISCRIMINATORS.register(name)`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onet.nn.layers import rectifier
from onet.nn.picture_trunk import PictureTrunk
from onet.registry import Registry

PICTURE_DISCRIMINATORS: Registry = Registry("picture discriminator")


@PICTURE_DISCRIMINATORS.register("resnet_conditional")
class ConditionalPictureDiscriminator(nn.Module):
    """Residual blocks on the picture and its depth, with one logit, at first the same for all.

    Source: Oechsle et al., Texture Fields, ICCV 2019; names and shapes of the weights are those of
    the published code.

    Args:
        size: pixels along an edge of a picture.
        width, widest, leaky: see `PictureTrunk`.

    Raises:
        ConfigError: see `PictureTrunk`.
    """

    def __init__(
        self, size: int = 128, width: int = 64, widest: int = 1024, leaky: bool = True
    ) -> None:
        super().__init__()
        self.size, self.activation = size, rectifier(leaky)
        self.conv_img = nn.Conv2d(4, width, 3, padding=1)
        self.resnet = PictureTrunk(size, width, widest, leaky)
        self.fc = nn.Linear(self.resnet.outputs, 1)
        nn.init.zeros_(self.fc.weight)

    def forward(
        self,
        pictures: Tensor,  # (B, 3, size, size) RGB in [0, 1]
        depth: Tensor,  # (B, 1, size, size), 0 where there is no object
    ) -> Tensor:  # (B,)
        net = self.conv_img(torch.cat([pictures, depth], 1))
        logits: Tensor = self.fc(self.activation(self.resnet(net).flatten(1)))
        return logits.squeeze(-1)
