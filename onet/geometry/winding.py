"""Generalised winding number of points about a triangle mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import trimesh


class WindingTree:
    """Hierarchy over the triangles of a mesh, to ask for winding numbers more than once."""

    def __init__(self, mesh: trimesh.Trimesh) -> None:
        """Raises ValueError where a face has a vertex that is not finite (or beyond 1e100)."""
        from onet import _C

        self._tree = _C.WindingTree(
            np.ascontiguousarray(mesh.vertices, dtype=np.float64),
            np.ascontiguousarray(mesh.faces, dtype=np.int64),
        )

    def winding_number(
        self,
        points: ArrayLike,  # (N, 3) in the frame of the mesh
        beta: float = 2.0,
        threads: int = 0,
    ) -> NDArray[np.float64]:
        """Winding numbers (N,), as of the function of that name."""
        if not beta >= 1:
            raise ValueError(f"beta is {beta}: give a number from 1 on, math.inf for the exact sum")
        return self._tree.winding_number(
            np.ascontiguousarray(points, dtype=np.float64), float(beta), threads
        )


def winding_number(
    mesh: trimesh.Trimesh,
    points: ArrayLike,  # (N, 3) in the frame of the mesh
    beta: float = 2.0,
    threads: int = 0,
) -> NDArray[np.float64]:
    """How often the mesh winds around each point: its signed solid angle over 4 pi.

    Jacobson et al., "Robust Inside-Outside Segmentation using Generalized Winding Numbers" (2013),
    summed over a hierarchy with expansions of third order as in Barill et al., "Fast Winding
    Numbers for Soups and Clouds" (2018). It is 1 inside and 0 outside of a closed mesh with outward
    normals, -1 inside one with inward normals, the sum over the parts where they overlap, and goes
    smoothly from one to the other at holes. Triangles without area contribute 0; a mesh without
    faces winds around nothing: 0.

    Args:
        mesh: any triangles, any frame; their orientation matters.
        points: query points in the same frame. On a triangle its own part is 0; NaN gives NaN.
        beta: triangles are grouped where the point is farther away than `beta` times the radius of
            the group: the larger, the more accurate and slower. Errors are at most about 0.01 at 2,
            0.001 at 4, 1e-4 at 8; `math.inf` gives the exact sum, up to the rounding of float64.
        threads: 0 for all cores, or OMP_NUM_THREADS if that is set.

    Returns:
        (N,) float64. Each depends on its point and the mesh only.

    Raises:
        ValueError: `beta` under 1, or a face with a vertex that is not finite (or beyond 1e100).
    """
    return WindingTree(mesh).winding_number(points, beta, threads)


def inside_out(
    numbers: NDArray[np.float64],  # (N,) winding numbers of points in and around a mesh
) -> bool:
    """Return whether a mesh winds about more of the points negatively than positively.

    A volume would not tell: of open meshes it depends on the origin.
    """
    return int((numbers < -0.5).sum()) > int((numbers > 0.5).sum())
