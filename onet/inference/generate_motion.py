"""Moving meshes for the sequences of a split, or for files of a user.

OUT/generation.json                     checkpoint, settings and data
OUT/results.csv                         one row per sequence
OUT/meshes/CATEGORY/MODEL.glb           animated, in the source frame of the first frame
OUT/meshes/CATEGORY/MODEL/00000000.ply  a file for each frame, where asked for or where nothing
                                        corresponds over time
OUT/meshes/CATEGORY/MODEL.json          times of the frames
"""

from __future__ import annotations

import logging
import os
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onet._version import __version__
from onet.checkpoints.checkpoint import checksum, resolve_checkpoint
from onet.config import load_config
from onet.data.build import build_sequences
from onet.data.sequence_dataset import SequenceDataset
from onet.data.sequence_folder import PCL_SEQ
from onet.data.store import Store
from onet.errors import ConfigError, DataError
from onet.files import replacing
from onet.geometry.mesh_writing import points_ply
from onet.geometry.normalization import UnitFrame
from onet.geometry.sequences.moving_mesh import MovingMesh
from onet.geometry.sequences.writing import save_animation, save_frames
from onet.inference import generation_folder as folder
from onet.inference.motion import Motion, MotionReconstructor
from onet.inference.motion_sources import MotionTarget, Observed, files_to_observe
from onet.locks import hold, writer
from onet.names import printable
from onet.parallel import run_tasks
from onet.progress import Progress, reports_progress
from onet.records import Row, read_csv, write_csv, write_json

logger = logging.getLogger(__name__)

MOTION = "motion"
"""Key of generation.json that says that its meshes move."""
COLUMNS = (
    "category", "model", "status", "reason", "mesh", "frames", "vertices", "split", "outside",
    "cycle", "bytes", "seconds_observe", "seconds_surface", "seconds_flow", "seconds_write",
)  # fmt: skip
CYCLE_POINTS = 1000


@dataclass(frozen=True)
class MotionReport:
    """What a call of `generate_motion` left behind.

    Attributes:
        out: the folder.
        rows: one row per sequence, keys as in `COLUMNS`.
        skipped: how many of them were there before.
    """

    out: Path
    rows: list[Row]
    skipped: int = 0
    shown = folder.RESULTS

    @property
    def ok(self) -> bool:
        """Every sequence has a moving mesh."""
        return all(row["status"] == folder.OK for row in self.rows)

    def summary(self) -> str:
        """What is there, in a few words."""
        made = [row for row in self.rows if row["status"] == folder.OK]
        left = sum(float(row["outside"]) > 0 for row in made)
        again = f" ({self.skipped} from before)" if self.skipped else ""
        return (
            f"{self.out}: {len(made)} of {len(self.rows)} sequences have a moving mesh{again}"
            + (f"; {left} leave the box of the first frame" if left else "")
        )


@reports_progress
@writer
def generate_motion(
    source: str | os.PathLike[str],
    *,
    input: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    categories: Sequence[str] | None = None,
    samples: int | None = None,
    out: str | os.PathLike[str] | None = None,
    format: str | None = None,
    frames: int | None = None,
    fps: float | None = None,
    limit: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
    **surface: Any,
) -> MotionReport:
    """Reconstruct moving meshes of sequences.

    Called again with the same settings, it makes only what is missing.

    Args:
        source: run folder or checkpoint of a model of motion.
        input: a sequence, or a folder of them; see `onet.inference.motion_sources`. Without it the
            first windows of the sequences of a split.
        data, split, categories: the store; default as configured.
        samples: so many moving shapes of a model with latent codes alone, in the unit frame.
        out: folder of the results; default `generation` in the run folder.
        format: glb for an animation (default), else a folder of ply files.
        frames, fps: at so many times evenly, or so many a second; default those observed.
        limit: at most so many sequences.
        seed: of the observations and samples.
        overwrite: delete what was generated in `out` before.
        device: see `onet.load`.
        progress: see `onet.progress`.
        surface: `resolution`, `probability`, `padding` of `generation`.

    Raises:
        CheckpointError, ConfigError, DataError: nothing can be reconstructed with these arguments;
            among them a folder that was made with other settings.
        FolderInUse: another process writes to the folder.
    """
    if format not in (None, "glb", "ply"):
        raise ConfigError(f"format: {format!r}; moving meshes are written as glb or ply")
    if frames is not None and fps is not None:
        raise ConfigError("frames and fps: give one of them")
    if frames is not None and frames < 2:
        raise ConfigError(f"frames: {frames}; a motion has at least 2")
    model = MotionReconstructor.load(source, device)
    surface = {key: value for key, value in surface.items() if value is not None}
    model.settings(**surface)
    base = Path(source) if Path(source).is_dir() else Path.cwd()
    out = folder.default_folder(base, Path(input) if input else None) if out is None else Path(out)
    hold(out)
    if overwrite:
        folder.clear(out)
    targets, origin = _targets(model, input, data, split, categories, samples, seed)
    job = _Job(model, out, format, frames, fps, seed, surface)
    checkpoint = resolve_checkpoint(source)
    settings = {
        MOTION: True,
        "checkpoint": {"path": str(checkpoint.resolve()), "sha256": checksum(checkpoint)},
        "seed": seed, "frames": frames, "fps": fps, "format": format, "version": __version__,
        **model.settings(**surface).model_dump(include={"resolution", "probability", "padding"}),
        **origin,
        "config": model.config.model_dump(mode="json"),
    }  # fmt: skip
    there = _finished(out, settings)
    folder.write_settings(out, settings)
    asked = targets[:limit]
    skipped = sum((target.category, target.model) in there for target in asked)
    _fill(job, [t for t in asked if (t.category, t.model) not in there], there)
    return MotionReport(out, [there[t.category, t.model] for t in asked], skipped)


