"""Intersection over union on uniform points in a box, by ray parity or by winding number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onet.geometry.inside import contains
from onet.geometry.normalization import used_vertices
from onet.geometry.winding import inside_out, winding_number
from onet.metrics.scores import intersection_over_union, iou_resolution

if TYPE_CHECKING:
    import trimesh


class PointIou(NamedTuple):
    """IoU of two meshes, and how it was found.

    Attributes:
        iou: None where no point is inside of either mesh.
        resolution: the true value is within it in about 95 cases of 100; None as `iou`.
        turned: whether each of the two was inside out, and was turned.
    """

    iou: float | None
    resolution: float | None
    turned: tuple[bool, bool]


def point_iou(
    first: trimesh.Trimesh,
    second: trimesh.Trimesh,
    samples: int,
    rng: np.random.Generator,
    mode: Literal["parity", "winding"],
) -> PointIou:
    """Return the IoU of two meshes that may be open.

    The points are uniform in the box around both. By the winding number inside is what a mesh winds
    about by more than one half; a mesh that is inside out is turned first, since parity and the
    other scores do not ask how faces are turned either.

    Args:
        first, second: with faces, in one frame.
        samples: points.
        rng: of the points.
        mode: what tells the inside.
    """
    corners = np.concatenate([used_vertices(first), used_vertices(second)])
    points = rng.uniform(corners.min(axis=0), corners.max(axis=0), (samples, 3))
    (a, turned_a), (b, turned_b) = (_inside(mesh, points, mode) for mesh in (first, second))
    turned = turned_a, turned_b
    union = int(np.count_nonzero(a | b))
    if not union:
        return PointIou(None, None, turned)
    iou = intersection_over_union(a, b)
    return PointIou(iou, iou_resolution(iou, union), turned)


def _inside(
    mesh: trimesh.Trimesh, points: NDArray[np.float64], mode: Literal["parity", "winding"]
) -> tuple[NDArray[np.bool_], bool]:
    """Return which points (N, 3) are inside, and whether the mesh was turned for that."""
    if mode == "parity":
        return contains(mesh, points), False
    numbers = winding_number(mesh, points)
    turned = inside_out(numbers)
    return (-numbers if turned else numbers) > 0.5, turned
