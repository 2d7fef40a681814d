"""A trained network for other programs: `onet export` as a function.

    OUT/model.safetensors, OUT/config.json  weights and configuration; `onet.load(OUT)` reads them
    OUT/encoder.pt2, OUT/decoder.pt2        programs of torch.export, without a line of this package
    OUT/encoder.onnx, OUT/decoder.onnx      the same as ONNX
    OUT/export.json                         names and shapes, the frame, the level of the surface

The encoder takes one observation, batch 1, as the model's input prepares it, and returns its code;
a model without one has no encoder. The decoder takes any number of points (1, T, 3) in the unit
frame, the code and, where the model has one, a latent code (1, Z), and returns logits (1, T).
"""

from __future__ import annotations

import importlib.util
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onet._version import __version__
from onet.checkpoints.checkpoint import MODEL, MODEL_CONFIG, save_checkpoint
from onet.errors import ConfigError, MissingDependency
from onet.files import replacing
from onet.inference.loading import load
from onet.inference.reconstructor import Reconstructor
from onet.locks import hold, writer
from onet.records import write_json

TOLD = "export.json"
ONNX_PACKAGES = ("onnx", "onnxscript")
_EXAMPLE_POINTS = 64  # of which the number stays free


@dataclass(frozen=True)
class ExportReport:
    """What was written.

    Attributes:
        out: the folder.
        files: names of the files in it.
        left_out: what is not there, and why.
    """

    out: Path
    files: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """What is there, in a few words."""
        without = "".join(f"; {reason}" for reason in self.left_out)
        return f"{self.out}: {', '.join(self.files)}{without}"


class _Encoder(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, observation: Any) -> Any:
        return self.model.encode(observation)


class _Decoder(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, points: Tensor, code: Any, latent: Tensor | None = None) -> Tensor:
        logits: Tensor = self.model.decode(points, code, latent)
        return logits


@writer
def export(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    onnx: bool | None = None,
) -> ExportReport:
    """Write a network as programs of torch.export and ONNX, and as weights with configuration.

    Args:
        source: a run, a checkpoint, a published file or the name of a packaged network.
        out: folder of the results.
        onnx: whether to write ONNX, too; None where its packages are installed.

    Raises:
        ConfigError: a model that makes no field of occupancy, or whose encoder or decoder
            torch.export cannot follow.
        CheckpointError: see `onet.load`.
        MissingDependency: ONNX is asked for without the extra `onnx`.
    """
    model = load(source, "cpu")
    if not isinstance(model, Reconstructor) or model.makes_meshes:
        raise ConfigError(f"{source}: has no encoder and decoder of a field, which can be exported")
    missing = [name for name in ONNX_PACKAGES if importlib.util.find_spec(name) is None]
    if missing and onnx:
        raise MissingDependency(f"ONNX needs {', '.join(missing)}: pip install 'onet[onnx]'")
    folder = Path(out)
    hold(folder)
    report = ExportReport(folder)
    if missing and onnx is None:
        report.left_out.append("ONNX is left out: pip install 'onet[onnx]'")
    programs, told = _programs(model)
    wanted = onnx or (onnx is None and not missing)
    converted = {name: _onnx(*made, model) for name, made in programs.items() if wanted}
    save_checkpoint(folder / MODEL, model.model, model.config, model.metadata)
    write_json(folder / MODEL_CONFIG, model.config.model_dump(mode="json"))
    report.files.extend([MODEL, MODEL_CONFIG])
    for name, (program, _) in programs.items():
        _write(folder / f"{name}.pt2", partial(torch.export.save, program))
        report.files.append(f"{name}.pt2")
    for name, content in converted.items():
        _write(folder / f"{name}.onnx", content.save)
        report.files.append(f"{name}.onnx")
    write_json(folder / TOLD, told | {"files": report.files})
    report.files.append(TOLD)
    return report


