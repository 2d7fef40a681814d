"""Rays and winding numbers of triangles by brute force, in torch, on the device of the arguments.

Every point against every triangle, in chunks: for meshes of some thousand triangles that is what a
GPU does best, and there is nothing to build first. `onet.geometry.winding` is the hierarchy for the
processor and large meshes. Sums run in float64 where float32 would cancel; that also keeps them
exact under autocast and TF32.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

PAIRS_ON_GPU = 16_000_000  # points times triangles at once: under 2 GB
PAIRS_ON_CPU = 32_000  # what the caches hold: twice as fast as half a million


def winding_number(triangles: Tensor, points: Tensor) -> Tensor:
    """Return how often triangles wind around each point: their signed solid angles over 4 pi.

    The formula of van Oosterom and Strackee (1983), with the distances of the point to the corners
    a, b, c and the sides of the triangle in place of inner products.

    Args:
        triangles: (F, 3, 3) corners, counter-clockwise seen from outside, about the size 1.
        points: (Q, 3) in the same frame.

    Returns:
        (Q,) float32: 1 inside and 0 outside of a closed mesh, the sum over parts that overlap.
        Triangles without area, and those in whose plane the point lies, contribute 0.
    """
    if len(triangles) == 0 or len(points) == 0:
        return points.new_zeros(len(points), dtype=torch.float32)
    corners = triangles.double()
    heights, distances, sides = _plane(corners), _of_squares(corners), _sides(corners)
    size = _chunk(len(triangles), points)
    return torch.cat(
        [_turns(part.double(), heights, distances, sides) for part in points.split(size)]
    )


def _chunk(triangles: int, points: Tensor) -> int:
    """Return how many points meet all triangles at once."""
    pairs = PAIRS_ON_GPU if points.is_cuda else PAIRS_ON_CPU
    return max(1, pairs // triangles)


def _plane(corners: Tensor) -> Tensor:
    """Return (4, F): times (x, y, z, 1) the determinant of the corners seen from a point."""
    a, b, c = corners.unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    return torch.cat([-normal, (normal * a).sum(1, keepdim=True)], dim=1).T.contiguous()


def _of_squares(corners: Tensor) -> Tensor:
    """Return (3, 5, F): times (x, y, z, 1, |p|^2) squared distances to the first, second, third."""
    squares = corners.square().sum(2, keepdim=True)
    return torch.cat([-2 * corners, squares, torch.ones_like(squares)], dim=2).permute(1, 2, 0)


def _sides(corners: Tensor) -> Tensor:
    """Return (3, F) float32, squared lengths of the sides opposite the first, second, third."""
    opposite = corners.roll(-1, 1) - corners.roll(-2, 1)
    return opposite.square().sum(2).T.float().contiguous()


def _turns(points: Tensor, heights: Tensor, distances: Tensor, sides: Tensor) -> Tensor:
    """Return the winding numbers of one chunk of points (Q, 3)."""
    one = torch.ones_like(points[:, :1])
    determinant = (torch.cat([points, one], 1) @ heights).float()
    known = torch.cat([points, one, points.square().sum(1, keepdim=True)], 1)
    a, b, c = ((known @ distances[k]).clamp_(min=0).sqrt_().float() for k in range(3))
    # twice |a||b||c| + (a.b)|c| + (b.c)|a| + (c.a)|b|
    denominator = (a + b).mul_(b + c).mul_(c + a)
    for length, side in zip((a, b, c), sides, strict=True):
        denominator.addcmul_(length, side, value=-1)
    angles = torch.atan2(determinant.mul_(2), denominator)
    angles.masked_fill_(determinant == 0, 0)
    return angles.sum(1) / (2 * math.pi)


class Segments:
    """Triangles made ready to be asked which segments they are in the way of."""

    def __init__(self, triangles: Tensor) -> None:
        """Take triangles (F, 3, 3) in any frame, about the size 1."""
        corners = triangles.double()
        following = corners.roll(-1, 1)
        # Pluecker coordinates of the sides: (3, 6, F), times (direction, moment) of a line
        lines = torch.cat([torch.linalg.cross(corners, following), following - corners], dim=2)
        self._lines = lines.permute(1, 2, 0).contiguous()
        self._planes = _plane(corners)

    def blocked(self, start: Tensor, end: Tensor) -> Tensor:
        """Return (R,) bool: whether a triangle lies between start (R, 3) and end (R, 3).

        One that an end lies in, or that has no area, does not count; one whose side the segment
        meets exactly does.
        """
        if len(start) == 0:
            return torch.zeros(0, dtype=torch.bool, device=start.device)
        size = _chunk(self._planes.shape[1], start)
        chunks = zip(start.double().split(size), end.double().split(size), strict=True)
        return torch.cat([self._chunk(*chunk) for chunk in chunks])

    def _chunk(self, start: Tensor, end: Tensor) -> Tensor:
        direction = end - start
        line = torch.cat([direction, torch.linalg.cross(start, direction)], 1)
        first, second, third = (line @ self._lines[k] for k in range(3))
        least = torch.minimum(first, second).clamp_(max=third)
        most = torch.maximum(first, second).clamp_(min=third)
        through = least.mul_(most) >= 0  # the line passes all sides on the same hand
        one = torch.ones_like(start[:, :1])
        before = torch.cat([start, one], 1) @ self._planes
        behind = torch.cat([end, one], 1) @ self._planes
        return (through & (before.mul_(behind) < 0)).any(1)
