"""Meshes to files, in their own frame and as exact as the format allows.

Single precision has seven digits: enough around the origin, and half a metre at the coordinates of
a survey. It does harm if it moves a vertex by more than 1e-4 of an edge (the median one), or if a
face loses its area by it. There PLY gets double precision, GLB a node that carries the place of the
object, and of other formats a warning tells what was lost.
"""

from __future__ import annotations

import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.files import replacing
from onet.geometry.glb_colors import with_linear_colors
from onet.geometry.normalization import without_loose_vertices

if TYPE_CHECKING:
    import trimesh

logger = logging.getLogger(__name__)

MESH_SUFFIXES = (".glb", ".ply", ".obj", ".off", ".stl")
"""Formats that `save_mesh` writes."""

TOLERANCE = 1e-4
"""Part of the median edge by which rounding may move a vertex."""

_FLAT = 1e-12  # of its longest side: the height of a face without area
_MORE_DIGITS = 8  # of OBJ and OFF, at most, where the usual ones merge vertices


@dataclass(frozen=True)
class Rounding:
    """What is left of a mesh whose vertices are rounded.

    Attributes:
        moved: the largest way of a vertex, in units of the mesh.
        edge: the median edge, in units of the mesh.
        flattened: faces that had an area and have none any more.
    """

    moved: float
    edge: float
    flattened: int

    @classmethod
    def of(cls, mesh: trimesh.Trimesh, rounded: NDArray[np.float64]) -> Rounding:
        """Compare a mesh with the places (V, 3) where its vertices are after rounding."""
        vertices = np.asarray(mesh.vertices, dtype=np.float64)
        faces = np.asarray(mesh.faces, dtype=np.int64).reshape(-1, 3)
        if not len(faces):
            return cls(0.0, 0.0, 0)
        sides, height = _shape(vertices, faces)
        edge = float(np.median(sides))
        if not np.isfinite(rounded).all():
            return cls(np.inf, edge, len(faces))
        used = np.zeros(len(vertices), dtype=np.bool_)
        used[faces] = True
        moved = float(np.linalg.norm(rounded - vertices, axis=1)[used].max())
        longest = sides.max(axis=0)
        # No face can be flattened whose height is above the way of its corners.
        low = faces[(height > _FLAT * longest) & (height <= 4 * moved)]
        sides, height = _shape(rounded, low)
        lost = height <= _FLAT * sides.max(axis=0)
        return cls(moved, edge, int(np.count_nonzero(lost)))

    @property
    def harmless(self) -> bool:
        """No vertex moved by more than 1e-4 of an edge, and every face kept its area."""
        return self.moved <= TOLERANCE * self.edge and self.flattened == 0


def median_edge(mesh: trimesh.Trimesh) -> float:
    """Median length of the sides of all faces; 0 without faces."""
    if not len(mesh.faces):
        return 0.0
    return float(np.median(_shape(np.asarray(mesh.vertices), np.asarray(mesh.faces))[0]))


