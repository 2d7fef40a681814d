"""Runs every operation of an emulated module, for a process under a sanitizer.

python exercise.py PATH_OF_MODULE CASES: prints the number of cases done. NumPy only.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from emulation import load


def grow_and_mesh(cuda: object, rng: np.random.Generator) -> None:
    base, levels = rng.integers(1, 4, size=3), int(rng.integers(0, 3))
    tree = cuda.Octree(tuple(base.tolist()), levels, bool(rng.integers(2)), rng.choice([0, 0.2]))
    shape = (base << levels) + 1
    tree.refine(rng.integers(-1, shape, size=(rng.integers(0, 3), 3), dtype=np.int32))
    volume = rng.normal(size=shape).astype(np.float32) + rng.choice([-2, -1, 0, 2])
    while tree.pending:
        points = np.empty((tree.pending, 3), dtype=np.int32)
        tree.pending_points(points)
        positions = np.empty((tree.pending, 3), dtype=np.float32)
        tree.pending_positions((0.0, 0.0, 0.0), 1.0, 0, positions)
        assert (positions == points).all()
        tree.update(np.ascontiguousarray(volume[tuple(points.T)], dtype=np.float32))
    tree.points()
    tree.interpolate(rng.uniform(-1, 9, size=(50, 3)), np.empty(50, dtype=np.float32))
    surface = cuda.marching_cubes(tree)
    vertices = np.empty((surface.vertex_count, 3))
    faces = np.empty((surface.face_count, 3), dtype=np.int64)
    surface.copy(vertices, faces)
    assert faces.size == 0 or faces.max() == len(vertices) - 1


def test_points(cuda: object, rng: np.random.Generator) -> None:
    vertices = rng.integers(0, 4, size=(rng.integers(3, 30), 3)) * rng.choice([1.0, 0.1, 1e30])
    faces = rng.integers(0, len(vertices), size=(rng.integers(0, 60), 3))  # degenerate ones too
    points = rng.integers(-1, 9, size=(rng.integers(0, 600), 3)) / 2
    cuda.contains(vertices, faces, points, np.empty(len(points), dtype=np.uint8))
    index = np.empty(len(points), dtype=np.int64)
    cuda.NearestNeighbors(vertices).query(points, np.empty(len(points)), index)
    assert index.size == 0 or index.max() < len(vertices)


if __name__ == "__main__":
    module, cases = load(Path(sys.argv[1])), int(sys.argv[2])
    for case in range(cases):
        for operation in (grow_and_mesh, test_points):
            operation(module, np.random.default_rng(case))
    sys.stdout.write(f"{cases} cases\n")
