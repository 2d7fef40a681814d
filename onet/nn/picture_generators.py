"""Generators of pictures from latent codes and classes, by name.

A generator is a class `__init__(self, z_dim, classes, **options)` with `size`, the pixels along an
edge, and `forward(latent, labels) -> pictures` (B, 3, size, size), about [-1, 1], decorated with
`@PICTURE_GENERATORS.register(name)`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.layers import rectifier
from onet.nn.picture_trunk import LAST, PictureBlock, widths_of
from onet.registry import Registry

PICTURE_GENERATORS: Registry = Registry("picture generator")

RESIDUAL_WEIGHT = 0.1
"""Of what the blocks of these networks add, as published."""


def check_blocks(blocks: int, where: str) -> None:
    """Refuse levels without blocks.

    Raises:
        ConfigError: fewer than one.
    """
    if blocks < 1:
        raise ConfigError(f"{where}.blocks: {blocks}; give at least 1 for each size of the picture")


@PICTURE_GENERATORS.register("resnet")
class ResnetPictureGenerator(nn.Module):
    """Residual blocks from 4 x 4 pixels on, doubled by repeating pixels, without any normalisation.

    Source: Mescheder, Stability and Expressiveness of Deep Generative Models, tables E.1 (one block
    a size) and E.3 (two, with classes); with `leaky` as in the code published with Which Training
    Methods for GANs do actually Converge?, ICML 2018. A class is a learned direction beside the
    latent code.

    Args:
        z_dim: size of the latent code.
        classes: number of classes, 0 without.
        size: pixels along an edge of a picture; 4 times a power of two.
        width: features at the full size; twice as many for every halving.
        widest: features of a block at most.
        blocks: at each size.
        embedding: size of the direction of a class.
        leaky: leaky activations.
        bounded: a tanh at the end, as published. Where pictures are white for the most part it
            holds a generator that has become white all over, as no gradient gets through it;
            without it values may lie beyond [-1, 1], and are cut off in samples.

    Raises:
        ConfigError: another size, no features, blocks or embedding.
    """

    def __init__(
        self,
        z_dim: int,
        classes: int,
        size: int = 256,
        width: int = 64,
        widest: int = 1024,
        blocks: int = 1,
        embedding: int = 256,
        leaky: bool = True,
        bounded: bool = True,
    ) -> None:
        super().__init__()
        check_blocks(blocks, "model.generator")
        self.bounded = bounded
        widths = widths_of(size, width, widest)[::-1]
        self.size, self.activation, self.first = size, rectifier(leaky), widths[0]
        if classes and embedding < 1:
            raise ConfigError(f"model.generator.embedding: {embedding}; classes need at least 1")
        self.embedding = nn.Embedding(classes, embedding) if classes else None
        self.fc = nn.Linear(z_dim + (embedding if classes else 0), widths[0] * LAST**2)
        layers: list[nn.Module] = []
        before = widths[0]
        for level, features in enumerate(_generated(widths, blocks)):
            if level:
                layers.append(nn.Upsample(scale_factor=2))
            for _ in range(blocks):
                layers.append(PictureBlock(before, features, leaky, RESIDUAL_WEIGHT))
                before = features
        self.resnet = nn.Sequential(*layers)
        self.conv_img = nn.Conv2d(before, 3, 3, padding=1)

    def forward(
        self,
        latent: Tensor,  # (B, Z)
        labels: Tensor | None = None,  # (B,) int64, with classes
    ) -> Tensor:  # (B, 3, size, size)
        if self.embedding is not None:
            latent = torch.cat([latent, F.normalize(self.embedding(labels), dim=1)], 1)
        net = self.fc(latent).view(-1, self.first, LAST, LAST)
        pictures: Tensor = self.conv_img(self.activation(self.resnet(net)))
        return torch.tanh(pictures) if self.bounded else pictures


def _generated(widths: list[int], blocks: int) -> list[int]:
    """Return the features after the blocks of each size, as the tables have them."""
    # One block a size: it already has the features of the next size, so that 4 x 4 to full size
    # are 1024, 1024, 512, ... 64, 64 (E.1). Two: 1024, 1024, 512, ... 64 (E.3).
    return [*widths[1:], widths[-1]] if blocks == 1 else widths
