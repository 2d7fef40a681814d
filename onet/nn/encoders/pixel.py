"""Features of the pixels of an image, and the camera that they were seen by."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.code import CAMERA, ESTIMATED_CAMERA, PIXELS, Code, CodeKind
from onet.nn.encoders._registry import ENCODERS
from onet.nn.encoders.efficientnet import EfficientnetFeatures
from onet.nn.encoders.resnet import Resnet18Features
from onet.nn.projection import published_projection

USUAL_DISTANCE = 2.0  # of a camera from the origin; training starts there
USUAL_ELEVATION = math.radians(25)


class PixelMaps(nn.Module):
    """One map of features of a picture, a code of the whole of it, and its camera.

    The maps of the stages of an image network, each brought to `c_dim` features and enlarged, are
    summed and go through a convolution. Azimuth, elevation and distance of a camera that looks at
    the middle of the object, with the focal length of the published renderings, are estimated from
    the last map. Where the camera is known, that one is used, and the other can be trained with it.
    The decoder is `pixel_aligned`. Sources: see `onet.nn.projection`.

    A class derived from it and from an image network has its `pyramid`, its `widths`, and calls
    `make_maps` when it is made.
    """

    makes: ClassVar[CodeKind] = "picture"
    observes_parts: ClassVar[frozenset[str]] = frozenset({CAMERA})

    widths: tuple[int, ...]
    pyramid: Callable[[Tensor], list[Tensor]]

    def make_maps(self, c_dim: int, map_resolution: int, trunk_size: int | None) -> None:
        """Add the layers after the image network.

        Args:
            c_dim: features of the map and of the code of the picture.
            map_resolution: cells along an edge of the map. A quarter of the picture's pixels is
                what the first stage sees.
            trunk_size: pixels along an edge that the image network sees, of a larger picture; null
                for all.

        Raises:
            ConfigError: a map of fewer than 2 cells along an edge, or a trunk that sees none.
        """
        if map_resolution < 2:
            raise ConfigError(f"model.encoder.map_resolution: {map_resolution}; give at least 2")
        if trunk_size is not None and trunk_size < 1:
            raise ConfigError(f"model.encoder.trunk_size: {trunk_size}; give at least 1, or null")
        self.map_resolution, self.trunk_size = map_resolution, trunk_size
        self.laterals = nn.ModuleList(nn.Conv2d(width, c_dim, 1) for width in self.widths)
        self.conv_out = nn.Conv2d(c_dim, c_dim, 3, padding=1)
        self.fc = nn.Linear(self.widths[-1], c_dim)
        self.fc_camera = nn.Linear(self.widths[-1], 4)
        with torch.no_grad():
            self.fc_camera.bias.copy_(torch.tensor([1.0, 0.0, USUAL_ELEVATION, 0.0]))

    def first_pixel(self, pixels: int, stride: int) -> int:
        """Return the pixel around which the first cell of a stage looks, along an edge.

        Strided convolutions with odd kernels look around pixel `stride` * k for their cell k, which
        is its first pixel and not its middle, where as much is added in front as behind.
        """
        return 0

    def forward(
        self,
        inputs: Code,  # (B, 3, H, W) float32 RGB in [0, 1], or `image` so and `camera` (B, 3, 4)
    ) -> dict[str, Tensor]:
        """Return the code.

        `image` (B, c_dim, R, R), `global` (B, c_dim), `pixels`, the picture itself, and cameras
        (B, 3, 4) for places in the picture from 0 to 1: `estimated_camera`, and `camera`, the known
        one or else the estimated.
        """
        given = {"image": inputs} if isinstance(inputs, Tensor) else inputs
        seen = given["image"]
        if self.trunk_size is not None:
            seen = F.adaptive_avg_pool2d(seen, self.trunk_size)
        pyramid = self.pyramid(seen)
        levels = [
            self._resampled(lateral(maps), 4 * 2**stage, seen)
            for stage, (lateral, maps) in enumerate(zip(self.laterals, pyramid, strict=True))
        ]
        whole = pyramid[-1].mean(dim=(2, 3))
        estimated = self._camera(whole)
        camera = given.get(CAMERA)
        if camera is None:
            camera = estimated
        else:
            height, width = given["image"].shape[2:]
            camera = camera / camera.new_tensor([width, height, 1])[:, None]
        return {
            "image": self.conv_out(F.relu(torch.stack(levels).sum(0))),
            "global": self.fc(whole),
            PIXELS: given["image"],
            CAMERA: camera,
            ESTIMATED_CAMERA: estimated,
        }

    def _camera(
        self,
        features: Tensor,  # (B, F)
    ) -> Tensor:  # (B, 3, 4)
        numbers = self.fc_camera(features).float()
        distance = USUAL_DISTANCE * numbers[:, 3].exp()
        return published_projection(numbers[:, :2], numbers[:, 2], distance)

    def _resampled(
        self,
        maps: Tensor,  # (B, F, h, w)
        stride: int,
        image: Tensor,  # (B, 3, H, W)
    ) -> Tensor:  # (B, F, map_resolution, map_resolution)
        """Return a stage's features at the middles of the cells of a square map of the picture."""
        axes, resolution = [], self.map_resolution
        for pixels, cells in zip(image.shape[2:], maps.shape[2:], strict=True):
            middle = torch.arange(resolution, device=maps.device) + 0.5
            middle = middle * (pixels / resolution) - 0.5 - self.first_pixel(pixels, stride)
            axes.append(2 * middle / (stride * max(cells - 1, 1)) - 1)
        y, x = torch.meshgrid(*axes, indexing="ij")
        grid = torch.stack([x, y], -1).to(maps.dtype).expand(len(maps), -1, -1, -1)
        return F.grid_sample(maps, grid, padding_mode="border", align_corners=True)


