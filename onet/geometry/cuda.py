"""The geometry for tensors on a CUDA device: `onet._cuda` behind torch tensors.

Results are torch tensors on the same device, made on torch's current stream there. Nothing here is
imported, and torch neither, before somebody asks for a device or hands over such a tensor.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from onet.errors import MissingDependency

if TYPE_CHECKING:
    import torch
    import trimesh


def is_cuda(array: object) -> TypeGuard[torch.Tensor]:
    """Return whether it is a torch tensor on a CUDA device."""
    return getattr(array, "is_cuda", False) is True


def extension() -> Any:
    """Return the module `onet._cuda`.

    Raises:
        MissingDependency: the package was built without it, or no device can be used.
    """
    try:
        module = importlib.import_module("onet._cuda")
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "onet was built without its CUDA module: install it again where nvcc is found, with "
            "ONET_CUDA=1 in the environment (and CUDA_HOME if nvcc is not on the PATH), or pass "
            "tensors and devices of the CPU"
        ) from error
    if module.device_count() == 0:
        raise MissingDependency(
            "no CUDA device can be used: none is there, or its driver is missing or older than the "
            "CUDA toolkit (nvcc) that onet was built with"
        )
    return module


def queue(device: torch.device) -> tuple[int, int]:
    """Index of a device and the address of torch's current stream on it."""
    import torch

    stream = torch.cuda.current_stream(device)
    return stream.device_index, stream.cuda_stream


class Octree:
    """`_C.Octree` on a CUDA device: the same tree from the same values.

    Everything it does is queued on the stream that is torch's current one when it is made.
    """

    def __init__(
        self,
        base: tuple[int, int, int],
        levels: int,
        predict: bool = False,
        margin: float = 0.0,
        device: torch.device | str = "cuda",
    ) -> None:
        import torch

        self.device = torch.device(device)
        self._tree = extension().Octree(base, levels, predict, margin, *queue(self.device))

    def __getattr__(self, name: str) -> Any:
        """What needs no tensor is that of `_C.Octree`: levels, resolution, pending, evaluated,
        evaluations_per_level, box_contacts, bytes, peak_bytes, refine and points (NumPy arrays).
        """
        return getattr(self.__dict__["_tree"], name)

    def pending_points(self) -> torch.Tensor:
        """(pending, 3) int32 on the lattice."""
        out = self._empty("int32", self._tree.pending, 3)
        self._tree.pending_points(out)
        return out

    def pending_positions(
        self,
        origin: tuple[float, float, float],
        cell: float,
        first: int,
        count: int,
    ) -> torch.Tensor:
        """(count, 3) float32: origin + cell * (lattice position), from pending point `first` on."""
        out = self._empty("float32", count, 3)
        self._tree.pending_positions(origin, cell, first, out)
        return out

    def update(self, values: torch.Tensor) -> None:  # (pending,) float32 on the device
        """Takes the values of the pending points, in their order."""
        self._tree.update(values.detach())

    def interpolate(
        self,
        positions: torch.Tensor,  # (N, 3) float64 on the device, in units of finest cells
    ) -> torch.Tensor:
        """(N,) float32, the tree's own interpolant."""
        out = self._empty("float32", len(positions))
        self._tree.interpolate(positions.detach(), out)
        return out

    def marching_cubes(
        self, origin: tuple[float, float, float] = (0.0, 0.0, 0.0), cell: float = 1.0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Vertices (V, 3) float64 at origin + cell * (lattice position) and faces (F, 3) int64."""
        surface = extension().marching_cubes(self._tree, origin, cell)
        vertices = self._empty("float64", surface.vertex_count, 3)
        faces = self._empty("int64", surface.face_count, 3)
        surface.copy(vertices, faces)
        return vertices, faces

    def _empty(self, dtype: str, *shape: int) -> torch.Tensor:
        import torch

        return torch.empty(shape, dtype=getattr(torch, dtype), device=self.device)


def contains(
    mesh: trimesh.Trimesh,
    points: torch.Tensor,  # (N, 3) in the frame of the mesh, on a CUDA device
) -> torch.Tensor:
    """`onet.geometry.inside.contains` by parity, with the same answers; (N,) bool on the device."""
    import torch

    query = _rows(points, "points", points.device)
    inside = torch.empty(len(query), dtype=torch.uint8, device=query.device)
    vertices: NDArray[np.float64] = np.ascontiguousarray(mesh.vertices, dtype=np.float64)
    faces: NDArray[np.int64] = np.ascontiguousarray(mesh.faces, dtype=np.int64)
    extension().contains(vertices, faces, query, inside, queue(query.device)[1])
    return inside.view(torch.bool)


class NearestNeighbors:
    """`onet.geometry.nearest.NearestNeighbors` for queries on a CUDA device: the same answers.

    The hierarchy is built on the CPU and copied.
    """

    def __init__(
        self,
        points: torch.Tensor,  # (M, 3), M > 0, on the device
        threads: int = 0,
    ) -> None:
        self.device = points.device
        host: NDArray[np.float64] = _rows(points, "points", self.device).cpu().numpy()
        self._index = extension().NearestNeighbors(host, threads, *queue(self.device))

    def query(
        self,
        queries: Any,  # tensor (N, 3) in the frame of the points, on the device
    ) -> tuple[Any, Any]:
        """Distances (N,) float64 and indices (N,) int64 of the nearest points: tensors there.

        Raises:
            ValueError: queries of another shape or on another device, or NaN, infinite or beyond
                1e70.
        """
        import torch

        rows = _rows(queries, "queries", self.device)
        distance = torch.empty(len(rows), dtype=torch.float64, device=rows.device)
        index = torch.empty(len(rows), dtype=torch.int64, device=rows.device)
        self._index.query(rows, distance, index)
        return distance, index


def _rows(array: Any, name: str, device: torch.device) -> torch.Tensor:
    """(N, 3) float64, contiguous; checked."""
    import torch

    found = getattr(array, "device", None)
    if not isinstance(array, torch.Tensor) or found != device:
        raise ValueError(f"{name}: expected a tensor on {device}, found {found or type(array)}")
    if array.ndim != 2 or array.shape[1] != 3:
        raise ValueError(f"{name}: expected shape (N, 3), found {tuple(array.shape)}")
    return array.detach().to(torch.float64).contiguous()
