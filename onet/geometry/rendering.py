"""Small pictures of meshes and point clouds, without a display or a graphics driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.geometry.normalization import without_loose_vertices

if TYPE_CHECKING:
    import trimesh

    from onet.geometry.cameras import Camera

Color = tuple[float, float, float]

GREY: Color = (0.8, 0.8, 0.8)

_SUPERSAMPLING = 3
_AMBIENT = 0.35
_JUMP = 0.02  # of depth that is drawn as an outline, in units of the picture's edge
_OUTLINE = 0.6
_LIGHT = np.array([-0.4, 0.7, 0.6])  # in camera axes: right, up, towards the observer


def render_mesh(
    mesh: trimesh.Trimesh,
    size: int = 256,
    azimuth: float = -35.0,
    elevation: float = 25.0,
    color: Color | NDArray[np.floating] = (0.70, 0.76, 0.86),
    bounds: ArrayLike | None = None,  # (2, 3)
) -> NDArray[np.uint8]:
    """Orthographic picture of a mesh on white, y up, both sides of its faces lit.

    Args:
        mesh: any frame; an empty mesh gives a white picture.
        size: pixels along an edge of the square picture.
        azimuth, elevation: position of the observer in degrees; azimuth 0 looks along -z.
        color: RGB in [0, 1], or one for each face (F, 3).
        bounds: box that fills the picture, so that several pictures share one scale; default the
            bounds of the mesh.

    Returns:
        (size, size, 3) uint8.
    """
    from onet import _C

    if len(mesh.faces) == 0:
        return np.full((size, size, 3), 255, dtype=np.uint8)
    axes = _camera_axes(azimuth, elevation)
    pixels = size * _SUPERSAMPLING
    projected = _project(mesh.vertices, axes, mesh.bounds if bounds is None else bounds, pixels)
    depth, face = _C.rasterize(
        projected, np.ascontiguousarray(mesh.faces, dtype=np.int64), pixels, pixels
    )
    light = _LIGHT / np.linalg.norm(_LIGHT)
    normals = mesh.face_normals @ axes.T
    facing = np.where(normals[:, 2:] < 0, -normals, normals)
    shade = _AMBIENT + (1 - _AMBIENT) * np.clip(facing @ light, 0, 1)
    image = np.ones((pixels, pixels, 3))
    hit = face >= 0
    colors = np.broadcast_to(np.asarray(color), (len(mesh.faces), 3))
    image[hit] = np.clip(shade[face[hit], None] * colors[face[hit]] * 1.15, 0, 1)
    far = np.where(hit, depth, 2.0 * pixels)
    image[hit & _jumps(far, _JUMP * pixels)] *= _OUTLINE
    return _downsample(image, size)


def _jumps(
    depth: NDArray[np.float64],  # (H, W)
    least: float,
) -> NDArray[np.bool_]:  # (H, W)
    """Where one part ends before another: parallel faces have the same shade."""
    jumps = np.zeros(depth.shape, dtype=bool)
    for turned, marks in ((depth, jumps), (depth.T, jumps.T)):
        # The second difference: a slope, however steep, is no jump.
        marks[1:-1] |= np.abs(turned[2:] - 2 * turned[1:-1] + turned[:-2]) > least
    return jumps


def render_view(
    mesh: trimesh.Trimesh,
    camera: Camera,  # in the frame of the mesh
    size: int,
    color: Color = GREY,
) -> NDArray[np.uint8]:
    """What a camera sees of a mesh: both sides of its faces lit from behind the camera's shoulder.

    Faces have the mesh's own colours where it has any (`load_mesh(path, colors=True)`). In screen
    space -1 / depth is linear, so the orthographic rasteriser sorts perspective views too.

    Args:
        mesh: any frame, wholly in front of the camera.
        camera: of a picture of `size` pixels.
        size: pixels along an edge of the square picture.
        color: RGB in [0, 1], where the mesh has none.

    Returns:
        (size, size, 4) uint8, RGB and alpha (not premultiplied, black where alpha is 0).

    Raises:
        ValueError: a vertex lies beside or behind the camera.
    """
    from onet import _C

    mesh = without_loose_vertices(mesh)
    faces = np.ascontiguousarray(mesh.faces, dtype=np.int64)
    if len(faces) == 0:
        return np.zeros((size, size, 4), dtype=np.uint8)
    pixels, depth = camera.resized(_SUPERSAMPLING).project(mesh.vertices)
    if not depth.min() > 0:
        raise ValueError("the camera is inside the mesh's extent; move it back")
    projected = np.column_stack([pixels, -1 / depth])
    _, face = _C.rasterize(projected, faces, size * _SUPERSAMPLING, size * _SUPERSAMPLING)
    corners = mesh.vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    away = np.einsum("ij,ij->i", normals, corners[:, 0] - camera.centre) > 0
    normals[away] *= -1
    shade = shades(normals, camera)
    visual: Any = mesh.visual
    own = visual.face_colors[:, :3] / 255 if visual.defined else np.asarray(color)
    table = np.full((len(faces) + 1, 4), 255, dtype=np.uint8)
    table[:-1, :3] = np.round(255 * shade[:, None] * own)
    table[-1] = 0  # where there is no face, whose index is -1
    # Sums of whole subpixel pictures: many times as fast as a sum over two short axes.
    total = np.zeros((size, size, 4), dtype=np.uint16)
    for row in range(_SUPERSAMPLING):
        for column in range(_SUPERSAMPLING):
            total += table[face[row::_SUPERSAMPLING, column::_SUPERSAMPLING]]
    hits = np.maximum(total[..., 3:] // 255, 1)
    image = (total + hits // 2) // hits
    image[..., 3] = np.round(total[..., 3] / _SUPERSAMPLING**2)
    return image.astype(np.uint8)


def shades(
    normals: NDArray[np.float64],  # (N, 3) of length 1, towards the camera
    camera: Camera,  # in the same frame
) -> NDArray[np.float64]:  # (N,) in [0, 1]
    """Return what the light over the camera's shoulder makes of encoded colours, as factors."""
    light = (_LIGHT * (1, -1, -1) / np.linalg.norm(_LIGHT)) @ camera.pose[:, :3]
    return np.asarray(_AMBIENT + (1 - _AMBIENT) * np.clip(normals @ light, 0, 1))