@ENCODERS.register("resnet18_pixel")
class Resnet18PixelEncoder(PixelMaps, Resnet18Features):
    """Features of the pixels by ResNet-18, a code of the whole picture, and its camera.

    Made of the maps of all four stages as `PixelMaps` says.

    Args:
        pretrained: weights of the ResNet, as for `resnet18`.
        c_dim, map_resolution, trunk_size: see `PixelMaps.make_maps`.

    Raises:
        ConfigError: see there.
    """

    def __init__(
        self,
        c_dim: int,
        pretrained: str | None = None,
        map_resolution: int = 56,
        trunk_size: int | None = None,
    ) -> None:
        Resnet18Features.__init__(self, pretrained)
        self.widths = tuple(self.width // 2**k for k in (3, 2, 1, 0))
        self.make_maps(c_dim, map_resolution, trunk_size)


@ENCODERS.register("efficientnet_lite0_pixel")
class EfficientnetPixelEncoder(PixelMaps, EfficientnetFeatures):
    """Features of the pixels by EfficientNet-Lite0, a code of the whole picture, and its camera.

    Made of the maps of the stages as `PixelMaps` says.

    Args:
        pretrained, frozen, stages: see `EfficientnetFeatures`.
        c_dim, map_resolution, trunk_size: see `PixelMaps.make_maps`.

    Raises:
        ConfigError: see both.
    """

    def __init__(
        self,
        c_dim: int,
        pretrained: str | None = None,
        frozen: bool = True,
        stages: int = 4,
        map_resolution: int = 56,
        trunk_size: int | None = None,
    ) -> None:
        EfficientnetFeatures.__init__(self, pretrained, frozen, stages)
        self.make_maps(c_dim, map_resolution, trunk_size)

    def first_pixel(self, pixels: int, stride: int) -> int:
        """Return the pixel around which the first cell of a stage looks.

        Of an even number of pixels, halving looks around the second of each pair.
        """
        first, step = 0, 1
        while step < stride:
            first += step if pixels % 2 == 0 else 0
            pixels, step = -(-pixels // 2), 2 * step
        return first
