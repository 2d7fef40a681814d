"""Weights in the layout of the published Occupancy Networks and Texture Fields, read and written.

A published file is what `torch.save` makes of `{'model': weights, 'optimizer': state of Adam,
'epoch_it': int, 'it': int, 'loss_val_best': number}`. It does not say which network the weights
belong to: that is read off their keys and shapes, or given as a configuration. Older files have
other names and shapes in their conditional batch normalisation (`fc_gamma` (F, C) for `conv_gamma`
(F, C, 1), likewise beta). Those of Convolutional Occupancy Networks and of Texture Fields have
other layouts, see `onet.checkpoints.conv_onet_weights` and `onet.checkpoints.published_texture`.

Files of other programs are read as far as their weights are those of such a network; see
`onet.checkpoints.foreign_weights`. None runs code of its own; see `onet.checkpoints.pickled`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from onet.checkpoints.checkpoint import (
    Checkpoint,
    configuration_text,
    load_checkpoint,
    read_safetensors,
    resolve_checkpoint,
    restored,
    save_checkpoint,
    torch_save,
    weight_problems,
)
from onet.checkpoints.conv_onet_weights import (
    conv_onet_config,
    is_conv_onet,
    is_published,
    own_weights,
    published_weights,
)
from onet.checkpoints.foreign_weights import find_weights, plain_keys
from onet.checkpoints.pickled import is_pickled, read_pickled
from onet.checkpoints.published_texture import (
    RECOGNISED_TEXTURES,
    is_texture,
    texture_content,
    texture_weights,
)
from onet.checkpoints.scan_weights import refuse_scan_network
from onet.config import Config, load_config
from onet.errors import CheckpointError, ConfigError
from onet.files import replacing
from onet.locks import writing_file
from onet.mistaken import mistaken_for
from onet.models import TextureNetwork, build_model, fit_to_data, model_layout
from onet.names import told_apart

SUFFIXES = (".pt", ".pth")
"""Of files in the published layout that are written; what is read is known by its content."""
RECOGNISED = (
    "img",
    "pointcloud",
    "voxels",
    "unconditional",
    "representation_power",
    "ablation_architecture_nocbn",
    "ablation_architecture_noresnet",
    "flow_pointcloud_correspond",
    "flow_pointcloud",
    "flow_img",
    "flow_img_correspond",
    "flow_interpolation",
    "flow_generative",
    "flow_representation",
    "onet4d",
    "psgn4d",
)
"""Configurations among which that of a file is looked for; all of these differ in their layout."""
BASELINES = (
    *("r2n2_img", "r2n2_pointcloud", "psgn_img", "psgn_pointcloud", "psgn_two_branch"),
    *("pixel2mesh", "dmc"),
)
"""The same of the networks that the published ones are compared with."""

_LEGACY = {"fc_gamma": "conv_gamma", "fc_beta": "conv_beta"}


def read_checkpoint(
    path: str | os.PathLike[str], config: Config | str | os.PathLike[str] | None = None
) -> Checkpoint:
    """Read a checkpoint of this package, a published file, or weights as others save them.

    Args:
        path: a checkpoint file, a run folder, or a published file: what `torch.save` writes, under
            any name, or safetensors without a configuration.
        config: what a published file belongs to: a configuration, or the name or file of one; by
            default the one of `RECOGNISED` that the keys and shapes of the weights agree with, or
            what `conv_onet_config` reads off them.

    Raises:
        CheckpointError: nothing there, something else, unreadable, or of another architecture; it
            names the keys.
        ConfigError: `config` does not exist, or is given for a checkpoint that has its own.
    """
    path = resolve_checkpoint(path)
    if what := mistaken_for(path):
        raise CheckpointError(f"{path}: {what}")
    pickled = is_pickled(path)
    if not pickled and path.suffix.lower() in SUFFIXES and not _is_safetensors(path):
        raise CheckpointError(
            f"{path}: cannot be read as a published file (it does not begin as files of torch.save "
            "do); it may be another kind of file, or damaged: copy it again"
        )
    header = {} if pickled else read_safetensors(path).header
    refuse_scan_network(path, header)
    if pickled or configuration_text(path, header) is None:
        if config is not None and not isinstance(config, Config):
            config = load_config(os.fspath(config))
        return read_published(path, config)
    if config is not None:
        raise ConfigError(f"{path}: brings its own configuration; leave out the argument `config`")
    return load_checkpoint(path)


def read_published(path: Path, config: Config | None = None) -> Checkpoint:
    """Read a published file; see `read_checkpoint`."""
    textured = False
    if is_pickled(path):
        content = read_pickled(path)
        textured = is_texture(content)
        state = (
            texture_weights(content) if textured else _current_names(find_weights(path, content))
        )
    else:
        content, file = {}, read_safetensors(path)
        state = _current_names(plain_keys(path, file.tensors()))
    if is_conv_onet(state):
        config, state = conv_onet_config(path, state, config), own_weights(path, state)
    elif config is None:
        config = _recognise(
            path, state, RECOGNISED_TEXTURES if textured else (*RECOGNISED, *BASELINES)
        )
    else:
        config = _completed(config, state)
    problems = weight_problems(model_layout(config.model), state)
    if problems:
        raise CheckpointError(
            f"{path}: weights of another architecture: {problems}; give the configuration that "
            "they were trained with"
        )
    metadata = {
        "iteration": int(_number(content, "it", "global_step", "iteration") or 0),
        "epoch": int(_number(content, "epoch_it", "epoch") or 0),
        "loss_val_best": _number(content, "loss_val_best"),
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
    weights = model.state_dict()
    if is_published(checkpoint.config.model):
        weights = published_weights(weights)
    best = checkpoint.metadata.get("loss_val_best")
    if best is None:
        metric = checkpoint.config.training.selection_metric
        best = (checkpoint.metadata.get("best") or {}).get(metric)
    content: dict[str, Any] = {
        **_weights_and_optimizer(model, weights, checkpoint.config.training.learning_rate),
        "epoch_it": checkpoint.metadata.get("epoch", 0),
        "it": checkpoint.metadata.get("iteration", 0),
    }
    if best is not None:
        content["loss_val_best"] = float(best)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        torch_save(content, temporary)


def _weights_and_optimizer(
    model: nn.Module, weights: dict[str, Tensor], learning_rate: float
) -> dict[str, Any]:
    """Return the part of a published file that depends on the kind of network."""
    if isinstance(model, TextureNetwork):
        return texture_content(model, learning_rate)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    return {"model": weights, "optimizer": optimizer.state_dict()}


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
        FolderInUse: another process writes `target`.
    """
    target = Path(target)
    if target.suffix.lower() not in (*SUFFIXES, ".safetensors"):
        raise ConfigError(
            f"{target}: name the result .safetensors (of this package) or .pt (published layout)"
        )
    checkpoint = read_checkpoint(source, config)
    with writing_file(target):
        if target.suffix.lower() in SUFFIXES:
            write_published(target, checkpoint)
        else:
            save_checkpoint(target, _filled(checkpoint), checkpoint.config, checkpoint.metadata)
    return checkpoint


