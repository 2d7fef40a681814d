"""glTF 2.0, text and binary: the default scene, its transforms applied, as a viewer shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.geometry.mesh_reading.files import MeshFiles
from onet.geometry.mesh_reading.gltf_asset import Asset
from onet.geometry.mesh_reading.gltf_colors import primitive_colors, vertex_colors
from onet.geometry.mesh_reading.gltf_scene import Placed, placed_meshes
from onet.geometry.mesh_reading.raw import (
    RawMesh,
    RawPoints,
    check_range,
    joined,
    strip_triangles,
)

_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_DRACO = "KHR_draco_mesh_compression"


def read_gltf(files: MeshFiles, colors: bool) -> RawMesh:
    """Read the triangles, strips and fans of the default scene; points and lines are left out.

    Instances are copied, morph targets take their default weights, and skinned meshes the pose that
    their joints have in the file.

    Raises:
        DataError: another version, a required extension that is not known, data that the buffers
            cannot hold, or a file that is not inside the folder.
    """
    return read_triangles(Asset(files), colors)


def read_triangles(asset: Asset, colors: bool) -> RawMesh:
    """Return the triangles of the default scene as its nodes stand now; see `read_gltf`."""
    parts: list[RawMesh] = []
    left = GrowthLimit(asset)
    for placed, mesh, primitive in primitives(asset):
        part = _primitive(asset, mesh, primitive, placed, colors)
        if part is not None:
            parts.append(part)
            left.take(len(part.vertices) + len(part.faces))
    return joined(parts)


def read_gltf_points(files: MeshFiles) -> RawPoints:
    """Read the vertices of the default scene, of points, lines and faces, where they stand there.

    Of a primitive with indices those are taken that it names. Normals and colours are taken where
    all primitives have them.

    Raises:
        DataError: see `read_gltf`.
    """
    asset = Asset(files)
    points: list[NDArray[np.float64]] = []
    others: dict[str, list[NDArray[np.float64]]] = {"NORMAL": [], "COLOR_0": []}
    left = GrowthLimit(asset)
    for placed, mesh, primitive in primitives(asset):
        attributes = asset.mapping(primitive.get("attributes"))
        if "POSITION" not in attributes:
            continue
        vertices, used = part_vertices(asset, mesh, primitive, placed)
        used = np.unique(used)
        for transform in placed.transforms(attributes):
            moved = moved_by(asset, vertices, transform)[used]
            points.append(moved)
            left.take(len(moved))
            if "NORMAL" in attributes:
                normals = asset.vectors(attributes["NORMAL"], 3)
                turned = _turned(asset, _rows(asset, normals, len(vertices)), transform)
                others["NORMAL"].append(turned[used])
            if "COLOR_0" in attributes:
                colors = vertex_colors(asset, attributes)[:, :3]
                others["COLOR_0"].append(_rows(asset, colors, len(vertices))[used])
    normals_colors = [
        np.concatenate(rows) if rows and len(rows) == len(points) else None
        for rows in others.values()
    ]
    return RawPoints(np.concatenate(points) if points else np.zeros((0, 3)), *normals_colors)


class GrowthLimit:
    """Refuses a file that makes far more of itself than it holds."""

    def __init__(self, asset: Asset) -> None:
        self.asset = asset
        self.left = max(5_000_000, 4 * asset.size)

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise self.asset.files.error(
                f"its {self.asset.size} bytes grow to millions of faces by copying; export each "
                "object once"
            )


def primitives(asset: Asset) -> Iterator[tuple[Placed, dict[str, Any], dict[str, Any]]]:
    """Yield all parts of the scene: where they stand, their mesh, and themselves."""
    for placed in placed_meshes(asset):
        mesh = asset.entry("meshes", placed.mesh)
        for primitive in asset.list_of(mesh, "primitives"):
            yield placed, mesh, asset.mapping(primitive)


def part_vertices(
    asset: Asset, mesh: dict[str, Any], primitive: dict[str, Any], placed: Placed
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the vertices of a part in its own frame, and the indices of its corners."""
    attributes = asset.mapping(primitive.get("attributes"))
    if _DRACO in asset.mapping(primitive.get("extensions", {})):
        position = asset.entry("accessors", attributes["POSITION"])
        if "bufferView" not in position:
            raise asset.files.error(f"uses {_DRACO}; {asset.remedy}")
    vertices = asset.vectors(attributes["POSITION"], 3)
    indices = np.arange(len(vertices))
    if "indices" in primitive:
        indices = asset.scalars(primitive["indices"])
    check_range(asset.files, indices, len(vertices))
    weights = placed.weights if placed.weights is not None else mesh.get("weights")
    return _morphed(asset, vertices, primitive.get("targets"), weights), indices


