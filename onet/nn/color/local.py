"""A colour head on local features: a global code cannot hold a texture."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.code import CAMERA, CLOUD, FRONT, PIXELS, Code, CodeKind
from onet.nn.color._registry import COLOR_DECODERS
from onet.nn.color.each_layer import require_octaves
from onet.nn.color.fourier import encode_points, encoded_size
from onet.nn.layers import ResnetBlock, embed_points
from onet.nn.local_features import AXES, FeatureSampler, FeatureTable
from onet.nn.projection import BACKGROUND, PixelFeatures, depths_behind

_DARKEST = 0.02
"""Colours nearer to black or white than this are taken as if so far, to have a logit."""

_TOGETHER = 4096  # places whose distances to all points of a cloud are in memory

_CLEARLY = 0.1
"""So far behind what is seen, in units of the longest edge, a point is clearly hidden."""


@COLOR_DECODERS.register("local")
class LocalColorDecoder(nn.Module):
    """Colour of a point from the features at its place, on planes, grids, or a picture.

    A linear map of the features is added before each residual block; codes of the whole object,
    where there are any, are added to the embedded points.

    Args:
        code_dim: size of the code of the whole object, or 0.
        features: of the local code.
        hidden_size: features of the blocks.
        blocks: how many.
        octaves: sines and cosines of the coordinates (`onet.nn.color.fourier`); 0 for none.
        pixels: start from the colours of a picture, which have all its detail: that of the pixel
            that shows the point and the mean of the object, whose mixture is corrected.
        nearest: start from the mean colour of so many nearest points of a cloud with colours, in
            which near ones weigh more, and correct that; 0 for none.
        occlusion: know how far a point lies behind what the picture shows at its place, by the
            points of the geometry; what is hidden does not take the colour of what hides it.

    Raises:
        ConfigError: no features, no blocks, or octaves that cannot be.
    """

    takes: ClassVar[frozenset[CodeKind]] = frozenset({"maps", "picture"})

    def __init__(
        self,
        code_dim: int,
        features: int,
        hidden_size: int = 64,
        blocks: int = 4,
        octaves: int = 4,
        pixels: bool = False,
        occlusion: bool = False,
        nearest: int = 0,
    ) -> None:
        super().__init__()
        if features < 1 or blocks < 1:
            raise ConfigError(
                f"model.decoder: {features} local features (model.features) and {blocks} blocks; "
                "give at least one of each"
            )
        self.octaves = require_octaves(octaves)
        if nearest < 0 or (nearest and pixels):
            raise ConfigError(
                f"model.decoder: nearest={nearest}, pixels={pixels}; give 0 or more points, and "
                "either those of a cloud or the pixels of a picture"
            )
        self.features, self.pixels, self.occlusion = features, pixels, occlusion
        self.nearest = nearest
        self.fc_p = nn.Linear(encoded_size(octaves), hidden_size)
        self.fc_code = nn.Linear(code_dim, hidden_size) if code_dim else None
        starts = pixels or nearest > 0
        size = features + 1 + 6 * starts + occlusion  # 1: the depth of a point in a picture
        self.fc_local = nn.ModuleList(nn.Linear(size, hidden_size) for _ in range(blocks))
        self.fc_picture = nn.Linear(features, hidden_size)
        self.blocks = nn.ModuleList(ResnetBlock(hidden_size, hidden_size) for _ in range(blocks))
        self.fc_out = nn.Linear(hidden_size, 4 if starts else 3)
        if starts:  # nothing is corrected at first
            nn.init.zeros_(self.fc_out.weight)
            nn.init.zeros_(self.fc_out.bias)

    def forward(
        self,
        points: Tensor,  # (B, T, 3) float32 in the unit frame
        code: Tensor,  # (B, code_dim)
        local: Code | None,  # maps on planes and grids, or a picture's features with its camera
    ) -> Tensor:  # (B, T, 3) in [0, 1]
        if not isinstance(local, dict):
            raise ConfigError(
                "model.decoder: 'local' needs local features; name an encoder that makes them, "
                "resnet18_pixel or resnet18_planes for instance"
            )
        found = self._found(points, local)
        colors = self._start(points, local)
        if colors is not None:
            found = torch.cat([found, colors], -1)
        net = embed_points(self.fc_p, encode_points(points, self.octaves))
        if self.fc_code is not None:
            net = net + self.fc_code(code).unsqueeze(1)
        if "global" in local:
            net = net + self.fc_picture(local["global"]).unsqueeze(1)
        for layer, block in zip(self.fc_local, self.blocks, strict=True):
            net = block(net + layer(found))
        out = self.fc_out(F.relu(net))
        if colors is None:
            return torch.sigmoid(out)
        own, mean = colors.float().chunk(2, -1)
        start = torch.lerp(mean, own, torch.sigmoid(out[..., 3:].float()))
        return torch.sigmoid(torch.logit(start, eps=_DARKEST) + out[..., :3].float())

    def _found(self, points: Tensor, local: dict[str, Tensor]) -> Tensor:
        """Return what the code knows of places (B, T, F)."""
        found = _sampler(local)(points)
        if found.shape[-1] == self.features:  # there is no depth
            found = F.pad(found, (0, 1))
        if self.occlusion:
            front = self._of_picture(local, FRONT)
            behind = depths_behind(points, local[CAMERA], front)
            found = torch.cat([found, torch.tanh(behind / _CLEARLY)[..., None]], -1)
        return found

    def _start(self, points: Tensor, local: dict[str, Tensor]) -> Tensor | None:
        """Return two colours (B, T, 6) of places to start from, of which one is smoother."""
        if self.nearest:
            if CLOUD not in local:
                raise ConfigError(
                    "model.decoder.nearest: the code has no points with colours; take "
                    "model.encoder.type=colored_pointnet, or nearest=0"
                )
            cloud, colors = local[CLOUD].split(3, -1)
            return nearest_colors(points, cloud, colors, self.nearest)
        return self._of_pixels(points, local) if self.pixels else None

    def _of_pixels(self, points: Tensor, local: dict[str, Tensor]) -> Tensor:
        """Return the picture's colours (B, T, 6) at places, and the mean of the object's."""
        picture = self._of_picture(local, PIXELS).float()
        filled, mean = without_background(picture)
        own = PixelFeatures(filled, local[CAMERA])(points)[..., :3]
        return torch.cat([own, mean[:, None].expand_as(own)], -1)

    def _of_picture(self, local: dict[str, Tensor], name: str) -> Tensor:
        if name not in local:
            raise ConfigError(
                "model.decoder: pixels and occlusion are of a picture whose camera is known or "
                "estimated; take model.encoder.type=resnet18_pixel, or set both to false"
            )
        return local[name]


def without_background(
    picture: Tensor,  # (B, 3, S, S) RGB in [0, 1], on white
) -> tuple[Tensor, Tensor]:
    """Return pictures whose background has the colours beside it, and the object's mean (B, 3).

    Points near the outline, and all of them where the camera is not exact, may be seen beside the
    object. Far from it the background has the mean colour.
    """
    shown = (picture.amin(1, keepdim=True) < BACKGROUND).float()
    shown = torch.where(shown.sum((1, 2, 3), keepdim=True) > 0, shown, torch.ones_like(shown))
    mean = (picture * shown).sum((2, 3)) / shown.sum((2, 3))
    reach = picture.shape[-1] // 16
    blur = partial(F.avg_pool2d, kernel_size=2 * reach + 1, stride=1, padding=reach)
    weight = blur(shown)
    near = blur(picture * shown) / weight.clamp(min=1e-6)
    around = torch.where(weight > 1e-6, near, mean[..., None, None])
    return torch.where(shown > 0, picture, around), mean


def nearest_colors(
    points: Tensor,  # (B, T, 3)
    cloud: Tensor,  # (B, N, 3)
    colors: Tensor,  # (B, N, 3)
    count: int,
) -> Tensor:  # (B, T, 6)
    """Return mean colours of nearest points: with near ones weighing more, and all alike."""
    count = min(count, cloud.shape[1])
    parts = []
    with torch.no_grad(), torch.autocast(points.device.type, enabled=False):
        for part in points.float().split(_TOGETHER, dim=1):
            distance, index = torch.cdist(part, cloud.float()).topk(count, dim=-1, largest=False)
            rows = index.flatten(1)[..., None].expand(-1, -1, 3)
            found = colors.float().gather(1, rows).unflatten(1, index.shape[1:])
            width = distance[..., count // 2, None].clamp(min=1e-6)
            near = torch.exp(-((distance / width) ** 2))[..., None]
            nearer = (found * near).sum(2) / near.sum(2)
            parts.append(torch.cat([nearer, found.mean(2)], -1))
    return torch.cat(parts, 1)


def _sampler(local: dict[str, Tensor]) -> FeatureSampler:
    """Return the features of a code by place."""
    if "image" in local:
        return PixelFeatures(local["image"], local["camera"])
    return FeatureTable({name: maps for name, maps in local.items() if name in AXES})