def on_white(
    image: NDArray[np.uint8],  # (H, W, 4)
) -> NDArray[np.uint8]:
    """Return an RGBA picture composited on white: (H, W, 3) uint8."""
    alpha = image[..., 3:].astype(np.uint16)
    return ((image[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def render_points(
    points: ArrayLike,  # (N, 3)
    size: int = 256,
    azimuth: float = -35.0,
    elevation: float = 25.0,
    color: Color = (0.85, 0.33, 0.10),
    bounds: ArrayLike | None = None,  # (2, 3)
) -> NDArray[np.uint8]:
    """Orthographic picture of a point cloud on white, nearer points darker; see `render_mesh`."""
    cloud = np.asarray(points, dtype=np.float64)
    if len(cloud) == 0:
        return np.full((size, size, 3), 255, dtype=np.uint8)
    axes = _camera_axes(azimuth, elevation)
    pixels = size * _SUPERSAMPLING
    box = np.array([cloud.min(axis=0), cloud.max(axis=0)]) if bounds is None else bounds
    projected = _project(cloud, axes, box, pixels)
    depth = projected[:, 2]
    near = (depth.max() - depth) / max(float(np.ptp(depth)), 1e-12)
    image = np.ones((pixels, pixels, 3))
    radius = max(1, round(pixels / 170))
    offsets = np.mgrid[-radius : radius + 1, -radius : radius + 1].reshape(2, -1).T
    offsets = offsets[(offsets**2).sum(axis=1) <= radius**2]
    order = np.argsort(-depth)  # far ones first
    where = np.floor(projected[order, None, :2]).astype(int) + offsets
    fade = (0.55 * (1 - near[order]))[:, None]
    tint = np.asarray(color) * (1 - fade) + fade
    keep = ((where >= 0) & (where < pixels)).all(axis=2)
    image[where[keep][:, 1], where[keep][:, 0]] = np.repeat(tint[:, None], len(offsets), axis=1)[
        keep
    ]
    return _downsample(image, size)


def _camera_axes(azimuth: float, elevation: float) -> NDArray[np.float64]:
    """Rows: right, up, towards the observer, in the frame of the object (y up)."""
    a, e = np.radians([azimuth, elevation])
    towards = np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
    right = np.array([np.cos(a), 0.0, -np.sin(a)])
    return np.stack([right, np.cross(towards, right), towards])


def _project(
    points: ArrayLike, axes: NDArray[np.float64], bounds: ArrayLike, pixels: int
) -> NDArray[np.float64]:
    box = np.asarray(bounds, dtype=np.float64)
    radius = 0.52 * max(float(np.linalg.norm(box[1] - box[0])), 1e-12)
    view = (np.asarray(points, dtype=np.float64) - box.mean(axis=0)) @ axes.T
    scale = pixels / (2 * radius)
    return np.ascontiguousarray(
        np.stack(
            [(view[:, 0] + radius) * scale, (radius - view[:, 1]) * scale, -view[:, 2] * scale],
            axis=1,
        )
    )


def _downsample(image: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    blocks = image.reshape(size, _SUPERSAMPLING, size, _SUPERSAMPLING, 3)
    return np.round(255 * blocks.mean(axis=(1, 3))).astype(np.uint8)
