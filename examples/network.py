"""The picture of a network that was trained for two minutes on twenty tables.

python examples/network.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import trimesh
from _pictures import TRUTH, cloud, folder, save, shape

import onet


def make_tables(out: Path, count: int = 20) -> None:
    """Write tables whose sizes are drawn by chance."""
    rng = np.random.default_rng(0)
    out.mkdir(parents=True)
    for number in range(count):
        width, depth, height = rng.uniform([0.8, 0.5, 0.4], [1.4, 0.9, 0.9])
        leg = rng.uniform(0.08, 0.14)
        parts = [trimesh.creation.box((width, 0.1, depth))]
        for x in (-1, 1):
            for z in (-1, 1):
                box = trimesh.creation.box((leg, height, leg))
                box.apply_translation([x * (width - leg) / 2, -height / 2, z * (depth - leg) / 2])
                parts.append(box)
        trimesh.util.concatenate(parts).export(out / f"{number:02d}.ply")


def main() -> None:
    out = folder(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        make_tables(work / "meshes/table")
        onet.prepare(
            work / "meshes", work / "store", resolution=64, points=10000, surface=10000, workers=1
        )
        changes = {
            "data": {"path": work / "store", "input": {"count": 1000}},
            "training": {"batch_size": 8, "max_minutes": 2, "validate_every": 50},
        }
        onet.train("pointcloud_planes_small", changes, run=work / "run")
        model = onet.load(work / "run")
        rows = []
        names = (work / "store/table/test.lst").read_text().split()[:3]
        for name in names:
            truth = trimesh.load(work / f"meshes/table/{name}.ply")
            points = trimesh.sample.sample_surface(truth, 1000, seed=0)[0]
            points += np.random.default_rng(0).normal(0, 0.005, points.shape)
            box = np.asarray(truth.bounds)
            mesh = model.reconstruct(points)
            rows.append([cloud(points, box), shape(mesh, box), shape(truth, box, color=TRUTH)])
    save(out / "network.png", ["1,000 points", "mesh by the network", "truth"], rows)


if __name__ == "__main__":
    main()
