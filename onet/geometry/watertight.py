"""Closed meshes from polygon soup, by what can be seen from outside.

The published data were made by rendering depth maps of each model and fusing them: whatever no view
sees becomes solid. That survives missing, flipped, doubled and intersecting faces and inner walls,
because it asks only where light from outside gets to. Here the depth maps decide the *sign* alone,
and the exact distance to the triangles decides *where* the surface is, so the result is a true
offset surface instead of an average of depth maps, and the thickness added is known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.distance import TriangleTree
from onet.geometry.extraction import extract_mesh
from onet.geometry.inside import contains
from onet.geometry.normalization import without_loose_vertices

if TYPE_CHECKING:
    import trimesh

# Thickness in cells of the extraction grid: as published, and enough for sheets to be resolved.
THICKNESS_CELLS = 1.5
MIN_THICKNESS_CELLS = 1.0


def make_watertight(
    mesh: trimesh.Trimesh,  # unit frame: bounding box centred at 0, longest edge 1
    resolution: int = 256,
    thickness: float | None = None,
    views: int = 100,
    threads: int = 0,
) -> trimesh.Trimesh:
    """Closed, manifold, outward mesh of everything that cannot be seen from outside.

    A point is outside when at least one of `views` orthographic depth maps sees it and it is
    further than `thickness` from every triangle. So the surface moves outward by exactly
    `thickness`, a sheet without volume becomes a board 2 x `thickness` thick, gaps narrower than
    that close, and cavities that no view reaches become solid.

    Args:
        mesh: triangles in any condition, in the unit frame.
        resolution: cells of the extraction grid along an edge of length 1.
        thickness: outward offset in the unit frame; default 1.5 / resolution.
        views: directions, spread evenly over the sphere.
        threads: 0 for all cores, or OMP_NUM_THREADS if that is set.

    Returns:
        Mesh in the unit frame; its extent exceeds the input's by 2 x `thickness`.
        `metadata["watertight"]` holds thickness, resolution, views and cavities_filled.

    Raises:
        DataError: the mesh is not in the unit frame, or the thickness is below one grid cell.
    """
    mesh = without_loose_vertices(mesh)
    if thickness is None:
        thickness = THICKNESS_CELLS / resolution
    _check(mesh, resolution, thickness)
    solid = _solid_field(mesh, resolution, thickness, views, threads)
    # The box ends on lattice points, one base cell outside the offset surface on every side.
    half = 0.5 + 8.0 / resolution
    box = ((-half,) * 3, (half,) * 3)
    raw = extract_mesh(
        solid, box, resolution=resolution + 16, seeds=_surface_seeds(mesh, resolution)
    )
    closed, cavities = fill_cavities(raw)
    closed.metadata["extraction"] = raw.metadata["extraction"]
    closed.metadata["watertight"] = {
        "method": "visibility",
        "thickness": thickness,
        "resolution": resolution,
        "views": views,
        "cavities_filled": cavities,
    }
    return closed


def _check(mesh: trimesh.Trimesh, resolution: int, thickness: float) -> None:
    """Refuse a mesh outside the unit frame, and a thickness that tears sheets."""
    vertices = mesh.vertices
    if (
        not len(mesh.faces)
        or not np.isfinite(vertices).all()
        or np.abs(vertices).max() > 0.5 + 1e-6
    ):
        raise DataError(
            "make_watertight needs a mesh with faces and finite vertices in [-0.5, 0.5]^3; "
            "bring it to the unit frame first (onet.geometry.normalization.UnitFrame)"
        )
    if thickness * resolution < MIN_THICKNESS_CELLS:
        raise DataError(
            f"thickness {thickness:g} is below one cell of the grid of {resolution}: sheets would "
            f"tear; use at least {MIN_THICKNESS_CELLS / resolution:g} or a finer resolution"
        )


def _solid_field(
    mesh: trimesh.Trimesh, resolution: int, thickness: float, views: int, threads: int
) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    """Return the field of the solid, positive inside: the distance to its surface."""
    from onet import _C

    vertices = np.ascontiguousarray(mesh.vertices, dtype=np.float64)
    faces = np.ascontiguousarray(mesh.faces, dtype=np.int64)
    tree = TriangleTree(mesh)
    size = max(2 * resolution, 64)  # pixels of a view: the eroded cracks stay below the thickness
    radius = 0.5 * np.sqrt(3.0) + 2 * thickness
    maps = _C.Views(vertices, faces, sphere_directions(views), size, radius, threads)

    def solid(points: NDArray[np.float32]) -> NDArray[np.float64]:
        queries = points.astype(np.float64)
        distance = tree.closest(queries, threads)[1]
        # Within the offset everything is solid, whatever the views say, and the value falls to 0
        # towards the offset surface; it stays positive where a point lies exactly on it.
        far = distance > thickness
        value = np.maximum(thickness - distance, 1e-9)
        seen = maps.visible(np.ascontiguousarray(queries[far]), threads).view(np.bool_)
        value[far] = np.where(seen, thickness - distance[far], thickness + distance[far])
        return value

    return solid


def fill_cavities(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, int]:
    """Return the outer shells of a closed, oriented mesh, and the number of pieces left out.

    Views that reach through slits leave bubbles inside a solid, up to hundreds of them. A cavity
    that does not connect to the outside cannot be seen, so it is solid like all that is not seen.
    """
    import trimesh

    if len(mesh.faces) == 0:
        return mesh, 0
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    piece = trimesh.graph.connected_component_labels(mesh.edges, len(vertices))[faces[:, 0]]
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    volume = np.bincount(piece, np.einsum("ij,ij->i", a, np.cross(b, c)))
    pieces, first = np.unique(piece, return_index=True)
    some_vertex = dict(zip(pieces.tolist(), a[first], strict=True))
    outer = []
    waiting = [k for k in np.argsort(-volume).tolist() if volume[k] > 0]
    while waiting:  # a piece within a larger one lay in a cavity of it
        outer.append(waiting.pop(0))
        if waiting:
            shell = trimesh.Trimesh(vertices, faces[piece == outer[-1]], process=False)
            inside = contains(shell, np.array([some_vertex[k] for k in waiting]))
            waiting = [k for k, covered in zip(waiting, inside, strict=True) if not covered]
    if len(outer) == len(pieces):
        return mesh, 0
    filled = trimesh.Trimesh(vertices, faces[np.isin(piece, outer)], process=False)
    filled.remove_unreferenced_vertices()
    return filled, len(pieces) - len(outer)


def sphere_directions(count: int) -> NDArray[np.float64]:
    """`count` unit vectors (count, 3) spread evenly over the sphere (Fibonacci lattice)."""
    i = np.arange(count) + 0.5
    y = 1 - 2 * i / count
    angle = np.pi * (1 + np.sqrt(5.0)) * i
    ring = np.sqrt(1 - y * y)
    return np.stack([ring * np.cos(angle), y, ring * np.sin(angle)], axis=1)


def _surface_seeds(mesh: trimesh.Trimesh, resolution: int) -> NDArray[np.float64]:
    """Points of the surface, several in each base cell it passes: no thin part is overlooked.

    From a seed on the octree follows the surface by itself, so one a fine cell is not needed.
    """
    from trimesh.sample import sample_surface

    count = int(np.clip(mesh.area * (resolution / 3) ** 2, 1000, 1_000_000)) if mesh.area > 0 else 0
    samples = sample_surface(mesh, count, seed=0)[0] if count else np.empty((0, 3))
    return np.concatenate([samples, mesh.triangles.reshape(-1, 3)])
