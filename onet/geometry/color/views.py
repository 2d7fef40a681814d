"""Colour, depth and normals of a textured mesh as cameras see it, on the CPU.

The rasteriser finds the face behind each subpixel; the place on it, and so its texture coordinates,
is computed from the ray through the subpixel, exact in perspective. It takes a tenth of the time of
ray casting (`benchmarks render`). Rays are cast where it does not do: from a camera within the
extent of the mesh, and through faces that can be seen through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onet.geometry.color.srgb import to_linear, to_srgb
from onet.geometry.color.textured import TexturedMesh, barycentric
from onet.geometry.rendering import shades

if TYPE_CHECKING:
    from onet.geometry.cameras import Camera

_LAYERS = 16  # of faces that can be seen through, one behind the other
_OPAQUE = 1e-3  # of light that gets through, where a ray ends
_BEHIND = 1e-9


@dataclass(frozen=True, eq=False)
class View:
    """What one camera sees.

    Attributes:
        image: (S, S, 4) uint8, sRGB and coverage, not premultiplied, black where that is 0.
        depth: (S, S) float32 along the axis of the camera, in units of the mesh, at the middles of
            pixels; infinite where nothing is.
        normals: (S, S, 3) float32 of the faces there, in the frame of the mesh, turned to the
            camera; 0 where nothing is.
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    normals: NDArray[np.float32]


