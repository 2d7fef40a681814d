"""Discriminators of pictures of several classes, by name.

A discriminator is a class `__init__(self, classes, **options)` with `size`, the pixels along an
edge, and `forward(pictures, labels) -> (B,)` logits, above 0 for real pictures of that class,
decorated with `@CLASS_DISCRIMINATORS.register(name)`. Pictures (B, 3, size, size) are in [-1, 1].
"""

from __future__ import annotations

from torch import Tensor, nn

from onet.nn.layers import rectifier
from onet.nn.picture_generators import RESIDUAL_WEIGHT, check_blocks
from onet.nn.picture_trunk import LAST, PictureBlock, widths_of
from onet.registry import Registry

CLASS_DISCRIMINATORS: Registry = Registry("discriminator of classes")


@CLASS_DISCRIMINATORS.register("resnet")
class ResnetPictureDiscriminator(nn.Module):
    """Residual blocks on pictures, halved by means to 4 x 4 pixels; one logit for each class.

    Source: Mescheder, Stability and Expressiveness of Deep Generative Models, tables E.2 (one block
    a size) and E.4 (two, with classes); see `ResnetPictureGenerator`. There is no normalisation.

    Args:
        classes: number of classes, 0 without.
        size: pixels along an edge of a picture; 4 times a power of two.
        width: features at the full size; twice as many for every halving.
        widest: features of a block at most.
        blocks: at each size.
        last_block: with one block a size, also at 4 x 4 pixels, as the published code has it and
            table E.2 has not.
        leaky: leaky activations.

    Raises:
        ConfigError: another size, no features or blocks.
    """

    def __init__(
        self,
        classes: int,
        size: int = 256,
        width: int = 64,
        widest: int = 1024,
        blocks: int = 1,
        last_block: bool = False,
        leaky: bool = True,
    ) -> None:
        super().__init__()
        check_blocks(blocks, "model.discriminator")
        widths = widths_of(size, width, widest)
        self.size, self.classes, self.activation = size, classes, rectifier(leaky)
        self.conv_img = nn.Conv2d(3, width, 3, padding=1)
        layers: list[nn.Module] = []
        before = width
        for level, (here, after) in enumerate(zip(widths, [*widths[1:], widths[-1]], strict=True)):
            if level:
                layers.append(nn.AvgPool2d(3, stride=2, padding=1))
            if blocks == 1 and size > LAST and level == len(widths) - 1 and not last_block:
                break
            for number in range(blocks):
                wanted = here if blocks == 1 or number < blocks - 1 else after
                layers.append(PictureBlock(before, wanted, leaky, RESIDUAL_WEIGHT))
                before = wanted
        self.resnet = nn.Sequential(*layers)
        self.fc = nn.Linear(before * LAST**2, max(1, classes))

    def forward(
        self,
        pictures: Tensor,  # (B, 3, size, size) in [-1, 1]
        labels: Tensor | None = None,  # (B,) int64, with classes
    ) -> Tensor:  # (B,)
        net = self.resnet(self.conv_img(pictures)).flatten(1)
        logits: Tensor = self.fc(self.activation(net))
        if not self.classes:
            return logits.squeeze(1)
        assert labels is not None
        return logits.gather(1, labels[:, None]).squeeze(1)
