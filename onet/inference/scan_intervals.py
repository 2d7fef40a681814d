"""Between which bounds the true volume and dimensions of a scanned thing are.

How far the surface moves for a change of the logit is what the network's probabilities say of it:
little where points lie dense, far where it was completed. How many logits the truth is away is
measured on shapes that the network has not learned from; quantiles of that, in the header of the
weights, make intervals that hold so many truths of shapes like these, whatever the probabilities
are worth (split conformal prediction).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray

from onet.errors import CheckpointError, DataError
from onet.geometry.field_gradient import value_and_gradient
from onet.geometry.field_values import Field

INTERVALS = "intervals"
"""Entry of the header of weights: JSON of `Intervals`."""

COVERAGE = 0.9

_STEP = 0.25  # spacings, of differences
_WIDEST = 0.1  # of the longest side: way of the surface for one logit
_AT_THE_END = 1.0  # spacings: vertices that close to the end of the box are that end


@dataclass(frozen=True, eq=False)
class PerLogit:
    """What grows how much if the surface is taken at a logit that is lower by one.

    Attributes:
        volume: in cubed units of the frame.
        box: (3,) sides of the bounding box, in units of the frame.
    """

    volume: float
    box: NDArray[np.float64]


@dataclass(frozen=True)
class Intervals:
    """Bounds of (truth - measured) / growth for one logit, low and high, for nine of ten truths."""

    volume: tuple[float, float]
    box: tuple[float, float]


def per_logit(mesh: trimesh.Trimesh, field: Field, spacing: float) -> PerLogit:
    """Return how volume and box of a mesh change with the logit.

    Args:
        mesh: the surface of the field.
        field: of logits, in the frame of the mesh.
        spacing: of the points that the field is of.

    Raises:
        FieldError: see `onet.geometry.field_gradient.value_and_gradient`.
    """
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    _, gradients = value_and_gradient(field, vertices, _STEP * spacing, dtype=np.float64)
    sides = np.ptp(vertices, axis=0)
    widths = 1 / np.maximum(np.linalg.norm(gradients, axis=1), 1 / (_WIDEST * sides.max()))
    faces = np.asarray(mesh.faces)
    volume = float((np.asarray(mesh.area_faces) * widths[faces].mean(axis=1)).sum())
    box = np.zeros(3)
    for end in (vertices.min(axis=0), vertices.max(axis=0)):
        for axis in range(3):
            near = np.abs(vertices[:, axis] - end[axis]) <= _AT_THE_END * spacing
            box[axis] += widths[near].mean()
    return PerLogit(volume, box)


def conformal_bounds(ratios: Sequence[float], coverage: float = COVERAGE) -> tuple[float, float]:
    """Return bounds that hold a new ratio with at least the probability `coverage`.

    Args:
        ratios: (truth - measured) / growth for one logit, of shapes not learned from.
        coverage: the rest is left out in equal parts below and above.

    Raises:
        DataError: too few ratios for that coverage, or some that are not finite.
    """
    count, tail = len(ratios), (1 - coverage) / 2
    rank = math.floor((count + 1) * tail + 1e-9)
    if rank < 1 or not np.isfinite(ratios).all():
        raise DataError(
            f"{count} ratios: give at least {math.ceil(1 / tail - 1e-9) - 1}, all finite"
        )
    ordered = np.sort(np.asarray(ratios, dtype=np.float64))
    return float(ordered[rank - 1]), float(ordered[count - rank])


def read_intervals(header: Mapping[str, str], name: str) -> Intervals | None:
    """Return the intervals in the header of weights, None where there are none.

    Raises:
        CheckpointError: they are damaged.
    """
    if INTERVALS not in header:
        return None
    try:
        content = json.loads(header[INTERVALS])
        found = [(float(low), float(high)) for low, high in (content["volume"], content["box"])]
        if not all(low <= high for low, high in found):
            raise ValueError("bounds in the wrong order, or NaN")
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"{name}: its intervals are damaged ({error}); calibrate them again"
        ) from None
    return Intervals(*found)
