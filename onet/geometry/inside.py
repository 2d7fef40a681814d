"""Which points lie inside a closed mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.geometry import cuda

if TYPE_CHECKING:
    import trimesh


def contains(
    mesh: trimesh.Trimesh,
    points: ArrayLike,  # (N, 3) in the frame of the mesh
    threads: int = 0,
) -> NDArray[np.bool_]:
    """Inside test by ray parity, exact where a ray meets an edge or a vertex.

    Every edge and vertex is counted once (csrc/inside.h), unlike in the published code. The mesh
    must be closed; its orientation does not matter, and where solids overlap they cancel.

    Args:
        mesh: closed mesh, any frame.
        points: query points in the same frame; NaN is outside.
        threads: 0 for all cores, or OMP_NUM_THREADS if that is set.

    Returns:
        (N,) bool. Points exactly on the surface may get either answer.
    """
    if cuda.is_cuda(points):
        on_device: Any = cuda.contains(mesh, points)
        return on_device
    from onet import _C

    return _C.contains(
        np.ascontiguousarray(mesh.vertices, dtype=np.float64),
        np.ascontiguousarray(mesh.faces, dtype=np.int64),
        np.ascontiguousarray(points, dtype=np.float64),
        threads,
    ).view(np.bool_)