def moved_by(
    asset: Asset, vertices: NDArray[np.float64], transform: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return vertices (N, 3) moved by a transform (4, 4), or by one for each (N, 4, 4)."""
    if transform.ndim == 2:
        moved: NDArray[np.float64] = vertices @ transform[:3, :3].T + transform[:3, 3]
        return moved
    if len(transform) != len(vertices):
        raise asset.files.error("has a skin with another number of vertices")
    result = np.einsum("nij,nj->ni", transform[:, :3, :3], vertices) + transform[:, :3, 3]
    return np.asarray(result)


def _turned(
    asset: Asset, normals: NDArray[np.float64], transform: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return normals of the moved surface: by the cofactors of the transform, turned outward."""
    linear = transform[..., :3, :3]
    cofactors = np.stack(
        [np.cross(linear[..., k - 2, :], linear[..., k - 1, :]) for k in range(3)], axis=-2
    )
    frame = np.zeros((*linear.shape[:-2], 4, 4))
    sign = np.sign(np.linalg.det(linear))[..., None, None]
    frame[..., :3, :3] = cofactors * np.where(sign == 0, 1, sign)
    return moved_by(asset, normals, frame)


def _rows(asset: Asset, values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    if len(values) != count:
        raise asset.files.error(
            f"has {len(values)} normals or colours for {count} vertices; export it again"
        )
    return values


def part_faces(
    asset: Asset, mesh: dict[str, Any], primitive: dict[str, Any], placed: Placed
) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """Return vertices in the part's own frame, and triangles; None for points and lines."""
    attributes = asset.mapping(primitive.get("attributes"))
    mode = primitive.get("mode", _TRIANGLES)
    if mode not in range(7):
        raise asset.files.error(f"has a primitive of mode {mode!r}; export it again")
    if mode not in (_TRIANGLES, _STRIP, _FAN) or "POSITION" not in attributes:
        return None
    vertices, indices = part_vertices(asset, mesh, primitive, placed)
    faces = part_triangles(asset, indices, mode)
    return vertices, faces


def _primitive(
    asset: Asset, mesh: dict, primitive: dict, placed: Placed, colors: bool
) -> RawMesh | None:
    """Return one part of a mesh in the frame of the scene; None for points and lines."""
    found = part_faces(asset, mesh, primitive, placed)
    if found is None:
        return None
    vertices, faces = found
    attributes = asset.mapping(primitive.get("attributes"))
    shades = primitive_colors(asset, primitive, attributes, faces) if colors else None
    copies = []
    for transform in placed.transforms(attributes):
        moved = moved_by(asset, vertices, transform)
        turns = np.linalg.det(transform[..., :3, :3])
        mirrored = turns.size > 0 and np.median(turns) < 0
        copies.append(RawMesh(moved, faces[:, ::-1] if mirrored else faces, shades))
    return joined(copies)


def part_triangles(asset: Asset, indices: NDArray[np.int64], mode: int) -> NDArray[np.int64]:
    count = len(indices)
    if mode == _TRIANGLES:
        if count % 3:
            raise asset.files.error(f"has triangles of {count} corners; export it again")
        return indices.reshape(-1, 3)
    if mode == _STRIP:
        faces = indices[strip_triangles(count)]
    else:
        steps = np.arange(1, max(count - 1, 1))
        faces = indices[np.stack([steps, steps + 1, np.zeros_like(steps)], axis=1)]
    a, b, c = faces.T
    return faces[(a != b) & (b != c) & (c != a)]  # strips are joined by triangles without area


def _morphed(
    asset: Asset, vertices: NDArray[np.float64], targets: object, weights: object
) -> NDArray[np.float64]:
    """Return vertices moved by the morph targets that have a weight by default."""
    if not targets or not weights:
        return vertices
    for target, weight in zip(asset.items(targets), asset.items(weights), strict=False):
        accessor = asset.mapping(target).get("POSITION")
        if accessor is None or not weight:
            continue
        offsets = asset.vectors(accessor, 3, zeros=True)
        if len(offsets) != len(vertices):
            raise asset.files.error("has a morph target with another number of vertices")
        vertices = vertices + float(weight) * offsets
    return vertices
