"""Colours of materials: a plain one, or what a texture shows at given places."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.mesh_reading.files import MeshFiles, decoded, logger, plain_text

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS = 2**26
"""Textures with more are left out: they take a quarter of a gigabyte."""

_DEFAULT = np.array([102, 102, 102, 255], dtype=np.uint8)
_OPTIONS = {b"-o": 3, b"-s": 3, b"-t": 3, b"-mm": 2}


@dataclass
class Material:
    """A colour (RGBA, uint8), and a texture in its place where there is one."""

    color: NDArray[np.uint8]
    texture: Image | None = None

    def shade(self, coordinates: NDArray[np.float64] | None) -> NDArray[np.uint8]:
        """Return the colours at (N, 2) texture coordinates, v upward; or the one colour (4,)."""
        from trimesh.visual.color import uv_to_color

        if self.texture is None or coordinates is None:
            return self.color
        shades: NDArray[np.uint8] = uv_to_color(np.nan_to_num(coordinates), self.texture)
        return shades


def read_texture(files: MeshFiles, data: bytes, name: str) -> Image | None:
    """Decode a picture; one that cannot be used is left out, and said so."""
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(data))
        if picture.width * picture.height > MOST_PIXELS:
            raise DataError(f"has {picture.width} x {picture.height} pixels")
        picture.load()
    except Exception as error:  # the decoders of the many formats raise whatever they like
        logger.warning("%s: the texture %s is left out: %s", files.path, name, error)
        return None
    return picture.convert("RGBA")


def read_mtl(files: MeshFiles, name: str) -> dict[str, Material]:
    """Read the diffuse colours and textures of a material library beside the mesh.

    Raises:
        DataError: a file that is not there or not in the folder, or a number that is none.
    """
    result: dict[str, Material] = {}
    current = None
    for line in plain_text(files.side_file(name)).split(b"\n"):
        words = line.split()
        if len(words) < 2:
            continue
        if words[0] == b"newmtl":
            current = result[decoded(line.split(None, 1)[1].strip())] = Material(_DEFAULT)
        elif current is not None and words[0] == b"Kd":
            try:
                color = np.clip(np.nan_to_num([float(word) for word in words[1:4]]), 0, 1)
            except ValueError:  # a spectral curve, or a number that is none
                continue
            if len(color) == 3:
                current.color = np.append(np.round(color * 255), 255).astype(np.uint8)
        elif current is not None and words[0] == b"map_Kd":
            picture = _map_name(line)
            try:
                data = files.side_file(picture)
            except DataError as error:
                logger.warning("%s; the texture is left out", error)
            else:
                current.texture = read_texture(files, data, picture)
    return result


def _map_name(line: bytes) -> str:
    """Return the file name of a texture statement, which options may precede."""
    rest = line.split(None, 1)[1].strip()
    while rest.startswith(b"-"):
        option, _, rest = rest.partition(b" ")
        for _ in range(_OPTIONS.get(option, 1)):
            word, _, others = rest.strip().partition(b" ")
            if option in _OPTIONS and not word.replace(b".", b"").lstrip(b"-").isdigit():
                break  # of three numbers the later ones may be missing
            rest = others.strip()
    return decoded(rest)
