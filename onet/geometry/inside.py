"""Which points lie inside a mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
        points: query points in the same frame; NaN is outside.
        threads: 0 for all cores, or OMP_NUM_THREADS if that is set.
        mode: "parity" or "winding".

    Returns:
        (N,) bool. Points exactly on the surface may get either answer.

    Raises:
        ValueError: another `mode`, or a face with a vertex that is not finite (or beyond 1e100).
    """
    from onet import _C
    from onet.geometry.winding import winding_number

    if mode == "winding":
        return winding_number(mesh, points, threads=threads) > 0.5
    if mode != "parity":
        raise ValueError(f"mode is {mode!r}: give 'parity' or 'winding'")
    return _C.contains(
        np.ascontiguousarray(mesh.vertices, dtype=np.float64),
        np.ascontiguousarray(mesh.faces, dtype=np.int64),
        np.ascontiguousarray(points, dtype=np.float64),
        threads,
    ).view(np.bool_)
