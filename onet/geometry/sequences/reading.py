"""Moving meshes from npz files, folders of meshes and animated glTF files."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onet.archives import members, read_npz
from onet.errors import DataError
from onet.geometry.mesh_io import load_mesh, readable_suffixes
from onet.geometry.sequences.moving_mesh import MovingMesh, checked

logger = logging.getLogger(__name__)

ANIMATED = (".glb", ".gltf")
ARCHIVE = ".npz"
DEFAULT_FPS = 25.0
_DIGITS = re.compile(r"(\d+)")


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return what sorts names as people do: frame2 before frame10, with or without zeros."""
    parts = _DIGITS.split(name)
    return [(0, int(part), part) if k % 2 else (1, 0, part) for k, part in enumerate(parts)]


def frame_files(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """Return the files of a folder with these suffixes in natural order."""
    found = [p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in suffixes]
    return sorted(found, key=lambda path: natural_key(path.name))


def is_sequence(path: Path) -> bool:
    """Whether a file or folder may be a moving mesh: its content is not looked at."""
    if path.is_dir():
        return bool(frame_files(path, readable_suffixes() - {*ANIMATED}))
    return path.suffix.lower() in (*ANIMATED, ARCHIVE)


def read_sequence(path: Path, fps: float | None = None) -> MovingMesh:
    """Read a moving mesh.

    Args:
        path: npz with `vertices` (T, V, 3) and `faces` (F, 3), and if it likes `times` (T,) in
            seconds or `frame_ms`, the length of a frame; a folder of meshes in natural order of
            their names; or an animated glTF file, sampled `fps` times a second (25).
        fps: frames a second.

    Raises:
        DataError: what is not there, unreadable, or no motion; it names the frame.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if path.is_dir():
        return checked(_from_folder(path))
    if path.suffix.lower() == ARCHIVE:
        return checked(_from_archive(path))
    if path.suffix.lower() in ANIMATED:
        from onet.geometry.sequences.gltf_animation import read_animation

        return checked(read_animation(path, fps or DEFAULT_FPS))
    raise DataError(
        f"{path}: is no sequence; give a folder of meshes, an npz with vertices (T, V, 3) and "
        "faces, or an animated .glb"
    )


def _from_folder(folder: Path) -> MovingMesh:
    files = frame_files(folder, readable_suffixes())
    meshes = [load_mesh(file) for file in files]
    moving = MovingMesh(
        [np.asarray(m.vertices, np.float64) for m in meshes],
        [np.asarray(m.faces, np.int64) for m in meshes],
        np.arange(len(files), dtype=np.float64),
        str(folder),
    )
    if len(files) > 1 and not moving.corresponding:
        counts = sorted({len(v) for v in moving.vertices})
        logger.warning(
            "%s: frames have %s vertices%s: they do not correspond, so there is no way of a point",
            folder, counts[0] if len(counts) == 1 else f"{counts[0]} to {counts[-1]}",
            " and different faces" if len(counts) == 1 else "",
        )  # fmt: skip
    return moving


def _from_archive(path: Path) -> MovingMesh:
    present = members(path)
    missing = [key for key in ("vertices", "faces") if key not in present]
    if missing:
        raise DataError(
            f"{path}: has no array {missing[0]!r} (it has {', '.join(present) or 'none'}); give "
            "vertices (T, V, 3) and faces (F, 3)"
        )
    arrays = read_npz(
        path, *(k for k in ("vertices", "faces", "times", "frame_ms") if k in present)
    )
    vertices, faces = arrays["vertices"], arrays["faces"]
    if vertices.ndim != 3 or vertices.shape[2] != 3 or vertices.dtype.kind not in "fiu":
        raise DataError(
            f"{path}: vertices: {vertices.dtype} {vertices.shape}, expected numbers (T, V, 3): all "
            "frames have the same vertices; give others as a folder of meshes"
        )
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.kind not in "iu":
        raise DataError(f"{path}: faces: {faces.dtype} {faces.shape}, expected integers (F, 3)")
    return MovingMesh(
        list(vertices.astype(np.float64)),
        [faces.astype(np.int64)] * len(vertices),
        _times(arrays, len(vertices), path),
        str(path),
    )


def _times(arrays: dict[str, NDArray[np.generic]], count: int, path: Path) -> NDArray[np.float64]:
    if "times" in arrays:
        times = np.asarray(arrays["times"], np.float64)
        if times.shape != (count,):
            raise DataError(f"{path}: times: {times.shape}, expected ({count},) as the frames")
        return times
    step = 1.0
    if "frame_ms" in arrays:
        step = float(np.asarray(arrays["frame_ms"])) / 1000
        if not step > 0:
            raise DataError(f"{path}: frame_ms: {step * 1000:g}; give milliseconds above 0")
    return np.arange(count, dtype=np.float64) * step
