"""From moving meshes to a store of sequences in the published layout.

A sequence is an npz file, an animated glTF file or a folder of meshes
(`onet.geometry.sequences.reading`). The first folder below the root is its category where there is
one above the sequence; deeper folders become part of its name, joined by `__`. Occupancies are told
by winding numbers of each frame's mesh. Surface points keep their face and their place in it over
time, so they correspond wherever all frames have the same faces; else they are drawn for each frame
and the record says so.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
import zlib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.data.item_writing import write_pointcloud, write_points
from onet.data.packed.reading import refuse_packed
from onet.data.prepare import Failure, PrepareReport, write_failures
from onet.data.sequence_folder import (
    PCL_SEQ,
    POINTS_SEQ,
    frame_name,
    read_sequence_record,
    write_sequence_record,
)
from onet.data.settings import PrepareSettings
from onet.data.splits import SPLITS, assign_splits, write_splits
from onet.data.store_folder import FAILURES, read_metadata, write_metadata
from onet.errors import DataError, StorageError
from onet.geometry.normalization import UnitFrame
from onet.geometry.sampling import sample_box, sample_surface
from onet.geometry.sequences.moving_mesh import MovingMesh
from onet.geometry.sequences.reading import is_sequence, natural_key, read_sequence
from onet.geometry.winding import WindingTree
from onet.locks import hold, writer
from onet.names import printable
from onet.parallel import run_tasks
from onet.progress import Progress, reports_progress

logger = logging.getLogger(__name__)

FORMAT = 1


@dataclass(frozen=True)
class SequencePlan:
    """A sequence to make: where it is, what it is called, and how.

    Attributes:
        path: file or folder.
        category, model: of the store.
        folder: its folder in the store.
        settings: of the points.
        frames, fps: resampled to, or None.
    """

    path: Path
    category: str
    model: str
    folder: Path
    settings: PrepareSettings
    frames: int | None
    fps: float | None

    def of_item(self) -> dict[str, Any]:
        """Return what the content of the sequence depends on, beside its file."""
        s = self.settings
        return {
            "format": FORMAT, "points": s.points, "surface": s.surface, "padding": s.padding,
            "seed": s.seed, "frames": self.frames, "fps": self.fps,
        }  # fmt: skip


@reports_progress
@writer
def prepare_sequences(
    meshes: str | os.PathLike[str],
    out: str | os.PathLike[str],
    settings: PrepareSettings | None = None,
    *,
    frames: int | None = None,
    fps: float | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> PrepareReport:
    """Prepare all sequences below a folder; see `onet.data.sequence_folder` for the files.

    Args:
        meshes: folder of sequences.
        out: the store to make or extend. Finished sequences are kept if settings are the same.
        settings: `points`, `surface`, `padding`, `seed`, `split`, `split_by`, `group_pattern`,
            `categories`, `overwrite`; the others have no effect on sequences.
        frames, fps: resample each sequence to so many frames, or so many a second; one of them.
        workers, scheduler: see `onet.parallel.run_tasks`.
        progress: see `onet.progress`.
        changes: fields of `PrepareSettings` that differ from the defaults.

    Raises:
        DataError: no sequences, or settings that cannot be used.
        FolderInUse: another process writes to the store.
        StorageError: the disk is full, or `out` cannot be written.
    """
    start = time.monotonic()
    settings = PrepareSettings(**changes) if settings is None else settings
    if frames is not None and fps is not None:
        raise DataError("prepare: frames and fps: give one of them")
    root, store = Path(meshes), Path(out)
    refuse_packed(store)
    hold(store)
    plans = _plan(root, store, settings, frames, fps)
    report = PrepareReport(store)
    todo = [plan for plan in plans if settings.overwrite or not _finished(plan)]
    report.kept = len(plans) - len(todo)
    tasks = run_tasks(
        prepare_sequence, todo, workers, scheduler, lambda p: f"{p.category}/{p.model}", "prepare"
    )
    with closing(tasks):
        for plan, outcome in tasks:
            if isinstance(outcome, StorageError):
                raise outcome
            if isinstance(outcome, Exception):
                text = str(outcome).removeprefix(f"{plan.path}: ")
                kind = "" if isinstance(outcome, DataError) else f"{type(outcome).__name__}: "
                report.fail(plan.path.relative_to(root).as_posix(), kind + text)
            else:
                report.prepared += 1
    report.failures.sort(key=lambda failure: failure.file)
    write_failures(store / FAILURES, report.failures)
    report.splits = _write_lists(store, root, plans, settings, report.failures)
    report.seconds = time.monotonic() - start
    return report


def _plan(
    root: Path, store: Path, settings: PrepareSettings, frames: int | None, fps: float | None
) -> list[SequencePlan]:
    """Find the sequences below a folder.

    Raises:
        DataError: there are none, or two of one name.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the folder of the sequences")
    paths: list[Path] = []
    for folder, below, files in os.walk(root):
        here = Path(folder)
        if here == store or (here != root and is_sequence(here)):
            below.clear()
            if here != store:
                paths.append(here)
            continue
        paths += [here / name for name in files if is_sequence(here / name)]
    plans: dict[tuple[str, str], SequencePlan] = {}
    for path in sorted(paths, key=lambda p: natural_key(p.as_posix())):
        parts = path.relative_to(root).with_suffix("").parts if path.is_file() else (
            path.relative_to(root).parts
        )  # fmt: skip
        category = parts[0] if len(parts) > 1 else (root.name or "sequences")
        model = "__".join(parts[1:] or parts)
        if settings.categories and category not in settings.categories:
            continue
        plan = SequencePlan(path, category, model, store / category / model, settings, frames, fps)
        if (other := plans.get((category, model))) is not None:
            raise DataError(
                f"{path}: would be called {category}/{model}, as {other.path} is; rename one"
            )
        plans[category, model] = plan
    if not plans:
        raise DataError(
            f"{root}: no sequences; expected folders of meshes (a frame each), npz files with "
            "vertices (T, V, 3) and faces, or animated .glb files"
        )
    return list(plans.values())


