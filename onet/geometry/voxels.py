"""Occupancy grids: from a mesh, from and to files, and compared with points.

A grid (R, R, R) of bool is indexed [x, y, z] and covers a cube; voxel (i, j, k) has its centre at
`((i, j, k) + 0.5) / R - 0.5` in the unit frame. Published are the grids of Choy et al. (32^3, made
with binvox from the meshes as they are, whose cube is taken to be the unit cube whatever translate
and scale the file says), and for the study of representation power (thesis, section 11.6.2) grids
in which a voxel is full where the surface crosses it or where a point of it lies inside. The
latter is what `voxelize` does, with the centre in place of a random point.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from onet.archives import as_path, members, read_npy, read_npz
from onet.errors import DataError
from onet.files import replacing
from onet.geometry.inside import contains
from onet.geometry.normalization import UnitFrame
from onet.mistaken import mistaken_for

if TYPE_CHECKING:
    import trimesh

VOXEL_SUFFIXES = (".binvox", ".npy", ".npz")
"""Formats that `read_voxels` reads."""

LARGEST_GRID = 1024
"""Voxels along an edge of a binvox file, which takes a gigabyte then."""

_AGAIN = "voxelise the mesh again"
_BINVOX_LINE = 1 << 16
_PLACE = ("loc", "scale")
_PAIRS = 1 << 18  # triangles with voxels, tested at a time


@dataclass(frozen=True, eq=False)
class VoxelGrid:
    """A grid and where it is.

    Attributes:
        full: (R, R, R) bool, indexed [x, y, z].
        frame: takes the cube [-0.5, 0.5]^3 to the cube of the grid in the source frame.
    """

    full: NDArray[np.bool_]
    frame: UnitFrame

    @property
    def resolution(self) -> int:
        """Voxels along an edge."""
        return len(self.full)


def voxelize(
    mesh: trimesh.Trimesh,  # in the unit frame
    resolution: int = 32,
    mode: Literal["both", "surface", "inside"] = "both",
) -> NDArray[np.bool_]:
    """Return the voxels of the unit cube that a mesh fills: (R, R, R) bool.

    Args:
        mesh: closed for `both` and `inside`; parts outside [-0.5, 0.5]^3 are left out.
        resolution: voxels along an edge of the cube.
        mode: `surface` fills the voxels that touch a triangle (exactly, by separating axes),
            `inside` those with their centre inside, `both` the union.

    Raises:
        ValueError: a resolution below 1.
    """
    if resolution < 1:
        raise ValueError(f"resolution is {resolution}; it must be at least 1")
    full = np.zeros((resolution,) * 3, dtype=bool)
    if mode != "inside":
        _fill_surface(full, (np.asarray(mesh.triangles, dtype=np.float64) + 0.5) * resolution)
    if mode != "surface" and len(mesh.faces):
        full |= contains(mesh, voxel_centres(resolution)).reshape(full.shape)
    return full


def voxel_centres(resolution: int) -> NDArray[np.float64]:
    """Centres (R^3, 3) of the voxels of the unit cube, the last index fastest."""
    axis = (np.arange(resolution) + 0.5) / resolution - 0.5
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)


def _fill_surface(full: NDArray[np.bool_], triangles: NDArray[np.float64]) -> None:
    """Fill the voxels that triangles (F, 3, 3), in units of voxels, touch."""
    limit = len(full) - 1
    first = np.clip(np.ceil(triangles.min(axis=1)) - 1, 0, limit + 1).astype(np.int64)
    last = np.clip(np.floor(triangles.max(axis=1)), -1, limit).astype(np.int64)
    extent = np.maximum(last - first + 1, 0)
    counts = extent.prod(axis=1)
    ends = np.cumsum(counts)
    start = 0
    while start < len(triangles):
        before = ends[start] - counts[start]
        stop = max(start + 1, int(np.searchsorted(ends, before + _PAIRS, side="right")))
        number = np.repeat(np.arange(start, stop), counts[start:stop])
        rank = np.arange(len(number)) + before - (ends - counts)[number]
        size = extent[number]
        offset = np.stack(
            [rank // (size[:, 1] * size[:, 2]), rank // size[:, 2] % size[:, 1], rank % size[:, 2]],
            axis=1,
        )
        voxel = first[number] + offset
        voxel = voxel[_touches(triangles[number] - (voxel + 0.5)[:, None])]
        full[voxel[:, 0], voxel[:, 1], voxel[:, 2]] = True
        start = stop


def _touches(triangles: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which triangles (N, 3, 3) touch the unit cube around 0, closed; bounding boxes do already."""
    edges = np.roll(triangles, -1, axis=1) - triangles
    normals = np.cross(edges[:, 0], edges[:, 1])
    distance = np.einsum("ij,ij->i", normals, triangles[:, 0])
    result = np.abs(distance) <= 0.5 * np.abs(normals).sum(axis=1)
    for edge in range(3):
        for axis in range(3):
            direction = np.cross(np.eye(3)[axis], edges[:, edge])
            spread = np.einsum("ij,ikj->ik", direction, triangles)
            reach = 0.5 * np.abs(direction).sum(axis=1)
            result &= (spread.min(axis=1) <= reach) & (spread.max(axis=1) >= -reach)
    return result


