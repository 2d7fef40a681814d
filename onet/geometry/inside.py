"""Which points lie inside a mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.geometry import cuda

if TYPE_CHECKING:
    import trimesh


def contains(
    mesh: trimesh.Trimesh,
    points: ArrayLike,  # (N, 3) in the frame of the mesh
    threads: int = 0,
    *,
    mode: Literal["parity", "winding"] = "parity",
) -> NDArray[np.bool_]:
    """Inside test, by ray parity for closed meshes or by winding number for imperfect ones.

    parity: exact where a ray meets an edge or a vertex, as every edge and vertex is counted once
    (csrc/inside.h), unlike in the published code. The mesh must be closed; its orientation does not
    matter, and where solids overlap they cancel.

    winding: the generalised winding number (onet/geometry/winding.py) is above 1/2. Right also
    where solids overlap or faces are missing, and several times slower. The mesh must be oriented:
    nothing is inside a mesh whose normals point inwards (turn it by `mesh.invert()`), and an inward
    part inside an outward one is a cavity.

    Args:
        mesh: any frame. Nothing is inside a mesh without faces.
        points: query points in the same frame; NaN is outside. With mode "parity" they may be a
            torch tensor on a CUDA device: the test is done there, with the same answers.
        threads: 0 for all cores, or OMP_NUM_THREADS if that is set.
        mode: "parity" or "winding".

    Returns:
        (N,) bool. Points exactly on the surface may get either answer. For points on a CUDA device
        a tensor there.

    Raises:
        ValueError: another `mode`, or a face with a vertex that is not finite (or beyond 1e100).
    """
    from onet import _C
    from onet.geometry.winding import winding_number

    if mode not in ("parity", "winding"):
        raise ValueError(f"mode is {mode!r}: give 'parity' or 'winding'")
    if cuda.is_cuda(points):
        if mode == "winding":
            raise ValueError("mode 'winding' is for the CPU only: give it points.cpu()")
        on_device: Any = cuda.contains(mesh, points)
        return on_device
    if mode == "winding":
        return winding_number(mesh, points, threads=threads) > 0.5
    return _C.contains(
        np.ascontiguousarray(mesh.vertices, dtype=np.float64),
        np.ascontiguousarray(mesh.faces, dtype=np.int64),
        np.ascontiguousarray(points, dtype=np.float64),
        threads,
    ).view(np.bool_)
