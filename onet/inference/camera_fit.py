"""The camera of a picture, found by the outline of a shape that is known.

A texture network with the features of pixels has to know where in the picture each point of the
surface is. What it estimates from the picture alone is rough; here the mesh is known, and its
outline tells the camera, up to the symmetries of the shape, between which the estimate decides.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from onet.nn.projection import BACKGROUND, NEAREST, camera_distances, published_projection

RESOLUTION = 32
"""Cells along an edge, in which outlines are compared."""

_AZIMUTHS, _ELEVATIONS = 48, (-10.0, 5.0, 15.0, 25.0, 35.0, 50.0)
_ROUNDS, _TRIES = 3, 64  # of refinement: each halves the steps
_DISTANCE = 2.0
_UNLIKE = 0.02  # of the overlap that a camera loses by a mean square distance of 1 to the estimate


def fit_camera(
    picture: Tensor,  # (3, S, S) RGB in [0, 1], on white
    surface: Tensor,  # (T, 3) points all over the surface, in the unit frame
    estimate: Tensor,  # (3, 4), see `onet.nn.projection`
) -> tuple[Tensor, float]:
    """Return a camera (3, 4) whose outline of the shape is that of the picture, and the overlap.

    The camera looks at any place, from any direction between 10 degrees below and 50 above the
    horizon, with the focal length of the published renderings. The overlap is the intersection
    over union of both outlines; it is 0 for a picture that is white, or has no white.
    """
    shown = (picture.min(dim=0).values < BACKGROUND).float()
    if not 0 < float(shown.mean()) < 0.98:
        return estimate, 0.0
    outline = F.adaptive_avg_pool2d(shown[None], RESOLUTION)[0] > 0.5
    box = _box_of(shown)
    azimuth, elevation = torch.meshgrid(
        torch.arange(_AZIMUTHS) * (2 * math.pi / _AZIMUTHS),
        torch.tensor(_ELEVATIONS).deg2rad(),
        indexing="ij",
    )
    directions = torch.stack([azimuth.flatten(), elevation.flatten()], 1)
    generator = torch.Generator().manual_seed(0)
    step = math.pi / _AZIMUTHS
    best, score, camera = None, -math.inf, estimate
    for _ in range(1 + _ROUNDS):
        cameras = _towards(directions, surface, box)
        overlaps = _overlaps(cameras, surface, outline)
        scores = overlaps - _UNLIKE * camera_distances(cameras, estimate.expand_as(cameras))
        found = int(scores.argmax())
        if float(scores[found]) > score:
            score, camera, best = float(scores[found]), cameras[found], directions[found]
            overlap = float(overlaps[found])
        assert best is not None  # every score of the first round is larger than none
        directions = best + 2 * step * (torch.rand(_TRIES, 2, generator=generator) - 0.5)
        step /= 2
    return camera, overlap


def _box_of(shown: Tensor) -> Tensor:
    """Left, top, right and bottom (4,) of an outline (S, S), from 0 to 1."""
    ends = []
    for axis in (0, 1):
        found = shown.any(dim=axis).nonzero().flatten()
        ends += [found[0], found[-1] + 1]
    left, right, top, bottom = ends
    return torch.stack([left, top, right, bottom]).float() / len(shown)


def _towards(directions: Tensor, surface: Tensor, box: Tensor) -> Tensor:
    """Cameras (C, 3, 4) from directions (C, 2) whose picture of the surface fills the box."""
    azimuth, elevation = directions.unbind(1)
    facing = torch.stack([azimuth.cos(), azimuth.sin()], 1)
    distance = torch.full_like(azimuth, _DISTANCE)
    middle, extent = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).norm()
    for _ in range(3):
        cameras = published_projection(facing, elevation, distance)
        low, high = _seen_box(cameras, surface)
        distance = distance * (high - low).norm(dim=1) / extent
    cameras = published_projection(facing, elevation, distance)
    low, high = _seen_box(cameras, surface)
    shift = middle - (low + high) / 2
    moved = cameras[:, :2] + shift[..., None] * cameras[:, 2:]
    return torch.cat([moved, cameras[:, 2:]], 1)


def _seen(cameras: Tensor, surface: Tensor) -> Tensor:
    """Places (C, T, 2) of points in pictures."""
    seen = surface @ cameras[:, :, :3].transpose(1, 2) + cameras[:, None, :, 3]
    return seen[..., :2] / seen[..., 2:].clamp(min=NEAREST)


def _seen_box(cameras: Tensor, surface: Tensor) -> tuple[Tensor, Tensor]:
    places = _seen(cameras, surface)
    return places.min(dim=1).values, places.max(dim=1).values


def _overlaps(cameras: Tensor, surface: Tensor, outline: Tensor) -> Tensor:
    """Intersection over union (C,) of an outline (R, R) with those that cameras see."""
    places = _seen(cameras, surface)
    inside = ((places >= 0) & (places < 1)).all(-1)
    cells = (places * RESOLUTION).long().clamp(0, RESOLUTION - 1)
    numbers = cells[..., 1] * RESOLUTION + cells[..., 0]
    hit = torch.zeros(len(cameras), RESOLUTION**2)
    hit.scatter_reduce_(1, numbers, inside.float(), "amax")
    grid = hit.view(-1, 1, RESOLUTION, RESOLUTION)
    # holes between the points are closed
    grown = F.max_pool2d(grid, 3, 1, 1)
    closed = -F.max_pool2d(-F.pad(grown, (1, 1, 1, 1)), 3, 1, 0)
    made = torch.maximum(closed, grid)[:, 0] > 0.5
    both = (made & outline).sum((1, 2))
    return both / (made | outline).sum((1, 2)).clamp(min=1)
