"""Checkpoints: weights as safetensors, everything else about the run as JSON in their header.

Metadata keys: `config` (complete, as JSON), `iteration`, `epoch`, `minutes`, `metrics` (of the last
validation), `best` (metrics and iteration of the best one), `validated` (iteration of the last
validation), `seed`, `data_fingerprint`, `git` (of the working directory when the run was started),
`version` (of this package). What only resuming needs is in a file of its own beside the last
checkpoint: the optimiser's state and, where the checkpoint holds an average, the weights that are
trained.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from onet.checkpoints.packaged import no_such_run, packaged_model
from onet.checkpoints.pickled import read_pickled
from onet.checkpoints.run_folder import BEST, CHECKPOINTS, LAST, best_checkpoint, last_checkpoint
from onet.config import Config, parse_config
from onet.errors import CheckpointError
from onet.files import replacing
from onet.mistaken import mistaken_for
from onet.models.sizes import without_memory

OPTIMIZER = "optimizer-{iteration}.pt"
MODEL, MODEL_CONFIG = "model.safetensors", "config.json"
"""Weights in a folder as model hubs have it, and their configuration beside them."""
WEIGHTS = "weights"
STEP = "step"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read from a file; tensors are on the CPU."""

    config: Config
    state: dict[str, Tensor]
    metadata: dict[str, Any]
    path: Path


def save_checkpoint(
    path: str | os.PathLike[str], model: nn.Module, config: Config, metadata: dict[str, Any]
) -> None:
    """Write the weights of `model` with the configuration and `metadata` (any JSON values)."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    header = {"config": config.model_dump(mode="json"), **metadata}
    with replacing(path) as temporary:
        # Not save_file: it makes files that only their owner can read.
        temporary.write_bytes(
            save(state, {key: json.dumps(value) for key, value in header.items()})
        )


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint file, or the best one of a run folder.

    Raises:
        CheckpointError: nothing there, unreadable, or not written by this package.
        ConfigError: its configuration is not valid in this version.
    """
    path = resolve_checkpoint(path)
    file = read_safetensors(path)
    header = file.header
    text = configuration_text(path, header)
    if text is None:
        raise CheckpointError(
            f"{path}: holds weights without a configuration; only checkpoints written by "
            "`onet train` can be loaded"
        )
    config = parse_config(text, str(path if "config" in header else path.with_name(MODEL_CONFIG)))
    try:
        metadata = {key: json.loads(value) for key, value in header.items() if key != "config"}
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its metadata is not JSON ({error})") from None
    return Checkpoint(config, file.tensors(), metadata, path)


def configuration_text(path: Path, header: Mapping[str, str]) -> str | None:
    """Return the configuration of a safetensors file, JSON: of its header, or from beside it.

    None where there is none: weights of others.
    """
    beside = path.with_name(MODEL_CONFIG)
    if "config" in header or path.name != MODEL or not beside.is_file():
        return header.get("config")
    return beside.read_text(encoding="utf-8")


@dataclass(frozen=True)
class SafetensorsFile:
    """The header of a safetensors file; tensors are read when they are asked for.

    Attributes:
        path: of the file.
        header: its metadata, text by name.
        shapes: tensors of the shapes of those in the file, without memory behind them.
    """

    path: Path
    header: dict[str, str]
    shapes: dict[str, Tensor]

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors, on the CPU.

        Raises:
            CheckpointError: the file has changed or cannot be read.
        """
        try:
            with safe_open(self.path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in self.shapes}
        except (SafetensorError, OSError) as error:
            raise _unreadable(self.path, error) from None


def read_safetensors(path: Path) -> SafetensorsFile:
    """Read the header of a safetensors file.

    Raises:
        CheckpointError: another kind of file, or one that is cut short.
    """
    if what := mistaken_for(path):
        raise CheckpointError(f"{path}: {what}")
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            slices = {name: file.get_slice(name) for name in names}
            shapes = {name: _shape(s.get_shape(), s.get_dtype()) for name, s in slices.items()}
            return SafetensorsFile(path, file.metadata() or {}, shapes)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise _unreadable(path, error) from None


def _shape(shape: list[int], kind: str) -> Tensor:
    floating = kind.startswith(("F", "BF"))
    return torch.empty(shape, dtype=torch.float32 if floating else torch.int64, device="meta")


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path}: not a readable safetensors file ({error}); it may be cut short: copy "
        "or train it again"
    )


def restored(checkpoint: Checkpoint, build: Callable[[dict[str, Any]], nn.Module]) -> nn.Module:
    """Return the model of a checkpoint with its weights.

    It is first built without memory, so that a configuration that asks for more than the weights of
    the file takes none.

    Args:
        checkpoint: what was read.
        build: makes the model of a section `model`, such as `onet.models.build_model`.

    Raises:
        ConfigError: no model can be made of the configuration.
        CheckpointError: keys are missing or unexpected, or shapes differ; it names them.
    """
    section = checkpoint.config.model
    _check_weights(checkpoint, without_memory(lambda: build(section)))
    model = build(section)
    load_into(model, checkpoint)
    return model


def load_into(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Copy the weights of a checkpoint into a model of the same architecture.

    Raises:
        CheckpointError: keys are missing or unexpected, or shapes differ; it names them.
    """
    _check_weights(checkpoint, model)
    model.load_state_dict(checkpoint.state)


