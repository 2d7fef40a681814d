"""Weights in the layout of the published Texture Fields.

A file is what `torch.save` makes of `{'model_g': weights, 'model_d': weights of the discriminator,
'model_g_ma': an average, 'optimizer_g': state of RMSprop, 'optimizer_d', 'it', 'epoch_it': int,
'loss_val_best': number}`. The published average was never updated, so it is not read.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

RECOGNISED_TEXTURES = ("texture", "texture_vae", "texture_gan")
"""Configurations among which that of such a file is looked for."""

_GENERATOR, _DISCRIMINATOR = "model_g", "model_d"
_OURS = {"vae_encoder": "encoder_latent"}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}
_OURS_OF_D = "discriminator."


def is_texture(content: Any) -> bool:
    """Return whether what was given to `torch.save` holds a published texture network."""
    return isinstance(content, dict) and isinstance(content.get(_GENERATOR), dict)


def texture_weights(content: dict[str, Any]) -> dict[str, Tensor]:
    """Return the weights of such a file by the names that they have here.

    A discriminator comes with every file; it is left out where nothing was trained against it: the
    appearance is observed (`encoder`) or inferred (`vae_encoder`).
    """
    generator = _without_wrapper(content[_GENERATOR])
    state = {_renamed(key, _OURS): value for key, value in generator.items()}
    parts = {key.partition(".")[0] for key in state}
    judge = content.get(_DISCRIMINATOR)
    if isinstance(judge, dict) and not parts & {"encoder", "encoder_latent"}:
        state |= {_OURS_OF_D + key: value for key, value in _without_wrapper(judge).items()}
    return state


def texture_content(model: nn.Module, learning_rate: float) -> dict[str, Any]:
    """Return what a published file holds of a model, with fresh optimisers."""
    state = model.state_dict()
    generator = {
        _renamed(key, _THEIRS): value
        for key, value in state.items()
        if not key.startswith(_OURS_OF_D)
    }
    content: dict[str, Any] = {_GENERATOR: generator, "model_g_ma": dict(generator)}
    named = dict(model.named_parameters())
    groups = {"optimizer_g": [p for key, p in named.items() if not key.startswith(_OURS_OF_D)]}
    if judge := {
        k.removeprefix(_OURS_OF_D): v for k, v in state.items() if k.startswith(_OURS_OF_D)
    }:
        content[_DISCRIMINATOR] = judge
        groups["optimizer_d"] = [p for key, p in named.items() if key.startswith(_OURS_OF_D)]
    for key, parameters in groups.items():
        content[key] = torch.optim.RMSprop(parameters, lr=learning_rate).state_dict()
    return content


def _without_wrapper(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights without the prefix of torch's DataParallel, where all have it."""
    if state and all(key.startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return state


def _renamed(key: str, names: dict[str, str]) -> str:
    first, dot, rest = key.partition(".")
    return names.get(first, first) + dot + rest
