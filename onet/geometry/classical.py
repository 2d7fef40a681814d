"""Surfaces of points without learning, by Open3D: what learned methods are compared with.

screened Poisson: normals from neighbours, oriented along a tree; then the field whose gradient they
are. Where the normals came out pointing inwards, the mesh is turned.
ball pivoting: triangles that a ball rests on which touches three points; no closed mesh in general.
alpha shapes: of the tetrahedra between the points those that are small; closed, not oriented.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.open3d_io import from_open3d, load_open3d, to_open3d
from onet.geometry.winding import inside_out, winding_number

if TYPE_CHECKING:
    import trimesh

Points = NDArray[np.float64]

_ORIENTED_BY = 10  # neighbours that an orientation goes on to
_FEWEST = 10
_ASKED = 5_000


@dataclass(frozen=True)
class ClassicalSettings:
    """What the classical methods have to be told.

    Attributes:
        neighbours: from which a normal is estimated.
        depth: of Poisson's octree: 2^depth cells along an edge.
        radii: of the balls, in mean distances of neighbouring points.
        alpha: of alpha shapes, in the same unit.
    """

    neighbours: int = 30
    depth: int = 8
    radii: tuple[float, ...] = (1.5, 3.0, 6.0)
    alpha: float = 8.0


def poisson(points: Points, normals: Points | None, settings: ClassicalSettings) -> trimesh.Trimesh:
    """Return the surface by screened Poisson; see `reconstruct`."""
    cloud = _cloud(points, normals, settings)
    kind = load_open3d().geometry.TriangleMesh
    made = kind.create_from_point_cloud_poisson(cloud, depth=settings.depth, n_threads=1)[0]
    mesh = _mesh(made, "screened Poisson")
    if _inside_out(mesh, points):
        mesh.invert()
    return mesh


def ball_pivoting(
    points: Points, normals: Points | None, settings: ClassicalSettings
) -> trimesh.Trimesh:
    """Return the surface by ball pivoting; see `reconstruct`."""
    library = load_open3d()
    cloud = _cloud(points, normals, settings)
    spacing = _spacing(cloud)
    radii = library.utility.DoubleVector([factor * spacing for factor in settings.radii])
    kind = library.geometry.TriangleMesh
    return _mesh(kind.create_from_point_cloud_ball_pivoting(cloud, radii), "ball pivoting")


def alpha_shape(
    points: Points, normals: Points | None, settings: ClassicalSettings
) -> trimesh.Trimesh:
    """Return the alpha shape, which needs no normals; see `reconstruct`."""
    cloud = to_open3d(points)
    kind = load_open3d().geometry.TriangleMesh
    made = kind.create_from_point_cloud_alpha_shape(cloud, settings.alpha * _spacing(cloud))
    return _mesh(made, "alpha shapes", "take a larger alpha, or ")


METHODS: dict[str, Callable[[Points, Points | None, ClassicalSettings], trimesh.Trimesh]] = {
    "poisson": poisson,
    "ball-pivoting": ball_pivoting,
    "alpha-shapes": alpha_shape,
}
"""By name."""


def reconstruct(
    method: str,
    points: Points,  # (N, 3)
    normals: Points | None = None,  # (N, 3)
    settings: ClassicalSettings | None = None,
) -> trimesh.Trimesh:
    """Return the surface that a classical method makes of points, in their frame.

    Args:
        method: a key of `METHODS`.
        points: of the surface, in any frame.
        normals: that are known, pointing outwards; None estimates them.
        settings: None means the defaults.

    Raises:
        MissingDependency: Open3D is not installed, or does not load.
        DataError: too few points, or no surface came of them.
    """
    if len(points) < _FEWEST:
        raise DataError(f"points: {len(points)}; a surface needs {_FEWEST} at least")
    centre = points.mean(axis=0)  # far from the origin Open3D loses digits
    size = float(np.ptp(points, axis=0).max())
    if not size > 0:
        raise DataError("points: all are in one place; scan again")
    mesh = METHODS[method]((points - centre) / size, normals, settings or ClassicalSettings())
    mesh.vertices = mesh.vertices * size + centre
    return mesh


def _cloud(points: Points, normals: Points | None, settings: ClassicalSettings) -> Any:
    """Return a cloud of Open3D with normals, estimated if need be."""
    library = load_open3d()
    library.utility.random.seed(0)
    cloud = to_open3d(points)
    if normals is not None:
        cloud.normals = library.utility.Vector3dVector(np.ascontiguousarray(normals, np.float64))
        return cloud
    cloud.estimate_normals(library.geometry.KDTreeSearchParamKNN(settings.neighbours))
    cloud.orient_normals_consistent_tangent_plane(_ORIENTED_BY)
    return cloud


def _spacing(cloud: Any) -> float:
    """Mean distance from a point to the nearest other one."""
    return float(np.mean(cloud.compute_nearest_neighbor_distance()))


def _inside_out(mesh: trimesh.Trimesh, points: Points) -> bool:
    """Whether a mesh of these points is inside out, by places in their box."""
    low, high = points.min(axis=0), points.max(axis=0)
    where = np.random.default_rng(0).uniform(low, high, (_ASKED, 3))
    return inside_out(winding_number(mesh, where))


def _mesh(made: Any, method: str, remedy: str = "") -> trimesh.Trimesh:
    if not len(made.triangles):
        raise DataError(f"{method} made no surface of these points; {remedy}scan more densely")
    return from_open3d(made)