def _shape(
    vertices: NDArray[np.float64], faces: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lengths of the sides (3, F) of faces, and their heights (F,) over the longest."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    first, last = b - a, c - a
    normal = np.cross(first, last)
    squares = np.stack([np.einsum("ij,ij->i", side, side) for side in (first, last, c - b)])
    sides = np.sqrt(squares)
    longest = sides.max(axis=0)
    area = np.sqrt(np.einsum("ij,ij->i", normal, normal))
    return sides, area / np.where(longest > 0, longest, 1.0)


def _single(vertices: NDArray[np.float64]) -> NDArray[np.float64]:
    """As float32 stores them; infinite beyond its range."""
    with np.errstate(over="ignore"):
        return vertices.astype(np.float32).astype(np.float64)


def save_mesh(mesh: trimesh.Trimesh, path: str | os.PathLike[str]) -> Path:
    """Write `mesh` in the format of the suffix (one of `MESH_SUFFIXES`), atomically.

    Vertices keep the mesh's own frame. PLY stores float32, or float64 where float32 would move a
    vertex by more than 1e-4 of the median edge or flatten a face. GLB, which has float32 alone,
    then stores vertices around the middle of the box, whose place is the translation of the node
    in double precision. OBJ and OFF have nine significant digits of the object's size, more if
    edges are short. STL stores float32 and repeats the vertices for each face. Where the file is
    still less exact than that, a warning is logged that tells by how much.

    Raises:
        DataError: a suffix that is not one of `MESH_SUFFIXES`, vertices that are not finite, or
            that are beyond the range of the format's single precision.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in MESH_SUFFIXES:
        raise DataError(
            f"{path}: cannot write the format {suffix!r}; use one of {', '.join(MESH_SUFFIXES)}"
        )
    if len(mesh.faces):
        mesh = without_loose_vertices(mesh)  # they would set the number of digits
    if not np.isfinite(mesh.vertices).all():
        raise DataError(f"{path}: the mesh has vertices that are NaN or infinite; remove them")
    data, rounding = _EXPORTS[suffix](mesh, suffix[1:])
    if rounding.moved == np.inf:
        raise DataError(
            f"{path}: coordinates up to {np.abs(mesh.vertices).max():.3g} are beyond single "
            "precision; write PLY, OBJ or OFF"
        )
    if not rounding.harmless:
        others = "PLY instead" if suffix == ".glb" else "PLY, GLB or OBJ instead"
        logger.warning(
            "%s: rounding moves vertices by up to %.2g, which is %.2g of an edge, and %d of %d "
            "faces lose their area; write %s, or move the mesh nearer to the origin",
            path, rounding.moved, rounding.moved / (rounding.edge or 1), rounding.flattened,
            len(mesh.faces), others,
        )  # fmt: skip
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return path


def points_ply(
    points: NDArray[np.float64],  # (N, 3)
    colors: NDArray[np.uint8] | None = None,  # (N, 3)
) -> bytes:
    """Return points as binary PLY: float32, or float64 where that moves one by 1e-6 of it."""
    import trimesh

    moved = float(np.abs(_single(points) - points).max(initial=0.0))
    extent = float(np.ptp(points, axis=0).max(initial=0.0)) if len(points) else 0.0
    data = _exported(trimesh.PointCloud(points, colors), "ply")
    return _with_doubles(data, points) if moved > 1e-6 * extent else data


def _exported(shape: Any, kind: str, **options: Any) -> bytes:
    """Return a shape of trimesh as the bytes of a file."""
    with np.errstate(over="ignore"):  # refused afterwards
        data: Any = shape.export(file_type=kind, **options)
    return data.encode() if isinstance(data, str) else bytes(data)


def _ply(mesh: trimesh.Trimesh, kind: str) -> tuple[bytes, Rounding]:
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    rounding = Rounding.of(mesh, _single(vertices))
    data = _exported(mesh, kind)
    if rounding.harmless:
        return data, rounding
    return _with_doubles(data, vertices), Rounding(0.0, rounding.edge, 0)


def _with_doubles(data: bytes, vertices: NDArray[np.float64]) -> bytes:
    """Return a binary PLY file of trimesh, whose coordinates are float32, with these as float64."""
    count = len(vertices)
    end = data.index(b"end_header\n") + len(b"end_header\n")
    head, body = data[:end].decode(), data[end:]
    size = _row_size(head, body) if count else 0
    rows = np.frombuffer(body, dtype=np.uint8, count=count * size).reshape(count, size)
    places = np.ascontiguousarray(vertices, dtype="<f8").view(np.uint8).reshape(count, 24)
    for axis in "xyz":
        head = head.replace(f"property float {axis}\n", f"property double {axis}\n", 1)
    wide = np.concatenate([places, rows[:, 12:]], axis=1)  # x, y and z begin a row
    return head.encode() + wide.tobytes() + body[count * size :]


def _row_size(head: str, body: bytes) -> int:
    """Bytes of the first vertex in a PLY file of trimesh, whose vertices are all as large."""
    size = 0
    for line in head.split("element vertex", 1)[1].split("element", 1)[0].splitlines():
        match line.split():
            case ["property", "list", _, kind, _]:  # its length is one byte
                size += 1 + body[size] * _BYTES[kind]
            case ["property", kind, _]:
                size += _BYTES[kind]
    return size


_BYTES = {
    **dict.fromkeys(("char", "uchar", "int8", "uint8"), 1),
    **dict.fromkeys(("short", "ushort", "int16", "uint16"), 2),
    **dict.fromkeys(("int", "uint", "float", "int32", "uint32", "float32"), 4),
    **dict.fromkeys(("double", "int64", "uint64", "float64", "long", "ulong"), 8),
}


def _glb(mesh: trimesh.Trimesh, kind: str) -> tuple[bytes, Rounding]:
    """Around the origin where single precision does, else around the middle of the box."""
    import trimesh

    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    rounding = Rounding.of(mesh, _single(vertices))
    if rounding.harmless:
        return with_linear_colors(_exported(mesh, kind)), rounding
    middle = vertices.min(axis=0) / 2 + vertices.max(axis=0) / 2
    rounding = Rounding.of(mesh, _single(vertices - middle) + middle)
    local = mesh.copy()
    local.vertices = vertices - middle
    if "vertex_normals" in mesh._cache.cache:  # what the exporter asks before it writes normals
        local.vertex_normals = mesh.vertex_normals  # type: ignore[method-assign]
    scene = trimesh.Scene()
    scene.add_geometry(local, transform=trimesh.transformations.translation_matrix(middle))
    return with_linear_colors(_exported(scene, kind)), rounding


def decimals(mesh: trimesh.Trimesh) -> tuple[int, Rounding]:
    """Return how many decimals hold the size of a mesh and its edges, and what they lose."""
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    if not len(vertices):
        return 8, Rounding(0.0, 0.0, 0)
    size = float(np.ptp(vertices, axis=0).max()) or 1.0
    digits = usual = max(0, 8 - math.floor(math.log10(size)))
    rounding = Rounding.of(mesh, np.round(vertices, digits))
    while not rounding.harmless and digits < usual + _MORE_DIGITS:
        digits += 2
        rounding = Rounding.of(mesh, np.round(vertices, digits))
    return digits, rounding


def _text(mesh: trimesh.Trimesh, kind: str) -> tuple[bytes, Rounding]:
    """OBJ or OFF, which count decimals."""
    digits, rounding = decimals(mesh)
    return _exported(mesh, kind, digits=digits), rounding


def _stl(mesh: trimesh.Trimesh, kind: str) -> tuple[bytes, Rounding]:
    rounding = Rounding.of(mesh, _single(np.asarray(mesh.vertices, dtype=np.float64)))
    return _exported(mesh, kind), rounding


_EXPORTS = {".glb": _glb, ".ply": _ply, ".obj": _text, ".off": _text, ".stl": _stl}
