"""Which side of a face looks outside, asked of depth maps from all around.

A face of a solid is seen from the front alone. What is seen from both sides is a sheet; what no
view sees does not matter. A hole lets few views in, so that few see faces behind it from the back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onet.geometry.solid.cleaning import Faces
from onet.geometry.solid.orientation import Patches
from onet.geometry.watertight import sphere_directions

VIEWS = 64
PIXELS = 384
OPEN = 0.1
"""A patch that is seen from the back in this part of its pixels is a sheet all over."""
FIN = 0.35
"""In another patch a face that is seen so often from the back is one."""
TRUST = 8.0
"""Pixels of its own that weigh as much for a face as what is known of its patch."""


def sides_seen(
    vertices: NDArray[np.float64], faces: Faces
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels (F,) that show the front of each face, and those (F,) that show its back.

    Args:
        vertices: (V, 3) in the unit frame.
        faces: (F, 3).
    """
    from onet import _C

    front, back = np.zeros(len(faces), np.int64), np.zeros(len(faces), np.int64)
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    normals = np.cross(b - a, c - a)
    radius = float(np.linalg.norm(vertices[np.unique(faces)], axis=1).max()) * 1.001
    for towards in sphere_directions(VIEWS):
        other = np.array([0.0, 1, 0]) if abs(towards[1]) < 0.9 else np.array([1.0, 0, 0])
        right = np.cross(other, towards)
        right /= np.linalg.norm(right)
        frame = np.stack([right, np.cross(right, towards), -towards], axis=1)
        projected = vertices @ frame
        projected[:, :2] = (projected[:, :2] + radius) * (PIXELS / (2 * radius))
        seen = _C.rasterize(np.ascontiguousarray(projected), faces, PIXELS, PIXELS)[1]
        pixels = np.bincount(seen[seen >= 0], minlength=len(faces))
        ahead = normals @ towards > 0
        front += np.where(ahead, pixels, 0)
        back += np.where(ahead, 0, pixels)
    return front, back


def solid_and_sheets(
    vertices: NDArray[np.float64], patches: Patches, wide_open: NDArray[np.bool_]
) -> tuple[Faces, Faces, Faces]:
    """Faces of solids, turned outward, faces of sheets, and faces that no view sees.

    Closed patches are solid whatever the views say, and those with a wide opening are sheets.

    Args:
        vertices: (V, 3) in the unit frame.
        patches: of the mesh.
        wide_open: (P,) which patches have such an opening.
    """
    faces, patch = patches.faces, patches.patch
    if patches.closed.all():
        return faces, faces[:0], faces[:0]
    front, back = sides_seen(vertices, faces)
    of_front, of_back = np.bincount(patch, front), np.bincount(patch, back)
    wrong = (of_back > of_front) & ~patches.closed
    faces = np.where(wrong[patch][:, None], faces[:, ::-1], faces)
    front, back = np.where(wrong[patch], (back, front), (front, back))
    of_front, of_back = np.where(wrong, (of_back, of_front), (of_front, of_back))
    expected = (of_back / np.maximum(of_front + of_back, 1))[patch]
    share = (back + TRUST * expected) / (front + back + TRUST)
    hidden = (of_front + of_back == 0)[patch] & ~patches.of_closed
    sheet = ((expected > OPEN) | (share > FIN) | wide_open[patch]) & ~hidden & ~patches.of_closed
    faces = np.ascontiguousarray(faces)
    return faces[~sheet & ~hidden], faces[sheet], faces[hidden]
