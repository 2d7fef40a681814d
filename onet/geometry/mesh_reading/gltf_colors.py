"""Colours of glTF primitives, one a face."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.glb_colors import srgb_of_vertices
from onet.geometry.mesh_reading.files import logger
from onet.geometry.mesh_reading.gltf_asset import Asset
from onet.geometry.mesh_reading.materials import Material, read_texture
from onet.geometry.mesh_reading.raw import as_bytes, face_colors


def primitive_colors(
    asset: Asset, primitive: dict[str, Any], attributes: dict[str, Any], faces: NDArray[np.int64]
) -> NDArray[np.uint8] | None:
    """Return (M, 4) colours from the base texture, else the vertices, else the base colour."""
    pbr: dict[str, Any] = {}
    if "material" in primitive:
        material = asset.entry("materials", primitive["material"])
        pbr = asset.mapping(material.get("pbrMetallicRoughness", {}))
    texture = asset.mapping(pbr.get("baseColorTexture", {}))
    coordinates = f"TEXCOORD_{texture.get('texCoord', 0)}"
    if texture and coordinates in attributes:
        picture = _texture(asset, texture.get("index"))
        if picture is not None:
            uv = asset.vectors(attributes[coordinates], 2)
            middles = _corners(asset, uv, faces).mean(axis=1)
            middles[:, 1] = 1 - middles[:, 1]  # glTF counts v downwards
            return picture.shade(middles)
    if "COLOR_0" in attributes:
        colors = vertex_colors(asset, attributes)
        _corners(asset, colors, faces)
        return face_colors(as_bytes(colors), faces)
    if "material" in primitive and ("baseColorFactor" in pbr or not texture):
        factor = asset.floats(pbr.get("baseColorFactor", [1, 1, 1, 1]), 4)
        return np.tile(as_bytes(srgb_of_vertices(factor[None])), (len(faces), 1))
    return None


def vertex_colors(asset: Asset, attributes: dict[str, Any]) -> NDArray[np.float64]:
    """Return the colours of vertices, (N, 3) or (N, 4), from 0 to 1, as pictures encode them."""
    return srgb_of_vertices(vertex_light(asset, attributes))


def vertex_light(asset: Asset, attributes: dict[str, Any]) -> NDArray[np.float64]:
    """Return the colours of the vertices, (N, 3) or (N, 4), from 0 to 1, as amounts of light."""
    colors = asset.accessor(attributes["COLOR_0"])
    entry = asset.entry("accessors", attributes["COLOR_0"])
    if not entry.get("normalized") and entry.get("componentType") != 5126:
        colors = colors / 255  # not allowed, but written
    return np.clip(colors, 0, 1)


def _corners(
    asset: Asset, values: NDArray[np.float64], faces: NDArray[np.int64]
) -> NDArray[np.float64]:
    if faces.size and faces.max() >= len(values):
        raise asset.files.error(
            f"has {len(values)} colours or texture coordinates for more vertices; export it again"
        )
    return values[faces]


def texture_picture(asset: Asset, index: object) -> NDArray[np.uint8] | None:
    """Return the texels (H, W, 4) of a texture, or None with a warning if it cannot be used."""
    material = _texture(asset, index)
    if material is None or material.texture is None:
        return None
    return np.asarray(material.texture)


def _texture(asset: Asset, index: object) -> Material | None:
    """Return the picture of a texture, or None with a warning: only colours are lost."""
    cache: dict[object, Material | None] = asset.__dict__.setdefault("_textures", {})
    if index not in cache:
        cache[index] = None
        try:
            texture = asset.entry("textures", index)
            source = texture.get("source")
            webp = asset.mapping(texture.get("extensions", {})).get("EXT_texture_webp")
            image = asset.entry("images", webp.get("source") if webp else source)
            if "uri" in image:
                data = asset.resource(image["uri"])
            else:
                data = bytes(asset.buffer_view(image.get("bufferView")))
            picture = read_texture(asset.files, data, str(image.get("name", source)))
        except DataError as error:
            logger.warning("%s; the texture is left out", error)
            return None
        if picture is not None:
            cache[index] = Material(np.full(4, 255, dtype=np.uint8), picture)
    return cache[index]