def render_textured(
    textured: TexturedMesh,
    camera: Camera,  # in the frame of the mesh
    size: int,
    supersampling: int = 3,
    lit: bool = False,
) -> View:
    """Return what a camera sees: the colours of the surface, without any light or shade.

    Args:
        textured: any frame; both sides of its faces are seen.
        camera: of a picture of `size` pixels.
        size: pixels along an edge of the square picture.
        supersampling: subpixels along an edge of a pixel, an odd number.
        lit: with the light and shade of `onet.geometry.rendering.render_view`.

    Raises:
        ValueError: an even number of subpixels, whose middle is none of them.
    """
    if supersampling < 1 or supersampling % 2 == 0:
        raise ValueError(f"supersampling is {supersampling}; give 1, 3 or 5")
    fine = camera.resized(supersampling)
    rays = _Rays(fine, size * supersampling)
    face = _visible_faces(textured, fine, rays)
    depth, light, normals = _shaded(textured, rays, face, camera if lit else None)
    middle = slice(supersampling // 2, None, supersampling)
    blocks = light.reshape(size, supersampling, size, supersampling, 4)
    covered = blocks[..., 3].mean(axis=(1, 3))
    total = (blocks[..., :3] * blocks[..., 3:]).mean(axis=(1, 3))
    color = to_srgb(total / np.maximum(covered, 1e-12)[..., None])
    image = np.dstack([color, covered])
    image[covered < 0.5 / 255] = 0
    shape = (size * supersampling,) * 2
    return View(
        np.round(image * 255).astype(np.uint8),
        depth.reshape(shape)[middle, middle].astype(np.float32),
        normals.reshape(*shape, 3)[middle, middle].astype(np.float32),
    )


class _Rays:
    """The rays through the middles of all pixels of a picture."""

    def __init__(self, camera: Camera, size: int) -> None:
        self.size, self.origin = size, camera.centre
        middles = np.arange(size) + 0.5
        pixels = np.stack([*np.meshgrid(middles, middles), np.ones((size, size))], axis=-1)
        seen = pixels.reshape(-1, 3) @ np.linalg.inv(camera.intrinsics).T
        # Of depth 1 along the axis of the camera: distances along them are depths.
        self.directions = np.ascontiguousarray(seen @ camera.pose[:, :3])


def _visible_faces(textured: TexturedMesh, camera: Camera, rays: _Rays) -> NDArray[np.int64]:
    """Return the first face behind each pixel (N,), -1 where there is none."""
    from onet import _C

    mesh = textured.mesh
    faces = np.ascontiguousarray(mesh.faces, dtype=np.int64)
    pixels, depth = camera.project(mesh.vertices)
    low, high = float(depth.min()), float(depth.max())
    if low > 1e-6 * high > 0:
        # In screen space -1 / depth is linear, so the rasteriser sorts perspective views too.
        projected = np.column_stack([pixels, -1 / depth])
        _, face = _C.rasterize(projected, faces, rays.size, rays.size)
        return face.reshape(-1).astype(np.int64)
    return _hits(textured, rays.origin[None], rays.directions)[1]


def _hits(
    textured: TexturedMesh, origins: NDArray[np.float64], directions: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Depths (N,) and faces (N,) of the first hits of rays."""
    from onet import _C

    distance, face = _C.first_hits(
        np.ascontiguousarray(textured.mesh.vertices, dtype=np.float64),
        np.ascontiguousarray(textured.mesh.faces, dtype=np.int64),
        np.ascontiguousarray(np.broadcast_to(origins, directions.shape)),
        np.ascontiguousarray(directions),
    )
    return np.asarray(distance, dtype=np.float64), np.asarray(face, dtype=np.int64)


def _shaded(
    textured: TexturedMesh, rays: _Rays, face: NDArray[np.int64], lamp: Camera | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Depth (N,), light with coverage (N, 4) and normals (N, 3) of all pixels.

    Depth and normal are of the first face that is more than half opaque there. The light is that
    over the shoulder of the camera `lamp`; with None all places are as bright as they can be.
    """
    count = len(face)
    depth, normals = np.full(count, np.inf), np.zeros((count, 3))
    light, through = np.zeros((count, 3)), np.ones(count)
    going = np.flatnonzero(face >= 0)
    met = face[going]
    extent = float(np.ptp(textured.mesh.vertices, axis=0).max())
    for _ in range(_LAYERS):
        if not len(going):
            break
        ways = rays.directions[going]
        away, normal = _plane_depth(textured, met, rays.origin, ways)
        places = rays.origin + away[:, None] * ways
        shade = textured.shade(met, barycentric(textured.mesh, met, places))
        if lamp is not None:
            shade[:, :3] = to_linear(to_srgb(shade[:, :3]) * shades(normal, lamp)[:, None])
        light[going] += (through[going] * shade[:, 3])[:, None] * shade[:, :3]
        solid = (shade[:, 3] >= 0.5) & np.isinf(depth[going])
        depth[going[solid]], normals[going[solid]] = away[solid], normal[solid]
        through[going] *= 1 - shade[:, 3]
        left = through[going] > _OPAQUE
        going, ways, away = going[left], ways[left], away[left]
        if len(going):
            length = np.linalg.norm(ways, axis=1)
            start = away + 1e-7 * extent / length
            _, met = _hits(textured, rays.origin + start[:, None] * ways, ways)
            going, met = going[met >= 0], met[met >= 0]
    covered = 1 - through
    rgb = light / np.maximum(covered, 1e-12)[:, None]
    return depth, np.column_stack([rgb, covered]), normals


def _plane_depth(
    textured: TexturedMesh,
    face: NDArray[np.int64],
    origin: NDArray[np.float64],
    ways: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where rays meet the planes of faces (N,), and their normals (N, 3) towards the origin.

    Depths are kept within those of the corners, which rays along a plane would leave.
    """
    corners = np.asarray(textured.mesh.vertices)[np.asarray(textured.mesh.faces)[face]]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), np.finfo(float).tiny)
    slope = (normal * ways).sum(axis=1)
    offsets = corners - origin
    nearest = (offsets * ways[:, None]).sum(axis=2) / (ways**2).sum(axis=1)[:, None]
    plane = (normal * offsets[:, 0]).sum(axis=1)
    steep = np.abs(slope) > _BEHIND * np.linalg.norm(ways, axis=1)
    away = np.where(steep, plane / np.where(steep, slope, 1), nearest.mean(axis=1))
    away = np.clip(away, nearest.min(axis=1), nearest.max(axis=1)) if len(away) else away
    normal[slope > 0] *= -1
    return away, normal