def _check_weights(checkpoint: Checkpoint, model: nn.Module) -> None:
    problems = weight_problems(model.state_dict(), checkpoint.state)
    if problems:
        raise CheckpointError(
            f"{checkpoint.path}: weights of another architecture: {problems}; use the "
            "configuration it was trained with"
        )


def weight_problems(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """How weights differ from those wanted: keys missing, unexpected, of another shape or type.

    Empty where they fit. Of each kind the first three keys are named.
    """
    problems = {
        "missing": sorted(wanted.keys() - found.keys()),
        "unexpected": sorted(found.keys() - wanted.keys()),
        "of another shape": [
            f"{key} {tuple(found[key].shape)} for {tuple(wanted[key].shape)}"
            for key in wanted
            if key in found and found[key].shape != wanted[key].shape
        ],
        "of another type": [
            f"{key} {found[key].dtype}"
            for key in wanted
            if key in found
            and wanted[key].is_floating_point()
            and not found[key].is_floating_point()
        ],
    }
    return "; ".join(
        f"{len(keys)} {kind} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for kind, keys in problems.items()
        if keys
    )


def resolve_checkpoint(path: str | os.PathLike[str]) -> Path:
    """Return the checkpoint file meant by `path`: itself, or a run's best, else its last one.

    Or the weights of a folder with `model.safetensors` and `config.json`.
    Where nothing lies there, it may be the name of a network that comes with the package.

    Raises:
        CheckpointError: there is none; where `path` could be a name, it lists the names.
    """
    if (packaged := packaged_model(path)) is not None:
        return packaged.path
    path = Path(path)
    if not path.exists():
        raise no_such_run(path)
    if not path.is_dir():
        from onet.checkpoints.kinds_of_files import not_a_network  # only where a file is named

        if problem := not_a_network(path):
            raise CheckpointError(problem)
        return path
    for candidate in (best_checkpoint(path), last_checkpoint(path), path / MODEL):
        if candidate.is_file():
            return candidate
    raise CheckpointError(
        f"{path}: no {CHECKPOINTS}/{BEST} or {CHECKPOINTS}/{LAST} in this folder; name a run "
        "folder written by `onet train` that has reached its first checkpoint, or a checkpoint file"
    )


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_identity(path: Path) -> dict[str, str]:
    """Return where a checkpoint is and its SHA-256, under `path` and `sha256`."""
    return {"path": str(path.resolve()), "sha256": checksum(path)}


def save_last(
    folder: Path,
    model: nn.Module,
    training: dict[str, Any],
    config: Config,
    metadata: dict[str, Any],
) -> None:
    """Write the last checkpoint and the state of training that resuming it needs.

    The state goes to a file named after its iteration before the checkpoint is replaced, and older
    ones go after that: whenever the process is killed, the checkpoint has its state beside it.

    Args:
        folder: of the checkpoints.
        model: its weights become the checkpoint.
        training: the optimiser's state, with the weights in training under `WEIGHTS` if they are
            others than those of `model`, and under `STEP` what else the kind of training keeps.
        config, metadata: see `save_checkpoint`.
    """
    state = folder / OPTIMIZER.format(iteration=metadata["iteration"])
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(state) as temporary:
        torch_save(training, temporary)
    save_checkpoint(folder / LAST, model, config, metadata)
    for other in folder.glob(OPTIMIZER.format(iteration="*")):
        if other != state:
            other.unlink()


def torch_save(content: Any, path: Path) -> None:
    """`torch.save`, except that the system's refusal to write is an `OSError` as everywhere."""
    try:
        with path.open("wb") as file:
            torch.save(content, file)
    except RuntimeError as error:  # of the archive that the refusal left unfinished
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def load_training_state(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, iteration: int
) -> dict[str, Any]:
    """Restore the state that belongs to the last checkpoint; what was kept under `STEP`.

    Weight decay stays as the optimiser was made; the learning rate is set at every step.

    Raises:
        CheckpointError: the file is missing or unreadable, or of another optimiser.
    """
    if not isinstance(iteration, int):  # it becomes part of a path
        raise CheckpointError(f"{folder / LAST}: its iteration {iteration!r} is not a number")
    path = folder / OPTIMIZER.format(iteration=iteration)
    remedy = "give another run folder to start anew"
    if not path.is_file():
        raise CheckpointError(f"{path}: missing, so the run cannot be resumed; {remedy}")
    try:
        state = read_pickled(path)
    except CheckpointError as error:
        raise CheckpointError(
            f"unreadable, so the run cannot be resumed: {error}; {remedy}"
        ) from None
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: not the state of a training; {remedy}")
    if WEIGHTS in state:
        model.load_state_dict(state.pop(WEIGHTS))
    more: dict[str, Any] = state.pop(STEP, {})
    decays = [group["weight_decay"] for group in optimizer.param_groups]
    try:
        optimizer.load_state_dict(state)
    except ValueError as error:
        raise CheckpointError(
            f"{path}: state of another optimiser ({error}); resume with the training.optimizer "
            f"that the run started with, or {remedy}"
        ) from None
    for group, decay in zip(optimizer.param_groups, decays, strict=True):
        group["weight_decay"] = decay
    return more
