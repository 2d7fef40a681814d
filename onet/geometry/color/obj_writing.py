"""A textured mesh as Wavefront OBJ: places and texture coordinates in lists of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onet.errors import DataError
from onet.geometry.color.atlas import Atlas
from onet.geometry.mesh_writing import decimals

if TYPE_CHECKING:
    import trimesh


def textured_obj(path: Path, mesh: trimesh.Trimesh, atlas: Atlas, library: str) -> bytes:
    """Return the file of a mesh whose material is `baked` of a material library.

    Vertices are those of the mesh, once each: it stays closed if it was.

    Args:
        path: named in errors.
        mesh: what `atlas` is of.
        atlas: texture coordinates.
        library: file name of the materials, beside the OBJ file.

    Raises:
        DataError: vertices that are not finite.
    """
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    if not np.isfinite(vertices).all():
        raise DataError(f"{path}: the mesh has vertices that are NaN or infinite; remove them")
    digits, _ = decimals(mesh)
    places = np.column_stack([np.asarray(mesh.faces) + 1, atlas.faces + 1])[:, [0, 3, 1, 4, 2, 5]]
    lines = [f"mtllib {library}", "o baked", "usemtl baked"]
    lines += [f"v {x:.{digits}f} {y:.{digits}f} {z:.{digits}f}" for x, y, z in vertices.tolist()]
    lines += [f"vt {u:.8f} {v:.8f}" for u, v in atlas.uv.tolist()]
    lines += ["f {}/{} {}/{} {}/{}".format(*row) for row in places.tolist()]
    return ("\n".join(lines) + "\n").encode()
