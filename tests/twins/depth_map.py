"""Depth map of triangles by testing every pixel centre against every triangle."""

from __future__ import annotations

import numpy as np


def rasterize(
    vertices: np.ndarray,  # (V, 3) in pixels, smaller z is nearer
    faces: np.ndarray,  # (F, 3)
    width: int,
    height: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth (H, W), face (H, W) and how far (H, W) the pixel centre is from any projected edge."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    centres = np.stack([x, y, np.ones_like(x)])  # homogeneous
    depth = np.full((height, width), np.inf)
    face = np.full((height, width), -1)
    clearance = np.full((height, width), np.inf)
    for index, triangle in enumerate(vertices[faces]):
        corners = np.vstack([triangle[:, :2].T, np.ones(3)])
        if abs(np.linalg.det(corners)) < 1e-12:
            continue
        weights = np.tensordot(np.linalg.inv(corners), centres, axes=1)  # barycentric, (3, H, W)
        z = np.tensordot(triangle[:, 2], weights, axes=1)
        nearer = (weights >= 0).all(axis=0) & (z < depth)
        depth[nearer], face[nearer] = z[nearer], index
        clearance = np.minimum(clearance, np.abs(weights).min(axis=0))
    return depth, face, clearance
