"""Classic reconstructions of point clouds: Open3D's and MeshLab's, each where it is installed."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from benchmarks._scan_cells import Scan
from onet.geometry.open3d_io import from_open3d

POISSON, POISSON_TRUE, MESHLAB = "Poisson", "Poisson, true normals", "MeshLab Poisson"
BALL, ALPHA = "ball pivoting", "alpha shapes"
DEPTHS = (6, 7, 8, 9)
NEIGHBOURS = (10, 30)  # from which a normal is estimated; 30 is Open3D's default, the best counts
ORIENTED_BY = 10  # neighbours to which an orientation goes on
RADII = (1.5, 3.0, 6.0)  # of the balls, in units of the mean distance between neighbours
ALPHAS = (4.0, 8.0, 16.0, 32.0)  # likewise; the best is taken
MESHLAB_DEPTH = 8

Run = Callable[["Given"], trimesh.Trimesh]


@dataclass(frozen=True)
class Method:
    """One way from a scan to a mesh.

    Attributes:
        name: as the table shows it.
        variant: of several, the best by mean IoU of a cell is shown; empty where there is one.
        run: the reconstruction.
        parity: its triangles have no common orientation: inside is ray parity, not winding.
        needs: the packages that it needs.
    """

    name: str
    variant: str
    run: Run
    parity: bool = False
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Given:
    """A scan, and what may be used of it besides its points.

    Attributes:
        scan: what was scanned.
        sensors: the position of the sensor may be used.
    """

    scan: Scan
    sensors: bool = False

    def estimated(self, neighbours: int = NEIGHBOURS[-1]) -> NDArray[np.float64]:
        """Normals (N, 3) from the points, oriented consistently, or towards a sensor if given."""
        cloud = self.cloud(self.unoriented(neighbours))
        if self.sensors and self.scan.sensor is not None:
            cloud.orient_normals_towards_camera_location(self.scan.sensor)
        else:
            cloud.orient_normals_consistent_tangent_plane(ORIENTED_BY)
        return np.asarray(cloud.normals).copy()

    def unoriented(self, neighbours: int) -> NDArray[np.float64]:
        """Return normals (N, 3) of either sign from the points."""
        cloud = self.cloud(None)
        cloud.estimate_normals(_open3d().geometry.KDTreeSearchParamKNN(neighbours))
        return np.asarray(cloud.normals).copy()

    def cloud(self, normals: NDArray[np.float64] | None) -> Any:
        """Return the scan as a cloud of Open3D."""
        library = _open3d()
        cloud = library.geometry.PointCloud(library.utility.Vector3dVector(self.scan.points))
        if normals is not None:
            cloud.normals = library.utility.Vector3dVector(normals)
        return cloud

    @cached_property
    def spacing(self) -> float:
        """Mean distance from a point to the nearest other one."""
        return float(np.mean(self.cloud(None).compute_nearest_neighbor_distance()))


def peers() -> list[Method]:
    """Return all peers, installed or not."""
    open3d = ("open3d",)
    found = []
    for neighbours, depth in itertools.product(NEIGHBOURS, DEPTHS):
        variant = f"depth {depth} k {neighbours}"
        found.append(Method(POISSON, variant, _poisson(depth, neighbours), needs=open3d))
    for depth in DEPTHS:
        variant = f"depth {depth}"
        found.append(Method(POISSON_TRUE, variant, _poisson(depth, None), needs=open3d))
    found.append(Method(BALL, "", _ball_pivoting, needs=open3d))
    for factor in ALPHAS:
        found.append(Method(ALPHA, f"alpha {factor:g}", _alpha(factor), True, open3d))
    found.append(Method(MESHLAB, f"depth {MESHLAB_DEPTH}", _meshlab, needs=("pymeshlab",)))
    return found


def missing(method: Method) -> str | None:
    """Return what keeps a method from running here, in words, or None."""
    for package in method.needs:
        try:
            importlib.import_module(package)
        except ImportError as error:
            if getattr(error, "name", None) == package:
                return f"{package} is not installed: pip install {package}"
            return f"{package} does not load on this machine: {error}"
    return None


def _open3d() -> Any:
    library = importlib.import_module("open3d")
    library.utility.set_verbosity_level(library.utility.VerbosityLevel.Error)
    return library


def _poisson(depth: int, neighbours: int | None) -> Run:
    """Return Poisson with normals estimated from so many neighbours, or with the true ones."""

    def run(given: Given) -> trimesh.Trimesh:
        normals = given.scan.normals if neighbours is None else given.estimated(neighbours)
        return poisson_of(given, normals, depth)

    return run


def poisson_of(given: Given, normals: NDArray[np.float64], depth: int) -> trimesh.Trimesh:
    """Return the screened Poisson reconstruction of a scan with normals (N, 3)."""
    kind = _open3d().geometry.TriangleMesh
    cloud = given.cloud(normals)
    return from_open3d(kind.create_from_point_cloud_poisson(cloud, depth=depth, n_threads=1)[0])


def _ball_pivoting(given: Given) -> trimesh.Trimesh:
    library = _open3d()
    radii = library.utility.DoubleVector([factor * given.spacing for factor in RADII])
    kind = library.geometry.TriangleMesh
    cloud = given.cloud(given.estimated())
    return from_open3d(kind.create_from_point_cloud_ball_pivoting(cloud, radii))


def _alpha(factor: float) -> Run:
    def run(given: Given) -> trimesh.Trimesh:
        kind = _open3d().geometry.TriangleMesh
        alpha = factor * given.spacing
        return from_open3d(kind.create_from_point_cloud_alpha_shape(given.cloud(None), alpha))

    return run


def _meshlab(given: Given) -> trimesh.Trimesh:
    library = importlib.import_module("pymeshlab")
    meshes = library.MeshSet(verbose=False)
    meshes.add_mesh(library.Mesh(vertex_matrix=given.scan.points))
    if given.sensors and given.scan.sensor is not None:
        meshes.compute_normal_for_point_clouds(k=16, flipflag=True, viewpos=given.scan.sensor)
    else:
        meshes.compute_normal_for_point_clouds(k=16)
    meshes.generate_surface_reconstruction_screened_poisson(depth=MESHLAB_DEPTH, threads=1)
    made = meshes.current_mesh()
    return trimesh.Trimesh(made.vertex_matrix(), made.face_matrix(), process=False)
