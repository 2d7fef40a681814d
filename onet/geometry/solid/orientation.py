"""Which faces of a welded soup belong together, and which way they look.

A patch is what hangs together through edges of exactly two faces. Its faces are turned so that
neighbours agree; a patch that bounds a volume is turned outward.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from onet.geometry.solid.cleaning import Faces
from onet.geometry.winding import winding_number


@dataclass(frozen=True)
class Patches:
    """Faces turned to agree with their neighbours.

    Attributes:
        faces: (F, 3), turned.
        patch: (F,) number of the patch of each face.
        inward: (P,) whether a closed patch was turned inside out, as most of its faces looked.
        closed: (P,) whether the winding number of a patch is a whole number everywhere.
        volume: (P,) signed volume that a patch encloses; 0 for those that are not closed.
    """

    faces: Faces
    patch: NDArray[np.int64]
    inward: NDArray[np.bool_]
    closed: NDArray[np.bool_]
    volume: NDArray[np.float64]

    @property
    def of_closed(self) -> NDArray[np.bool_]:
        """(F,) whether a face belongs to a closed patch."""
        return np.asarray(self.closed[self.patch])

    def with_cavities(self, vertices: NDArray[np.float64]) -> Patches:
        """Return the patches with those turned back that are cavities: inward, within another."""
        faces = self.faces.copy()
        for cavity in np.flatnonzero(self.inward):
            others = self.of_closed & (self.patch != cavity) & ~self.inward[self.patch]
            own = self.patch == cavity
            shell = trimesh.Trimesh(vertices, self.faces[others], process=False)
            if winding_number(shell, vertices[self.faces[own][:1, 0]])[0] > 0.5:
                faces[own] = faces[own, ::-1]
        return replace(self, faces=faces)


def orient(vertices: NDArray[np.float64], faces: Faces) -> Patches:
    """Turn the faces (F, 3) of a welded mesh, patch by patch; closed patches outward."""
    count = len(faces)
    first, second, agree = _neighbours(faces)
    # The double cover: node f is the face as it is, node count + f the face turned over.
    other = np.where(agree, second, second + count)
    across = np.where(agree, second + count, second)
    rows, columns = np.concatenate([first, first + count]), np.concatenate([other, across])
    graph = coo_matrix((np.ones(len(rows), np.bool_), (rows, columns)), (2 * count, 2 * count))
    _, label = connected_components(graph, directed=False)
    as_is, over = label[:count], label[count:]
    _, patch = np.unique(np.minimum(as_is, over), return_inverse=True)
    patch = patch.reshape(-1).astype(np.int64)
    turned = as_is > over
    size = np.bincount(patch)
    most = np.bincount(patch, turned) > size / 2  # as most of its faces are
    turned ^= most[patch]
    result = np.where(turned[:, None], faces[:, ::-1], faces)
    closed = ~_has_border(result, patch, len(size))
    volume = np.where(closed, _volumes(vertices, result, patch, len(size)), 0.0)
    inward = volume < 0
    result = np.where(inward[patch][:, None], result[:, ::-1], result)
    return Patches(np.ascontiguousarray(result), patch, inward, closed, np.abs(volume))


def areas(vertices: NDArray[np.float64], faces: Faces) -> NDArray[np.float64]:
    """Areas (F,) of triangles."""
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    return np.asarray(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)


def _neighbours(
    faces: Faces,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Pairs of faces at edges that have two of them, and whether both look the same way."""
    start, end = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
    key = np.minimum(start, end) * (int(faces.max(initial=0)) + 1) + np.maximum(start, end)
    order = np.argsort(key, kind="stable")
    same = np.diff(key[order]) == 0
    alone = ~np.concatenate([[False], same]) & ~np.concatenate([same[1:], [False, False]])
    at = np.flatnonzero(np.concatenate([same, [False]]) & alone)
    first, second = order[at], order[at + 1]
    return first // 3, second // 3, start[first] != start[second]


def _has_border(faces: Faces, patch: NDArray[np.int64], patches: int) -> NDArray[np.bool_]:
    """(P,) whether a patch walks some edge more often in one direction than in the other."""
    start, end = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
    owner = np.repeat(patch, 3)
    keys = np.stack([owner, np.minimum(start, end), np.maximum(start, end)], axis=1)
    order = np.lexsort(keys.T[::-1])
    keys = keys[order]
    begins = np.flatnonzero(np.concatenate([[True], (np.diff(keys, axis=0) != 0).any(axis=1)]))
    sums = np.add.reduceat(np.where(start < end, 1, -1)[order], begins)
    result = np.zeros(patches, dtype=bool)
    result[keys[begins[sums != 0], 0]] = True
    return result


def _volumes(
    vertices: NDArray[np.float64], faces: Faces, patch: NDArray[np.int64], patches: int
) -> NDArray[np.float64]:
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    return np.asarray(
        np.bincount(patch, np.einsum("ij,ij->i", a, np.cross(b, c)) / 6, minlength=patches)
    )
