"""What encoders make of observations, and decoders take with query points.

The code of a global encoder is one tensor. One with local features has several: planes or grids,
by name. Batches of observations are tensors, or several by name, in the same way.

An encoder says in its class what it observes: `observes`, one of `ObservationKind`; and, if its
code is not global, what it makes: `makes`, one of `CodeKind`. One that takes observations of one
shape alone has `observed_shape`, and one that takes other arrays beside the observation itself has
`observes_parts`. A decoder, or a latent encoder, that takes other codes than global ones has
`takes`, a set of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from onet.errors import ConfigError

CAMERA = "camera"
"""Of a dictionary: where the observation and its code know how the picture was taken."""

ESTIMATED_CAMERA = "estimated_camera"
"""Of a code: what the encoder takes for the camera, from the picture alone."""

CLOUD = "cloud"
"""Of a code of a cloud with colours: the cloud itself, (B, N, 6)."""

PIXELS = "pixels"
"""Of a code of a picture: the picture itself, (B, 3, S, S) RGB in [0, 1]."""

FRONT = "front"
"""Of a code of a picture: how far away what it shows is; see `onet.nn.projection.front_depths`."""

ObservationKind = Literal["points", "colored_points", "image", "voxels", "index"]
"""Points (B, N, 3) of a cloud in the unit frame, or (B, N, 6) with RGB in [0, 1]; pictures
(B, 3, H, W) in [0, 1], with or without cameras; occupancies (B, R, R, R) of a grid; or the number
(B,) of a training shape."""

InputKind = ObservationKind | Literal["none", "sequence"]
"""What an input gives, `none` for nothing at all, (B, 0), which a model without encoder takes, and
`sequence` for frames over time, which models of motion take."""

CodeKind = Literal["global", "set", "maps", "picture"]
"""One vector (C,); a set of latents (M, C); maps of features on planes and grids; a picture's
features with its camera."""

Code = Tensor | dict[str, Tensor]
"""Features of a batch, the batch first; or of one observation, without that dimension."""


def kind_made(
    encoder: Any,  # a module or its class
) -> CodeKind:
    """What kind of code an encoder makes."""
    kind: CodeKind = getattr(encoder, "makes", "global")
    return kind


def observed_shape(
    encoder: Any,
) -> tuple[int, ...] | None:
    """Return the only shape of an observation that an encoder takes, without the batch, or None."""
    shape: tuple[int, ...] | None = getattr(encoder, "observed_shape", None)
    return shape


def observed_parts(
    encoder: Any,  # a module or its class
) -> frozenset[str]:
    """Return the names of arrays that an encoder takes beside the observation itself."""
    parts: frozenset[str] = getattr(encoder, "observes_parts", frozenset())
    return parts


def kinds_taken(
    part: Any,  # a module or its class
) -> frozenset[CodeKind]:
    """Which kinds of codes a decoder or latent encoder takes."""
    kinds: frozenset[CodeKind] = getattr(part, "takes", frozenset({"global"}))
    return kinds


def code_of(
    codes: Code,  # (B, ...)
    number: int,
) -> Code:
    """Return the code of one observation of a batch."""
    return _each(codes, lambda features: features[number])


def as_batch(code: Code) -> Code:
    """Return the code of one observation as a batch of one."""
    return _each(code, lambda features: features[None])


def mean_code(codes: Sequence[Code]) -> Tensor:
    """Return the mean (C,) of the codes of observations of one object, each (C,).

    Raises:
        ConfigError: local features, which belong to the places that one observation showed, or
            sets of features, of which none corresponds to one of another set.
    """
    tensors = [code for code in codes if isinstance(code, Tensor) and code.ndim == 1]
    if len(tensors) < len(codes):
        raise ConfigError(
            "the model's code is local features or a set of features, which have no mean over "
            "observations; give one observation, or use an encoder with one code for the object"
        )
    return torch.stack(tensors).mean(0)


def device_of(code: Code) -> torch.device:
    """Where a code is."""
    return next(iter(code.values())).device if isinstance(code, dict) else code.device


def _each(code: Code, change: Callable[[Tensor], Tensor]) -> Code:
    if isinstance(code, dict):
        return {name: change(features) for name, features in code.items()}
    return change(code)
