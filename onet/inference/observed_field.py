"""What a model says of an object at any point of the user's coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onet.errors import DataError
from onet.geometry.normalization import UnitFrame
from onet.inference.field import OccupancyField

BATCH = 65536
"""Points that go through a network at once; what comes out does not depend on it."""

FAR = 1e6
"""Unit lengths; points farther away are taken as there, lest single precision overflows."""

Array = TypeVar("Array", NDArray[Any], Tensor)


class ObservedField:
    """The occupancy of an object, in the frame of what was observed of it.

    Called with points it gives the logits, so that it can be handed to `onet.extract_mesh`,
    `onet.refine_roots` and `onet.dual_contouring`:

        mesh = onet.extract_mesh(field, bounds=field.bounds, level=field.level)

    Points are an array (N, 3), or anything that becomes one, and give NumPy arrays; or a tensor on
    any device, and give tensors there, without a graph for autograd. N may be 0. They are brought
    to the unit frame in double precision, so they may be far from the origin; the network itself
    computes as its settings say. Results are float64 for float64 points, else float32. What a point
    gets does not depend on the other points, up to rounding in the last digits.

    Every method raises DataError for points of another shape, NaN or infinite ones.

    Attributes:
        frame: the unit frame of the object; the model knows nothing outside of its padded cube.
        bounds: (2, 3) float64, lowest and highest corner of that cube in the user's coordinates.
        level: the logit on the surface, as the model is configured.
    """

    def __init__(self, field: OccupancyField, frame: UnitFrame, half: float, level: float) -> None:
        self._field = field
        self.frame = frame
        self.bounds: NDArray[np.float64] = frame.to_source([(-half,) * 3, (half,) * 3])
        self.level = level

    def __call__(
        self,
        points: Array,  # (N, 3) in the user's coordinates
    ) -> Array:  # (N,)
        """Return the logits of occupancy; see `logits`."""
        return self.logits(points)

    def logits(
        self,
        points: Array,  # (N, 3) in the user's coordinates
    ) -> Array:  # (N,)
        """Return the logits of occupancy, log(p / (1 - p)), calibrated where the model is."""
        return _like(points, self._logits(points))

    def occupancy(
        self,
        points: Array,  # (N, 3) in the user's coordinates
    ) -> Array:  # (N,)
        """Return the probability in [0, 1] that each point is inside the object."""
        return _like(points, torch.sigmoid(self._logits(points)))

    def gradient(
        self,
        points: Array,  # (N, 3) in the user's coordinates
    ) -> Array:  # (N, 3)
        """Return the gradient of the logits, per unit of the user's coordinates."""
        return self.value_and_gradient(points)[1]

    def value_and_gradient(
        self,
        points: Array,  # (N, 3) in the user's coordinates
    ) -> tuple[Array, Array]:
        """Return logits (N,) and gradients (N, 3), as `logits` and `gradient` have them."""
        pairs = [self._field.value_and_gradient(part) for part in self._parts(points)]
        logits = _joined([logits for logits, _ in pairs], (0,))
        gradients = _joined([gradients for _, gradients in pairs], (0, 3))
        return _like(points, logits), _like(points, gradients.double() / self.frame.scale)

    def __repr__(self) -> str:
        low, high = self.bounds.tolist()
        return f"<field of an object between {low} and {high}>"

    def _logits(self, points: Any) -> Tensor:
        return _joined([self._field(part) for part in self._parts(points)], (0,))

    def _parts(self, points: Any) -> Sequence[Tensor]:
        """Points in the unit frame, float32, in batches; none where there are no points."""
        given = _checked(points)
        loc = torch.as_tensor(self.frame.loc, dtype=torch.float64, device=given.device)
        queries = ((given - loc) / self.frame.scale).clamp(-FAR, FAR).float()
        return queries.split(BATCH) if len(queries) else ()


def _checked(points: Any) -> Tensor:
    """Points (N, 3) as float64, tensors on their device if that knows such numbers."""
    if isinstance(points, Tensor):
        real = not points.is_complex()
        given = points.detach().to("cpu" if points.device.type == "mps" else points.device)
        shape = tuple(points.shape)
    else:
        try:
            array = np.asarray(points)
        except ValueError as error:  # rows of several lengths
            raise DataError(f"points: are no array ({error}); give an array (N, 3)") from None
        real, shape = array.dtype.kind in "biuf", array.shape
        given = torch.from_numpy(array.astype(np.float64)) if real else torch.empty(0)
    if not real:
        raise DataError("points: expected real numbers; give an array (N, 3)")
    if len(shape) != 2 or shape[1] != 3:
        hint = "; of a single point give points[None]" if shape == (3,) else ""
        raise DataError(f"points: expected shape (N, 3), found {shape}{hint}")
    given = given.double()
    bad = int((~torch.isfinite(given).all(dim=1)).sum())
    if bad:
        raise DataError(f"points: {bad} of {len(given)} are NaN or infinite; leave them out")
    return given


def _joined(parts: list[Tensor], empty: tuple[int, ...]) -> Tensor:
    """Return the parts one after the other, or nothing in the shape of none."""
    return torch.cat(parts) if parts else torch.empty(empty)


def _like(points: Any, result: Tensor) -> Any:
    """Return the result as the kind of array that the points are, in their precision and place."""
    if isinstance(points, Tensor):
        dtype = torch.float64 if points.dtype == torch.float64 else torch.float32
        return result.to(dtype).to(points.device)
    own: Any = getattr(points, "dtype", None)
    double = own is not None and own.kind == "f" and own.itemsize >= 8
    return result.to(torch.float64 if double else torch.float32).cpu().numpy()
