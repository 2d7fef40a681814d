"""One shape as a function: with a code of its own under a trained decoder, or a network of its own.

A code is found by `onet.inference.auto_decoding`. A network is trained by `onet.training.loop` on
the labelled points of the shape alone.

    OUT/fit.json            how it was made, the frame, the scores
    OUT/mesh.ply            in the source frame
    OUT/code.safetensors    the code `c`, the latent code `z`; or, for a network of its own,
    OUT/checkpoints/ ...    the run folder
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from onet.checkpoints.checkpoint import load_checkpoint
from onet.checkpoints.kinds_of_files import no_mesh
from onet.checkpoints.run_folder import CHECKPOINTS, last_checkpoint
from onet.config import Config, load_config, with_changes
from onet.data.build import build_input
from onet.data.closed_mesh import ClosedMesh, close_mesh, label_points, trust_mesh
from onet.data.labelled_points import LabelledPoints
from onet.errors import CheckpointError, ConfigError, DataError
from onet.files import replacing
from onet.geometry.mesh_io import save_mesh
from onet.geometry.mesh_memory import MeshLike, take_mesh
from onet.geometry.normalization import UnitFrame
from onet.inference import reconstructor
from onet.inference.auto_decoding import PENALTY, STEP_SIZE, STEPS, find_code
from onet.inference.devices import choose_device
from onet.inference.field import OccupancyField
from onet.inference.reconstructor import Reconstructor
from onet.inference.surface import SurfaceOptions, renamed_options, surface_settings
from onet.locks import hold, writer
from onet.metrics.scores import intersection_over_union
from onet.progress import Progress, reports_progress
from onet.provenance import Provenance
from onet.training.interruption import pass_on
from onet.training.loop import train

logger = logging.getLogger(__name__)

RECORD = "fit.json"
CODE = "code.safetensors"
MESH = "mesh"

KEYS = (
    *("mesh", "kind", "model", "iou", "probability", "parameters", "seconds", "steps"),
    *("learning_rate", "penalty", "seed", "loc", "scale", "watertight", "version"),
)
"""Of fit.json."""

POOL = 200_000
"""Labelled points that are learned from: anywhere, and for a network as many near the surface."""

HELD = 20_000
"""Of those anywhere, validation points of a network's training, unless its configuration says."""

NEAR = 0.02
"""Standard deviation of the points near the surface, in units of the longest edge."""

SCORED = 100_000
"""Points that the IoU is measured on, anywhere in the padded cube; none is learned from."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A shape as a function.

    Attributes:
        field: logits of occupancy of points in the unit frame.
        frame: takes the unit frame to that of the mesh given.
        mesh: the surface of the field in the source frame; empty (with a warning) if there is none.
        solid: what was fitted, in the unit frame.
        iou: of field and solid, on points that were not learned from, at the surface's probability.
        parameters: numbers that belong to this shape alone: those of its code or its network.
        seconds: for the fit itself, without closing and extracting.
        code: `c` and `z`, whichever the model has; nothing for a network of its own.
        record: contents of fit.json.
        out: folder with the results, where one was asked for.
    """

    field: OccupancyField
    frame: UnitFrame
    mesh: trimesh.Trimesh
    solid: ClosedMesh
    iou: float
    parameters: int
    seconds: float
    code: dict[str, Tensor]
    record: dict[str, Any]
    out: Path | None

    def summary(self) -> str:
        """Scores and size, in one line."""
        what = "code" if self.code else "network"
        return (
            f"IoU {self.iou:.4f} with the solid, a {what} of {self.parameters:,} numbers fitted in "
            f"{self.seconds:.0f} s; mesh of {len(self.mesh.faces):,} faces"
        )