def _finished(out: Path, settings: dict[str, Any]) -> dict[folder.Key, Row]:
    """Return the rows of the moving meshes that are there, made with the same settings."""
    if not folder.goes_on(out, settings) or not (out / folder.RESULTS).is_file():
        return {}
    return {
        (row["category"], row["model"]): row
        for _, row in read_csv(out / folder.RESULTS, COLUMNS)
        if row["status"] == folder.OK and (out / row["mesh"]).exists()
    }


@dataclass(frozen=True)
class _Job:
    model: MotionReconstructor
    out: Path
    format: str | None
    frames: int | None
    fps: float | None
    seed: int
    surface: dict[str, Any]


def _targets(
    model: MotionReconstructor,
    input: str | os.PathLike[str] | None,
    data: str | os.PathLike[str] | None,
    split: str | None,
    categories: Sequence[str] | None,
    samples: int | None,
    seed: int,
) -> tuple[list[MotionTarget], dict[str, Any]]:
    """Return what to reconstruct, and where it is from."""
    if samples is not None:
        count = samples
        model.model.sample_prior(1)  # refuses models that observe
        return [_sample(model, k, seed) for k in range(count)], {"samples": count}
    if input is not None:
        if model.input.kind != "sequence":
            raise ConfigError("input: the model observes nothing; leave out the input")
        return files_to_observe(model.input, Path(input)), {"input": str(Path(input).resolve())}
    changes: dict[str, Any] = {"data.path": str(data)} if data else {}
    if categories:
        changes["data.categories"] = list(categories)
    config = load_config(model.config, changes)
    split = split or config.data.test_split
    store = Store(config.data.path)
    dataset = build_sequences(config, split, training=False, store=store)
    first: dict[str, int] = {}
    for index, (sequence, _) in enumerate(dataset.windows):
        first.setdefault(sequence.item.name, index)
    origin = {
        "data": str(Path(store.root).resolve()), "split": split,
        "categories": list(config.data.categories or store.categories),
    }  # fmt: skip
    return [_window(dataset, index) for index in first.values()], origin


def _window(dataset: SequenceDataset, index: int) -> MotionTarget:
    """The window of a prepared sequence as something to observe."""
    sequence, numbers, unit_times = dataset.numbers(index)

    def observe(rng: np.random.Generator) -> Observed:
        frame = sequence.frame(numbers[0], PCL_SEQ)
        times = sequence.times[numbers]
        if dataset.input.kind != "sequence":
            nothing = np.zeros((len(numbers), 1, 3), np.float32)
            return Observed(nothing, unit_times.astype(np.float64), times, frame)
        ends = dataset.input.ends
        seen = [numbers[0], numbers[-1]] if ends else numbers
        at = unit_times[[0, -1]] if ends else unit_times
        frames = dataset.input.of_sequence(sequence, seen, frame, rng, training=False)
        return Observed(frames, at.astype(np.float64), times, frame)

    return MotionTarget(sequence.item.category, sequence.item.model, observe)


def _sample(model: MotionReconstructor, number: int, seed: int) -> MotionTarget:
    """A moving shape of the prior: its code takes the place of an observation."""
    import torch

    def observe(rng: np.random.Generator) -> Any:
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        return model.model.sample_prior(1, generator)

    return MotionTarget("", f"sample_{number:04d}", observe)


