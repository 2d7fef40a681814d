"""Intersection over union on uniform points in a box, by ray parity or by winding number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from onet.geometry.inside import contains
from onet.geometry.normalization import used_vertices
from onet.metrics.scores import intersection_over_union, iou_resolution

if TYPE_CHECKING:
    import trimesh


def point_iou(
    first: trimesh.Trimesh,
    second: trimesh.Trimesh,
    samples: int,
    rng: np.random.Generator,
    mode: Literal["parity", "winding"],
) -> tuple[float | None, float | None]:
    """Return the IoU of two meshes that may be open, and its resolution.

    The points are uniform in the box around both. The true value of what the mode calls inside is
    within the resolution in about 95 cases of 100. Both are None where no point is inside of
    either mesh.

    Args:
        first, second: with faces, in one frame.
        samples: points.
        rng: of the points.
        mode: of `onet.geometry.inside.contains`.
    """
    corners = np.concatenate([used_vertices(first), used_vertices(second)])
    points = rng.uniform(corners.min(axis=0), corners.max(axis=0), (samples, 3))
    a, b = contains(first, points, mode=mode), contains(second, points, mode=mode)
    union = int(np.count_nonzero(a | b))
    if not union:
        return None, None
    iou = intersection_over_union(a, b)
    return iou, iou_resolution(iou, union)
