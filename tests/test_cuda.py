"""The CUDA module against the CPU one.

Its kernels run on the CPU, through `emulation`, and on a GPU as well where there is one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import emulation
import numpy as np
import pytest
import torch
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_octree import random_volume

from onet import _C
from onet.errors import FieldError, MissingDependency
from onet.geometry import cuda
from onet.geometry.extraction import extract_mesh
from onet.geometry.inside import contains
from onet.geometry.nearest import NearestNeighbors

# `device` says where tensors go: the same for all examples, so no fixture for each is needed.
same_inputs = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)


@pytest.fixture(scope="session")
def emulated(request: pytest.FixtureRequest) -> ModuleType:
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        pytest.skip("no C++ compiler")
    return emulation.load(emulation.build(request.config.cache.mkdir("onet-emulation")))


@pytest.fixture(
    params=[
        pytest.param("emulated", marks=pytest.mark.slow),  # it is compiled first
        pytest.param("cuda", marks=pytest.mark.gpu),
    ]
)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "cuda":
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
        yield "cuda"
        return
    module = request.getfixturevalue("emulated")
    monkeypatch.setattr(cuda, "extension", lambda: module)
    monkeypatch.setattr(cuda, "queue", lambda device: (0, 0))
    monkeypatch.setattr(cuda, "is_cuda", lambda array: isinstance(array, torch.Tensor))
    yield "cpu"


def grow(tree: _C.Octree | cuda.Octree, volume: np.ndarray, device: str | None = None) -> list:
    """Feeds a tree from a dense volume; returns the pending points of every round."""
    rounds = []
    while tree.pending:
        points = tree.pending_points()
        points = points.cpu().numpy() if device else points
        values = np.ascontiguousarray(volume[tuple(points.T)])
        tree.update(torch.from_numpy(values).to(device) if device else values)
        rounds.append(points)
    return rounds


@same_inputs
@given(
    st.tuples(*[st.integers(1, 4)] * 3),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from([0.0, 0.3]),
    st.integers(0, 3),
    st.integers(0, 2**32 - 1),
)
def test_octree_and_marching_cubes(device, base, levels, predict, margin, seed_count, seed):
    shape = tuple((n << levels) + 1 for n in base)
    volume = random_volume(shape, seed)
    rng = np.random.default_rng(seed)
    seeds = rng.integers(-1, np.array(shape), size=(seed_count, 3), dtype=np.int32)
    ours = cuda.Octree(base, levels, predict, margin, device)
    theirs = _C.Octree(base, levels, predict, margin)
    for tree in (ours, theirs):
        tree.refine(seeds)
    np.testing.assert_equal(grow(ours, volume, device), grow(theirs, volume))
    np.testing.assert_equal(ours.points(), theirs.points())
    for name in ("levels", "resolution", "evaluated", "box_contacts", "pending"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.evaluations_per_level() == theirs.evaluations_per_level()

    positions = rng.uniform(-0.5, np.array(shape), size=(100, 3))
    values = ours.interpolate(torch.from_numpy(positions).to(device)).cpu().numpy()
    np.testing.assert_array_equal(values, theirs.interpolate(positions))
    frame = ((0.25, -3.0, 0.1), 0.3)
    for mine, reference in zip(
        ours.marching_cubes(*frame), _C.marching_cubes(theirs, *frame), strict=True
    ):
        np.testing.assert_array_equal(mine.cpu().numpy(), reference)


def test_positions_in_parts(device):
    ours, theirs = cuda.Octree((3, 4, 5), 2, device=device), _C.Octree((3, 4, 5), 2)
    frame = ((0.1, -0.7, 1 / 3), 0.01)
    for first, count in ((0, 7), (100, 20), (0, 0)):
        mine = ours.pending_positions(*frame, first, count)
        np.testing.assert_array_equal(
            mine.cpu().numpy(), theirs.pending_positions(*frame, first, count)
        )
    with pytest.raises(IndexError, match="pending"):
        ours.pending_positions(*frame, ours.pending - 1, 2)


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_extract_mesh(device, mode, torus):
    def on_device(points: torch.Tensor) -> torch.Tensor:
        assert points.device.type == device and points.dtype == torch.float32
        return torch.from_numpy(torus(points.cpu().numpy())).to(device)

    options = {"resolution": 40, "base_resolution": 10, "mode": mode, "probes": 50}
    mesh = extract_mesh(torus, **options)
    other = extract_mesh(on_device, **options, device=device, batch_size=999)
    np.testing.assert_array_equal(other.vertices, mesh.vertices)
    np.testing.assert_array_equal(other.faces, mesh.faces)
    timing = {"seconds": 0, "peak_bytes": 0}
    assert other.metadata["extraction"] | timing == mesh.metadata["extraction"] | timing


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda p: np.zeros(len(p)), "ndarray for points"),
        (lambda p: p, "shape"),
        (lambda p: torch.zeros(len(p), dtype=torch.complex64, device=p.device), "complex64"),
        (lambda p: torch.full((len(p),), torch.nan, device=p.device), "NaN at 729 of 729"),
    ],
)
def test_fields_on_the_device_are_checked(device, wrong, message):
    with pytest.raises(FieldError, match=message):
        extract_mesh(wrong, resolution=8, base_resolution=8, device=device)


def test_octree_refuses(device):
    tree = cuda.Octree((2, 2, 2), 1, device=device)
    with pytest.raises(ValueError, match="one value per pending point"):
        tree.update(torch.zeros(tree.pending - 1, device=device))
    with pytest.raises(TypeError):
        tree.update(torch.zeros(tree.pending, dtype=torch.float64, device=device))
    with pytest.raises(RuntimeError, match="awaits values"):
        tree.marching_cubes()
    with pytest.raises(ValueError, match="levels"):
        cuda.Octree((2, 2, 2), -1, device=device)
    with pytest.raises(RuntimeError, match="CUDA failed in choosing the device"):
        cuda.extension().Octree((2, 2, 2), 1, device=99)


def soup(seed: int) -> trimesh.Trimesh:
    """Closed boxes with corners on a small lattice, doubled and overlapping, with slivers."""
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(rng.integers(1, 6)):
        low = rng.integers(0, 8, size=3)
        box = trimesh.creation.box(bounds=(low, low + rng.integers(0, 5, size=3)))
        boxes += [box] * rng.integers(1, 3)
    boxes.append(trimesh.creation.icosphere(rng.integers(0, 4), radius=rng.uniform(0.1, 6)))
    return trimesh.util.concatenate(boxes)


@same_inputs
@given(st.integers(0, 2**32 - 1))
def test_point_in_mesh(device, seed):
    mesh = soup(seed)
    rng = np.random.default_rng(seed)
    points = np.concatenate(
        [
            rng.integers(-1, 14, size=(300, 3)) / rng.choice([1, 2]),  # in line with edges
            rng.uniform(-7, 14, size=(300, 3)),
            mesh.vertices,
            [[np.nan, 0, 0], [0, np.inf, 0], [0, 0, -np.inf]],
        ]
    ).astype(np.float32)
    inside = contains(mesh, torch.from_numpy(points).to(device))
    assert inside.dtype == torch.bool
    np.testing.assert_array_equal(inside.cpu().numpy(), contains(mesh, points))


def test_point_in_mesh_of_few_and_of_long_triangles(device):
    """The grid of columns adapts: no triangle may fill it."""
    angle = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    after = np.roll(np.arange(2000), -1)
    fan = [[np.arange(2000), after, np.full(2000, 2000)], [after, np.arange(2000), [2001] * 2000]]
    mesh = trimesh.Trimesh(
        np.concatenate([ring, [[0, 0, 1], [0, 0, -1]]]),
        np.concatenate([np.array(f).T for f in fan]),
        process=False,
    )
    points = np.random.default_rng(0).uniform(-1, 1, size=(5000, 3))
    inside = contains(mesh, torch.from_numpy(points).to(device)).cpu().numpy()
    np.testing.assert_array_equal(inside, contains(mesh, points))
    assert 0.2 < inside.mean() < 0.35  # a double cone: pi * 2 / 3 of 8
    with pytest.raises(ValueError, match="winding"):
        contains(mesh, torch.from_numpy(points).to(device), mode="winding")
    empty = trimesh.Trimesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64))
    assert not contains(empty, torch.from_numpy(points).to(device)).any()


@same_inputs
@given(st.integers(1, 600), st.integers(0, 300), st.integers(0, 2**32 - 1))
def test_nearest_neighbours(device, count, query_count, seed):
    rng = np.random.default_rng(seed)
    spread = rng.choice([1e-3, 1.0, 1e60])
    # Many points at the same distance, or at the same place.
    points, queries = (
        np.where(rng.random((n, 1)) < 0.5, rng.integers(0, 4, size=(n, 3)), rng.normal(size=(n, 3)))
        * spread
        for n in (count, query_count)
    )
    queries[: query_count // 10] *= 1e3
    index = NearestNeighbors(torch.from_numpy(points).to(device))
    found = index.query(torch.from_numpy(queries).to(device))
    for mine, reference in zip(found, NearestNeighbors(points).query(queries), strict=True):
        np.testing.assert_array_equal(mine.cpu().numpy(), reference)


def test_nearest_neighbours_refuse(device):
    index = NearestNeighbors(torch.zeros((1, 3), device=device))
    queries = torch.zeros((3, 3), dtype=torch.float64, device=device)
    queries[1, 2] = torch.nan
    with pytest.raises(ValueError, match="1 of 3 rows are NaN"):
        index.query(queries)
    with pytest.raises(ValueError, match=r"shape \(N, 3\)"):
        index.query(queries[0])
    with pytest.raises(ValueError, match="expected a tensor on"):
        index.query(queries.cpu().numpy())
    with pytest.raises(ValueError, match="there are none"):
        NearestNeighbors(torch.zeros((0, 3), device=device))
    with pytest.raises(ValueError, match="1 of 1 rows are NaN"):
        NearestNeighbors(torch.full((1, 3), torch.inf, device=device))


def test_out_of_memory_is_named(device, monkeypatch):
    if device == "cuda":
        pytest.skip("needs a device of known size")
    monkeypatch.setenv("ONET_EMULATED_BYTES", "100000")
    with pytest.raises(RuntimeError, match="device 0 is out of memory"):
        cuda.Octree((32, 32, 32), 1, device=device)


@pytest.mark.slow
@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_no_finding_by_sanitizers(sanitizer, request):
    """Bounds and undefined behaviour; and data races between the threads of a kernel."""
    runtime = {"address": "libasan.so", "thread": "libtsan.so"}[sanitizer]
    printed = subprocess.run(
        [emulation.COMPILER, f"-print-file-name={runtime}"], capture_output=True, text=True
    ).stdout.strip()
    if not os.path.isabs(printed):
        pytest.skip(f"{emulation.COMPILER} has no {runtime}")
    module = emulation.build(request.config.cache.mkdir("onet-emulation"), sanitizer)
    options = {
        "LD_PRELOAD": printed,
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter's own
        "TSAN_OPTIONS": "exitcode=1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, emulation.HERE / "exercise.py", module, "40"],
        env={**os.environ, **options},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert done.stdout == "40 cases\n"


def test_without_the_module_or_a_device(monkeypatch):
    monkeypatch.setitem(sys.modules, "onet._cuda", None)
    with pytest.raises(MissingDependency, match=r"ONET_CUDA=1.*nvcc|nvcc.*ONET_CUDA=1"):
        cuda.extension()
    monkeypatch.setitem(sys.modules, "onet._cuda", type("Module", (), {"device_count": lambda: 0}))
    with pytest.raises(MissingDependency, match="no CUDA device"):
        cuda.extension()


def test_imports_without_a_driver():
    pytest.importorskip("onet._cuda", reason="built without CUDA")
    code = "import onet._cuda as c; assert c.device_count() >= 0; print(c.Octree)"
    home = os.path.dirname(os.path.dirname(_C.__file__))  # not the working directory's sources
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, "PYTHONPATH": home},
        capture_output=True,
        text=True,
    )
    assert "onet._cuda.Octree" in done.stdout, done.stderr
