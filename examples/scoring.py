"""The picture of two methods beside the truth, coloured by their distance to it.

python examples/scoring.py
"""

from __future__ import annotations

import numpy as np
import trimesh
from _pictures import TRUTH, Picture, folder, save, shape
from matplotlib import colormaps
from numpy.typing import NDArray

import onet
from onet.geometry.distance import TriangleTree
from onet.geometry.mesh_io import load_mesh
from onet.geometry.point_cloud_io import load_points
from onet.resources import assets_dir

FAR = 0.1  # of the longest edge: the end of the scale


def by_distance(mesh: trimesh.Trimesh, truth: trimesh.Trimesh, box: NDArray[np.float64]) -> Picture:
    """Return the picture of a mesh whose faces have the colour of their distance to the truth."""
    mesh = mesh.subdivide_to_size(np.ptp(box, axis=0).max() / 30, max_iter=20)
    distance = TriangleTree(truth).closest(mesh.triangles_center)[1] / np.ptp(box, axis=0).max()
    colors = colormaps["RdYlBu_r"](np.clip(distance / FAR, 0, 1))[:, :3]
    return shape(mesh, box, color=colors)


def main() -> None:
    out = folder(__doc__)
    model = onet.load("scan")
    rows, labels = [], []
    for name in ("chair_chair", "sofa_sofa2"):
        points = load_points(assets_dir() / f"scans/{name}.ply")
        truth = load_mesh(assets_dir() / f"truth/{name}.ply")
        box = np.asarray(truth.bounds)
        network, hull = model.reconstruct(points), trimesh.PointCloud(points).convex_hull
        rows.append(
            [
                shape(truth, box, color=TRUTH),
                by_distance(network, truth, box),
                by_distance(hull, truth, box),
            ]
        )
        labels.append(name.split("_")[1])
    save(out / "scoring.png", ["truth", "network", "convex hull"], rows, labels)


if __name__ == "__main__":
    main()
