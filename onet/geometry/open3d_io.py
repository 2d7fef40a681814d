"""Meshes and clouds to Open3D and back: the extra `open3d`.

Both directions keep coordinates as float64 and faces as they are numbered. Clouds of Open3D need no
function to come in: `onet.geometry.clouds.memory.take_cloud`, and so whatever takes points, takes
them as they are.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError, MissingDependency
from onet.geometry.clouds.cloud import PointCloud, check_points
from onet.geometry.clouds.memory import take_cloud

if TYPE_CHECKING:
    import trimesh

logger = logging.getLogger(__name__)


def to_open3d(shape: Any) -> Any:
    """Return an `open3d.geometry.TriangleMesh` of a mesh, or a `PointCloud` of points.

    Colours of vertices and points come along, and the normals of a `PointCloud`. Colours of faces
    and textures have no place there and are left out with a warning.

    Args:
        shape: a `trimesh.Trimesh`, or whatever `take_cloud` takes.

    Raises:
        MissingDependency: Open3D is not installed, or does not load on this machine.
        DataError: a scene, or points that `take_cloud` refuses.
    """
    import trimesh

    open3d = load_open3d()
    if isinstance(shape, trimesh.Scene):
        raise DataError("shape: is a trimesh.Scene; give its meshes one by one (scene.dump())")
    if not isinstance(shape, trimesh.Trimesh):
        return _cloud(open3d, take_cloud(shape, "shape"))
    mesh = open3d.geometry.TriangleMesh(
        _vectors(open3d, shape.vertices),
        open3d.utility.Vector3iVector(np.asarray(shape.faces, dtype=np.int32).reshape(-1, 3)),
    )
    kind = getattr(shape.visual, "kind", None)
    if kind == "vertex":
        colors = np.asarray(shape.visual.vertex_colors)[:, :3]  # type: ignore[union-attr]
        mesh.vertex_colors = _vectors(open3d, colors / 255)
    elif kind is not None:
        logger.warning("shape: its colours (%s) are left out: Open3D's mesh has none such", kind)
    return mesh


def from_open3d(mesh: Any) -> trimesh.Trimesh:
    """Return a `trimesh.Trimesh` of a triangle mesh of Open3D, of the old or the tensor kind.

    Vertices keep their order, those without a face included; colours of vertices come along.
    Open3D need not be installed for it: what has its attributes is taken.

    Raises:
        DataError: no triangle mesh of Open3D, no triangles, indices beyond the vertices, or
            coordinates that are NaN or infinite.
    """
    import trimesh

    vertices, faces, colors = _arrays(mesh)
    if not faces.size:
        raise DataError("mesh: has no triangles; give a triangle mesh, or points to `take_cloud`")
    if faces.ndim != 2 or faces.shape[1] != 3:
        raise DataError(f"mesh: triangles of shape {faces.shape}; expected (F, 3)")
    vertices = check_points(vertices, "mesh")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise DataError(
            f"mesh: triangles name vertices {faces.min()} to {faces.max()} of {len(vertices)}; "
            "mend the indices"
        )
    result = trimesh.Trimesh(vertices, faces, process=False)
    if colors is not None and len(colors) == len(vertices):
        if colors.dtype != np.uint8:
            colors = np.rint(np.clip(colors, 0, 1) * 255).astype(np.uint8)
        visual: Any = result.visual
        visual.vertex_colors = colors
    return result


def load_open3d() -> Any:
    """Return the package Open3D.

    Raises:
        MissingDependency: it is not installed, or does not load on this machine.
    """
    try:
        import open3d
    except ModuleNotFoundError as error:
        if error.name != "open3d":
            raise MissingDependency(
                f"Open3D needs the package {error.name}, which is missing: pip install "
                "'onet[open3d]'"
            ) from error
        raise MissingDependency("Open3D is not installed: pip install 'onet[open3d]'") from None
    except ImportError as error:  # a library of the system, libusb or libGL for instance
        raise MissingDependency(
            f"Open3D (the extra onet[open3d]) is installed but does not load: {error}; install "
            "that library with the package manager of the system"
        ) from error
    return open3d


def _vectors(open3d: Any, rows: Any) -> Any:
    return open3d.utility.Vector3dVector(np.ascontiguousarray(rows, dtype=np.float64))


def _cloud(open3d: Any, cloud: PointCloud) -> Any:
    result = open3d.geometry.PointCloud(_vectors(open3d, cloud.points))
    if cloud.normals is not None:
        result.normals = _vectors(open3d, cloud.normals)
    if cloud.colors is not None:
        result.colors = _vectors(open3d, cloud.colors / 255)
    return result


def _arrays(mesh: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    """Vertices, triangles and colours of vertices, as they are stored."""
    if hasattr(mesh, "triangles") and hasattr(mesh, "vertices"):
        colors = np.asarray(getattr(mesh, "vertex_colors", ()))
        return (
            np.asarray(mesh.vertices),
            np.asarray(mesh.triangles),
            colors if len(colors) else None,
        )
    vertex, triangle = getattr(mesh, "vertex", None), getattr(mesh, "triangle", None)
    if vertex is None or triangle is None:
        raise DataError(
            f"mesh: is a {type(mesh).__name__}; give a triangle mesh of Open3D "
            "(open3d.geometry or open3d.t.geometry)"
        )
    found = [_tensor(vertex, "positions"), _tensor(triangle, "indices")]
    if found[0] is None or found[1] is None:
        raise DataError("mesh: has no positions or no triangles; give a mesh that has both")
    return found[0], found[1], _tensor(vertex, "colors")


def _tensor(attributes: Any, key: str) -> NDArray[Any] | None:
    """Return an attribute of a tensor geometry, on any device, or None."""
    if key not in attributes:
        return None
    array: NDArray[Any] = attributes[key].cpu().numpy()
    return array
