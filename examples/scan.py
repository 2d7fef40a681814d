"""The picture of a whole scan, of one from one side, and of what that shows.

python examples/scan.py
"""

from __future__ import annotations

import numpy as np
import trimesh
from _pictures import cloud, folder, save, shape

import onet
from onet.geometry.point_cloud_io import load_points
from onet.geometry.trimming import with_vertices
from onet.resources import assets_dir

SEEN, COMPLETED = (0.45, 0.62, 0.85), (0.95, 0.6, 0.25)


def main() -> None:
    out = folder(__doc__)
    model = onet.load("scan")
    points = load_points(assets_dir() / "scans/sofa_sofa2.ply")
    truth = trimesh.load(assets_dir() / "truth/sofa_sofa2.ply")
    front, faces = trimesh.sample.sample_surface(truth, 4000, seed=0)
    front = front[truth.face_normals[faces] @ [0.5, 0.5, 0.7] > 0]
    whole, completed = model.reconstruct(points), model.reconstruct(front)
    box = np.asarray(whole.bounds)
    seen = np.asarray(completed.vertex_attributes["seen"]) > 0
    colors = np.where(seen[completed.faces].all(axis=1)[:, None], SEEN, COMPLETED)
    opened = with_vertices(completed, seen)
    pictures = [
        cloud(points, box),
        shape(whole, box),
        cloud(front, box),
        shape(completed, box, color=colors),
        shape(opened, box, color=SEEN),
    ]
    titles = ["a scan", "its mesh", "points of one side", "seen, and completed", "--open"]
    save(out / "scan.png", titles, [pictures])


if __name__ == "__main__":
    main()
