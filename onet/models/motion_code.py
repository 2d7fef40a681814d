"""What a model knows of a moving shape, and the parts that models of motion have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from onet.errors import ConfigError
from onet.nn.encoders import ENCODERS
from onet.nn.precision import at_least_single
from onet.nn.sequence_encoders import SEQUENCE_ENCODERS


@dataclass(frozen=True, eq=False)
class MotionCode:
    """Codes of a batch: of shapes at the first time, and of how they move.

    Attributes:
        shape: (B, C), (B, 0) without encoder.
        motion: (B, C), (B, 0) without encoder.
        latent_shape, latent_motion: (B, Z), or None without latent codes.
    """

    shape: Tensor
    motion: Tensor
    latent_shape: Tensor | None = None
    latent_motion: Tensor | None = None

    def moved_as(self, other: MotionCode) -> MotionCode:
        """Return the code of these shapes with the motion of others."""
        return replace(self, motion=other.motion, latent_motion=other.latent_motion)

    def repeated(self, count: int) -> MotionCode:
        """Return a code that has each item so many times, one after another."""

        def again(code: Tensor | None) -> Tensor | None:
            return None if code is None else code.repeat_interleave(count, 0)

        return MotionCode(
            self.shape.repeat_interleave(count, 0),
            self.motion.repeat_interleave(count, 0),
            again(self.latent_shape),
            again(self.latent_motion),
        )

    def towards(self, other: MotionCode, weight: float) -> MotionCode:
        """Return the code on the straight line to another one, `weight` of the way."""

        def between(a: Tensor | None, b: Tensor | None) -> Tensor | None:
            return None if a is None or b is None else torch.lerp(a, b, weight)

        return MotionCode(
            torch.lerp(self.shape, other.shape, weight),
            torch.lerp(self.motion, other.motion, weight),
            between(self.latent_shape, other.latent_shape),
            between(self.latent_motion, other.latent_motion),
        )


def encoded(encoder: Any, *inputs: Tensor) -> Tensor:
    """Return the codes (B, C) of observations, (B, 0) without an encoder."""
    if encoder is None:
        return inputs[0].new_empty((len(inputs[0]), 0), dtype=torch.float32)
    code: Tensor = encoder(*inputs)
    return code


def cross_entropy(logits: Tensor, occupancies: Tensor) -> Tensor:
    """Binary cross-entropy (B,), the mean over points in float32."""
    losses = F.binary_cross_entropy_with_logits(
        at_least_single(logits), occupancies, reduction="none"
    )
    return losses.flatten(1).mean(1)


def divergence(posterior: Normal) -> Tensor:
    """Kullback-Leibler divergence (B,) from N(0, 1), the mean over numbers as published."""
    prior = Normal(torch.zeros_like(posterior.mean), torch.ones_like(posterior.mean))
    return kl_divergence(posterior, prior).mean(-1)


def overlap(inside: Tensor, truth: Tensor) -> Tensor:
    """IoU (...,) of two sets of points (..., T) bool; 1 where both are empty."""
    either = (inside | truth).sum(-1)
    both = (inside & truth).sum(-1)
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def check_sequence_input(input: Any, parts: dict[str, Any], name: str) -> None:
    """Refuse an input that gives no sequence, or one that the encoders do not take.

    Args:
        input: see `onet.data.inputs.Input`.
        parts: the model's encoders by their keys in the configuration; None where there is none.
        name: of the input.

    Raises:
        ConfigError: it names input and encoder, and what would fit.
    """
    used = {key: part for key, part in parts.items() if part is not None}
    if input.kind != "sequence":
        if not used and input.kind == "none":
            return
        raise ConfigError(
            f"data.input.type: {name!r} gives no sequence, which the model observes; with this "
            "model goes the input point_sequence or image_sequence"
        )
    for key, part in used.items():
        kind = SEQUENCE_ENCODERS.name_of(part)
        kind = ENCODERS.name_of(part) if kind == type(part).__name__ else kind
        if part.observes != input.frame_kind:
            raise ConfigError(
                f"data.input.type: {name!r} gives frames of {input.frame_kind}, and model.{key}."
                f"type: {kind!r} observes {part.observes}; choose others that agree"
            )
        if getattr(part, "corresponding", False) and not input.corresponding:
            raise ConfigError(
                f"data.input.corresponding: false, and model.{key}.type: {kind!r} takes points "
                "that correspond over time; use the sequence encoder pointnet_frames"
            )