def resample_voxels(
    full: NDArray[np.bool_],  # (R, R, R)
    resolution: int,
    name: str = "voxels",
) -> NDArray[np.bool_]:
    """Return the grid at another resolution that divides its own or that its own divides.

    Coarser: a voxel is full where any of the finer ones in it is, as where `voxelize` had made it.
    Finer: each voxel is repeated.

    Raises:
        DataError: neither resolution divides the other.
    """
    own = len(full)
    if own == resolution:
        return full
    if own % resolution == 0:
        ratio = own // resolution
        blocks = full.reshape((resolution, ratio) * 3)
        return np.asarray(blocks.any(axis=(1, 3, 5)))
    if resolution % own == 0:
        ratio = resolution // own
        return full.repeat(ratio, 0).repeat(ratio, 1).repeat(ratio, 2)
    raise DataError(
        f"{name}: has {own} voxels along an edge and {resolution} are wanted, of which neither "
        f"divides the other; voxelise the mesh again with {resolution}"
    )


def voxel_mesh(full: NDArray[np.bool_]) -> trimesh.Trimesh:
    """Return faces between full and empty voxels as a mesh in the unit frame, for looking at."""
    import trimesh

    padded = np.pad(full, 1)
    quads = []
    for axis in range(3):
        change = np.diff(padded.astype(np.int8), axis=axis)
        u, v = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
        for sign in (1, -1):  # entering, leaving
            corner = np.argwhere(change == sign).astype(np.float64) - 1
            corner[:, axis] += 1
            ring = [0 * u, v, u + v, u] if sign == 1 else [0 * u, u, u + v, v]
            quads.append(corner[:, None] + np.array(ring))
    corners = np.concatenate(quads)
    vertices, index = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
    index = index.reshape(-1, 4)
    faces = np.concatenate([index[:, [0, 1, 2]], index[:, [0, 2, 3]]])
    return trimesh.Trimesh(vertices / len(full) - 0.5, faces, process=False)


def read_voxels(path: str | os.PathLike[str]) -> VoxelGrid:
    """Return a grid from a file: `.binvox`, `.npy` (R, R, R), or `.npz`.

    A npz file has the grid as `voxels`, or as its only array, and optionally `loc` and `scale`, the
    centre and edge of its cube. Values above 0.5 are full. Without a place the cube is the unit
    cube.

    Raises:
        DataError: missing or damaged, not a cube, NaN, or another suffix.
    """
    path = as_path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file; check the path")
    suffix = path.suffix.lower()
    if suffix == ".binvox":
        return read_binvox(path)
    if suffix not in VOXEL_SUFFIXES:
        raise DataError(f"{path}: is no voxel file; use one of {', '.join(VOXEL_SUFFIXES)}")
    if suffix == ".npy":
        return VoxelGrid(check_voxels(read_npy(path), str(path)), UnitFrame(np.zeros(3), 1.0))
    names = [name for name in members(path) if name not in _PLACE]
    if "voxels" not in names and len(names) != 1:
        raise DataError(
            f"{path}: has no array 'voxels' (found: {', '.join(names[:12]) or 'none'}); write it "
            "with numpy.savez(voxels=...)"
        )
    key = "voxels" if "voxels" in names else names[0]
    arrays = read_npz(path, key, *_PLACE)
    return VoxelGrid(check_voxels(arrays[key], str(path)), _place(arrays, path))


def _place(arrays: dict[str, NDArray[Any]], path: Path) -> UnitFrame:
    """Return the cube that `loc` and `scale` describe; the unit cube if one of them is missing."""
    if not {*_PLACE} <= {*arrays}:
        return UnitFrame(np.zeros(3), 1.0)
    loc, scale = (np.asarray(arrays[key]) for key in _PLACE)
    numbers = loc.dtype.kind in "fiu" and scale.dtype.kind in "fiu"
    if not numbers or loc.shape != (3,) or scale.size != 1:
        raise DataError(
            f"{path}: 'loc' {loc.shape} and 'scale' {scale.shape} are no position; write the "
            "centre (3,) and the edge of the cube"
        )
    if not (np.isfinite(loc).all() and 0 < float(scale.item()) < np.inf):
        raise DataError(f"{path}: 'loc' {loc} or 'scale' {scale} is no position; correct it")
    return UnitFrame(loc.astype(np.float64), float(scale.item()))


