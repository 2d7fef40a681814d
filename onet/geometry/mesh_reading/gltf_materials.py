"""Materials of glTF: base colours and their textures, and which texture coordinates they take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.geometry.color.textured import SurfaceMaterial, Texture
from onet.geometry.mesh_reading.files import logger
from onet.geometry.mesh_reading.gltf_asset import Asset
from onet.geometry.mesh_reading.gltf_colors import texture_picture

_WRAPS = {33071: "clamp", 33648: "mirror", 10497: "repeat"}
_NEAREST = (9728, 9984, 9986)
_GLOSSY = "KHR_materials_pbrSpecularGlossiness"


@dataclass(frozen=True, eq=False)
class PlacedMaterial:
    """A material with what its texture coordinates are.

    Attributes:
        material: without coordinates.
        coordinates: name of the attribute, or None without a texture.
        transform: (2, 3) of glTF's coordinates, v downwards (KHR_texture_transform).
    """

    material: SurfaceMaterial
    coordinates: str | None = None
    transform: NDArray[np.float64] = field(default_factory=lambda: np.eye(2, 3))

    def corners(self, uv: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, 2) coordinates, v upwards, for those of the file."""
        moved: NDArray[np.float64] = uv @ self.transform[:, :2].T + self.transform[:, 2]
        moved[:, 1] = 1 - moved[:, 1]
        return moved


def placed_material(
    asset: Asset, primitive: dict[str, Any], attributes: dict[str, Any]
) -> PlacedMaterial:
    """Return the material of a primitive; one that has none is white.

    A texture that cannot be used is left out, with a warning.
    """
    if "material" not in primitive:
        return PlacedMaterial(SurfaceMaterial())
    entry = asset.entry("materials", primitive["material"])
    base, info = _base(asset, entry)
    factor = np.clip(asset.floats(base, 4), 0, 1)
    alpha = str(entry.get("alphaMode", "OPAQUE")).lower()
    cutoff = asset.floats([entry.get("alphaCutoff", 0.5)], 1)[0]
    kind: dict[str, Any] = {
        "alpha": alpha if alpha in ("mask", "blend") else "opaque",
        "cutoff": float(cutoff),
    }
    if not info:
        return PlacedMaterial(SurfaceMaterial(factor, None, **kind))
    moved = asset.mapping(
        asset.mapping(info.get("extensions", {})).get("KHR_texture_transform", {})
    )
    coordinates = f"TEXCOORD_{moved.get('texCoord', info.get('texCoord', 0))}"
    if coordinates not in attributes:
        logger.warning(
            "%s: a part has no %s for its texture; the texture is left out there",
            asset.files.path, coordinates,
        )  # fmt: skip
        return PlacedMaterial(SurfaceMaterial(factor, None, **kind))
    texture = _texture(asset, info.get("index"))
    if texture is None:
        return PlacedMaterial(SurfaceMaterial(factor, None, **kind))
    transform = _transform(asset, moved)
    return PlacedMaterial(SurfaceMaterial(factor, texture, **kind), coordinates, transform)


def _base(asset: Asset, entry: dict[str, Any]) -> tuple[object, dict[str, Any]]:
    """Factor and texture of the base colour, of either workflow."""
    pbr = asset.mapping(entry.get("pbrMetallicRoughness", {}))
    glossy = asset.mapping(asset.mapping(entry.get("extensions", {})).get(_GLOSSY, {}))
    white = [1, 1, 1, 1]
    if glossy and "baseColorTexture" not in pbr:
        texture = asset.mapping(glossy.get("diffuseTexture", {}))
        return glossy.get("diffuseFactor", white), texture
    return pbr.get("baseColorFactor", white), asset.mapping(pbr.get("baseColorTexture", {}))


def _texture(asset: Asset, index: object) -> Texture | None:
    picture = texture_picture(asset, index)
    if picture is None:
        return None
    sampler: dict[str, Any] = {}
    number = asset.entry("textures", index).get("sampler")
    if number is not None:
        sampler = asset.entry("samplers", number)
    wraps = [_WRAPS.get(sampler.get(name, 10497), "repeat") for name in ("wrapS", "wrapT")]
    return Texture(picture, (wraps[0], wraps[1]), sampler.get("magFilter") in _NEAREST)


def _transform(asset: Asset, moved: dict[str, Any]) -> NDArray[np.float64]:
    """Return the matrix (2, 3) of KHR_texture_transform."""
    across, down = asset.floats(moved.get("scale", [1, 1]), 2)
    angle = asset.floats([moved.get("rotation", 0)], 1)[0]
    offset = asset.floats(moved.get("offset", [0, 0]), 2)
    cos, sin = np.cos(angle), np.sin(angle)
    turned = np.array([[cos, sin], [-sin, cos]]) @ np.diag([across, down])
    return np.column_stack([turned, offset])
