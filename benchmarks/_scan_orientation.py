"""Sides and borders of meshes."""

from __future__ import annotations

import numpy as np
import trimesh


def turned_outward(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """Return the mesh with the other side of all faces out, where its volume is negative."""
    corners = mesh.vertices[mesh.faces] - mesh.vertices.mean(axis=0)
    volume = np.linalg.det(corners).sum()
    if volume >= 0:
        return mesh
    return trimesh.Trimesh(mesh.vertices, mesh.faces[:, ::-1], process=False)


def has_border(mesh: trimesh.Trimesh) -> bool:
    """Return whether some edge belongs to an odd number of faces: there the surface ends."""
    edges = np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    return bool((counts % 2).any())
