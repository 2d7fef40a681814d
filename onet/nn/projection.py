"""Cameras and features of pictures: where points of the unit frame are seen, and what is there.

A camera here is P (B, 3, 4) with `depth * (u, v, 1) = P @ (point, 1)`; u goes from 0 at the left
edge of the picture to 1 at the right one, v from 0 at the top to 1; depths are lengths of the unit
frame. `onet.geometry.cameras` says how the axes of a camera are.

Sources: Saito et al., PIFu, ICCV 2019, for features of pictures at projected points; Xu et al.,
DISN, NeurIPS 2019, for estimating the camera and comparing cameras by what they make of points.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

from onet.nn.local_features import EXTENT, FeatureTable

FOCAL = 35 / 32
"""Focal length of an estimated camera in edges of the picture: that of the published renderings."""

NEAREST = 0.05
"""Points nearer to the plane of the camera, or behind it, are projected as if at this depth."""


def published_projection(
    direction: Tensor,  # (B, 2) cosine and sine of the azimuth, times any positive number
    elevation: Tensor,  # (B,) in radians
    distance: Tensor,  # (B,) from the origin
) -> Tensor:  # (B, 3, 4)
    """Return a camera that looks at the origin; see `onet.geometry.cameras.published_camera`."""
    cos, sin = (direction / direction.norm(dim=1, keepdim=True).clamp(min=1e-6)).unbind(1)
    level, lift = elevation.cos(), elevation.sin()
    nothing = torch.zeros_like(cos)
    right = torch.stack([sin, nothing, -cos, nothing], 1)
    down = torch.stack([cos * lift, -level, sin * lift, nothing], 1)
    forward = torch.stack([-cos * level, -lift, -sin * level, distance], 1)
    return torch.stack([FOCAL * right + forward / 2, FOCAL * down + forward / 2, forward], 1)


def camera_distances(
    one: Tensor,  # (B, 3, 4)
    other: Tensor,  # (B, 3, 4)
) -> Tensor:  # (B,)
    """Mean square of the distance between the places, seen from each camera, of a point.

    Over the corners of the unit cube, and as if the focal length of both were `FOCAL`.
    """
    corners = one.new_tensor([(*p, 1.0) for p in itertools.product((-0.5, 0.5), repeat=3)])
    with torch.autocast(one.device.type, enabled=False):
        x, y, depth = ((one - other).float() @ corners.float().T).unbind(1)  # (B, 8) each
    seen = torch.stack([(x - depth / 2) / FOCAL, (y - depth / 2) / FOCAL, depth], 1)
    return seen.square().sum(1).mean(1)


BACKGROUND = 0.98
"""From where on, in all three colours, a pixel of a picture on white is background."""

FRONT_RESOLUTION = 32
"""Cells along an edge of a picture in which the nearest points of a surface are looked for."""


def front_depths(
    surface: Tensor,  # (B, N, 3) points all over a surface
    camera: Tensor,  # (B, 3, 4)
    resolution: int = FRONT_RESOLUTION,
) -> Tensor:  # (B, R, R), rows from the top of the picture
    """Return the depth of the nearest point seen in each cell of a picture, infinite without any.

    Cells without points, between others that have some, take the nearest of their neighbours.
    """
    places, depth = _projected(surface, camera)
    cells = _cells(places, resolution)
    nearest = depth.new_full((len(surface), resolution**2), torch.inf)
    nearest = nearest.scatter_reduce(1, cells, depth, "amin")
    nearest = nearest.view(-1, 1, resolution, resolution)
    around = -F.max_pool2d(-nearest, 3, stride=1, padding=1)
    return torch.where(nearest.isinf(), around, nearest).squeeze(1)


def depths_behind(
    points: Tensor,  # (B, T, 3)
    camera: Tensor,  # (B, 3, 4)
    front: Tensor,  # (B, R, R), see `front_depths`
) -> Tensor:  # (B, T)
    """Return how far points lie behind what is seen where they would be; 0 where nothing is."""
    places, depth = _projected(points, camera)
    behind = depth - front.flatten(1).gather(1, _cells(places, front.shape[-1]))
    return torch.where(behind.isinf(), torch.zeros_like(behind), behind)


def _projected(points: Tensor, camera: Tensor) -> tuple[Tensor, Tensor]:
    """Places (B, T, 2) in the picture, from 0 to 1, and depths (B, T)."""
    with torch.autocast(points.device.type, enabled=False):
        camera = camera.float()
        seen = torch.baddbmm(
            camera[:, None, :, 3], points.float(), camera[:, :, :3].transpose(1, 2)
        )
    depth = seen[..., 2:]
    return seen[..., :2] / depth.clamp(min=NEAREST), depth.squeeze(-1)


def _cells(places: Tensor, resolution: int) -> Tensor:
    """Numbers (B, T) of the cells of a picture; outside it those of its border."""
    across, down = (places * resolution).long().clamp(0, resolution - 1).unbind(-1)
    return down * resolution + across


class PixelFeatures:
    """Callable: points (B, T, 3) in the unit frame -> features (B, T, F + 1), float32.

    Those of a map where the point is seen, bilinear between the centres of cells, and its depth
    less that of the origin. Points outside the picture see the features of its border.

    Args:
        maps: (B, F, R, R), rows from the top of the picture.
        camera: (B, 3, 4), see the module.
    """

    def __init__(self, maps: Tensor, camera: Tensor) -> None:
        self._map = FeatureTable({"xy": maps.transpose(2, 3)})
        self._camera = camera.float()
        self.table = self._map.table

    def __call__(
        self,
        points: Tensor,  # (B, T, 3)
    ) -> Tensor:  # (B, T, F + 1)
        places, depth = _projected(points, self._camera)
        depth = depth[..., None]
        # the picture takes the place of the plane that covers the box
        features = self._map(torch.cat([(places - 0.5) * EXTENT, torch.zeros_like(depth)], -1))
        return torch.cat([features, depth - self._camera[:, 2, 3, None, None]], -1)
