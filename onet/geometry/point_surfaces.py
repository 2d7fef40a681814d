"""Meshes through points without normals, for methods that make points alone.

By MeshLab's ball pivoting (Bernardini et al., 1999) and screened Poisson reconstruction (Kazhdan
and Hoppe, 2013), with normals that it estimates.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import trimesh
from numpy.typing import ArrayLike

from onet.errors import MissingDependency

Meshing = Literal["poisson", "ball_pivoting"]

NEIGHBOURS = 12
"""Points of which a normal is estimated."""


def surface_of_points(
    points: ArrayLike,  # (N, 3)
    method: Meshing,
    depth: int = 6,
) -> trimesh.Trimesh:
    """Return a mesh through points, in their frame; empty where the method finds none.

    Args:
        points: any frame.
        method: `poisson` makes closed surfaces of dense points, `ball_pivoting` joins the points
            themselves and may leave holes.
        depth: of the tree of Poisson reconstruction.

    Raises:
        MissingDependency: pymeshlab is not installed.
    """
    meshes = _meshlab().MeshSet()
    meshes.add_mesh(_meshlab().Mesh(vertex_matrix=np.asarray(points, dtype=np.float64)))
    meshes.compute_normal_for_point_clouds(k=NEIGHBOURS, smoothiter=0)
    if method == "poisson":
        meshes.generate_surface_reconstruction_screened_poisson(depth=depth, threads=1)
    else:
        meshes.generate_surface_reconstruction_ball_pivoting()
    made = meshes.current_mesh()
    mesh = trimesh.Trimesh(made.vertex_matrix(), made.face_matrix(), process=False)
    if mesh.volume < 0:
        mesh.invert()
    return mesh


def _meshlab() -> Any:
    try:
        import pymeshlab
    except ImportError as error:
        raise MissingDependency(
            "meshes through points need pymeshlab; install it with pip install 'onet[meshlab]'"
        ) from error
    return pymeshlab
