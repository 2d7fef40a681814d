"""Wavefront OBJ with its materials."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onet.geometry.color.srgb import LINEAR_OF_BYTE, to_linear
from onet.geometry.color.textured import SurfaceMaterial, Texture
from onet.geometry.mesh_reading.files import MeshFiles
from onet.geometry.mesh_reading.materials import Material
from onet.geometry.mesh_reading.obj import material_libraries, statements
from onet.geometry.mesh_reading.raw import UNPAINTED, from_polygons
from onet.geometry.mesh_reading.textured_parts import TexturedPart


def read_obj_textured(files: MeshFiles) -> list[TexturedPart]:
    """Read the polygons of an OBJ file as `read_obj` does, with what they look like.

    A diffuse texture replaces the diffuse colour, as exporters mean it. Colours of vertices count
    where the file names no materials. The faces stay in their order: one part for each run of faces
    of one material.

    Raises:
        DataError: see `read_obj`.
    """
    found = statements(files, colors=True)
    vertices = np.array(found.positions).reshape(-1, 3)
    corners = np.array(found.corners, dtype=np.int64) - 1
    sizes = np.array(found.sizes, dtype=np.int64)
    mesh, places, polygons = from_polygons(files, vertices, corners, sizes, first=1)
    uv = _coordinates(np.array(found.textures), found.corner_textures, places)
    used = np.array(found.used, dtype=np.int64)[polygons]
    library = material_libraries(files, found)
    names = {number: name for name, number in found.materials.items()}
    light = None
    if len(found.colors) and not library:
        light = np.ones((len(vertices), 4))
        light[:, :3] = to_linear(np.array(found.colors).reshape(-1, 3))
    looks: dict[int, SurfaceMaterial] = {}
    parts = []
    starts = np.flatnonzero(np.diff(used, prepend=-2))
    for start, end in zip(starts, [*starts[1:], len(used)], strict=True):
        number = int(used[start])
        if number not in looks:
            plain = light is not None
            looks[number] = _look(library.get(names.get(number, "")), plain)
        faces = mesh.faces[start:end]
        parts.append(
            TexturedPart(
                vertices,
                faces,
                looks[number],
                uv[start:end],
                None if light is None else light[faces],
            )
        )
    return parts


def _coordinates(
    textures: NDArray[np.float64], corner_textures: object, places: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the (M, 3, 2) coordinates of triangles' corners; 0 where a corner names none."""
    known = np.vstack([textures.reshape(-1, 2), np.zeros((1, 2))])
    named = np.asarray(corner_textures, dtype=np.int64)[places].reshape(-1, 3) - 1
    inside = (named >= 0) & (named < len(known) - 1)
    result: NDArray[np.float64] = known[np.where(inside, named, len(known) - 1)]
    return result


def _look(material: Material | None, painted: bool) -> SurfaceMaterial:
    if material is None:
        color = np.full(4, 255, dtype=np.uint8) if painted else UNPAINTED
        return SurfaceMaterial(_light(color))
    if material.texture is None:
        return SurfaceMaterial(_light(material.color))
    return SurfaceMaterial(texture=Texture(np.asarray(material.texture)))


def _light(color: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.append(LINEAR_OF_BYTE[color[:3]], color[3] / 255)
