"""What models of motion are given: sequences of a user, or of a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.archives import members, read_npz
from onet.data.inputs.sequences import PICTURE_SUFFIXES
from onet.errors import ConfigError, DataError
from onet.geometry.normalization import UnitFrame
from onet.geometry.point_cloud_io import POINT_SUFFIXES, load_points
from onet.geometry.sampling import sample_surface
from onet.geometry.sequences.moving_mesh import MovingMesh, check_times
from onet.geometry.sequences.reading import ARCHIVE, frame_files, is_sequence, read_sequence
from onet.names import told_apart

SAMPLES = 10_000  # surface points of a mesh, from which those observed are drawn


@dataclass(frozen=True, eq=False)
class Observed:
    """An observed sequence, as a model takes it.

    Attributes:
        frames: (L, N, 3) float32 in the unit frame, or (L, 3, H, W).
        unit_times: (L,) in [0, 1].
        times: (L,) as the source tells them.
        frame: unit frame of the first frame.
    """

    frames: NDArray[np.float32]
    unit_times: NDArray[np.float64]
    times: NDArray[np.float64]
    frame: UnitFrame


@dataclass(frozen=True)
class MotionTarget:
    """A sequence to reconstruct.

    Attributes:
        category, model: what it is called.
        observe: reads it, with draws from a generator.
    """

    category: str
    model: str
    observe: Callable[[np.random.Generator], Observed]


def files_to_observe(input: Any, path: Path) -> list[MotionTarget]:
    """Return the sequence that a file or folder is, or those in it.

    Raises:
        DataError: there is none.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; give a sequence, or a folder of them")
    if _may_be(input, path):
        found = [path]
    else:
        below = sorted(path.iterdir()) if path.is_dir() else []
        found = [p for p in below if _may_be(input, p)]
    if not found:
        raise DataError(
            f"{path}: no sequence of {input.frame_kind}; give a folder with a file for each frame, "
            "an npz with points (T, N, 3) or vertices (T, V, 3) and faces, an animated .glb, or a "
            "folder of them"
        )
    stems = [p.stem if p.is_file() else p.name for p in found]
    names = told_apart(stems, [p.name for p in found], [str(p) for p in found])
    return [
        MotionTarget("", name, lambda rng, p=p: observe(input, p, rng))  # type: ignore[misc]
        for p, name in zip(found, names, strict=True)
    ]


def _may_be(input: Any, path: Path) -> bool:
    if input.frame_kind == "image":
        return path.is_dir() and bool(frame_files(path, PICTURE_SUFFIXES))
    clouds = frozenset(POINT_SUFFIXES) - {ARCHIVE}
    return is_sequence(path) or (path.is_dir() and bool(frame_files(path, clouds)))


def observe(input: Any, path: Path, rng: np.random.Generator) -> Observed:
    """Read a sequence and return it as a model takes it.

    Raises:
        DataError: it is unreadable, or no motion; it names the frame.
        ConfigError: the model observes nothing.
    """
    if input.kind != "sequence":
        raise ConfigError("input: the model observes nothing; leave out the input")
    if input.frame_kind == "image":
        files = frame_files(path, PICTURE_SUFFIXES)
        if len(files) < 2:
            raise DataError(f"{path}: {len(files)} picture; a motion has at least 2")
        times = np.arange(len(files), dtype=np.float64)
        return _observed(input, files, times, UnitFrame(np.zeros(3), 1.0), rng)
    clouds, times, frame = _clouds(path, rng, input.corresponding)
    return _observed(input, clouds, times, frame, rng)


def _observed(
    input: Any, raw: list[Any], times: NDArray[np.float64], frame: UnitFrame, rng: Any
) -> Observed:
    if input.ends:
        raw, seen = [raw[0], raw[-1]], times[[0, -1]]
    else:
        seen = times
    unit = (seen - times[0]) / (times[-1] - times[0])
    return Observed(input.observe(raw, rng, frame), unit, times, frame)


def _clouds(
    path: Path, rng: np.random.Generator, corresponding: bool
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64], UnitFrame]:
    """Clouds of all frames, their times, and the unit frame of the first one."""
    if path.suffix.lower() == ARCHIVE and "vertices" not in (present := members(path)):
        if "points" not in present:
            raise DataError(f"{path}: has neither points (T, N, 3) nor vertices (T, V, 3)")
        arrays = read_npz(path, *(key for key in ("points", "times") if key in present))
        points = arrays["points"].astype(np.float64)
        if points.ndim != 3 or points.shape[2] != 3:
            raise DataError(f"{path}: points: {points.shape}, expected (T, N, 3)")
        times = np.asarray(arrays.get("times", np.arange(len(points))), np.float64)
        if times.shape != (len(points),):
            raise DataError(f"{path}: times: {times.shape}, expected ({len(points)},)")
        return _checked(list(points), times, path)
    if path.is_dir() and not is_sequence(path):
        files = frame_files(path, frozenset(POINT_SUFFIXES))
        times = np.arange(len(files), dtype=np.float64)
        return _checked([load_points(file) for file in files], times, path)
    if path.is_dir():
        files = frame_files(path, frozenset(POINT_SUFFIXES))
        if files and not _has_faces(files[0]):
            clouds = [load_points(file) for file in files]
            return _checked(clouds, np.arange(len(files), dtype=np.float64), path)
    moving = read_sequence(path)
    return _sampled(moving, rng, corresponding), moving.times, UnitFrame.of(moving.vertices[0])


def _has_faces(file: Path) -> bool:
    from onet.geometry.mesh_io import load_mesh, readable_suffixes

    if file.suffix.lower() not in readable_suffixes():
        return False
    try:
        return len(load_mesh(file).faces) > 0
    except DataError:
        return False


def _checked(
    clouds: list[NDArray[np.float64]], times: NDArray[np.float64], path: Path
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64], UnitFrame]:
    if len(clouds) < 2:
        raise DataError(f"{path}: {len(clouds)} frame; a motion has at least 2")
    check_times(times, str(path))
    for number, cloud in enumerate(clouds):
        if not len(cloud) or not np.isfinite(cloud).all():
            what = "no points" if not len(cloud) else "points that are NaN or infinite"
            raise DataError(f"{path}: frame {number}: has {what}; take the frame out")
    return clouds, times, UnitFrame.of(clouds[0], f"{path}: frame 0")


def _sampled(
    moving: MovingMesh, rng: np.random.Generator, corresponding: bool
) -> list[NDArray[np.float64]]:
    """Surface points of a moving mesh, the same of all frames where they should correspond."""
    import trimesh

    if corresponding and not moving.corresponding:
        raise DataError(
            f"{moving.source}: the faces change over time, and the model takes points that "
            "correspond; use a model for clouds that do not (encoder pointnet_frames)"
        )
    meshes = [
        trimesh.Trimesh(v, f, process=False)
        for v, f in zip(moving.vertices, moving.faces, strict=True)
    ]
    if not corresponding:
        return [sample_surface(mesh, SAMPLES, rng)[0] for mesh in meshes]
    _, _, faces = sample_surface(meshes[0], SAMPLES, rng)
    weights = rng.dirichlet(np.ones(3), SAMPLES)[:, :, None]
    return [(mesh.vertices[mesh.faces[faces]] * weights).sum(1) for mesh in meshes]