def _finished(plan: SequencePlan) -> bool:
    try:
        record = read_sequence_record(plan.folder)
    except DataError:
        return False
    count = len(record.get("times", ()))
    return (
        count > 0
        and record.get("settings") == plan.of_item()
        and record.get("source") == _fingerprint(plan.path)
        and all(
            (plan.folder / kind / frame_name(k)).is_file()
            for kind in (POINTS_SEQ, PCL_SEQ)
            for k in range(count)
        )
    )


def _fingerprint(path: Path) -> dict[str, int]:
    """Names and sizes of the files of a sequence."""
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.is_file())
    return {file.name: file.stat().st_size for file in files}


def prepare_sequence(plan: SequencePlan) -> dict[str, Any]:
    """Make one sequence; returns its record, which is written last.

    Raises:
        DataError: the sequence cannot be used.
    """
    moving = read_sequence(plan.path, plan.fps)
    if plan.frames is not None or (plan.fps is not None and moving.corresponding):
        moving = moving.resampled(plan.frames, plan.fps)
    if plan.folder.exists():
        shutil.rmtree(plan.folder)
    for kind in (POINTS_SEQ, PCL_SEQ):
        (plan.folder / kind).mkdir(parents=True)
    rng = np.random.default_rng(
        [plan.settings.seed, zlib.crc32(f"{plan.category}/{plan.model}".encode())]
    )
    corresponding, turned = moving.corresponding, _turned(moving)
    places: _Places | None = None
    open_frames = 0
    for number in range(len(moving)):
        mesh = _mesh(moving, number, turned)
        open_frames += not _closed(mesh)
        frame = UnitFrame.of(moving.vertices[number], f"{plan.path}: frame {number}")
        mesh = frame.mesh_to_unit(mesh)
        if places is None or not corresponding:
            places = _Places.drawn(mesh, plan.settings.surface, rng)
        surface, normals = places.on(mesh)
        box = sample_box(plan.settings.points, plan.settings.padding, rng).astype(np.float16)
        inside = WindingTree(mesh).winding_number(box.astype(np.float64), threads=1) > 0.5
        name = frame_name(number)
        write_points(plan.folder / POINTS_SEQ / name, box, inside, frame)
        write_pointcloud(plan.folder / PCL_SEQ / name, surface, normals, frame)
    if open_frames:
        logger.warning(
            "%s: %d of %d frames are not closed; inside is where they wind around most",
            plan.path, open_frames, len(moving),
        )  # fmt: skip
    record = {
        "settings": plan.of_item(),
        "source": _fingerprint(plan.path),
        "times": moving.times.tolist(),
        "corresponding": corresponding,
        "turned_outward": turned,
        "open_frames": open_frames,
        "vertices": sorted({len(v) for v in moving.vertices}),
    }
    write_sequence_record(plan.folder, record)
    return record


