"""Weights in the layout of the published Occupancy Networks, read and written.

A published file is what `torch.save` makes of `{'model': weights, 'optimizer': state of Adam,
'epoch_it': int, 'it': int, 'loss_val_best': number}`. It does not say which network the weights
belong to: that is read off their keys and shapes, or given as a configuration. Older files have
other names and shapes in their conditional batch normalisation (`fc_gamma` (F, C) for `conv_gamma`
(F, C, 1), likewise beta).

Files are unpickled without running code of theirs (`weights_only`).
"""

from __future__ import annotations

import codecs
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from onet.config import Config, load_config
from onet.errors import CheckpointError, ConfigError
from onet.files import replacing
from onet.models import build_model, fit_to_data
from onet.training.checkpoints import (
    Checkpoint,
    load_checkpoint,
    load_into,
    resolve_checkpoint,
    save_checkpoint,
    torch_save,
    weight_problems,
)

SUFFIXES = (".pt", ".pth")
RECOGNISED = (
    "img",
    "pointcloud",
    "voxels",
    "unconditional",
    "representation_power",
    "ablation_architecture_nocbn",
    "ablation_architecture_noresnet",
)
"""Configurations among which that of a file is looked for; all of these differ in their layout."""

_LEGACY = {"fc_gamma": "conv_gamma", "fc_beta": "conv_beta"}


def read_checkpoint(
    path: str | os.PathLike[str], config: Config | str | os.PathLike[str] | None = None
) -> Checkpoint:
    """Read a checkpoint of this package or a published file.

    Args:
        path: a checkpoint file, a run folder, or a published file (`.pt`, `.pth`).
        config: what a published file belongs to: a configuration, or the name or file of one; by
            default the one of `RECOGNISED` that the keys and shapes of the weights agree with.

    Raises:
        CheckpointError: nothing there, unreadable, or of another architecture; it names the keys.
        ConfigError: `config` does not exist, or is given for a checkpoint that has its own.
    """
    path = resolve_checkpoint(path)
    if path.suffix in SUFFIXES:
        if config is not None and not isinstance(config, Config):
            config = load_config(os.fspath(config))
        return read_published(path, config)
    if config is not None:
        raise ConfigError(f"{path}: brings its own configuration; leave out the argument `config`")
    return load_checkpoint(path)


def read_published(path: Path, config: Config | None = None) -> Checkpoint:
    """Read a published file; see `read_checkpoint`."""
    content = _unpickle(path)
    state = _current_names(content["model"])
    config = _recognise(path, state) if config is None else _completed(config, state)
    problems = weight_problems(_layout(config), state)
    if problems:
        raise CheckpointError(
            f"{path}: weights of another architecture: {problems}; give the configuration that "
            "they were trained with"
        )
    metadata = {
        "iteration": _number(content, "it", int),
        "epoch": _number(content, "epoch_it", int),
        "loss_val_best": _number(content, "loss_val_best", float),
        "published": path.name,
    }
    return Checkpoint(config, state, metadata, path)


