"""The picture of a broken mesh, what is inside of it, and its solid.

python examples/solid.py
"""

from __future__ import annotations

import numpy as np
import trimesh
from _pictures import cut, folder, save, shape
from numpy.typing import NDArray

import onet


def broken_mesh() -> tuple[trimesh.Trimesh, NDArray[np.bool_]]:
    """Return a body with a hole, three parts in and through it, and which faces look inward."""
    body = trimesh.creation.icosphere(subdivisions=4, radius=1.0)
    body.update_faces(body.triangles_center[:, 1] < 0.95)
    handle = trimesh.creation.torus(major_radius=0.6, minor_radius=0.12)
    handle.apply_translation([1.1, 0, 0])
    inner = trimesh.creation.box((0.4, 0.4, 0.4))
    base = trimesh.creation.box((1.6, 0.2, 1.6))
    base.apply_translation([0, -0.95, 0])
    mesh = trimesh.util.concatenate([body, handle, inner, base])
    flip = np.random.default_rng(0).random(len(mesh.faces)) < 0.3
    mesh.faces[flip] = mesh.faces[flip][:, ::-1]
    return mesh, flip


def main() -> None:
    out = folder(__doc__)
    broken, inward = broken_mesh()
    solid = onet.make_solid(broken, resolution=128)
    box = np.asarray(broken.bounds)
    colors = np.where(inward[:, None], (0.85, 0.45, 0.4), (0.70, 0.76, 0.86))
    pictures = [
        shape(broken, box, color=colors),
        shape(cut(broken, 0), box, azimuth=60),
        shape(solid, box),
        shape(cut(solid, 0), box, azimuth=60),
    ]
    titles = ["broken, some faces inward", "cut open", "its solid", "cut open"]
    save(out / "solid.png", titles, [pictures])


if __name__ == "__main__":
    main()
