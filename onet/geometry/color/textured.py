"""A surface with materials: the colour of any place of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onet.geometry.color.srgb import LINEAR_OF_BYTE, to_srgb
from onet.geometry.mesh_reading.raw import UNPAINTED

if TYPE_CHECKING:
    import trimesh

_ROWS = 1 << 18
WHITE = np.ones(4)


@dataclass(frozen=True, eq=False)
class Texture:
    """A picture on a surface.

    Attributes:
        pixels: (H, W, 4) uint8, sRGB and alpha, the first row at the top.
        wrap: what is beyond the picture along u and v: `repeat`, `clamp` or `mirror`.
        nearest: whether texels are not interpolated.
    """

    pixels: NDArray[np.uint8]
    wrap: tuple[str, str] = ("repeat", "repeat")
    nearest: bool = False

    def at(
        self,
        uv: NDArray[np.float64],  # (N, 2), v upwards
    ) -> NDArray[np.float64]:
        """Return amounts of light and alpha (N, 4) at texture coordinates, interpolated."""
        height, width = self.pixels.shape[:2]
        column = np.nan_to_num(uv[:, 0], posinf=0, neginf=0) * width - 0.5
        row = (1 - np.nan_to_num(uv[:, 1], posinf=0, neginf=0)) * height - 0.5
        if self.nearest:
            column, row = np.round(column), np.round(row)
        left, top = np.floor(column), np.floor(row)
        across, down = (column - left)[:, None], (row - top)[:, None]
        columns = [_wrapped(left + k, width, self.wrap[0]) for k in (0, 1)]
        rows = [_wrapped(top + k, height, self.wrap[1]) for k in (0, 1)]
        upper = self._light(rows[0], columns[0]) * (1 - across)
        upper += self._light(rows[0], columns[1]) * across
        lower = self._light(rows[1], columns[0]) * (1 - across)
        lower += self._light(rows[1], columns[1]) * across
        mixed: NDArray[np.float64] = upper * (1 - down) + lower * down
        return mixed

    def _light(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
        texels = self.pixels[rows, columns]
        result = LINEAR_OF_BYTE[texels]
        result[:, 3] = texels[:, 3] / 255
        return result


def _wrapped(index: NDArray[np.float64], count: int, wrap: str) -> NDArray[np.int64]:
    if wrap == "clamp":
        return np.clip(index, 0, count - 1).astype(np.int64)
    period = 2 * count if wrap == "mirror" else count
    place = np.mod(index, period).astype(np.int64)
    return np.minimum(place, period - 1 - place) if wrap == "mirror" else place


@dataclass(frozen=True, eq=False)
class SurfaceMaterial:
    """What a part of a surface looks like, apart from light.

    Attributes:
        factor: (4,) amounts of light and alpha that the rest is multiplied by.
        texture: a picture, or None.
        alpha: `opaque`, where alpha does not matter; `mask`, where a place whose alpha is below
            `cutoff` is a hole; `blend`, where it is how much hides what lies behind.
        cutoff: see `alpha`.
    """

    factor: NDArray[np.float64] = field(default_factory=WHITE.copy)
    texture: Texture | None = None
    alpha: str = "opaque"
    cutoff: float = 0.5


@dataclass(frozen=True, eq=False)
class TexturedMesh:
    """A mesh with its materials, for instance several of a scene.

    Attributes:
        mesh: the geometry, in the frame of the file.
        materials: at least one.
        material: (F,) int64, that of each face.
        uv: (F, 3, 2) texture coordinates of the faces' corners, v upwards, 0 where there are none.
        light: (F, 3, 4) amounts of light and alpha of the corners, by colours of vertices or faces;
            None where the file has none.
    """

    mesh: trimesh.Trimesh
    materials: list[SurfaceMaterial]
    material: NDArray[np.int64]
    uv: NDArray[np.float64]
    light: NDArray[np.float64] | None = None

    def shade(
        self,
        face: NDArray[np.int64],  # (N,)
        weights: NDArray[np.float64],  # (N, 3) of the face's corners, with a sum of 1
    ) -> NDArray[np.float64]:
        """Return amounts of light and alpha (N, 4) at places of the surface.

        Alpha is 1 on opaque materials, and 0 or 1 on those with holes.
        """
        result = np.ones((len(face), 4))
        if self.light is not None:
            result = np.einsum("nk,nkc->nc", weights, self.light[face])
        uv = np.einsum("nk,nkc->nc", weights, self.uv[face])
        used = self.material[face]
        for number in np.unique(used):
            material = self.materials[number]
            rows = np.flatnonzero(used == number)
            light = result[rows] * material.factor
            if material.texture is not None:
                light *= material.texture.at(uv[rows])
            if material.alpha == "opaque":
                light[:, 3] = 1
            elif material.alpha == "mask":
                light[:, 3] = light[:, 3] >= material.cutoff
            result[rows] = light
        return np.clip(result, 0, 1)

    @property
    def painted(self) -> bool:
        """Whether the file says anything of colours: they are not all those of faces without."""
        if self.light is not None or any(material.texture for material in self.materials):
            return True
        plain = np.array([WHITE, [*LINEAR_OF_BYTE[UNPAINTED[:3]], 1]], dtype=float)
        return not all(any(np.allclose(m.factor, p) for p in plain) for m in self.materials)


class SurfaceColors:
    """The field of colour of a textured mesh: that of the closest place of its surface."""

    def __init__(self, textured: TexturedMesh) -> None:
        from onet.geometry.distance import TriangleTree

        self.textured = textured
        self._tree = TriangleTree(textured.mesh)

    def __call__(
        self,
        points: NDArray[np.float64],  # (N, 3) in the frame of the mesh
    ) -> NDArray[np.float64]:  # (N, 3) in [0, 1]
        """Return the colours at places, as pictures encode them; alpha does not matter."""
        points = np.asarray(points, dtype=np.float64)
        result = np.empty((len(points), 3))
        for start in range(0, len(points), _ROWS):
            rows = slice(start, start + _ROWS)
            closest, _, face = self._tree.closest(points[rows])
            weights = barycentric(self.textured.mesh, face, closest)
            result[rows] = to_srgb(self.textured.shade(face, weights)[:, :3])
        return result


def barycentric(
    mesh: trimesh.Trimesh,
    face: NDArray[np.int64],  # (N,)
    points: NDArray[np.float64],  # (N, 3)
) -> NDArray[np.float64]:
    """Return weights (N, 3) in [0, 1] of faces' corners for points in their planes."""
    a, b, c = np.moveaxis(np.asarray(mesh.vertices)[np.asarray(mesh.faces)[face]], 1, 0)
    u, v, w = b - a, c - a, points - a
    uu, uv, vv = ((x * y).sum(axis=1) for x, y in ((u, u), (u, v), (v, v)))
    wu, wv = (w * u).sum(axis=1), (w * v).sum(axis=1)
    area = uu * vv - uv * uv
    flat = ~(area > 1e-14 * uu * vv)
    safe = np.where(flat, 1, area)
    second = np.where(flat, np.clip(wu / np.where(uu > 0, uu, 1), 0, 1), (vv * wu - uv * wv) / safe)
    third = np.where(flat, 0, (uu * wv - uv * wu) / safe)
    weights = np.clip(np.stack([1 - second - third, second, third], axis=1), 0, 1)
    total: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return total