def _write(path: Path, write: Callable[[str], object]) -> None:
    with replacing(path) as temporary:
        write(str(temporary))


def _programs(model: Reconstructor) -> tuple[dict[str, tuple[Any, dict[str, Any]]], dict[str, Any]]:
    """Return the programs with what ONNX calls their ends, and what export.json says."""
    observation = _example(model)
    code = model.model.encode(observation)
    latent = torch.zeros(1, model.model.z_dim) if model.model.z_dim else None
    points = torch.rand(1, _EXAMPLE_POINTS, 3) - 0.5
    free = {1: torch.export.Dim("points", min=2, max=2**20)}
    fixed = _fixed(code)
    arguments = (points, code) if latent is None else (points, code, latent)
    shapes = (free, fixed) if latent is None else (free, fixed, None)
    programs: dict[str, tuple[Any, dict[str, Any]]] = {}
    codes = [*code] if isinstance(code, dict) else ["code"]
    if model.model.encoder is not None:
        ends = {"input_names": ["observation"], "output_names": codes}
        programs["encoder"] = _program(_Encoder(model.model), (observation,), None, model), ends
    ends = {
        "input_names": ["points", *codes, *([] if latent is None else ["latent"])],
        "output_names": ["logits"],
    }
    programs["decoder"] = _program(_Decoder(model.model), arguments, shapes, model), ends
    return programs, _told(model, observation, code, latent)


def _example(model: Reconstructor) -> Tensor:
    """Return an observation of the right shape, batch 1.

    Raises:
        ConfigError: observations of this kind have several parts.
    """
    if model.input.parts:
        raise ConfigError(
            f"{model.source}: observations have the parts {', '.join(sorted(model.input.parts))} "
            "beside the main one; only single arrays can be exported"
        )
    generator = torch.Generator().manual_seed(0)
    return torch.rand((1, *model.input.shape), generator=generator) - 0.5


def _fixed(code: Any) -> Any:
    return dict.fromkeys(code) if isinstance(code, dict) else None


def _program(module: nn.Module, arguments: Any, shapes: Any, model: Reconstructor) -> Any:
    try:
        with torch.no_grad(), _quiet():
            return torch.export.export(module.eval(), arguments, dynamic_shapes=shapes)
    except Exception as error:  # whatever of a network cannot be followed
        what = type(module).__name__.removeprefix("_").lower()
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        raise ConfigError(
            f"{model.source}: the {what} of this configuration is nothing that torch.export can "
            f"follow ({type(error).__name__}: {reason[:200]}); use onet.load in Python"
        ) from error


def _onnx(program: Any, names: dict[str, Any], model: Reconstructor) -> Any:
    try:
        with _quiet():
            return torch.onnx.export(program, dynamo=True, verbose=False, **names)
    except Exception as error:  # what ONNX has no word for
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        raise ConfigError(
            f"{model.source}: cannot be said in ONNX ({type(error).__name__}: {reason[:200]}); "
            "leave out ONNX: --no-onnx, or onnx=False"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the notes of torch's exporters, which are about its own future, from the user."""
    names = (
        *("torch.onnx", "torch.export", "torch.fx.experimental.symbolic_shapes"),
        *("onnxscript", "onnx_ir"),
    )
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _told(model: Reconstructor, observation: Tensor, code: Any, latent: Tensor | None) -> Any:
    settings = model.generation_settings()
    parts = code if isinstance(code, dict) else {"code": code}
    return {
        "version": __version__,
        "observation": {
            "input": model.config.data.input,
            "shape": list(observation.shape) if model.model.encoder is not None else None,
        },
        "code": {name: list(part.shape) for name, part in parts.items()},
        "latent": None if latent is None else list(latent.shape),
        "frame": "the bounding box has its centre at the origin and a longest edge of 1",
        "box": (1 + settings.padding) / 2,
        "logit_of_surface": model.config.generation.level,
        "probability_of_surface": model.config.generation.probability,
    }