@dataclass(frozen=True, eq=False)
class _Places:
    """Places on faces: corresponding points of all meshes with these faces."""

    faces: NDArray[np.int64]  # (M,)
    weights: NDArray[np.float64]  # (M, 3), the sum 1

    @classmethod
    def drawn(cls, mesh: Any, count: int, rng: np.random.Generator) -> _Places:
        """Uniform over the area of a mesh."""
        _, _, faces = sample_surface(mesh, count, rng)
        return cls(faces, rng.dirichlet(np.ones(3), count))

    def on(self, mesh: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Points (M, 3) of a mesh, and its normals there."""
        corners = np.asarray(mesh.vertices)[np.asarray(mesh.faces)[self.faces]]
        points = (corners * self.weights[:, :, None]).sum(1)
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        return points, normals / np.where(lengths > 0, lengths, 1)


def _mesh(moving: MovingMesh, number: int, turned: bool) -> Any:
    import trimesh

    faces = moving.faces[number]
    return trimesh.Trimesh(
        moving.vertices[number], faces[:, ::-1] if turned else faces, process=False
    )


def _turned(moving: MovingMesh) -> bool:
    """Whether faces point inward: the first frame encloses a negative volume."""
    v, f = moving.vertices[0], moving.faces[0]
    corners = v[f] - v.mean(axis=0)
    return bool(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) < 0)


def _closed(mesh: Any) -> bool:
    """Whether each edge between two places is shared by two faces, once in each direction."""
    _, place = np.unique(np.asarray(mesh.vertices), axis=0, return_inverse=True)
    faces = place.reshape(-1)[np.asarray(mesh.faces)]
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    keys = edges[:, 0] * (place.max() + 1) + edges[:, 1]
    back = edges[:, 1] * (place.max() + 1) + edges[:, 0]
    real = edges[:, 0] != edges[:, 1]
    return bool(np.array_equal(np.sort(keys[real]), np.sort(back[real])))


def _write_lists(
    store: Path,
    root: Path,
    plans: list[SequencePlan],
    settings: PrepareSettings,
    failures: list[Failure],
) -> dict[str, dict[str, int]]:
    """Write split lists and metadata; returns the number of sequences of each split."""
    failed = {failure.file for failure in failures}
    pattern = re.compile(settings.group_pattern)
    result: dict[str, dict[str, int]] = {}
    for category in dict.fromkeys(plan.category for plan in plans):
        members = [plan for plan in plans if plan.category == category]
        groups = {p.model: _group(p.model, pattern, settings.split_by) for p in members}
        splits = assign_splits(groups, settings.split, settings.seed, category)
        made = {
            p.model: splits[p.model]
            for p in members
            if p.path.relative_to(root).as_posix() not in failed
        }
        result[category] = {split: [*made.values()].count(split) for split in SPLITS}
        if made:
            write_splits(store / category, made)
    metadata = read_metadata(store)
    for category in result:
        metadata.setdefault(category, {"id": category, "name": category})
    write_metadata(store, metadata)
    logger.info("%s: %d sequences", printable(str(store)), len(plans) - len(failed))
    return result


def _group(model: str, pattern: re.Pattern[str], split_by: str) -> str:
    match = pattern.search(model) if split_by == "source" else None
    if match is None:
        return model
    return match.group(1) if pattern.groups else match.group()