def converted_names(sources: Sequence[Path]) -> list[str]:
    """Return a name for each of several converted files, different on every file system.

    Published files become .safetensors, checkpoints of this package and folders of runs .pt.
    """
    stems = [source.name if source.is_dir() else source.stem for source in sources]
    longer = [f"{source.parent.name}__{stem}" for source, stem in zip(sources, stems, strict=True)]
    names = told_apart(stems, longer, [os.path.abspath(source) for source in sources])
    return [
        f"{name}{'.safetensors' if source.suffix.lower() in SUFFIXES else '.pt'}"
        for name, source in zip(names, sources, strict=True)
    ]


def _filled(checkpoint: Checkpoint) -> nn.Module:
    return restored(checkpoint, build_model)


def _is_safetensors(path: Path) -> bool:
    """Return whether a file begins as safetensors: the length of a JSON header, and that."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _number(content: Any, *keys: str) -> float | None:
    """Return the first of the entries that is a finite number, or None."""
    for key in keys:
        value = content.get(key) if isinstance(content, dict) else None
        if isinstance(value, np.generic) or (isinstance(value, Tensor) and value.numel() == 1):
            value = value.item()
        if isinstance(value, int | float) and abs(value) < 2**63:
            return value
    return None


def _current_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the state with conditional batch normalisations named and shaped as they are today."""
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
    """Return the configuration with the number of shapes that the weights have codes for."""
    return config.model_copy(update={"model": fit_to_data(config.model, _codes(state))})


def _codes(state: dict[str, Tensor]) -> int:
    codes = state.get("encoder.weight")
    return len(codes) if codes is not None and codes.ndim else 1


@lru_cache(maxsize=64)
def _recognisable(name: str, items: int) -> tuple[Config, dict[str, Tensor]]:
    """Return a configuration for so many shapes, and its layout, which takes most of a reading."""
    config = load_config(name)
    config = config.model_copy(update={"model": fit_to_data(config.model, items)})
    return config, model_layout(config.model)


def _recognise(path: Path, state: dict[str, Tensor], names: Sequence[str]) -> Config:
    """Return the configuration whose model has these keys and shapes.

    Raises:
        CheckpointError: none has; it names how the nearest one differs.
    """
    differences: dict[int, tuple[str, str]] = {}  # by the number of keys that differ
    for name in names:
        config, layout = _recognisable(name, _codes(state))
        problems = weight_problems(layout, state)
        if not problems:
            return config.model_copy(deep=True)
        differences[len(layout.keys() ^ state.keys())] = name, problems
    nearest, problems = differences[min(differences)]
    raise CheckpointError(
        f"{path}: weights of none of the published networks; the nearest one is {nearest}, with "
        f"{problems}. If they belong to another configuration, name it"
    )
