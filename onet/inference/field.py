"""A decoder and the code of one observation, as a function of points."""

from __future__ import annotations

import functools
import logging
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onet.inference.scaling import UNCHANGED, Scaling
from onet.nn.code import Code, as_batch, device_of
from onet.training.precision import choose_precision

logger = logging.getLogger(__name__)

GRADIENT_BATCH = 8192  # points at once through a network of which autograd keeps all activations
WIDE = 256  # features from which on products are most of what a decoder does, also in bfloat16

Array = TypeVar("Array", NDArray[np.float32], Tensor)


class OccupancyField:
    """Callable: points (N, 3) in the unit frame -> logits of occupancy (N,), float32.

    NumPy arrays give NumPy arrays. Tensors give tensors, on the device where the points are: points
    on the model's device never leave it.

    Args:
        model: in evaluation mode, with `decode(points, c)`, or `decode(points, c, z)` if it has a
            latent code. If it has a `decoder` that can be folded for a fixed code, that is what is
            evaluated.
        code: of one observation, on the model's device.
        precision: arithmetic of the decoder. With bfloat16 on a processor on which that is slower
            than float32, a warning is logged.
        z: (Z,) latent code on the model's device, for a model that has one.
        scaling: of the model's logits; see `onet.inference.scaling`.
    """

    def __init__(
        self,
        model: Any,
        code: Code,
        precision: Literal["float32", "bfloat16"] = "float32",
        z: Tensor | None = None,
        scaling: Scaling = UNCHANGED,
    ) -> None:
        self._model = model
        self._code, self._z, self._scaling = code, z, scaling
        self._device = device_of(code)
        self._codes = (as_batch(code),) if z is None else (as_batch(code), z[None])
        self._dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
        if self._dtype == torch.bfloat16:
            _warn_if_bfloat16_is_slow(self._device.type)
        decoder = getattr(model, "decoder", None)
        fold = getattr(decoder, "fold", None)
        self._folded = fold(code, z, dtype=self._dtype) if fold else None

    def __call__(
        self,
        points: Array,  # (N, 3) in the unit frame
    ) -> Array:  # (N,)
        queries = self._queries(points)
        with torch.no_grad():
            logits = self._folded(queries) if self._folded else self._decode(queries)
        return _like(points, self._scaling(logits))

    def approximate(self) -> OccupancyField | None:
        """Return the same field in bfloat16, or None where an exact extraction gains nothing by it.

        It gains where products of bfloat16 are fast and most of the work: on a processor with
        instructions for them, with decoders as wide as the published ones. With
        `torch.use_deterministic_algorithms(True)` meshes are the same on all processors: no field.
        """
        gains = (
            self._dtype == torch.float32
            and self._device.type == "cpu"
            and getattr(self._folded, "width", 0) >= WIDE
            and not torch.are_deterministic_algorithms_enabled()
            and _bfloat16_is_fast("cpu")
        )
        if not gains:
            return None
        return OccupancyField(self._model, self._code, "bfloat16", self._z, self._scaling)

    def value_and_gradient(
        self,
        points: Array,  # (N, 3) in the unit frame
    ) -> tuple[Array, Array]:
        """Logits (N,) and their gradients by the points (N, 3), per unit length."""
        queries = self._queries(points)
        if self._folded:
            logits, gradients = self._folded.value_and_gradient(queries)
        else:
            parts = [self._differentiate(part) for part in queries.split(GRADIENT_BATCH)]
            logits, gradients = (torch.cat(part) for part in zip(*parts, strict=True))
        gradients = gradients / self._scaling.temperature
        return _like(points, self._scaling(logits)), _like(points, gradients)

    def _queries(self, points: Any) -> Tensor:
        if not isinstance(points, Tensor):
            points = torch.from_numpy(np.require(points, np.float32, ["C", "W"]))
        return points.detach().to(self._device, torch.float32)

    def _decode(self, queries: Tensor) -> Tensor:
        narrow = self._dtype == torch.bfloat16
        with torch.autocast(queries.device.type, torch.bfloat16, enabled=narrow):
            logits: Tensor = self._model.eval().decode(queries[None], *self._codes)[0]
        return logits.float()

    @torch.enable_grad()
    def _differentiate(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        queries = queries.clone().requires_grad_()
        logits = self._decode(queries)
        (gradients,) = torch.autograd.grad(logits.sum(), queries)  # points do not mix
        return logits.detach(), gradients


def _like(points: Array, result: Tensor) -> Array:
    """Return the result as the kind of array that the points are, and in their place."""
    if isinstance(points, Tensor):
        return result.to(points.device)
    return result.cpu().numpy()


@functools.cache
def _warn_if_bfloat16_is_slow(device: str) -> None:
    if device in ("cpu", "cuda") and not _bfloat16_is_fast(device):
        logger.warning(
            "generation.precision is bfloat16, which this %s has no fast instructions for; "
            "float32 is faster and more exact here",
            "processor" if device == "cpu" else "GPU",
        )


@functools.cache
def _bfloat16_is_fast(device: str) -> bool:
    return choose_precision(device) != "32-true"