def _fill(job: _Job, targets: Sequence[MotionTarget], rows: dict[folder.Key, Row]) -> None:
    """Make the moving meshes of targets; adds their rows, each of which is written at once."""
    tasks = run_tasks(
        lambda target: _make(job, target), targets, 1, describe=lambda t: t.model,
        title="reconstructing",
    )  # fmt: skip
    for target, outcome in tasks:
        if isinstance(outcome, ConfigError):
            raise outcome
        if isinstance(outcome, Exception):
            reason = " ".join(str(outcome).split())
            if not isinstance(outcome, DataError):
                reason = f"{type(outcome).__name__}: {reason}"
            logger.warning("%s: %s", printable(target.model), reason)
            outcome = dict.fromkeys(COLUMNS, "") | {
                "category": target.category, "model": target.model, "status": folder.FAILED,
                "reason": reason,
            }  # fmt: skip
        rows[target.category, target.model] = outcome
        write_csv(job.out / folder.RESULTS, COLUMNS, rows.values())


def _make(job: _Job, target: MotionTarget) -> Row:
    """Observe a sequence, make its moving mesh, write its files; returns its row."""
    model, begin = job.model, time.perf_counter()
    rng = np.random.default_rng([job.seed, zlib.crc32(target.model.encode("utf-8", "replace"))])
    seen = target.observe(rng)
    if isinstance(seen, Observed):
        code, frame, times = model.encode(seen.frames, seen.unit_times), seen.frame, seen.times
    else:
        code, frame, times = seen, UnitFrame(np.zeros(3), 1.0), np.linspace(0, 1, 17)
    times = _asked(times, job.frames, job.fps)
    unit = (times - times[0]) / (times[-1] - times[0])
    observed = time.perf_counter()
    motion = model.animate(code, unit, **job.surface)
    cycle = _cycle(model, code, motion)
    made = time.perf_counter()
    if motion.outside > 0:
        logger.warning(
            "%s: the motion leaves the box of the first frame by %.3g of its longest edge",
            printable(target.model), motion.outside,
        )  # fmt: skip
    mesh, size = write_motion(job.out, target.category, target.model, job.format,
                              motion.in_frame(frame, times, target.model))  # fmt: skip
    return {
        "category": target.category, "model": target.model, "status": folder.OK, "reason": "",
        "mesh": mesh, "frames": len(times), "vertices": len(motion.vertices[0]),
        "split": motion.split, "outside": round(motion.outside, 5), "cycle": cycle, "bytes": size,
        "seconds_observe": round(observed - begin, 4),
        "seconds_surface": round(motion.seconds.get("surface", 0.0), 4),
        "seconds_flow": round(motion.seconds.get("flow", 0.0), 4),
        "seconds_write": round(time.perf_counter() - made, 4),
    }  # fmt: skip


def _asked(times: Any, frames: int | None, fps: float | None) -> Any:
    if frames is None and fps is not None:
        frames = max(2, round((times[-1] - times[0]) * fps) + 1)
    return times if frames is None else np.linspace(times[0], times[-1], frames)


def _cycle(model: MotionReconstructor, code: Any, motion: Motion) -> float | str:
    """Mean distance of vertices that were carried to the last time and back, or nothing."""
    if not hasattr(model.model, "flow"):
        return ""
    points = motion.vertices[0][:: max(1, len(motion.vertices[0]) // CYCLE_POINTS)]
    back = model.carry(points, code, np.array([1.0, 0.0]))[1]
    return float(np.linalg.norm(back - points, axis=1).mean())


def write_motion(
    out: Path, category: str, model: str, format: str | None, mesh: MovingMesh
) -> tuple[str, int]:
    """Write a moving mesh below a folder; returns its path in it, and the bytes that it takes."""
    place = out / folder.MESHES / category / model
    place.parent.mkdir(parents=True, exist_ok=True)
    if len(mesh.faces[0]) and mesh.corresponding and format != "ply":
        file = save_animation(mesh, place.with_name(f"{place.name}.glb"))
        size = file.stat().st_size
    else:
        file, files = place, _save_frames(mesh, place)
        size = sum(one.stat().st_size for one in files)
    write_json(place.with_name(f"{place.name}.json"), {"times": mesh.times.tolist()})
    return file.relative_to(out).as_posix(), size


def _save_frames(mesh: MovingMesh, place: Path) -> list[Path]:
    if len(mesh.faces[0]):
        return save_frames(mesh, place)
    place.mkdir(parents=True, exist_ok=True)
    files = [place / f"{number:08d}.ply" for number in range(len(mesh))]
    for file, points in zip(files, mesh.vertices, strict=True):
        with replacing(file) as temporary:
            temporary.write_bytes(points_ply(points))
    return files
