"""A packed file of many triangle meshes: what a network for scans is trained on.

One compressed `.npz`, readable with NumPy alone, so that it can travel to a machine that has torch
and little else. Positions are whole numbers of 1/65535 of the longest edge of each shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.archives import read_npz
from onet.errors import DataError
from onet.files import replacing

STEPS = 65535
"""Whole numbers along the longest edge: position = value / STEPS - 0.5."""

WORDS = ("name", "category", "source", "licence", "split")
ARRAYS = ("vertices", "faces", "vertex_start", "face_start", *WORDS)
SPLITS = ("train", "val")


@dataclass(frozen=True)
class Shape:
    """One mesh and where it comes from.

    Attributes:
        vertices: (V, 3), any frame and unit.
        faces: (F, 3) indices of vertices, counter-clockwise seen from outside.
        name: unique in the file.
        category: what it is, `chair` for instance.
        source: who made it: a kit, or the generator.
        licence: SPDX identifier.
        split: `train` or `val`.
    """

    vertices: ArrayLike
    faces: ArrayLike
    name: str
    category: str
    source: str
    licence: str
    split: str


def whole_numbers(vertices: ArrayLike, name: str) -> NDArray[np.uint16]:
    """Return positions (V, 3) centred, with the longest edge 1, in whole numbers.

    Raises:
        DataError: positions that are not finite, or all in one place.
    """
    positions = np.asarray(vertices, dtype=np.float64)
    if not np.isfinite(positions).all():
        raise DataError(f"{name}: vertices that are NaN or infinite; mend or leave out the mesh")
    low, high = positions.min(axis=0), positions.max(axis=0)
    longest = float((high - low).max())
    if not longest > 0:
        raise DataError(f"{name}: all vertices lie in one place; leave out the mesh")
    return np.rint(((positions - (low + high) / 2) / longest + 0.5) * STEPS).astype(np.uint16)


def _in_order_of_use(shape: Shape) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Return vertices as faces come to them, without loose ones: that compresses best."""
    faces = np.asarray(shape.faces, dtype=np.int64)
    if faces.ndim != 2 or faces.shape[1] != 3 or len(faces) == 0:
        raise DataError(f"{shape.name}: faces have shape {faces.shape}, not (F, 3) with F > 0")
    used, first, inverse = np.unique(faces, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    vertices = whole_numbers(np.asarray(shape.vertices)[used[order]], shape.name)
    return vertices, rank[inverse].reshape(faces.shape).astype(np.int32)


def pack_shapes(path: str | Path, shapes: Sequence[Shape]) -> None:
    """Write shapes to a packed file; an unfinished one is never seen.

    Raises:
        DataError: no shapes, a name twice, an unknown split, or a mesh that `whole_numbers`
            refuses.
    """
    if not shapes:
        raise DataError(f"{path}: there are no shapes to pack")
    names = [shape.name for shape in shapes]
    if len(set(names)) < len(names):
        twice = sorted(name for name in set(names) if names.count(name) > 1)
        raise DataError(f"{path}: names that occur twice: {', '.join(twice[:5])}")
    unknown = sorted({shape.split for shape in shapes} - set(SPLITS))
    if unknown:
        raise DataError(f"{path}: split {unknown[0]!r} is none of {', '.join(SPLITS)}")
    packed = [_in_order_of_use(shape) for shape in shapes]
    large = max(len(vertices) for vertices, _ in packed) > STEPS + 1
    arrays: dict[str, Any] = {
        "vertices": np.concatenate([vertices for vertices, _ in packed]),
        "faces": np.concatenate([faces for _, faces in packed]).astype(
            np.int32 if large else np.uint16
        ),
        "vertex_start": np.cumsum([0] + [len(vertices) for vertices, _ in packed]),
        "face_start": np.cumsum([0] + [len(faces) for _, faces in packed]),
    }
    for word in WORDS:
        arrays[word] = np.array([getattr(shape, word) for shape in shapes])
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


class PackedShapes:
    """The shapes of a packed file, read whole.

    Attributes:
        vertices: (V, 3) uint16 of all shapes; position = value / 65535 - 0.5.
        faces: (F, 3) uint16 or int32, indices among the vertices of the shape.
        vertex_start, face_start: (n + 1,) int64, where each shape begins.
        name, category, source, licence, split: (n,) strings.
    """

    vertices: NDArray[np.uint16]
    faces: NDArray[np.integer]
    vertex_start: NDArray[np.int64]
    face_start: NDArray[np.int64]
    name: NDArray[np.str_]
    category: NDArray[np.str_]
    source: NDArray[np.str_]
    licence: NDArray[np.str_]
    split: NDArray[np.str_]

    def __init__(self, path: str | Path) -> None:
        """Read the file.

        Raises:
            DataError: it is missing, damaged, or no such file.
        """
        arrays = read_npz(path, *ARRAYS)
        missing = [key for key in ARRAYS if key not in arrays]
        if missing:
            raise DataError(
                f"{path}: no array {missing[0]!r}, so it is no packed file of shapes; make one "
                "with tools/scan_shapes.py"
            )
        for key, array in arrays.items():
            setattr(self, key, array)
        self._check(path)

    def _check(self, path: str | Path) -> None:
        count = len(self.name)
        lengths_agree = (
            len(self.vertex_start) == len(self.face_start) == count + 1
            and all(len(getattr(self, word)) == count for word in WORDS)
            and self.vertex_start[-1] == len(self.vertices)
            and self.face_start[-1] == len(self.faces)
        )
        if not lengths_agree:
            raise DataError(f"{path}: its arrays do not belong together; make it again")

    def __len__(self) -> int:
        """Return the number of shapes."""
        return len(self.name)

    def mesh(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return vertices (V, 3) in the box from -0.5 to 0.5, and faces (F, 3) of one shape."""
        if not 0 <= index < len(self):
            raise IndexError(f"shape {index} of {len(self)}")
        start, end = self.vertex_start[index : index + 2]
        first, last = self.face_start[index : index + 2]
        vertices = self.vertices[start:end].astype(np.float64) / STEPS - 0.5
        return vertices.astype(np.float32), self.faces[first:last].astype(np.int64)

    def triangles(self, index: int) -> NDArray[np.float32]:
        """Return the corners (F, 3, 3) of the triangles of one shape, longest edge 1, centred."""
        vertices, faces = self.mesh(index)
        return vertices[faces]

    def of_split(self, split: str) -> NDArray[np.int64]:
        """Return the indices of the shapes of a split, `train` or `val`."""
        return np.flatnonzero(self.split == split)
