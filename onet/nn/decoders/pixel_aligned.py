"""A small decoder on the features of a picture where a point is seen."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.code import Code, CodeKind
from onet.nn.decoders._registry import DECODERS
from onet.nn.decoders.local import LocalDecoder
from onet.nn.local_features import FeatureSampler
from onet.nn.projection import PixelFeatures


@DECODERS.register("pixel_aligned")
class PixelAlignedDecoder(LocalDecoder):
    """The decoder `local`, on the features of the pixel that shows the point, and its depth.

    The code of the whole picture is added to the embedded points. Sources: see
    `onet.nn.projection`.

    Args:
        c_dim: features of the map, and size of the picture's code.
        z_dim, hidden_size, blocks, leaky: see `LocalDecoder`.

    Raises:
        ConfigError: see `LocalDecoder`.
    """

    takes: ClassVar[frozenset[CodeKind]] = frozenset({"picture"})
    beyond = 1  # the depth

    def __init__(
        self,
        c_dim: int,
        z_dim: int = 0,
        hidden_size: int = 32,
        blocks: int = 5,
        leaky: bool = False,
    ) -> None:
        super().__init__(c_dim, z_dim, hidden_size, blocks, leaky)
        self.fc_picture = nn.Linear(c_dim, hidden_size)

    def sampler(
        self,
        c: Code,  # `image` (B, C, R, R) and `camera` (B, 3, 4), see `onet.nn.projection`
    ) -> FeatureSampler:
        parts = _parts(c)
        return PixelFeatures(parts["image"], parts["camera"])

    def added(
        self,
        c: Code,  # with `global` (B, C), or of one observation
        z: Tensor | None,  # (B, Z) or (Z,)
    ) -> list[Tensor]:
        return [*super().added(c, z), self.fc_picture(_parts(c)["global"])]


def _parts(code: Code) -> dict[str, Tensor]:
    if isinstance(code, Tensor) or not {"image", "camera", "global"} <= code.keys():
        raise ConfigError(
            "model.decoder: 'pixel_aligned' needs a picture's features and camera; name an encoder "
            "that makes them, resnet18_pixel for instance"
        )
    return code
