"""Which encoders can take the observations that an input gives."""

from __future__ import annotations

import logging
from typing import Any

from onet.data.inputs import INPUTS, Input
from onet.errors import ConfigError
from onet.nn.code import observed_parts, observed_shape
from onet.nn.encoders import ENCODERS

logger = logging.getLogger(__name__)


def check_input(
    input: Input,
    model: Any,
    *,
    trained: bool,
) -> None:
    """Refuse an input whose observations the model's encoder does not take.

    A model without an attribute `encoder` says nothing of what it observes, and is not checked; one
    with `check_observation`, which takes the input, knows itself what goes together.

    Args:
        input: what the model is to observe.
        model: a model, whose `encoder` may be None; its weights need no memory.
        trained: it was trained with this input, so an observation that no encoder looks at is
            said only.

    Raises:
        ConfigError: it names both, and what would fit either.
    """
    if hasattr(model, "check_observation"):
        model.check_observation(input)
        return
    if not hasattr(model, "encoder"):
        return
    name = INPUTS.name_of(input)
    if model.encoder is None:
        if input.conditions:
            _unused(name, input, trained)
        return
    encoder = ENCODERS.name_of(model.encoder)
    both = f"data.input.type: {name!r} gives {{}}, and model.encoder.type: {encoder!r} "
    observed = model.encoder.observes
    if input.kind != observed:
        given = "nothing" if input.kind == "none" else input.kind
        raise ConfigError(f"{both.format(given)}observes {observed}; {_remedy(input, observed)}")
    if input.views_in_training > 1 and not getattr(model, "fuses_views", False):
        raise ConfigError(
            f"data.input.views: {input.views_in_training} at once, and the model takes one; set "
            "data.input.views=1, or a model that fuses them (model.type=r2n2 model.fusion=lstm)"
        )
    shape = observed_shape(model.encoder)
    if shape is not None and shape != input.shape:
        raise ConfigError(
            f"{both.format(f'observations of shape {input.shape}')}takes {shape}; give data.input "
            "and model.encoder the same size (resolution)"
        )
    if extra := input.parts - observed_parts(model.encoder):
        takers = [name for name in _encoders(observed) if input.parts <= observed_parts_of(name)]
        raise ConfigError(
            f"{both.format(f'{input.kind} with {_or(sorted(extra))}')}does not take that; set "
            f"data.input.{min(extra)}=false, or use the encoder {_or(takers)}"
        )


def observed_parts_of(name: str) -> frozenset[str]:
    """Return the names of arrays that an encoder takes beside the observation, by its name."""
    return observed_parts(ENCODERS[name])


def _remedy(input: Input, observed: str) -> str:
    """What goes with the input, and what with an encoder that observes something else."""
    goes = f"the encoder {_or(_encoders(input.kind))}"
    if input.kind == "none":
        goes = "no encoder (model.encoder=null model.c_dim=0)"
    if input.kind == "sequence":
        goes = "a model of motion (model.type=flow)"
    inputs = [name for name in INPUTS if INPUTS[name].kind == observed]  # type: ignore[attr-defined]
    return f"with this input goes {goes}, with this encoder the input {_or(inputs)}"


def _unused(name: str, input: Input, trained: bool) -> None:
    text = (
        f"data.input.type: {name!r} gives {input.kind}, and model.encoder is null, so nothing "
        "looks at it; "
    )
    if trained:
        logger.warning("%sthe model was trained so, and gives the same for all of them", text)
        return
    raise ConfigError(
        f"{text}with this input goes the encoder {_or(_encoders(input.kind))}, with no encoder "
        "the input none"
    )


def _encoders(kind: str) -> list[str]:
    return [name for name in ENCODERS if ENCODERS[name].observes == kind]  # type: ignore[attr-defined]


def _or(names: list[str]) -> str:
    return " or ".join(names) or "(none)"