def write_published(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint in the published layout, with current names and a fresh optimiser.

    Raises:
        CheckpointError: its weights do not belong to its configuration.
    """
    path = Path(path)
    model = _filled(checkpoint)
    best = checkpoint.metadata.get("loss_val_best")
    if best is None:
        metric = checkpoint.config.training.selection_metric
        best = (checkpoint.metadata.get("best") or {}).get(metric)
    content: dict[str, Any] = {
        "model": model.state_dict(),
        "optimizer": torch.optim.Adam(
            model.parameters(), lr=checkpoint.config.training.learning_rate
        ).state_dict(),
        "epoch_it": checkpoint.metadata.get("epoch", 0),
        "it": checkpoint.metadata.get("iteration", 0),
    }
    if best is not None:
        content["loss_val_best"] = float(best)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        torch_save(content, temporary)


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    config: Config | str | os.PathLike[str] | None = None,
) -> Checkpoint:
    """Convert between published files and checkpoints of this package.

    Args:
        source: see `read_checkpoint`.
        target: a `.pt` or `.pth` file gets the published layout, a `.safetensors` file this
            package's. The state of the optimiser is not taken over.
        config: see `read_checkpoint`.

    Returns:
        What was read from `source`.

    Raises:
        ConfigError: another suffix of `target`; see also `read_checkpoint`.
        CheckpointError: see `read_checkpoint`.
    """
    target = Path(target)
    if target.suffix not in (*SUFFIXES, ".safetensors"):
        raise ConfigError(
            f"{target}: name the result .safetensors (of this package) or .pt (published layout)"
        )
    checkpoint = read_checkpoint(source, config)
    if target.suffix in SUFFIXES:
        write_published(target, checkpoint)
    else:
        save_checkpoint(target, _filled(checkpoint), checkpoint.config, checkpoint.metadata)
    return checkpoint


def _filled(checkpoint: Checkpoint) -> nn.Module:
    model = build_model(checkpoint.config.model)
    load_into(model, checkpoint)
    return model


def _unpickle(path: Path) -> dict[str, Any]:
    """The dictionary in the file, with tensors on the CPU."""
    # What numbers of NumPy are pickled with. Files name the first by where it was in the release
    # that wrote them.
    rebuild = np.float64(0).__reduce__()[0]
    allowed: list[Any] = [
        (rebuild, "numpy.core.multiarray.scalar"),
        (rebuild, "numpy._core.multiarray.scalar"),
        np.dtype,
        *{type(np.dtype(name)) for name in ("float32", "float64", "int64")},
        codecs.encode,
    ]
    try:
        with torch.serialization.safe_globals(allowed):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: cannot be read as a published file ({reason}); it may be cut short: copy it "
            "again"
        ) from None
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        found = ", ".join(map(str, list(content)[:5])) if isinstance(content, dict) else content
        raise CheckpointError(
            f"{path}: not in the published layout: has no dictionary 'model' (found: "
            f"{str(found)[:200]})"
        )
    odd = [key for key, value in content["model"].items() if not isinstance(value, Tensor)]
    if odd:
        raise CheckpointError(f"{path}: 'model' holds something else than weights under {odd[0]!r}")
    return content


def _number(content: dict[str, Any], key: str, kind: type[int] | type[float]) -> Any:
    """The entry as a plain number; without it 0 for a counter, None for a score."""
    value = content.get(key)
    return (0 if kind is int else None) if value is None else kind(value)


def _current_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state with conditional batch normalisations named and shaped as they are today."""
    renamed = {}
    for key, value in state.items():
        parts = key.split(".")
        if len(parts) > 1 and parts[-2] in _LEGACY:
            parts[-2] = _LEGACY[parts[-2]]
            if parts[-1] == "weight" and value.ndim == 2:
                value = value.unsqueeze(-1)
        renamed[".".join(parts)] = value
    return renamed


def _completed(config: Config, state: dict[str, Tensor]) -> Config:
    """The configuration with the number of shapes that the weights have codes for."""
    codes = state.get("encoder.weight")
    items = len(codes) if codes is not None and codes.ndim else 1
    return config.model_copy(update={"model": fit_to_data(config.model, items)})


def _layout(config: Config) -> dict[str, Tensor]:
    """Keys and shapes of the model's weights, without memory behind them."""
    with torch.device("meta"):
        return build_model(config.model).state_dict()


def _recognise(path: Path, state: dict[str, Tensor]) -> Config:
    """The configuration whose model has these keys and shapes.

    Raises:
        CheckpointError: none has; it names how the nearest one differs.
    """
    differences: dict[int, tuple[str, str]] = {}  # by the number of keys that differ
    for name in RECOGNISED:
        config = _completed(load_config(name), state)
        layout = _layout(config)
        problems = weight_problems(layout, state)
        if not problems:
            return config
        differences[len(layout.keys() ^ state.keys())] = name, problems
    nearest, problems = differences[min(differences)]
    raise CheckpointError(
        f"{path}: weights of none of the published networks; the nearest one is {nearest}, with "
        f"{problems}. If they belong to another configuration, name it"
    )
