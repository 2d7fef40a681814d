"""Where an extraction runs: its arrays, its compiled module, how it calls the field."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.geometry.field_values import Field, evaluate_field, evaluate_field_on_device


class CpuBackend:
    """Arrays of NumPy, the compiled module for the CPU."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def octree(self, base: tuple[int, int, int], levels: int, predict: bool, margin: float) -> Any:
        from onet import _C

        return _C.Octree(base, levels, predict, margin, self.threads)

    def marching_cubes(self, tree: Any, origin: list[float], cell: float) -> tuple[Any, Any]:
        from onet import _C

        return _C.marching_cubes(tree, origin, cell)

    def positions(
        self,
        indices: Any,  # (N, 3) int32 on the lattice
        origin: NDArray[np.float64],
        cell: float,
    ) -> Any:  # (N, 3) float64
        return origin + cell * indices

    def empty(self, count: int) -> Any:
        return np.empty(count, dtype=np.float32)

    def array(self, values: NDArray[Any]) -> Any:
        return values

    def numpy(self, values: Any) -> NDArray[Any]:
        return values

    def evaluate(self, field: Field, points: Any, level: float) -> Any:
        return evaluate_field(field, points, level)


class CudaBackend:
    """Tensors of torch on a CUDA device, the compiled module for it."""

    def __init__(self, device: str) -> None:
        self.device = device

    def octree(self, base: tuple[int, int, int], levels: int, predict: bool, margin: float) -> Any:
        from onet.geometry.cuda import Octree

        return Octree(base, levels, predict, margin, self.device)

    def marching_cubes(self, tree: Any, origin: list[float], cell: float) -> tuple[Any, Any]:
        vertices, faces = tree.marching_cubes(origin, cell)
        return self.numpy(vertices), self.numpy(faces)

    def positions(
        self,
        indices: Any,  # (N, 3) int32 on the lattice
        origin: NDArray[np.float64],
        cell: float,
    ) -> Any:  # (N, 3) float64
        return self.array(origin) + cell * indices.double()

    def empty(self, count: int) -> Any:
        import torch

        return torch.empty(count, dtype=torch.float32, device=self.device)

    def array(self, values: NDArray[Any]) -> Any:
        import torch

        return torch.from_numpy(values).to(self.device)

    def numpy(self, values: Any) -> NDArray[Any]:
        return values.cpu().numpy()

    def evaluate(self, field: Any, points: Any, level: float) -> Any:
        return evaluate_field_on_device(field, points, level)
