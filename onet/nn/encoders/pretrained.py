"""Weights of image networks that were trained elsewhere, from files."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from onet.errors import CheckpointError, ConfigError
from onet.mistaken import mistaken_for

IMAGENET = "imagenet"
"""In place of a file: the weights of the network's authors, trained on ImageNet."""


def read_weights(path: Path, whose: str) -> dict[str, Tensor]:
    """Return the tensors of a file, `.safetensors` or what `torch.save` writes.

    Args:
        path: the file.
        whose: weights it should hold, for messages, such as "torchvision's weights".

    Raises:
        ConfigError: no such file.
        CheckpointError: unreadable, or no dictionary of tensors.
    """
    if not path.is_file():
        raise ConfigError(
            f"model.encoder.pretrained: {path}: no such file; give {IMAGENET!r}, a file with "
            f"{whose}, or null"
        )
    if what := mistaken_for(path):
        raise CheckpointError(f"{path}: {what}")
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError
    ) as error:  # fmt: skip
        raise CheckpointError(f"{path}: not a readable file of weights ({error})") from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"{path}: not a dictionary of tensors as {whose} are saved")
    return state


def load_trunk(trunk: nn.Module, state: Mapping[str, Tensor], source: str, remedy: str) -> None:
    """Copy weights into an image network.

    Counters of batch normalisation may be missing, as in files of before PyTorch 0.4.1.

    Raises:
        CheckpointError: other keys are missing, unexpected or of another shape; it names some.
    """
    wanted = trunk.state_dict()
    missing = [k for k in wanted.keys() - state.keys() if not k.endswith("batches_tracked")]
    wrong = [k for k in state if k not in wanted or state[k].shape != wanted[k].shape]
    if missing or wrong:
        named = ", ".join(sorted([*missing, *wrong])[:3])
        raise CheckpointError(
            f"{source}: not the weights of this network ({len(missing)} keys missing, "
            f"{len(wrong)} unexpected or of another shape: {named}, ...); {remedy}"
        )
    trunk.load_state_dict(state, strict=False)
