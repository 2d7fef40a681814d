"""A number of threads that a caller gives is the number that works.

Results never depend on it, so only the clocks tell: what the process takes beyond the calling
thread is what other threads took. A process of its own has no others that are at work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

CODE = """
import json, time
import numpy as np
import trimesh
from onet.geometry.distance import closest_point
from onet.geometry.extraction import extract_mesh
from onet.geometry.inside import contains
from onet.geometry.nearest import NearestNeighbors
from onet.geometry.winding import winding_number

points = np.random.default_rng(0).uniform(-1, 1, (100_000, 3))
mesh = trimesh.creation.icosphere(3)
tree = NearestNeighbors(points)
BOX = [[-1, -1, -1], [1, 1, 1]]
OPERATIONS = {
    "octree": lambda n: extract_mesh(
        lambda p: 0.8 - (p * p).sum(1), bounds=BOX, resolution=128, threads=n
    ),
    "contains": lambda n: contains(mesh, points, threads=n),
    "contains by winding": lambda n: contains(mesh, points[::5], mode="winding", threads=n),
    "winding number": lambda n: winding_number(mesh, points[::5], threads=n),
    "closest point": lambda n: closest_point(mesh, points[::5], n),
    "query": lambda n: tree.query(points, n),
}

def others(work, threads):
    before = time.process_time() - time.thread_time()
    work(threads)
    return time.process_time() - time.thread_time() - before

for work in OPERATIONS.values():
    work(1)  # what is imported and allocated at first use
print(json.dumps({name: [others(f, 1), others(f, 8)] for name, f in OPERATIONS.items()}))
"""


@pytest.fixture(scope="module")
def seconds() -> dict[str, tuple[float, float]]:
    """Return the seconds that other threads took: with 1 thread, and with 8."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, tuple[float, float]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    "name",
    [
        "octree",
        "contains",
        "contains by winding",
        "winding number",
        "closest point",
        "query",
    ],
)
def test_threads_arrive(name: str, seconds: dict[str, tuple[float, float]]) -> None:
    one, eight = seconds[name]
    assert one < 5e-5 < eight  # the start of a thread alone takes some 1e-5