@renamed_options
@reports_progress
@writer
def fit(
    mesh: MeshLike,
    model: Reconstructor | str | os.PathLike[str] | None = None,
    *,
    config: Config | str | os.PathLike[str] = "fit",
    out: str | os.PathLike[str] | None = None,
    closed: bool = False,
    watertight_resolution: int = 256,
    steps: int | None = None,
    learning_rate: float | None = None,
    penalty: float = PENALTY,
    format: str | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    **options: Unpack[SurfaceOptions],
) -> Fit:
    """Represent a mesh by a code of its own under a trained decoder, or by a network of its own.

    A network learns from labelled points of which half are near the surface, which at 500 steps
    gave a chair an IoU of 0.93 in place of 0.87; a code from points anywhere, as its decoder did.
    The same arguments give the same result, on a CPU with the same number of threads. A network's
    fit that was interrupted goes on when it is called again with them.

    Args:
        mesh: a file, or a mesh of trimesh or Open3D, in any condition and frame.
        model: run folder, checkpoint or loaded model whose decoder is used as it is. Its codes must
            be tensors of `c_dim` and `z_dim` numbers. None trains a network of its own.
        config: of that network, a packaged name, file or configuration; its section `training` says
            how long and on what device.
        out: folder for the results; None writes nothing.
        closed: the mesh is watertight, take it as it is; otherwise it is closed as for `prepare`.
        watertight_resolution: of the grid that closes it.
        steps: of Adam, on 2,048 points each; default 800 for a code. For a network they replace
            `training.max_iterations`.
        learning_rate: default 0.02 for a code, a tenth of it in the second half. For a network it
            replaces `training.learning_rate`.
        penalty: of the squared norm of a code.
        format: of the mesh file; default as configured.
        seed: of the points, and of the network's weights.
        device: of a code's fit and of extraction, see `onet.load`.
        progress: see `onet.progress`; called after every step.
        options: of extraction, see `SurfaceOptions`. The probability is 0.5 unless given: labels
            are known, and no uncertainty of an observation has to be made up for.

    Raises:
        DataError: the mesh cannot be read or closed, or is not closed as `closed` says.
        ConfigError: settings out of range, a model whose code is no such tensor, or a folder that
            holds another run already.
        CheckpointError: the model cannot be read.
    """
    if isinstance(mesh, str | os.PathLike) and (problem := no_mesh(Path(mesh))):
        raise DataError(problem)
    folder = None if out is None else Path(out)
    if folder is not None:
        hold(folder, below=(CHECKPOINTS,))
    _check(steps=steps, learning_rate=learning_rate, penalty=penalty)
    choose_device(device)  # now, not after training
    learner = _settle(config, steps, learning_rate, seed) if model is None else _load(model, device)
    section = (learner if isinstance(learner, Config) else learner.config).generation
    settings: SurfaceOptions = {**options, "probability": options.get("probability") or 0.5}
    surface = surface_settings(section, format=format, **settings)

    name, solid = _solid_of(mesh, closed, watertight_resolution)
    rng = np.random.default_rng(seed)
    if isinstance(learner, Config):
        points, occupancies = _label(solid, name, POOL, rng)
        learned = _learn_network(learner, folder, points, occupancies, device)
    else:
        points, occupancies = _label(solid, name, 0, rng)
        adam = (steps or STEPS, learning_rate or STEP_SIZE, penalty)
        learned = _learn_code(learner, points, occupancies, *adam, rng)

    c, z = _parts(learned.model, learned.code)
    field = learned.model.field_of_code(c, surface.precision, z)
    where, truth = label_points(solid, SCORED, 0, 0.0, rng)
    iou = intersection_over_union(field(where) > surface.level, truth)
    result = solid.frame.mesh_to_source(learned.model.surface(c, latent=z, **settings))
    told = {"mesh": name, "iou": iou, "probability": surface.probability, **learned.as_dict()}
    record = _record(solid, seed, told)
    if folder is not None:
        _write_result(folder, learned.code, result, surface.format, record)
    made = (learned.parameters, learned.seconds, learned.code)
    return Fit(field, solid.frame, result, solid, iou, *made, record, folder)


