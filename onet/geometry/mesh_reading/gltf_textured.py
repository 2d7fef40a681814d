"""The default scene of glTF with its materials and textures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.geometry.mesh_reading.files import MeshFiles
from onet.geometry.mesh_reading.gltf import GrowthLimit, moved_by, part_faces, primitives
from onet.geometry.mesh_reading.gltf_asset import Asset
from onet.geometry.mesh_reading.gltf_colors import vertex_light
from onet.geometry.mesh_reading.gltf_materials import PlacedMaterial, placed_material
from onet.geometry.mesh_reading.textured_parts import TexturedPart


def read_gltf_textured(files: MeshFiles) -> list[TexturedPart]:
    """Read the faces of the default scene as `read_gltf` does, with what they look like.

    Raises:
        DataError: see `read_gltf`; or texture coordinates or colours for other vertices.
    """
    asset = Asset(files)
    parts: list[TexturedPart] = []
    materials: dict[tuple[object, ...], PlacedMaterial] = {}
    left = GrowthLimit(asset)
    for placed, mesh, primitive in primitives(asset):
        attributes = asset.mapping(primitive.get("attributes"))
        found = part_faces(asset, mesh, primitive, placed)
        if found is None:
            continue
        vertices, faces = found
        key = (primitive.get("material"), *sorted(a for a in attributes if "TEXCOORD" in a))
        if key not in materials:
            materials[key] = placed_material(asset, primitive, attributes)
        look = materials[key]
        uv = _coordinates(asset, attributes, look, len(vertices))
        light = None
        if "COLOR_0" in attributes:
            light = _rgba(_as_many(asset, vertex_light(asset, attributes), len(vertices)))
        for transform in placed.transforms(attributes):
            moved = moved_by(asset, vertices, transform)
            turns = np.linalg.det(transform[..., :3, :3])
            corners = faces[:, ::-1] if turns.size > 0 and np.median(turns) < 0 else faces
            parts.append(
                TexturedPart(
                    moved,
                    corners,
                    look.material,
                    None if uv is None else uv[corners],
                    None if light is None else light[corners],
                )
            )
            left.take(len(moved) + len(faces))
    return parts


def _coordinates(
    asset: Asset, attributes: dict[str, Any], look: PlacedMaterial, count: int
) -> NDArray[np.float64] | None:
    if look.coordinates is None:
        return None
    uv = _as_many(asset, asset.vectors(attributes[look.coordinates], 2), count)
    return look.corners(uv)


def _rgba(light: NDArray[np.float64]) -> NDArray[np.float64]:
    if light.shape[1] == 4:
        return light
    return np.column_stack([light, np.ones(len(light))])


def _as_many(asset: Asset, values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    if len(values) != count:
        raise asset.files.error(
            f"has {len(values)} texture coordinates or colours for {count} vertices; export it "
            "again"
        )
    return values