def check_voxels(array: NDArray[np.generic], name: str = "voxels") -> NDArray[np.bool_]:
    """Return an array as a grid (R, R, R) of bool.

    Raises:
        DataError: not a cube of numbers, or NaN in it.
    """
    array = np.asarray(array)
    if array.ndim != 3 or len(set(array.shape)) != 1 or array.size == 0:
        raise DataError(f"{name}: expected a grid (R, R, R), found {array.shape}")
    if array.dtype.kind not in "biuf" or (array.dtype.kind == "f" and np.isnan(array).any()):
        raise DataError(f"{name}: expected numbers without NaN, found {array.dtype}")
    return array > 0.5  # type: ignore[operator]


def read_binvox(path: str | os.PathLike[str]) -> VoxelGrid:
    """Return a grid from a binvox file (run lengths; stored with y fastest, then z, then x).

    Comment lines and lines of other keywords in the header are passed over.

    Raises:
        DataError: it says what of the header or the data is wrong.
    """
    path = as_path(path)
    if path.exists() and (what := mistaken_for(path)):
        raise DataError(f"{path}: {what}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); {_AGAIN}") from None
    fields, start = _binvox_header(path, content)
    size, frame = _binvox_place(path, fields)
    runs = np.frombuffer(
        content, dtype=np.uint8, offset=start, count=(len(content) - start) // 2 * 2
    )
    values, lengths = runs[::2], runs[1::2]
    total = int(lengths.sum(dtype=np.int64))
    if total != size**3:
        raise DataError(
            f"{path}: holds {total} voxels, its header says {size}^3 = {size**3}; the file is cut "
            f"short or damaged, {_AGAIN}"
        )
    if (values > 1).any():
        raise DataError(f"{path}: holds values other than 0 and 1; {_AGAIN}")
    full = np.repeat(values > 0, lengths).reshape(size, size, size)
    for plane in full:  # in place, as large grids fill the memory
        plane[:] = plane.T.copy()
    return VoxelGrid(full, frame)


def _binvox_header(path: Path, content: bytes) -> tuple[dict[str, list[str]], int]:
    """Return the words behind each keyword, and where the data begin."""
    if content[:7] != b"#binvox":
        raise DataError(f"{path}: broken header, the file does not begin with '#binvox'; {_AGAIN}")
    fields: dict[str, list[str]] = {}
    at = content.find(b"\n", 0, _BINVOX_LINE) + 1
    while at:
        end = content.find(b"\n", at, at + _BINVOX_LINE)
        words = content[at : max(end, at)].partition(b"#")[0].split()
        if words == [b"data"] and end > 0:
            return fields, end + 1
        if words:
            fields[words[0].decode("latin-1")] = [word.decode("latin-1") for word in words[1:]]
        at = end + 1
    raise DataError(f"{path}: broken header, the file has no line 'data'; {_AGAIN}")


def _binvox_place(path: Path, fields: dict[str, list[str]]) -> tuple[int, UnitFrame]:
    """Voxels along an edge, and the cube."""
    try:
        shape = [int(word) for word in fields["dim"]]
        translate = np.array([float(word) for word in fields.get("translate", ["0"] * 3)])
        scale = float(fields.get("scale", ["1"])[0])
    except (KeyError, ValueError, IndexError) as error:
        raise DataError(f"{path}: broken header, cannot make sense of {error}; {_AGAIN}") from None
    if len(shape) != 3 or min(shape) < 1 or len(set(shape)) != 1:
        raise DataError(f"{path}: broken header, dim {shape} is not a cube; {_AGAIN}")
    if shape[0] > LARGEST_GRID:
        raise DataError(
            f"{path}: {shape[0]} voxels along an edge, at most {LARGEST_GRID} are read; voxelise "
            "the mesh at a lower resolution"
        )
    if translate.shape != (3,) or not np.isfinite(translate).all() or not 0 < scale < np.inf:
        raise DataError(f"{path}: broken header, translate or scale is no position; {_AGAIN}")
    return shape[0], UnitFrame(translate + scale / 2, scale)


def write_binvox(path: str | os.PathLike[str], grid: VoxelGrid) -> None:
    """Write a grid as a binvox file, atomically; its cube becomes translate and scale."""
    stored = np.ascontiguousarray(grid.full.transpose(0, 2, 1)).ravel()
    starts = np.flatnonzero(np.concatenate([[True], stored[1:] != stored[:-1]]))
    lengths = np.diff(np.append(starts, stored.size))
    pieces = -(-lengths // 255)  # a run holds at most 255 voxels
    counts = np.full(int(pieces.sum()), 255, dtype=np.uint8)
    counts[np.cumsum(pieces) - 1] = lengths - 255 * (pieces - 1)
    runs = np.stack([np.repeat(stored[starts], pieces).astype(np.uint8), counts], axis=1)
    corner = grid.frame.loc - grid.frame.scale / 2
    header = (
        f"#binvox 1\ndim {grid.resolution} {grid.resolution} {grid.resolution}\n"
        f"translate {' '.join(repr(float(value)) for value in corner)}\n"
        f"scale {float(grid.frame.scale)!r}\ndata\n"
    )
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(header.encode("ascii") + runs.tobytes())