@dataclass(frozen=True, eq=False)
class _Learned:
    """What was learned of a shape, and how.

    Attributes:
        model: a network of its own, or the one whose decoder the code is for.
        code: `c` and `z`, whichever that model has; nothing for a network of its own.
        parameters: numbers that were learned.
        steps, learning_rate: of the optimiser.
        penalty: of the squared norm of a code.
        seconds: that it took.
    """

    model: Reconstructor
    code: dict[str, Tensor]
    parameters: int
    steps: int | None
    learning_rate: float
    penalty: float | None
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return what fit.json says of it."""
        return {
            "kind": "code" if self.code else "network",
            "model": _identity(self.model) if self.code else None,
            "parameters": self.parameters,
            "steps": self.steps,
            "learning_rate": self.learning_rate,
            "penalty": self.penalty,
            "seconds": round(self.seconds, 3),
        }


def _solid_of(mesh: MeshLike, closed: bool, resolution: int) -> tuple[str, ClosedMesh]:
    """Return what to call a mesh, and the solid that it bounds."""
    name = str(mesh) if isinstance(mesh, str | os.PathLike) else "mesh"
    raw = take_mesh(mesh)
    return name, trust_mesh(raw, name) if closed else close_mesh(raw, name, resolution)


def _label(
    solid: ClosedMesh, name: str, near: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the points to learn from, `near` of them near the surface, and which are inside."""
    points, occupancies = label_points(solid, POOL, near, NEAR, rng)
    if occupancies.all() or not occupancies.any():
        raise DataError(f"{name}: no point of {len(points)} tells inside from outside; thicken it")
    return points, occupancies


def _learn_network(
    config: Config,
    folder: Path | None,
    points: NDArray[np.float32],
    occupancies: NDArray[np.bool_],
    device: str,
) -> _Learned:
    """Train the network of a shape, see `_train`."""
    start = time.perf_counter()
    fitted = _train(config, folder, points, occupancies, device)
    seconds = time.perf_counter() - start
    count = sum(p.numel() for p in fitted.model.parameters())
    steps, learning_rate = config.training.max_iterations, config.training.learning_rate
    return _Learned(fitted, {}, count, steps, learning_rate, None, seconds)


def _learn_code(
    model: Reconstructor,
    points: NDArray[np.float32],
    occupancies: NDArray[np.bool_],
    steps: int,
    learning_rate: float,
    penalty: float,
    rng: np.random.Generator,
) -> _Learned:
    """Find the code of a shape, see `find_code`."""
    start = time.perf_counter()
    code = find_code(model, points, occupancies, steps, learning_rate, penalty, rng)
    seconds = time.perf_counter() - start
    count = sum(part.numel() for part in code.values())
    return _Learned(model, code, count, steps, learning_rate, penalty, seconds)


def _record(solid: ClosedMesh, seed: int, told: dict[str, Any]) -> dict[str, Any]:
    """Return the contents of fit.json; `told` is all but what is known of the solid."""
    return Provenance(seed=seed).as_dict(
        KEYS,
        loc=solid.frame.loc.tolist(),
        scale=solid.frame.scale,
        watertight=solid.method,
        **told,
    )


def _write_result(
    folder: Path,
    code: dict[str, Tensor],
    mesh: trimesh.Trimesh,
    format: str,
    record: dict[str, Any],
) -> None:
    """Write what `fit` leaves beside a run folder; fit.json last, as it says that all is there."""
    if code:
        _write(folder / CODE, save(code))
    if len(mesh.faces):
        save_mesh(mesh, folder / f"{MESH}.{format}")
    _write(folder / RECORD, (json.dumps(record, indent=2) + "\n").encode())


def load_fit(
    folder: str | os.PathLike[str],
    device: str = "auto",
    model: Reconstructor | str | os.PathLike[str] | None = None,
) -> tuple[OccupancyField, UnitFrame]:
    """Return the field that `fit` left in a folder, in the unit frame, and the frame it belongs to.

    Args:
        folder: the folder that `fit` wrote.
        device: see `onet.load`.
        model: the model whose decoder the code is for, if it is no longer where it was.

    Raises:
        DataError: no result of `fit` there.
        CheckpointError: model or code cannot be read, or the model is another one.
    """
    folder = Path(folder)
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        frame = UnitFrame(np.array(record["loc"], dtype=np.float64), float(record["scale"]))
        kind, origin = record["kind"], record["model"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder / RECORD}: cannot be read ({error}); name a folder written by `onet fit`"
        ) from None
    if kind == "network":
        fitted, code = reconstructor.load(folder, device), {}
    else:
        fitted = _load(origin["path"] if model is None else model, device)
        if _identity(fitted)["weights"] != origin["weights"]:
            raise CheckpointError(
                f"{folder / CODE}: is a code of another model than {fitted.source}; give that one"
            )
        try:
            stored = load((folder / CODE).read_bytes())
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{folder / CODE}: cannot be read ({error}); fit again") from None
        code = {key: value.to(fitted.device) for key, value in stored.items()}
    c, z = _parts(fitted, code)
    return fitted.field_of_code(c, z=z), frame


