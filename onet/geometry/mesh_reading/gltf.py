"""glTF 2.0, text and binary: the default scene, its transforms applied, as a viewer shows it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onet.geometry.mesh_reading.files import MeshFiles
from onet.geometry.mesh_reading.gltf_asset import Asset
from onet.geometry.mesh_reading.gltf_colors import primitive_colors
from onet.geometry.mesh_reading.gltf_scene import Placed, placed_meshes
from onet.geometry.mesh_reading.raw import RawMesh, check_range, joined, strip_triangles

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
    asset = Asset(files)
    parts, most = [], max(5_000_000, 4 * asset.size)
    for placed in placed_meshes(asset):
        mesh = asset.entry("meshes", placed.mesh)
        for primitive in asset.list_of(mesh, "primitives"):
            part = _primitive(asset, mesh, asset.mapping(primitive), placed, colors)
            if part is None:
                continue
            parts.append(part)
            most -= len(part.vertices) + len(part.faces)
            if most < 0:
                raise files.error(
                    f"its {asset.size} bytes grow to millions of faces by copying; export each "
                    "object once"
                )
    return joined(parts)


def _primitive(
    asset: Asset, mesh: dict, primitive: dict, placed: Placed, colors: bool
) -> RawMesh | None:
    """Return one part of a mesh in the frame of the scene; None for points and lines."""
    attributes = asset.mapping(primitive.get("attributes"))
    mode = primitive.get("mode", _TRIANGLES)
    if mode not in range(7):
        raise asset.files.error(f"has a primitive of mode {mode!r}; export it again")
    if mode not in (_TRIANGLES, _STRIP, _FAN) or "POSITION" not in attributes:
        return None
    if _DRACO in asset.mapping(primitive.get("extensions", {})):
        position = asset.entry("accessors", attributes["POSITION"])
        if "bufferView" not in position:
            raise asset.files.error(f"uses {_DRACO}; {asset.remedy}")
    vertices = asset.vectors(attributes["POSITION"], 3)
    indices = np.arange(len(vertices))
    if "indices" in primitive:
        indices = asset.scalars(primitive["indices"])
    check_range(asset.files, indices, len(vertices))
    faces = _triangles(asset, indices, mode)
    weights = placed.weights if placed.weights is not None else mesh.get("weights")
    vertices = _morphed(asset, vertices, primitive.get("targets"), weights)
    shades = primitive_colors(asset, primitive, attributes, faces) if colors else None
    copies = []
    for transform in placed.transforms(attributes):
        if transform.ndim == 2:
            moved = vertices @ transform[:3, :3].T + transform[:3, 3]
            mirrored = np.linalg.det(transform[:3, :3]) < 0
        else:  # one for each vertex, of a skin
            if len(transform) != len(vertices):
                raise asset.files.error("has a skin with another number of vertices")
            moved = np.einsum("nij,nj->ni", transform[:, :3, :3], vertices) + transform[:, :3, 3]
            mirrored = (
                np.median(np.linalg.det(transform[:, :3, :3])) < 0 if len(vertices) else False
            )
        copies.append(RawMesh(moved, faces[:, ::-1] if mirrored else faces, shades))
    return joined(copies)


def _triangles(asset: Asset, indices: NDArray[np.int64], mode: int) -> NDArray[np.int64]:
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
        offsets = asset.vectors(accessor, 3)
        if len(offsets) != len(vertices):
            raise asset.files.error("has a morph target with another number of vertices")
        vertices = vertices + float(weight) * offsets
    return vertices