def _check(**numbers: float | None) -> None:
    for name, value in numbers.items():
        if value is not None and not (value > 0 or (name == "penalty" and value == 0)):
            raise ConfigError(f"{name}: {value}; give more than 0")


def _load(model: Reconstructor | str | os.PathLike[str], device: str) -> Reconstructor:
    """Return a model without calibration: that is of the codes that its encoder gives."""
    loaded = model if isinstance(model, Reconstructor) else reconstructor.load(model, device)
    return Reconstructor(loaded.model, loaded.config, loaded.metadata, loaded.source)


def _settle(
    config: Config | str | os.PathLike[str],
    steps: int | None,
    learning_rate: float | None,
    seed: int,
) -> Config:
    """Return the configuration of a shape's own network with what the arguments say."""
    if not isinstance(config, Config):
        config = load_config(os.fspath(config))
    changes = {"max_iterations": steps, "learning_rate": learning_rate, "seed": seed}
    training = with_changes(
        config.training, {k: v for k, v in changes.items() if v is not None}, "training"
    )
    if training.max_iterations is None and training.max_minutes is None:
        raise ConfigError("training.max_iterations: a fit has to end; give a number")
    if not isinstance(config.data.points_subsample, int):
        raise ConfigError("data.points_subsample: give one number; there is no choice of kinds")
    return config.model_copy(update={"training": training})


def _train(
    config: Config,
    folder: Path | None,
    points: NDArray[np.float32],  # (N, 3) in the unit frame, uniform ones first
    occupancies: NDArray[np.bool_],  # (N,)
    device: str,
) -> Reconstructor:
    """Train the network of a shape in a run folder; the best checkpoint of the run."""
    held = min(config.training.validation_points or HELD, POOL // 2)
    subsample, seed = config.data.points_subsample, config.training.seed
    observed = build_input(config)
    datasets = {
        "train": LabelledPoints(points[held:], occupancies[held:], observed, subsample, seed),
        "val": LabelledPoints(points[:held], occupancies[:held], observed),
    }
    scratch = nullcontext(folder) if folder else tempfile.TemporaryDirectory()
    resume = folder is not None and _is_unfinished(folder, config, datasets["train"].fingerprint())
    with scratch as run:
        result = train(config, str(run), resume=resume, datasets=datasets)
        if result.stopped == "interrupted":
            pass_on(result.signal)
        return reconstructor.load(str(run), device)


def _is_unfinished(folder: Path, config: Config, fingerprint: str) -> bool:
    """Return whether a folder holds the beginning of this very fit."""
    last = last_checkpoint(folder)
    if (folder / RECORD).is_file() or not last.is_file():
        return False
    begun = load_checkpoint(last)
    same = begun.config.data == config.data and begun.config.training == config.training
    return same and begun.metadata.get("data_fingerprint") == fingerprint


def _parts(model: Reconstructor, code: dict[str, Tensor]) -> tuple[Tensor, Tensor | None]:
    """Code (C,) and latent code (Z,) of what was fitted; those that the network makes of nothing
    where it was the network."""
    if code:
        return code.get("c", torch.zeros(0, device=model.device)), code.get("z")
    observed = model.input.observe(0, np.random.default_rng(0))
    c = model.encode(observed)
    if isinstance(c, dict):
        raise ConfigError("model.encoder: the network of a single shape has no local features")
    return c, None


def _identity(model: Reconstructor) -> dict[str, str]:
    """Where a model is, and a hash of its decoder, by which it is known elsewhere."""
    digest = hashlib.sha256()
    for key, value in model.model.decoder.state_dict().items():
        digest.update(key.encode() + value.cpu().contiguous().numpy().tobytes())
    return {"path": os.path.abspath(model.source), "weights": digest.hexdigest()}


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)
